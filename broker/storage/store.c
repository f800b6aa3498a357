#include "storage/handles.h"
#include "storage/store.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "storage/cleaner.h"
#include "storage/drain.h"
#include "storage/folder_clear.h"
#include "storage/index_check.h"
#include "storage/log_state.h"
#include "storage/retention.h"
#include "storage/retire.h"
#include "storage/scrub.h"
#include <stdio.h>

enum { MANY_PIECES = 1 << 14 /* freed at once: a MiB of memory, with holes */ };

static void set_up(struct store *store, struct core *core, const struct store_options *options)
{
    *store = (struct store){.core = core, .options = *options, .directory_handle = -1};
    journal_init(&store->journal, store);
    list_init(&store->unsettled);
    list_init(&store->opened);
    list_init(&store->dirty_segments);
    list_init(&store->dirty_folders);
    list_init(&store->room);
    list_init(&store->opening_room);
    list_init(&store->drain_room);
    cold_reads_init(&store->cold);
    list_init(&store->spare_pieces);
    list_init(&store->clearings);
    list_init(&store->producing);
    list_init(&store->checks);
    sidecars_init(&store->sidecars);
    list_init(&store->space.waiters);
    list_init(&store->starts);
    log_starts_init(&store->starts_found);
    store->next_log_id = 1;
    buffers_init(&store->tails,
                 (size_t)max_i64(options->journal_bytes, options->journal_crowded_bytes),
                 STORE_TAILS_KEPT);
    drain_init(store);
    handles_init(core);
    checkpoint_init(store);
}

void store_open_fenced(struct store *store, struct core *core, const struct store_options *options,
                       enum error error)
{
    set_up(store, core, options);
    store->fenced = error;
}

enum error store_open(struct store *store, struct core *core, const struct store_options *options)
{
    set_up(store, core, options);
    struct op op = {
        .kind = OP_OPEN, .path = options->directory, .flags = OPEN_READ | OPEN_DIRECTORY};
    int64_t handle = port_call(core->port, &op);
    if (handle < 0)
        return op_error(handle);
    store->directory_handle = (int32_t)handle;
    space_open(store);
    char name[32];
    snprintf(name, sizeof name, "journal-%d", core->id);
    enum error error = journal_open(&store->journal, name);
    char fault[64]; /* recovery has read them before, and told more */
    bool scattered; /* ... and gathered them */
    if (!error)
        error = log_starts_load(&store->starts_found, core->port, options->directory, &scattered,
                                fault, sizeof fault);
    if (error)
        return error;
    struct op flush = {.kind = OP_FLUSH, .handle = store->directory_handle};
    if (!MUTANT(skip_fsync_of_journal))
        error = op_error(port_call(core->port, &flush));
    if (!error)
        scrub_open(store);
    return error;
}

enum error store_begin(struct store *store, struct random *random)
{
    return journal_begin(&store->journal, random);
}

void store_fence(struct store *store, enum error error, const char *what)
{
    if (store->fenced)
        return;
    store->fenced = error;
    event_write(&store->core->events, &store->core->now, EVENT_ERROR, "fenced",
                "directory=%s reason=\"%s\" error=\"%s\"", store->options.directory, what,
                error_text(error));
    if (store->on_fence)
        store->on_fence(store->core->owner);
    struct list *node = store->unsettled.next;
    while (node != &store->unsettled) {
        struct log *log = CONTAINER_OF(node, struct log, unsettled);
        node = node->next;
        log_fail(log, ERROR_KAFKA_STORAGE_ERROR);
    }
    waiters_wake(&store->room);
    waiters_wake(&store->journal.durable_waiters);
    waiters_wake(&store->checkpoint.parked);
    waiters_wake(&store->checkpoint.waiters);
    waiters_wake(&store->space.waiters);
}

bool store_is_settled(const struct store *store)
{
    return list_is_empty(&store->unsettled) && list_is_empty(&store->dirty_segments) &&
           list_is_empty(&store->dirty_folders) && store->journal.live_bytes == 0 &&
           list_is_empty(&store->journal.pending) && list_is_empty(&store->clearings);
}

/* Where to wait for the end of what is in flight; null when nothing is, fenced or not. */
static struct list *what_is_at_work(struct store *store)
{
    if (store->checkpoint.running || store->checkpoint.idle_runs || store->journal.growing ||
        store->space.watching || store->openings > 0)
        return &store->checkpoint.waiters;
    if (store->journal.writing)
        return &store->journal.durable_waiters;
    for (int i = 0; i < store->options.drains; i++)
        if (store->drains[i].log)
            return &store->drains[i].log->idle_waiters;
    return NULL;
}

bool store_is_at_work(const struct store *store)
{
    bool drains = false;
    for (int i = 0; i < store->options.drains; i++)
        drains = drains || store->drains[i].log;
    return drains || store->openings > 0 || store->checkpoint.running || store->journal.growing ||
           store->journal.writing || store->space.asking || !list_is_empty(&store->clearings) ||
           !list_is_empty(&store->sidecars.jobs) || !list_is_empty(&store->checks) ||
           retire_is_at_work(store);
}

/* True: what works by itself has not ended yet. */
static bool stop_helpers(struct store *store, struct waiter *waiter, struct flow *flow)
{
    if (!store->stopping) {
        store->stopping = true;
        space_stop(store);
    }
    timer_cancel(&store->checkpoint.idle_timer, store->core);
    return cleaner_stop(store, waiter, flow) || scrub_stop(store, waiter, flow) ||
           retention_stop(store, waiter, flow) || retire_settle(store, waiter, flow) ||
           folder_clear_await_all(store, waiter, flow);
}

bool store_rest(struct store *store, struct waiter *waiter, struct flow *flow)
{
    if (stop_helpers(store, waiter, flow) || index_check_await_all(store, waiter, flow) ||
        sidecars_await_all(store, waiter, flow))
        return false;
    struct list *at_work = what_is_at_work(store);
    if (at_work)
        waiter_park(waiter, at_work, flow);
    return !at_work;
}

enum error store_settle(struct store *store, struct waiter *waiter, struct flow *flow)
{
    if (stop_helpers(store, waiter, flow))
        return ERROR_WOULD_WAIT;
    if (!store->fenced && !store_is_settled(store))
        checkpoint_request(store, true);
    if (index_check_await_all(store, waiter, flow) || sidecars_await_all(store, waiter, flow))
        return ERROR_WOULD_WAIT;
    struct list *at_work = what_is_at_work(store);
    if (!at_work && !store->fenced && store->space.blocked)
        return ERROR_NO_SPACE;
    if (!at_work)
        return store->fenced;
    waiter_park(waiter, at_work, flow);
    return ERROR_WOULD_WAIT;
}

void store_free_spares(struct store *store)
{
    int32_t freed = 0;
    for (struct list *node; (node = list_pop(&store->spare_pieces)); freed++)
        memory_free(node);
    journal_free_spares(&store->journal);
    if (freed >= MANY_PIECES)
        memory_trim();
}

void store_close(struct store *store)
{
    cleaner_close(store);
    scrub_close(store);
    retention_close(store);
    retire_close(store);
    store_free_spares(store);
    journal_close(&store->journal);
    if (store->directory_handle >= 0) {
        struct op op = {.kind = OP_CLOSE, .handle = store->directory_handle};
        (void)port_call(store->core->port, &op); /* nothing was written through it */
    }
    drain_done(store);
    buffers_done(&store->tails);
    log_starts_done(&store->starts_found);
    store->directory_handle = -1;
}
