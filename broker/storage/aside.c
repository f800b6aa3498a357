/*   (folder) -> file, flushed, renamed -> flush of the folder -> pieces
 *
 * The pieces are dropped last (invariant 2). */
#include "storage/aside.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "codec/crc32c.h"
#include "storage/drain.h"
#include "storage/journal_format.h"
#include "storage/log_state.h"
#include "storage/resume.h"
#include "storage/store.h"
#include <stdio.h>

static const uint8_t magic[8] = "BOLEASD\1";

enum { ASIDE_VERSION = 1, CRC_AT = 28 };

static uint32_t crc_of(const uint8_t *file, size_t size)
{
    return crc32c(crc32c(0, file, CRC_AT), file + ASIDE_HEADER, size - ASIDE_HEADER);
}

static size_t reason_size(const char *reason)
{
    size_t size = strlen(reason);
    return size < ASIDE_REASON_MOST ? size : ASIDE_REASON_MOST;
}

size_t aside_entries_at(const char *reason)
{
    return ASIDE_HEADER + reason_size(reason);
}

void aside_seal(uint8_t *to, const char *reason, size_t entries_size)
{
    memset(to, 0, ASIDE_HEADER);
    memcpy(to, magic, sizeof magic);
    store_be32(to + 8, ASIDE_VERSION);
    store_be32(to + 12, (uint32_t)reason_size(reason));
    store_be64(to + 16, entries_size);
    memcpy(to + ASIDE_HEADER, reason, reason_size(reason));
    store_be32(to + CRC_AT, crc_of(to, aside_entries_at(reason) + entries_size));
}

enum error aside_decode(struct bytes file, struct aside *ret)
{
    if (file.size < ASIDE_HEADER || memcmp(file.data, magic, sizeof magic) != 0)
        return ERROR_MALFORMED;
    if (load_be32(file.data + 8) > ASIDE_VERSION)
        return ERROR_NEWER_VERSION;
    uint64_t reason = load_be32(file.data + 12), entries = load_be64(file.data + 16);
    if (reason > ASIDE_REASON_MOST || ASIDE_HEADER + reason + entries != (uint64_t)file.size)
        return ERROR_MALFORMED;
    if (load_be32(file.data + CRC_AT) != crc_of(file.data, (size_t)file.size))
        return ERROR_CHECKSUM;
    ret->reason = (struct bytes){file.data + ASIDE_HEADER, (int32_t)reason};
    ret->entries = (struct bytes){ret->reason.data + reason, (int32_t)entries};
    struct reader reader;
    struct journal_entry first;
    reader_init(&reader, ret->entries.data, (size_t)ret->entries.size);
    if (!entry_decode(&reader, &first) || first.kind != ENTRY_BIND)
        return ERROR_MALFORMED;
    ret->topic_id = first.topic_id;
    return ERROR_NONE;
}

static size_t put_bind(const struct log *log, int64_t base, uint32_t position, uint8_t *to)
{
    uint8_t room[ENTRY_BIND_SIZE_MAX];
    struct journal_entry bind = {.id = ASIDE_ID,
                                 .topic_id = log->topic_id,
                                 .partition = log->partition,
                                 .segment_base = base,
                                 .position = position};
    return entry_bind_encode(&bind, to ? to : room);
}

size_t aside_encode_log(const struct log *log, uint8_t *to)
{
    uint8_t room[ENTRY_APPEND_HEADER_MAX];
    const struct segment *bound = NULL;
    size_t size = put_bind(log, log->resumed->segment_base, (uint32_t)log->resumed->position, to);
    for (const struct piece *piece = log->oldest; piece; piece = piece->next) {
        if (piece->segment != bound && piece != log->oldest)
            size +=
                put_bind(log, piece->segment->base_offset, piece->position, to ? to + size : NULL);
        bound = piece->segment;
        size += entry_append_header_encode(ASIDE_ID, piece->size, to ? to + size : room);
        if (to)
            memcpy(to + size, piece->data, piece->size);
        size += piece->size;
    }
    return size;
}

static int64_t first_offset(const struct log *log)
{
    return log->oldest ? log->oldest->base_offset : log->appended_end;
}

/* The file, in the drain's chunk. */
static void encode(struct drain *drain)
{
    struct log *log = drain->log;
    const char *reason = log->fault ? log->fault : "";
    size_t at = aside_entries_at(reason), size = aside_encode_log(log, NULL);
    drain->chunk = buffers_take_always(&log->store->core->buffers, at + size);
    (void)aside_encode_log(log, drain->chunk->data + at);
    aside_seal(drain->chunk->data, reason, size);
    char name[SEGMENT_NAME_SIZE];
    segment_name(first_offset(log), ASIDE_SUFFIX, name);
    snprintf(drain->path, sizeof drain->path, "%s/%s", log->folder, name);
    drain->replace = (struct file_replace){.core = log->store->core,
                                           .path = drain->path,
                                           .data = drain->chunk->data,
                                           .size = at + size};
}

/* The journal says nothing of it any more. */
static void drop_pieces(struct drain *drain)
{
    struct log *log = drain->log;
    struct core *core = log->store->core;
    REACHED("log set aside");
    event_write(&core->events, &core->now, EVENT_ERROR, "log_set_aside",
                "folder=%s file=%s first_offset=%lld end_offset=%lld effect=\"the partition is "
                "offline, its files stay as they are, others serve\"",
                log->folder, drain->path, (long long)first_offset(log),
                (long long)log->appended_end);
    while (log->oldest)
        log_drop_oldest(log);
    log->undrained_bytes = 0;
    list_remove(&log->unsettled);
    log->set_aside = true;
}

static enum step start(struct drain *drain, struct op op)
{
    drain->phase++;
    drain_start_op(drain, op);
    return STEP_AGAIN;
}

enum step drain_aside(struct flow *flow)
{
    struct drain *drain = drain_of(flow);
    struct log *log = drain->log;
    struct store *store = log->store;
    if (log->state != LOG_FAILED)
        return STEP_NEXT;
    if (drain->phase == 4 && drain->op.result >= 0)
        drain->handle = (int32_t)drain->op.result; /* the folder's */
    if (store->fenced || log->removed || log->set_aside || !log->resumed)
        return STEP_FAIL;
    if (MUTANT(set_aside_cuts)) {
        drop_pieces(drain);
        return STEP_FAIL;
    }
    switch (drain->phase) {
    case 0:
        store->directory_dirty = true; /* the checkpoint flushes it before it frees the journal */
        return start(drain, (struct op){.kind = OP_MAKE_DIRECTORY, .path = log->folder});
    case 1:
        if (drain->op.result < 0 && op_error(drain->op.result) != ERROR_ALREADY_EXISTS)
            return drain_give_up(drain, "a log that can't be opened can't be set aside");
        encode(drain);
        drain->phase++;
        return STEP_AGAIN;
    case 2:
        if (!file_replace_step(&drain->replace, flow))
            return STEP_AGAIN;
        drain->op = (struct op){.result = -(int64_t)drain->replace.error};
        if (drain->replace.error)
            return drain_give_up(drain, "a log that can't be opened can't be set aside");
        drain->phase++;
        return STEP_AGAIN;
    case 3:
        return start(
            drain,
            (struct op){.kind = OP_OPEN, .path = log->folder, .flags = OPEN_READ | OPEN_DIRECTORY});
    case 4:
        if (drain->op.result < 0)
            break;
        if (MUTANT(skip_fsync_of_aside)) {
            drop_pieces(drain);
            return STEP_FAIL;
        }
        return start(drain, (struct op){.kind = OP_FLUSH, .handle = drain->handle});
    default:
        if (drain->op.result < 0)
            break;
        drop_pieces(drain);
        return STEP_FAIL;
    }
    return drain_give_up(drain, "the folder of a log that was set aside can't be flushed");
}
