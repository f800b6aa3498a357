/* Who reads old data from files, and when. */
#include "storage/cold_reads.h"
#include "base/memory.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include "support/test.h"

enum { CHUNK = 256 << 10 };

struct readers {
    struct core *core;
    struct store *store;
    struct log *log;
    struct log_read reads[3];
    struct flow flows[3];
};

static const struct flow_kind kind = {"reader", {{"read", NULL}}};

static void set_up(struct readers *readers)
{
    *readers = (struct readers){.core = memory_zeroed(sizeof(struct core)),
                                .store = memory_zeroed(sizeof(struct store)),
                                .log = memory_zeroed(sizeof(struct log))};
    list_init(&readers->core->run_queue);
    cold_reads_init(&readers->store->cold);
    readers->store->options.cold_read_bytes = 2 * CHUNK;
    readers->log->store = readers->store;
    for (int i = 0; i < 3; i++) {
        readers->reads[i].log = readers->log;
        flow_begin(&readers->flows[i], &kind, readers->core);
    }
}

static bool take_from(struct readers *readers, enum cold_source source, int reader)
{
    return cold_reads_take(&readers->reads[reader], source, CHUNK, &readers->flows[reader]);
}

static bool take(struct readers *readers, int reader)
{
    return take_from(readers, COLD_DISK, reader);
}

static bool is_woken(const struct readers *readers, int reader)
{
    return readers->flows[reader].holds == 0;
}

static void tear_down(struct readers *readers)
{
    memory_free(readers->core);
    memory_free(readers->store);
    memory_free(readers->log);
}

TEST(cold_reads, share_a_budget_in_the_order_of_arrival)
{
    struct readers readers;
    set_up(&readers);
    TRUE_(take(&readers, 0));
    TRUE_(take(&readers, 1));
    TRUE_(!take(&readers, 2));
    cold_reads_end(&readers.reads[0]);
    TRUE_(is_woken(&readers, 2));
    TRUE_(!take(&readers, 0)); /* not what the other was woken for */
    TRUE_(take(&readers, 2));
    tear_down(&readers);
}

TEST(cold_reads, begin_when_the_journal_does_not_write_and_one_after_each_write)
{
    struct readers readers;
    set_up(&readers);
    readers.store->journal.writing = true;
    TRUE_(!take(&readers, 0));
    TRUE_(!take(&readers, 1));
    readers.store->journal.writing = false;
    cold_reads_go_on(readers.store);
    TRUE_(is_woken(&readers, 0) && !is_woken(&readers, 1));
    TRUE_(take(&readers, 0));
    TRUE_(is_woken(&readers, 1)); /* there is room for both */
    readers.store->journal.writing = true;
    TRUE_(!take(&readers, 1));
    cold_reads_end(&readers.reads[0]);
    TRUE_(is_woken(&readers, 1) && !take(&readers, 1)); /* the journal still writes */
    readers.store->journal.writing = false;
    cold_reads_go_on(readers.store);
    TRUE_(is_woken(&readers, 1) && take(&readers, 1));
    cold_reads_end(&readers.reads[1]);
    EQ(readers.store->cold.queues[COLD_DISK].in_flight_bytes, 0);
    tear_down(&readers);
}

TEST(cold_reads, from_the_page_cache_wait_for_no_write_and_nobody_at_the_disk)
{
    struct readers readers;
    set_up(&readers);
    readers.store->journal.writing = true;
    TRUE_(!take(&readers, 0));
    TRUE_(take_from(&readers, COLD_CACHE, 1));
    cold_reads_end(&readers.reads[1]);
    TRUE_(take_from(&readers, COLD_CACHE, 1) && take_from(&readers, COLD_CACHE, 2));
    cold_reads_end(&readers.reads[1]);
    cold_reads_end(&readers.reads[2]);
    TRUE_(!is_woken(&readers, 0)); /* that is not what it waits for */
    EQ(readers.store->cold.queues[COLD_CACHE].in_flight_bytes, 0);
    tear_down(&readers);
}

TEST(cold_reads, from_the_page_cache_share_a_budget_of_their_own_in_the_order_of_arrival)
{
    struct readers readers;
    set_up(&readers);
    TRUE_(take_from(&readers, COLD_CACHE, 0) && take_from(&readers, COLD_CACHE, 1));
    TRUE_(!take_from(&readers, COLD_CACHE, 2));
    cold_reads_end(&readers.reads[0]);
    TRUE_(is_woken(&readers, 2));
    TRUE_(!take_from(&readers, COLD_CACHE, 0)); /* not what the other was woken for */
    TRUE_(take(&readers, 0) && take_from(&readers, COLD_CACHE, 2));
    tear_down(&readers);
}

TEST(cold_reads, what_was_woken_for_one_source_and_turns_to_another_wakes_the_next)
{
    struct readers readers;
    set_up(&readers);
    readers.store->options.cold_read_bytes = CHUNK;
    TRUE_(take_from(&readers, COLD_CACHE, 0));
    TRUE_(!take_from(&readers, COLD_CACHE, 1) && !take_from(&readers, COLD_CACHE, 2));
    cold_reads_end(&readers.reads[0]);
    TRUE_(is_woken(&readers, 1) && !is_woken(&readers, 2));
    TRUE_(take(&readers, 1)); /* it was found out that the cache can't be asked */
    TRUE_(is_woken(&readers, 2) && !take(&readers, 2));
    cold_reads_end(&readers.reads[1]);
    TRUE_(is_woken(&readers, 2) && take(&readers, 2));
    EQ(readers.store->cold.queues[COLD_CACHE].woken, 0);
    tear_down(&readers);
}
