#include "storage/folder_clear.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/file_read.h"
#include "storage/file_replace.h"
#include "storage/folder.h"
#include "storage/folder_claims.h"
#include "storage/handles.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include <stdio.h>

/* What is to be done about partition.metadata before anything else goes. */
enum naming {
    NAMING_NONE,  /* it says whose the folder is, durably; or all that lies there is in the journal
                   */
    NAMING_READ,  /* it ought to say that */
    NAMING_WRITE, /* it is not known to be durable, or not there */
    NAMING_FLUSH, /* it was written just now */
};

struct folder_clearing {
    struct flow flow;
    struct op op;
    struct list link; /* in store->clearings */
    struct store *store;
    struct log *log; /* to be freed first; or null */
    struct waiter waiter;
    struct list waiters;
    struct buffer *names;
    int64_t listed, at; /* bytes of names: there, and looked at */
    int32_t handle;
    char *folder;
    char path[1024];
    enum naming naming;
    struct uuid topic_id; /* of the log */
    bool has_topic;       /* there was one: is the folder still that topic's? Until it was looked */
    bool claims;          /* the folder (folder_claims.h) */
    struct timer timer;
    struct file_read read;
    struct file_replace replace;
    char text[PARTITION_METADATA_SIZE];
};

static enum step clear_log(struct flow *flow);
static enum step clear_claim(struct flow *flow);
static enum step clear_open(struct flow *flow);
static enum step clear_name(struct flow *flow);
static enum step clear_files(struct flow *flow);
static enum step clear_flush(struct flow *flow);
static enum step clear_metadata(struct flow *flow);
static enum step clear_close(struct flow *flow);
static enum step clear_folder(struct flow *flow);
static enum step clear_parent(struct flow *flow);
static enum step clear_finish(struct flow *flow);

static const struct flow_kind clear_flow = {"folder clear",
                                            {{"log", clear_log},
                                             {"claim", clear_claim},
                                             {"open", clear_open},
                                             {"name", clear_name},
                                             {"files", clear_files},
                                             {"flush", clear_flush},
                                             {"metadata", clear_metadata},
                                             {"close", clear_close},
                                             {"folder", clear_folder},
                                             {"parent", clear_parent},
                                             {"finish", clear_finish}}};

static struct folder_clearing *clearing_of(struct flow *flow)
{
    return CONTAINER_OF(flow, struct folder_clearing, flow);
}

static void start_op(struct folder_clearing *clearing, struct op op)
{
    clearing->op = op;
    clearing->op.flow = &clearing->flow;
    file_op_start(clearing->store->core, &clearing->op);
}

void folder_clear_start(struct store *store, const char *folder, struct log *log)
{
    struct folder_clearing *clearing = memory_zeroed(sizeof *clearing);
    clearing->store = store;
    clearing->log = log;
    clearing->handle = -1;
    clearing->timer = TIMER_INIT;
    size_t size = strlen(folder) + 1;
    clearing->folder = memory_zeroed(size);
    memcpy(clearing->folder, folder, size);
    list_init(&clearing->waiters);
    list_push(&store->clearings, &clearing->link);
    flow_start(&clearing->flow, &clear_flow, store->core);
}

/* The oldest that is at work on a folder, or null. */
static struct folder_clearing *oldest_of(struct store *store, const char *folder)
{
    for (struct list *node = store->clearings.next; node != &store->clearings; node = node->next) {
        struct folder_clearing *clearing = CONTAINER_OF(node, struct folder_clearing, link);
        if (strcmp(clearing->folder, folder) == 0)
            return clearing;
    }
    return NULL;
}

bool folder_clear_await(struct store *store, const char *folder, struct waiter *waiter,
                        struct flow *flow)
{
    struct folder_clearing *clearing = oldest_of(store, folder);
    if (clearing)
        waiter_park(waiter, &clearing->waiters, flow);
    return clearing;
}

bool folder_clear_await_names(struct store *store, struct waiter *waiter, struct flow *flow)
{
    for (struct list *node = store->clearings.next; node != &store->clearings; node = node->next) {
        struct folder_clearing *clearing = CONTAINER_OF(node, struct folder_clearing, link);
        if (clearing->log || clearing->naming == NAMING_NONE)
            continue;
        waiter_park(waiter, &clearing->waiters, flow);
        return true;
    }
    return false;
}

bool folder_clear_await_all(struct store *store, struct waiter *waiter, struct flow *flow)
{
    if (list_is_empty(&store->clearings))
        return false;
    waiter_park(waiter, &CONTAINER_OF(store->clearings.next, struct folder_clearing, link)->waiters,
                flow);
    return true;
}

/* The next open handle of the log, taken from it; -1: none is left. */
static int32_t take_handle(struct log *log)
{
    for (int i = 0; i < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        int32_t handle =
            handle_take(segment, segment->handle >= 0 ? &segment->handle : &segment->read_handle);
        if (handle >= 0)
            return handle;
    }
    return -1;
}

/* Everything of a log whose folder is dirty, or is being flushed, may still be lost but its
 * segments.
 */
static enum naming naming_of(const struct log *log)
{
    bool flushed = list_is_empty(&log->dirty_folder) && !log->store->checkpoint.running;
    if (MUTANT(folder_cleared_without_name))
        return NAMING_NONE;
    bool seen = !log->owner_lost && !(log->resumed && log->resumed->whole);
    return flushed && seen ? NAMING_READ : NAMING_WRITE;
}

/* Waits for drains, reads, flushes, the journal and the flows above; then closes and frees it. A
 * topic that was deleted, made anew and deleted again has two at work on its folder: the first log
 * may still be drained into it, so the younger waits for the older. */
static enum step clear_log(struct flow *flow)
{
    struct folder_clearing *clearing = clearing_of(flow);
    struct log *log = clearing->log;
    struct folder_clearing *oldest = oldest_of(clearing->store, clearing->folder);
    if (oldest != clearing) {
        waiter_park(&clearing->waiter, &oldest->waiters, flow);
        return STEP_AGAIN;
    }
    if (!log)
        return STEP_NEXT;
    if (!log_is_quiet(log)) {
        bool journal_waits = log->touched_sequence > clearing->store->journal.durable_sequence;
        waiter_park(&clearing->waiter,
                    log->opening    ? &log->open_waiters
                    : journal_waits ? &clearing->store->journal.durable_waiters
                                    : &log->idle_waiters,
                    flow);
        return STEP_AGAIN;
    }
    int32_t handle = take_handle(log);
    if (handle >= 0) {
        start_op(clearing, (struct op){.kind = OP_CLOSE, .handle = handle});
        return STEP_AGAIN;
    }
    clearing->naming = naming_of(log);
    clearing->topic_id = log->topic_id;
    clearing->has_topic = true;
    log_free(log);
    clearing->log = NULL;
    return clearing->store->fenced ? STEP_FAIL : STEP_NEXT; /* a start removes the folder */
}

/* A name that stays may come back with the old files under a new topic: the store is fenced. False
 * if the last operation has failed and what it should remove is there. */
static bool went_well(struct folder_clearing *clearing)
{
    enum error error = op_error(clearing->op.result);
    if (error == ERROR_NONE || error == ERROR_NOT_FOUND)
        return true;
    store_fence(clearing->store, error, "a deleted topic's files could not be removed");
    return false;
}

static void list_more(struct folder_clearing *clearing)
{
    start_op(clearing, (struct op){.kind = OP_LIST,
                                   .handle = clearing->handle,
                                   .data = clearing->names->data,
                                   .size = clearing->names->size});
}

/* On some file systems a removal takes space. True: it was put off, or is tried again just now. */
static bool is_put_off(struct folder_clearing *clearing, const char *path)
{
    struct op *op = &clearing->op;
    if (op->kind == OP_KIND_COUNT) {
        start_op(clearing, (struct op){.kind = OP_REMOVE, .path = path});
        return true;
    }
    if (op->kind != OP_REMOVE || op_error(op->result) != ERROR_NO_SPACE ||
        !space_await(clearing->store, &clearing->waiter, &clearing->flow,
                     "a deleted topic's files could not be removed"))
        return false;
    op->kind = OP_KIND_COUNT;
    return true;
}

static enum step clear_claim(struct flow *flow)
{
    struct folder_clearing *clearing = clearing_of(flow);
    struct core *core = clearing->store->core;
    if (clearing->store->fenced)
        return STEP_FAIL;
    clearing->claims = folder_claim(clearing->store->options.claims, clearing->folder);
    if (clearing->claims)
        return STEP_NEXT;
    REACHED("a folder claimed by another core");
    timer_start(&clearing->timer, core, flow, core->now.monotonic_ns + FOLDER_CLAIM_AGAIN_NS);
    return STEP_AGAIN;
}

static enum step clear_open(struct flow *flow)
{
    struct folder_clearing *clearing = clearing_of(flow);
    start_op(clearing, (struct op){.kind = OP_OPEN,
                                   .path = clearing->folder,
                                   .flags = OPEN_READ | OPEN_DIRECTORY});
    return STEP_NEXT;
}

/* Is partition.metadata one that a start believes? Says whose it is. */
static bool is_named(const struct file_read *read, struct uuid *ret_id)
{
    return !read->error && !partition_metadata_is_torn(read->bytes) &&
           partition_metadata_decode(read->bytes, ret_id);
}

/* False: it waits. */
static bool write_name(struct folder_clearing *clearing)
{
    struct file_replace *replace = &clearing->replace;
    if (!replace->core) {
        size_t size = partition_metadata_encode(clearing->topic_id, clearing->text);
        *replace = (struct file_replace){.core = clearing->store->core,
                                         .path = clearing->path,
                                         .data = (const uint8_t *)clearing->text,
                                         .size = size};
    }
    if (!file_replace_step(replace, &clearing->flow))
        return false;
    enum error error = replace->error;
    *replace = (struct file_replace){0};
    if (error == ERROR_NO_SPACE && space_await(clearing->store, &clearing->waiter, &clearing->flow,
                                               "a deleted topic's files could not be removed"))
        return false;
    clearing->op.result = -(int64_t)error;
    if (!went_well(clearing))
        return true;
    REACHED("a folder named before it is cleared");
    clearing->naming = NAMING_FLUSH;
    if (MUTANT(skip_fsync_of_named_folder))
        return true;
    start_op(clearing, (struct op){.kind = OP_FLUSH, .handle = clearing->handle});
    return false;
}

/* Makes sure that partition.metadata says whose the folder is, durably. */
static enum step clear_name(struct flow *flow)
{
    struct folder_clearing *clearing = clearing_of(flow);
    if (clearing->handle < 0) {
        if (clearing->op.result < 0) {
            (void)went_well(clearing); /* there is no such folder, or the store is fenced now */
            return STEP_FAIL;
        }
        clearing->handle = (int32_t)clearing->op.result;
        snprintf(clearing->path, sizeof clearing->path, "%s/" PARTITION_METADATA_FILE,
                 clearing->folder);
    }
    if (clearing->has_topic) {
        struct file_read *read = &clearing->read;
        if (!read->core)
            *read = (struct file_read){.core = clearing->store->core,
                                       .path = clearing->path,
                                       .most_bytes = PARTITION_METADATA_SIZE};
        if (!file_read_step(read, flow))
            return STEP_AGAIN;
        struct uuid id;
        bool named = is_named(read, &id);
        file_read_done(read);
        if (named && clearing->has_topic && !uuid_equal(id, clearing->topic_id) &&
            !MUTANT(folder_of_a_later_topic_cleared)) {
            REACHED("a folder of a later topic left alone");
            return STEP_FAIL;
        }
        if (clearing->naming == NAMING_READ)
            clearing->naming = named ? NAMING_NONE : NAMING_WRITE;
        clearing->has_topic = false;
    }
    if (clearing->naming == NAMING_WRITE && !write_name(clearing))
        return STEP_AGAIN;
    if (clearing->store->fenced || (clearing->naming == NAMING_FLUSH && !went_well(clearing)))
        return STEP_FAIL;
    clearing->naming = NAMING_NONE;
    waiters_wake(&clearing->waiters); /* of a checkpoint; others look again */
    clearing->names = buffers_take_always(&clearing->store->core->buffers, BUFFER_ALIGNMENT);
    clearing->op = (struct op){.kind = OP_LIST, .result = 0};
    if (MUTANT(folder_loses_its_name_first))
        start_op(clearing, (struct op){.kind = OP_REMOVE, .path = clearing->path});
    else
        list_more(clearing);
    return STEP_NEXT;
}

/* Removes what the folder holds but partition.metadata: as long as anything else may be left, that
 * says whose it is. */
static enum step clear_files(struct flow *flow)
{
    struct folder_clearing *clearing = clearing_of(flow);
    struct op *op = &clearing->op;
    if (is_put_off(clearing, clearing->path))
        return STEP_AGAIN;
    if (!went_well(clearing))
        return STEP_FAIL;
    if (op->kind == OP_LIST) {
        if (op->result <= 0)
            return STEP_NEXT;
        clearing->listed = op->result;
        clearing->at = 0;
    }
    while (clearing->at < clearing->listed) {
        const char *name = (const char *)clearing->names->data + clearing->at + 1;
        clearing->at += 2 + (int64_t)strlen(name);
        if (strcmp(name, PARTITION_METADATA_FILE) == 0)
            continue;
        snprintf(clearing->path, sizeof clearing->path, "%s/%s", clearing->folder, name);
        start_op(clearing, (struct op){.kind = OP_REMOVE, .path = clearing->path});
        return STEP_AGAIN;
    }
    list_more(clearing);
    return STEP_AGAIN;
}

static enum step clear_flush(struct flow *flow)
{
    struct folder_clearing *clearing = clearing_of(flow);
    if (!MUTANT(skip_fsync_of_cleared_folder))
        start_op(clearing, (struct op){.kind = OP_FLUSH, .handle = clearing->handle});
    return STEP_NEXT;
}

static enum step clear_metadata(struct flow *flow)
{
    struct folder_clearing *clearing = clearing_of(flow);
    if (!went_well(clearing))
        return STEP_FAIL;
    snprintf(clearing->path, sizeof clearing->path, "%s/" PARTITION_METADATA_FILE,
             clearing->folder);
    start_op(clearing, (struct op){.kind = OP_REMOVE, .path = clearing->path});
    return STEP_NEXT;
}

static enum step clear_close(struct flow *flow)
{
    struct folder_clearing *clearing = clearing_of(flow);
    if (is_put_off(clearing, clearing->path))
        return STEP_AGAIN;
    if (!went_well(clearing))
        return STEP_FAIL;
    int32_t handle = clearing->handle;
    clearing->handle = -1;
    start_op(clearing, (struct op){.kind = OP_CLOSE, .handle = handle});
    return STEP_NEXT;
}

static enum step clear_folder(struct flow *flow)
{
    struct folder_clearing *clearing = clearing_of(flow);
    start_op(clearing, (struct op){.kind = OP_REMOVE, .path = clearing->folder});
    return STEP_NEXT;
}

static enum step clear_parent(struct flow *flow)
{
    struct folder_clearing *clearing = clearing_of(flow);
    if (is_put_off(clearing, clearing->folder))
        return STEP_AGAIN;
    if (!went_well(clearing))
        return STEP_FAIL;
    if (!MUTANT(skip_fsync_of_removed_folder))
        start_op(clearing,
                 (struct op){.kind = OP_FLUSH, .handle = clearing->store->directory_handle});
    return STEP_NEXT;
}

static enum step clear_finish(struct flow *flow)
{
    struct folder_clearing *clearing = clearing_of(flow);
    if (clearing->handle >= 0) {
        int32_t handle = clearing->handle;
        clearing->handle = -1;
        start_op(clearing, (struct op){.kind = OP_CLOSE, .handle = handle});
        return STEP_AGAIN;
    }
    (void)went_well(clearing); /* of the last flush */
    if (clearing->claims)
        folder_release(clearing->store->options.claims, clearing->folder);
    list_remove(&clearing->link);
    waiters_wake(&clearing->waiters);
    buffer_release(clearing->names);
    memory_free(clearing->folder);
    memory_free(clearing);
    return STEP_NEXT;
}
