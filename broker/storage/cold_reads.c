#include "storage/cold_reads.h"
#include "base/check.h"
#include "base/reached.h"
#include "storage/log_state.h"
#include "storage/store.h"

void cold_reads_init(struct cold_reads *cold)
{
    *cold = (struct cold_reads){0};
    for (int i = 0; i < COLD_SOURCES; i++)
        list_init(&cold->queues[i].waiters);
}

static struct cold_queue *queue_of(struct log_read *read)
{
    return &read->log->store->cold.queues[read->cold_source];
}

static void wake_next(struct cold_queue *queue)
{
    queue->woken += waiters_wake_first(&queue->waiters);
}

/* It runs after it was woken. */
static void has_woken(struct log_read *read)
{
    struct cold_queue *queue = queue_of(read);
    queue->woken -= read->cold_woken;
    check(queue->woken >= 0);
    read->cold_woken = false;
}

/* While the journal writes, a read would lie before or beside it in the disk's queue. */
static bool has_room(const struct store *store, enum cold_source source, int64_t size)
{
    const struct cold_queue *queue = &store->cold.queues[source];
    if (source == COLD_DISK && store->journal.writing)
        return false;
    return queue->in_flight_bytes == 0 ||
           queue->in_flight_bytes + size <= store->options.cold_read_bytes;
}

void cold_reads_go_on(struct store *store)
{
    struct cold_queue *queue = &store->cold.queues[COLD_DISK];
    if (queue->in_flight_bytes == 0 && queue->woken == 0)
        wake_next(queue);
}

bool cold_reads_take(struct log_read *read, enum cold_source source, int64_t size,
                     struct flow *flow)
{
    check(size > 0 && size <= INT32_MAX && read->cold_bytes == 0);
    if (read->cold_source != source)
        cold_reads_end(read); /* what it was woken for is the next one's */
    bool waited = read->cold_woken;
    has_woken(read);
    read->cold_source = (uint8_t)source;
    struct cold_queue *queue = queue_of(read);
    bool others_first = !waited && (queue->woken > 0 || !list_is_empty(&queue->waiters));
    if (others_first || !has_room(read->log->store, source, size)) {
        if (source == COLD_DISK)
            REACHED("read of a file waits for the disk");
        else
            REACHED("read of a file waits for others' copies");
        waiter_park(&read->waiter, &queue->waiters, flow);
        read->cold_woken = true;
        return false;
    }
    queue->in_flight_bytes += size;
    read->cold_bytes = (int32_t)size;
    if (waited) /* there may be room for the next one, too */
        wake_next(queue);
    return true;
}

void cold_reads_end(struct log_read *read)
{
    struct cold_queue *queue = queue_of(read);
    if (read->cold_bytes == 0 && !read->cold_woken)
        return;
    queue->in_flight_bytes -= read->cold_bytes;
    check(queue->in_flight_bytes >= 0);
    read->cold_bytes = 0;
    has_woken(read);
    wake_next(queue);
}
