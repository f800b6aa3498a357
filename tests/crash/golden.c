#include "crash/golden.h"
#include "base/arena.h"
#include "base/check.h"
#include "base/memory.h"
#include "codec/codec.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"
#include "storage/folder.h"
#include "storage/log_state.h"
#include "storage/resume.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    ARCHIVE_BYTES_MAX = 16 << 20,
    TAR_BLOCK = 512,
    EVENTS_MAX = 2000000,
    READ_BYTES = 64 << 10,
    JOURNAL_BYTES = 64 << 10,
};

/* ---- the archive ---- */

static bool read_archive(struct golden_files *files, const char *path, struct codec_output *ret)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    uint8_t *packed = arena_take(&files->arena, ARCHIVE_BYTES_MAX);
    size_t size = fread(packed, 1, ARCHIVE_BYTES_MAX, file);
    fclose(file);
    *ret = (struct codec_output){.arena = &files->arena, .limit_bytes = ARCHIVE_BYTES_MAX};
    return codec_decompress(CODEC_GZIP, packed, size, ret) == ERROR_NONE;
}

bool golden_unpack(struct golden_files *files, const char *path)
{
    *files = (struct golden_files){0};
    arena_init(&files->arena, 8 * ARCHIVE_BYTES_MAX);
    struct codec_output tar;
    if (!read_archive(files, path, &tar))
        return false;
    for (size_t at = 0; at + TAR_BLOCK <= tar.size && tar.data[at];) {
        const char *header = (const char *)tar.data + at;
        char digits[13] = {0};
        memcpy(digits, header + 124, 12);
        size_t size = strtoul(digits, NULL, 8);
        struct golden_file *file = &files->files[files->count];
        at += TAR_BLOCK;
        if (at + size > tar.size || files->count == GOLDEN_FILES_MAX)
            return false;
        snprintf(file->path, sizeof file->path, "data%.100s", header + 1); /* "./name" */
        file->bytes = (struct bytes){tar.data + at, (int32_t)size};
        files->count += strcmp(file->path, "data/") != 0;
        at += align_up(size, TAR_BLOCK);
    }
    return files->count > 0;
}

void golden_free(struct golden_files *files)
{
    arena_done(&files->arena);
}

static void put_file(struct disk *disk, const struct golden_file *file)
{
    char path[128];
    size_t last = strlen(file->path) - 1;
    bool is_folder = file->path[last] == '/';
    snprintf(path, sizeof path, "%.*s", (int)(last + !is_folder), file->path);
    struct disk_change make = {.kind = is_folder ? OP_MAKE_DIRECTORY : OP_OPEN,
                               .path = path,
                               .flags = OPEN_WRITE | OPEN_CREATE};
    int64_t inode = disk_execute(disk, &make);
    check(inode >= 0);
    if (is_folder || file->bytes.size == 0)
        return;
    struct iovec vector = {(void *)(uintptr_t)file->bytes.data, (size_t)file->bytes.size};
    struct disk_change write = {.kind = OP_WRITE,
                                .inode = (uint32_t)inode,
                                .size = file->bytes.size,
                                .vectors = &vector,
                                .vector_count = 1};
    check(disk_execute(disk, &write) == file->bytes.size);
}

struct disk *golden_disk(const struct golden_files *files)
{
    struct disk *disk = disk_create(512);
    struct disk_change make = {.kind = OP_MAKE_DIRECTORY, .path = "data"};
    check(disk_execute(disk, &make) >= 0);
    for (int i = 0; i < files->count; i++)
        put_file(disk, &files->files[i]);
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    disk_crash(disk, &choice); /* all durable */
    return disk;
}

/* ---- the process ---- */

struct reader_flow {
    struct flow flow;
    struct waiter waiter;
    struct log_read read;
    struct log *log;
    struct golden_log *found;
    struct golden_start *start;
    struct arena arena;
    bool ended;
};

struct store_flow {
    struct flow flow;
    struct waiter waiter;
    struct core core;
    struct store store;
    bool ended;
};

struct process {
    struct golden_start *start;
    struct world *world;
    struct recovery recovery;
    struct log_settings settings;
    struct random random;
    struct store_flow stores[GOLDEN_CORES_MAX];
    struct reader_flow readers[GOLDEN_LOGS_MAX];
};

static int place_of(const struct golden_start *start, struct uuid topic_id, int32_t partition)
{
    for (int i = 0; i < start->log_count; i++) {
        struct uuid id;
        check(uuid_decode(start->logs[i].topic_id, &id));
        if (uuid_equal(id, topic_id) && start->logs[i].partition == partition)
            return i;
    }
    return -1;
}

static bool folder_of(void *context, struct uuid topic_id, int32_t partition, char *folder,
                      size_t size)
{
    const struct process *process = context;
    int place = place_of(process->start, topic_id, partition);
    if (place < 0 || !process->start->replays)
        return false;
    snprintf(folder, size, "data/%s-%d", process->start->logs[place].topic, partition);
    return true;
}

static bool is_named(void *context, struct uuid topic_id, int32_t partition, char *folder,
                     size_t size)
{
    (void)context; /* nothing is to be removed */
    return true;
}

static struct log *log_of(void *context, struct uuid topic_id, int32_t partition)
{
    struct process *process = context;
    int place = place_of(process->start, topic_id, partition);
    return place < 0 ? NULL : process->readers[place].log;
}

static bool exists(void *context, struct uuid topic_id, int32_t partition)
{
    const struct process *process = context;
    return place_of(process->start, topic_id, partition) >= 0;
}

static bool recover(struct process *process)
{
    struct golden_start *start = process->start;
    struct recovery *recovery = &process->recovery;
    struct port *port = world_port(process->world, 0, 0);
    enum error error = recovery_open(recovery, port, "data");
    if (!error)
        error = recovery_replay(recovery,
                                &(struct recovery_names){.folder = folder_of, .context = process});
    if (!error)
        error = recovery_clean(
            recovery,
            &(struct recovery_names){.folder = is_named, .exists = exists, .context = process},
            start->cores);
    if (!error)
        return true;
    start->refused = true;
    snprintf(start->why, sizeof start->why, "%s: %s", recovery->fault, error_text(error));
    recovery_close(recovery);
    return false;
}

static void make_log(struct process *process, int place)
{
    const struct golden_log *of = &process->start->logs[place];
    struct log_identity identity = {.partition = of->partition, .topic = string_of(of->topic)};
    check(uuid_decode(of->topic_id, &identity.topic_id));
    struct reader_flow *reader = &process->readers[place];
    *reader = (struct reader_flow){.start = process->start, .found = &process->start->logs[place]};
    int core = process->start->replays ? place % process->start->cores : of->core;
    reader->log = log_new(&process->stores[core].store, &identity, &process->settings);
    arena_init(&reader->arena, 16 << 20);
}

/* Opens all stores. False: one could not be; those before it and itself are to be closed. */
static bool open_stores(struct process *process)
{
    struct golden_start *start = process->start;
    struct store_options options = {.directory = "data",
                                    .journal_initial_bytes = JOURNAL_BYTES,
                                    .journal_bytes = JOURNAL_BYTES,
                                    .journal_block_bytes = 4096,
                                    .drain_bytes = 4096,
                                    .idle_ns = (int64_t)3600 * 1000000000,
                                    .flush_all_files = 16,
                                    .drains = 2};
    enum error error = ERROR_NONE;
    for (int i = 0; i < start->cores; i++) {
        struct store_flow *of = &process->stores[i];
        core_init(&of->core, i, world_port(process->world, 0, i));
        if (!error)
            error = store_open(&of->store, &of->core, &options);
    }
    for (int i = 0; i < start->log_count && !error; i++)
        make_log(process, i);
    for (int i = 0; i < start->cores && !error; i++) {
        struct store *store = &process->stores[i].store;
        struct journal_content *content =
            start->replays ? NULL : recovery_journal(&process->recovery, i);
        if (!content || content->reader.fresh)
            error = store_begin(store, &process->random);
        else
            error = store_resume(store, content, &(struct resume_names){log_of, process});
        start->found_bytes += store->resumed_bytes;
    }
    start->found_bytes += process->recovery.replayed_bytes;
    recovery_close(&process->recovery);
    if (!error)
        for (int i = 0; i < start->cores; i++)
            world_add_core(process->world, 0, &process->stores[i].core);
    if (error && !start->refused)
        snprintf(start->why, sizeof start->why, "a store can't be opened: %s", error_text(error));
    start->refused |= error != ERROR_NONE;
    return !error;
}

/* ---- reading ---- */

static void note_records(struct reader_flow *reader, const struct batch *batch)
{
    struct batch_iterator iterator;
    struct record record;
    if (batch_check_crc(batch) != ERROR_NONE)
        return;
    arena_reset(&reader->arena, 0);
    if (batch_iterate(batch, &reader->arena, &iterator) != ERROR_NONE)
        return;
    while (batch_next(&iterator, &record)) {
        char offset[32];
        struct golden_log *found = reader->found;
        int size = snprintf(offset, sizeof offset, "%lld ", (long long)(record.offset));
        found->records++;
        found->crc = crc32c(found->crc, offset, (size_t)size);
        if (record.key.size > 0)
            found->crc = crc32c(found->crc, record.key.data, (size_t)record.key.size);
        found->crc = crc32c(found->crc, ":", 1);
        if (record.value.size > 0)
            found->crc = crc32c(found->crc, record.value.data, (size_t)record.value.size);
        found->crc = crc32c(found->crc, "\n", 1);
    }
}

/* The offset behind what was read. */
static int64_t take_read(struct reader_flow *reader)
{
    const struct log_read *read = &reader->read;
    int64_t offset = read->offset;
    for (int i = 0; i < read->parts_count; i++) {
        struct bytes part = read->parts[i];
        struct batch batch;
        while (part.size > 0 && batch_view(part.data, (size_t)part.size, &batch) == ERROR_NONE) {
            if (reader->start->batch)
                reader->start->batch(reader->start->context, reader->found, batch.whole);
            reader->found->batches++;
            note_records(reader, &batch);
            offset = max_i64(offset, batch_last_offset(&batch) + 1);
            part.data += batch.whole.size;
            part.size -= batch.whole.size;
        }
    }
    return offset;
}

static enum step read_open(struct flow *flow)
{
    struct reader_flow *reader = CONTAINER_OF(flow, struct reader_flow, flow);
    struct golden_log *found = reader->found;
    struct log *log = reader->log;
    found->error = log_open(log, &reader->waiter, flow);
    if (found->error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    if (found->error)
        return STEP_FAIL;
    found->start = log->log_start;
    found->end = log->appended_end;
    found->epochs = log->epochs.count;
    found->producers = (int64_t)log->producers.table.by_id.count;
    found->last_stable = producer_state_last_stable(log, log->durable_end);
    reader->read = (struct log_read){.log = log,
                                     .offset = log->log_start,
                                     .end_offset = log->durable_end,
                                     .max_bytes = READ_BYTES,
                                     .at_least_one = true};
    return STEP_NEXT;
}

static enum step read_all(struct flow *flow)
{
    struct reader_flow *reader = CONTAINER_OF(flow, struct reader_flow, flow);
    struct log_read *read = &reader->read;
    if (!log_read_step(read, flow))
        return STEP_AGAIN;
    reader->found->error = read->error;
    int64_t offset = read->error ? read->end_offset : take_read(reader), before = read->offset;
    log_read_done(read);
    if (offset <= before || offset >= read->end_offset)
        return STEP_NEXT;
    *read = (struct log_read){.log = reader->log,
                              .offset = offset,
                              .end_offset = read->end_offset,
                              .max_bytes = READ_BYTES,
                              .at_least_one = true};
    return STEP_AGAIN;
}

static enum step read_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct reader_flow, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind read_kind = {
    "golden read", {{"open", read_open}, {"read", read_all}, {"end", read_end}}};

static bool readers_ended(void *argument)
{
    const struct process *process = argument;
    bool ended = true;
    for (int i = 0; i < process->start->log_count; i++)
        ended = ended && process->readers[i].ended;
    return ended;
}

/* ---- the end ---- */

static enum step settle_step(struct flow *flow)
{
    struct store_flow *of = CONTAINER_OF(flow, struct store_flow, flow);
    enum error error = store_settle(&of->store, &of->waiter, flow);
    return error == ERROR_WOULD_WAIT ? STEP_AGAIN : STEP_NEXT;
}

static enum step settle_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct store_flow, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind settle_kind = {"golden stop",
                                             {{"settle", settle_step}, {"end", settle_end}}};

static bool stores_ended(void *argument)
{
    const struct process *process = argument;
    bool ended = true;
    for (int i = 0; i < process->start->cores; i++)
        ended = ended && process->stores[i].ended;
    return ended;
}

static void close_log(struct log *log)
{
    for (int i = 0; i < log->segment_count; i++) {
        int32_t *handles[] = {&log->segments[i]->handle, &log->segments[i]->read_handle};
        for (int j = 0; j < 2; j++) {
            struct op op = {.kind = OP_CLOSE, .handle = *handles[j]};
            if (*handles[j] >= 0)
                (void)port_call(log->store->core->port, &op); /* settled, or fenced */
            *handles[j] = -1;
        }
    }
    log_free(log);
}

static void serve(struct process *process)
{
    struct golden_start *start = process->start;
    for (int i = 0; i < start->log_count; i++)
        flow_start(&process->readers[i].flow, &read_kind, process->readers[i].log->store->core);
    check(world_run(process->world, (struct world_stop){readers_ended, process, EVENTS_MAX, 0}));
    for (int i = 0; i < start->cores; i++)
        flow_start(&process->stores[i].flow, &settle_kind, &process->stores[i].core);
    check(world_run(process->world, (struct world_stop){stores_ended, process, EVENTS_MAX, 0}));
    for (int i = 0; i < start->cores; i++)
        start->fenced |= process->stores[i].store.fenced != ERROR_NONE;
}

static void run_once(struct golden_start *start, struct world *world, uint64_t seed)
{
    struct process *process = memory_zeroed(sizeof *process);
    process->start = start;
    process->world = world;
    process->settings = (struct log_settings){.segment_bytes = 1 << 20,
                                              .index_interval_bytes = 4096,
                                              .index_bytes = 10 << 20,
                                              .segment_ms = INT64_MAX / 4};
    random_seed(&process->random, seed);
    if (recover(process)) {
        if (open_stores(process))
            serve(process);
        for (int i = 0; i < start->log_count; i++) {
            if (process->readers[i].log)
                close_log(process->readers[i].log);
            arena_done(&process->readers[i].arena);
        }
        for (int i = 0; i < start->cores; i++) {
            store_close(&process->stores[i].store);
            core_done(&process->stores[i].core);
        }
    }
    world_stop_machine(world, 0);
    memory_free(process);
}

static void forget_results(struct golden_log *log)
{
    *log = (struct golden_log){.topic = log->topic,
                               .partition = log->partition,
                               .topic_id = log->topic_id,
                               .core = log->core};
}

void golden_run(struct golden_start *start)
{
    struct world_settings settings = world_settings_default();
    settings.slow_once_in = 0;
    struct world *world = world_create(1, &settings);
    struct golden_log before[GOLDEN_LOGS_MAX];
    world->quiet = true;
    world_add_machine(world);
    world_load_disk(world, 0, golden_disk(start->files));
    for (int i = 0; i < start->log_count; i++)
        forget_results(&start->logs[i]);
    run_once(start, world, 1);
    bool good = !start->refused && !start->fenced;
    for (int i = 0; i < start->log_count; i++) {
        before[i] = start->logs[i];
        good = good && !before[i].error;
        forget_results(&start->logs[i]);
    }
    world_start(world, 0);
    run_once(start, world, 2);
    for (int i = 0; i < start->log_count && good; i++) {
        const struct golden_log *after = &start->logs[i];
        check(!after->error && after->start == before[i].start && after->end == before[i].end);
        check(after->crc == before[i].crc && after->records == before[i].records);
        check(after->producers == before[i].producers && after->epochs == before[i].epochs);
    }
    check(world->violation_count == 0);
    world_destroy(world);
}
