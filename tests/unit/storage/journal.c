/* What may be used of a journal's ring. */
#include "storage/journal.h"
#include "base/check.h"
#include "base/memory.h"
#include "storage/store.h"
#include "support/test.h"

TEST(journal, uses_more_of_its_ring_only_while_it_is_crowded)
{
    struct store *store = memory_zeroed(sizeof *store);
    struct journal *journal = &store->journal;
    journal_init(journal, store);
    store->options.journal_bytes = 64 << 20;
    store->options.journal_crowded_bytes = 512 << 20;
    journal->ring_end = 512 << 20;
    journal->live_bytes = 40 << 20;

    journal_count_logs(journal, 2048);
    EQ(journal_limit(journal), 64 << 20);
    TRUE_(journal_is_half_full(journal));
    journal_count_logs(journal, 2049); /* less than 16 KiB of each in half of 64 MiB */
    EQ(journal_limit(journal), 512 << 20);
    TRUE_(!journal_is_half_full(journal));
    journal->live_bytes = 256 << 20;
    TRUE_(journal_is_half_full(journal));

    store->options.journal_crowded_bytes = 0;
    EQ(journal_limit(journal), 64 << 20);
    memory_free(store);
}

TEST(journal, keeps_its_slabs_only_while_it_is_crowded)
{
    struct store *store = memory_zeroed(sizeof *store);
    struct journal *journal = &store->journal;
    journal_init(journal, store);
    store->options.journal_bytes = 64 << 20;
    buffers_init(&store->tails, 64 << 20, STORE_TAILS_KEPT);
    struct buffer *slabs[4];

    journal_count_logs(journal, 2049);
    for (int i = 0; i < ARRAY_COUNT(slabs); i++)
        slabs[i] = buffers_take(&store->tails, 4 << 20);
    for (int i = 0; i < ARRAY_COUNT(slabs); i++)
        buffer_release(slabs[i]);
    EQ(store->tails.kept_bytes, 16 << 20);
    struct buffer *again = buffers_take(&store->tails, 4 << 20);
    TRUE_(again == slabs[3]);
    buffer_release(again);

    journal_count_logs(journal, 2048);
    EQ(store->tails.kept_bytes, STORE_TAILS_KEPT);
    buffers_done(&store->tails);
    memory_free(store);
}
