#include "cluster/offset_files.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/reached.h"
#include "cluster/directory.h"
#include "cluster/partition.h"
#include "codec/crc32c.h"
#include "storage/file_replace.h"
#include "storage/log_state.h"
#include "storage/offset_checkpoint.h"
#include "storage/recovery_point.h"
#include "storage/store.h"
#include <stdio.h>

enum offset_file { RECOVERY_POINTS, WATERMARKS, LOG_STARTS, OFFSET_FILES };

static const char *const file_names[OFFSET_FILES] = {"recovery-point-offset-checkpoint",
                                                     "replication-offset-checkpoint",
                                                     "log-start-offset-checkpoint"};

enum {
    GATHER_AT_ONCE = 256, /* partitions a turn */
    PATH_BYTES = 1100,
    FILE_BYTES_MAX = 64 << 20,
};

static const int64_t interval_most_ms = 1000000000000;

/* One core's share. */
struct part {
    struct offset_files *files;
    struct shard *shard;
    struct mail mail;
    struct flow flow;
    struct timer pause;
    struct offset_checkpoint_text *texts; /* of each directory */
    uint32_t position, count;             /* of the walk; partitions when it began */
};

struct found {
    struct offset_checkpoint checkpoint;
    char *text;
};

struct offset_files {
    struct broker *broker;
    bool running, stopping;
    struct list ended;   /* who waits for the end */
    struct found *found; /* [directory][file], while the broker opens */
    uint32_t *written;   /* [directory][file]: CRC-32C of what was written last */
    struct flow flow;
    struct timer timer;
    int64_t due_ns[OFFSET_FILES];
    bool gathering, writing;
    enum offset_file file; /* at work */
    int directory;
    struct part *parts; /* of each core */
    char *whole;        /* the text being written */
    uint32_t crc;
    struct file_replace replace;
    char path[PATH_BYTES];
};

static struct core *core_of(const struct offset_files *files)
{
    return &files->broker->shards[0].core;
}

/* ---- what is written ------------------------------------------------------------------------ */

/* -1: nothing is known. */
static int64_t offset_of(const struct partition *partition, enum offset_file file)
{
    if (file == RECOVERY_POINTS)
        return recovery_point(partition->log);
    if (file == LOG_STARTS)
        return partition->log->log_start > 0 ? partition->log->log_start : -1;
    return partition->opened ? partition->replica.high_watermark : partition->known_watermark;
}

/* Adds the line of a partition to the text of its directory. */
static void add_line(const struct shard *shard, const struct partition *partition,
                     enum offset_file file, struct offset_checkpoint_text *texts)
{
    const struct image_topic *topic = image_topic_by_id(&shard->image, partition->key.topic_id);
    int64_t offset = offset_of(partition, file);
    if (!topic || offset < 0)
        return;
    for (int d = 0; d < shard->broker->directory_count; d++)
        if (partition->log->store == shard->stores[d])
            offset_checkpoint_add(&texts[d], image_topic_name(topic), partition->key.index, offset);
}

static void drop_texts(struct part *part)
{
    for (int d = 0; d < part->files->broker->directory_count; d++)
        offset_checkpoint_drop(&part->texts[d]);
}

/* ---- gathering: on each core ---------------------------------------------------------------- */

static enum step part_gather(struct flow *flow)
{
    struct part *part = CONTAINER_OF(flow, struct part, flow);
    struct shard *shard = part->shard;
    if (part->position > 0 && part->count != shard->partitions.count) {
        part->position = 0; /* the walk may have missed some: once more */
        drop_texts(part);
    }
    part->count = shard->partitions.count;
    for (int i = 0; i < GATHER_AT_ONCE; i++) {
        const struct partition *partition = map_next(&shard->partitions, &part->position);
        if (!partition)
            return STEP_NEXT;
        add_line(shard, partition, part->files->file, part->texts);
    }
    REACHED("offsets gathered over several turns");
    part->pause = TIMER_INIT;
    timer_start(&part->pause, &shard->core, flow, shard->core.now.monotonic_ns);
    return STEP_AGAIN;
}

static enum step part_end(struct flow *flow)
{
    struct part *part = CONTAINER_OF(flow, struct part, flow);
    mail_release(&part->mail, &part->shard->core, core_of(part->files), &part->files->flow);
    return STEP_NEXT;
}

static const struct flow_kind part_kind = {"offsets", {{"gather", part_gather}, {"end", part_end}}};

static void start_gathering(struct offset_files *files)
{
    struct broker *broker = files->broker;
    files->gathering = true;
    for (int i = 0; i < broker->core_count; i++) {
        struct part *part = &files->parts[i];
        part->position = part->count = 0;
        flow_hold(&files->flow);
        mail_start(&part->mail, core_of(files), &part->shard->core, &part->flow, &part_kind);
    }
}

/* ---- writing: on core 0 --------------------------------------------------------------------- */

/* Takes the directory's text from all parts. Null: there is nothing to say. */
static char *take_text(struct offset_files *files, int directory)
{
    struct offset_checkpoint_text text = {0};
    for (int i = 0; i < files->broker->core_count; i++)
        offset_checkpoint_join(&text, &files->parts[i].texts[directory]);
    return text.count > 0 ? offset_checkpoint_take(&text) : NULL;
}

static bool is_usable(const struct offset_files *files, int directory)
{
    const struct broker *broker = files->broker;
    return !broker->directories[directory].absent && !broker->shards[0].stores[directory]->fenced;
}

/* Begins with the next directory that has something new to say. False: there is none. */
static bool begin_writing(struct offset_files *files)
{
    const struct broker *broker = files->broker;
    for (; files->directory < broker->directory_count; files->directory++) {
        char *text = take_text(files, files->directory);
        uint32_t crc = text ? crc32c(0, text, strlen(text)) : 0;
        bool is_new = crc != files->written[files->directory * OFFSET_FILES + (int)files->file];
        if (!text || !is_new || !is_usable(files, files->directory)) {
            memory_free(text);
            continue;
        }
        files->whole = text;
        files->crc = crc;
        snprintf(files->path, sizeof files->path, "%s/%s",
                 broker->directories[files->directory].path, file_names[files->file]);
        files->replace = (struct file_replace){.core = core_of(files),
                                               .path = files->path,
                                               .data = (const uint8_t *)text,
                                               .size = strlen(text)};
        return true;
    }
    return false;
}

static void end_writing(struct offset_files *files)
{
    struct core *core = core_of(files);
    uint32_t *written = &files->written[files->directory * OFFSET_FILES + (int)files->file];
    if (files->replace.error)
        event_write(&core->events, &core->now, EVENT_WARN, "offsets_not_written",
                    "file=%s error=\"%s\"", files->path, error_text(files->replace.error));
    else
        *written = files->crc;
    memory_free(files->whole);
    files->whole = NULL;
    files->directory++;
}

/* ---- when ----------------------------------------------------------------------------------- */

static int64_t interval_ns(const struct offset_files *files, enum offset_file file)
{
    if (file == LOG_STARTS)
        return interval_most_ms *
               1000000; /* at a stop only: a crash leaves no file to be believed */
    const struct settings *settings = files->broker->settings;
    int64_t ms = file == WATERMARKS ? settings->replica_high_watermark_checkpoint_interval_ms
                                    : settings->log_flush_offset_checkpoint_interval_ms;
    return max_i64(1, min_i64(ms, interval_most_ms)) * 1000000;
}

/* The one that is due next. */
static enum offset_file next_file(const struct offset_files *files)
{
    return files->due_ns[WATERMARKS] < files->due_ns[RECOVERY_POINTS] ? WATERMARKS
                                                                      : RECOVERY_POINTS;
}

static enum step files_go_on(struct flow *flow)
{
    struct offset_files *files = CONTAINER_OF(flow, struct offset_files, flow);
    if (files->gathering) {
        files->gathering = false;
        files->directory = 0;
        files->writing = begin_writing(files);
    }
    while (files->writing) {
        if (!file_replace_step(&files->replace, flow))
            return STEP_AGAIN;
        end_writing(files);
        files->writing = begin_writing(files);
    }
    if (files->stopping)
        return STEP_NEXT;
    int64_t now_ns = core_of(files)->now.monotonic_ns;
    files->file = next_file(files);
    if (now_ns < files->due_ns[files->file]) {
        files->timer = TIMER_INIT;
        timer_start(&files->timer, core_of(files), flow, files->due_ns[files->file]);
        return STEP_AGAIN;
    }
    files->due_ns[files->file] = now_ns + interval_ns(files, files->file);
    start_gathering(files);
    return STEP_AGAIN;
}

static enum step files_end(struct flow *flow)
{
    struct offset_files *files = CONTAINER_OF(flow, struct offset_files, flow);
    for (int i = 0; i < files->broker->core_count; i++)
        drop_texts(&files->parts[i]);
    files->running = false;
    waiters_wake(&files->ended);
    return STEP_NEXT;
}

static const struct flow_kind files_kind = {"offset-files",
                                            {{"go-on", files_go_on}, {"end", files_end}}};

void offset_files_start(struct broker *broker)
{
    struct offset_files *files = broker->offset_files;
    for (int i = 0; i < OFFSET_FILES; i++)
        files->due_ns[i] =
            core_of(files)->now.monotonic_ns + interval_ns(files, (enum offset_file)i);
    files->running = true;
    flow_start(&files->flow, &files_kind, core_of(files));
}

enum error offset_files_stop(struct broker *broker, struct waiter *waiter, struct flow *flow)
{
    struct offset_files *files = broker->offset_files;
    files->stopping = true;
    timer_cancel(&files->timer, core_of(files));
    if (!files->running)
        return ERROR_NONE;
    waiter_park(waiter, &files->ended, flow);
    return ERROR_WOULD_WAIT;
}

/* ---- start and stop ------------------------------------------------------------------------- */

static struct found *found_of(struct offset_files *files, int directory, enum offset_file file)
{
    return &files->found[directory * OFFSET_FILES + (int)file];
}

static void read_file(struct offset_files *files, struct port *port, int d, enum offset_file file)
{
    const struct directory *directory = &files->broker->directories[d];
    struct found *found = found_of(files, d, file);
    struct bytes text;
    if (!directory_read_file(directory, port, file_names[file], FILE_BYTES_MAX, &text))
        return;
    found->text = (void *)(uintptr_t)text.data;
    (void)offset_checkpoint_read(&found->checkpoint, text); /* damaged: nothing is in it */
}

void offset_files_open(struct broker *broker, struct port *port)
{
    struct offset_files *files = memory_zeroed(sizeof *files);
    size_t count = (size_t)broker->directory_count * OFFSET_FILES;
    files->broker = broker;
    files->timer = TIMER_INIT;
    list_init(&files->ended);
    files->found = memory_zeroed(count * sizeof *files->found);
    files->written = memory_zeroed(count * sizeof *files->written);
    files->parts = memory_zeroed((size_t)broker->core_count * sizeof *files->parts);
    for (int i = 0; i < broker->core_count; i++)
        files->parts[i] =
            (struct part){.files = files,
                          .shard = &broker->shards[i],
                          .texts = memory_zeroed((size_t)broker->directory_count *
                                                 sizeof(struct offset_checkpoint_text))};
    broker->offset_files = files;
    for (int d = 0; d < broker->directory_count; d++)
        for (int i = 0; i < LOG_STARTS && !broker->directories[d].absent; i++)
            read_file(files, port, d, (enum offset_file)i);
}

void offset_files_tell(struct shard *shard)
{
    struct broker *broker = shard->broker;
    struct offset_files *files = broker->offset_files;
    uint32_t position = 0;
    for (struct partition *partition; (partition = map_next(&shard->partitions, &position));) {
        const struct image_topic *topic = image_topic_by_id(&shard->image, partition->key.topic_id);
        for (int d = 0; topic && d < broker->directory_count; d++) {
            if (partition->log->store != shard->stores[d])
                continue;
            struct string name = image_topic_name(topic);
            int32_t index = partition->key.index;
            partition->log->recovery_point = offset_checkpoint_get(
                &found_of(files, d, RECOVERY_POINTS)->checkpoint, name, index);
            partition->known_watermark =
                offset_checkpoint_get(&found_of(files, d, WATERMARKS)->checkpoint, name, index);
        }
    }
}

enum error offset_files_write(struct broker *broker, int directory, struct port *port)
{
    if (!is_usable(broker->offset_files, directory))
        return ERROR_NONE;
    enum error error = ERROR_NONE;
    for (int file = 0; file < OFFSET_FILES && !error; file++) {
        struct offset_checkpoint_text *texts =
            memory_zeroed((size_t)broker->directory_count * sizeof *texts);
        for (int i = 0; i < broker->core_count; i++) {
            const struct shard *shard = &broker->shards[i];
            uint32_t position = 0;
            for (const struct partition *partition;
                 (partition = map_next(&shard->partitions, &position));)
                add_line(shard, partition, (enum offset_file)file, texts);
        }
        char *whole = offset_checkpoint_take(&texts[directory]);
        error =
            directory_write_file(&broker->directories[directory], port, file_names[file], whole);
        memory_free(whole);
        for (int d = 0; d < broker->directory_count; d++)
            offset_checkpoint_drop(&texts[d]);
        memory_free(texts);
    }
    return error;
}

void offset_files_close(struct broker *broker)
{
    struct offset_files *files = broker->offset_files;
    if (!files)
        return;
    for (int d = 0; d < broker->directory_count; d++)
        for (int i = 0; i < OFFSET_FILES; i++) {
            struct found *found = found_of(files, d, (enum offset_file)i);
            offset_checkpoint_done(&found->checkpoint);
            memory_free(found->text);
        }
    for (int i = 0; i < broker->core_count; i++) {
        drop_texts(&files->parts[i]);
        memory_free(files->parts[i].texts);
    }
    memory_free(files->whole);
    memory_free(files->parts);
    memory_free(files->written);
    memory_free(files->found);
    memory_free(files);
    broker->offset_files = NULL;
}
