/* Logs whose files do not join with what the journal holds: they are set aside, and the others
 * serve.
 */
#include "base/check.h"
#include "base/memory.h"
#include "crash/aside.h"
#include "storage/aside.h"
#include "storage/journal_format.h"
#include "support/test.h"

TEST(aside, a_log_that_does_not_join_is_kept_whole_and_others_serve)
{
    for (int damage = 0; damage < ASIDE_DAMAGES; damage++)
        for (int starts = STARTS_CLASSIC; starts <= STARTS_RESUME; starts++)
            for (int crashes = 0; crashes < 40; crashes++) {
                struct aside_run run = {.damage = (enum aside_damage)damage,
                                        .starts = (enum rig_starts)starts,
                                        .crash_at = crashes * 25};
                aside_run(&run);
                if (!test_expect(run.failure[0] == 0, __FILE__, __LINE__,
                                 "damage %d, starts %d, crash %d: %s", damage, starts, run.crash_at,
                                 run.failure))
                    return;
            }
}

TEST(aside, is_not_what_a_log_needs_whose_partition_metadata_is_lost)
{
    for (int number = 0; number < 2 * OWNER_JOURNALS * OWNER_DAMAGES; number++)
        for (int crashes = 0; crashes < 20; crashes++) {
            struct owner_run run = {.damage = (enum owner_damage)(number / 2 / OWNER_JOURNALS),
                                    .starts = number % 2 ? STARTS_CLASSIC : STARTS_RESUME,
                                    .journal = (enum owner_journal)(number / 2 % OWNER_JOURNALS),
                                    .crash_at = crashes * 25};
            owner_run(&run);
            if (!test_expect(run.failure[0] == 0, __FILE__, __LINE__,
                             "damage %d, starts %d, journal %d, crash %d: %s", run.damage,
                             run.starts, run.journal, run.crash_at, run.failure))
                return;
        }
}

TEST(aside, the_file_is_believed_whole_or_not_at_all)
{
    static const char reason[] = "data/t-0/0.log, position 3: it is damaged";
    uint8_t file[200] = {0};
    struct journal_entry bind = {.id = ASIDE_ID, .topic_id = {{7}}, .segment_base = 42};
    size_t at = aside_entries_at(reason), bytes = entry_bind_encode(&bind, file + at);
    size_t size = at + bytes;
    aside_seal(file, reason, bytes);
    struct aside aside;
    EQ(aside_decode((struct bytes){file, (int32_t)size}, &aside), ERROR_NONE);
    EQ(aside.entries.size, (int32_t)bytes);
    EQ(aside.topic_id.bytes[0], 7);
    EQ_BYTES(aside.reason.data, reason, sizeof reason - 1);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        if (bit / 8 >= 24 && bit / 8 < 28)
            continue; /* zero, and of no meaning */
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
        TRUE_(aside_decode((struct bytes){file, (int32_t)size}, &aside) != ERROR_NONE);
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t short_size = 0; short_size < size; short_size++)
        TRUE_(aside_decode((struct bytes){file, (int32_t)short_size}, &aside) != ERROR_NONE);
}
