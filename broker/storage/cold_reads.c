#include "storage/cold_reads.h"
#include "base/check.h"
#include "base/reached.h"
#include "storage/log_state.h"
#include "storage/store.h"

static void wake_next(struct store *store)
{
    store->cold.woken += waiters_wake_first(&store->cold.waiters);
}

/* It runs after it was woken. */
static void has_woken(struct log_read *read)
{
    struct store *store = read->log->store;
    store->cold.woken -= read->cold_woken;
    check(store->cold.woken >= 0);
    read->cold_woken = false;
}

/* While the journal writes, a read would lie before or beside it in the disk's queue. */
static bool has_room(const struct store *store, int64_t size)
{
    if (store->journal.writing)
        return false;
    return store->cold.in_flight_bytes == 0 ||
           store->cold.in_flight_bytes + size <= store->options.cold_read_bytes;
}

void cold_reads_go_on(struct store *store)
{
    if (store->cold.in_flight_bytes == 0 && store->cold.woken == 0)
        wake_next(store);
}

bool cold_reads_take(struct log_read *read, int64_t size, struct flow *flow)
{
    struct store *store = read->log->store;
    check(size > 0 && size <= INT32_MAX && read->cold_bytes == 0);
    bool waited = read->cold_woken;
    has_woken(read);
    bool others_first = !waited && (store->cold.woken > 0 || !list_is_empty(&store->cold.waiters));
    if (others_first || !has_room(store, size)) {
        REACHED("read of a file waits for others");
        waiter_park(&read->waiter, &store->cold.waiters, flow);
        read->cold_woken = true;
        return false;
    }
    store->cold.in_flight_bytes += size;
    read->cold_bytes = (int32_t)size;
    if (waited) /* there may be room for the next one, too */
        wake_next(store);
    return true;
}

void cold_reads_end(struct log_read *read)
{
    struct store *store = read->log->store;
    if (read->cold_bytes == 0 && !read->cold_woken)
        return;
    store->cold.in_flight_bytes -= read->cold_bytes;
    check(store->cold.in_flight_bytes >= 0);
    read->cold_bytes = 0;
    has_woken(read);
    wake_next(store);
}
