#include "storage/redo_aside.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "protocol/batch.h"
#include "storage/aside.h"
#include "storage/journal_format.h"
#include "storage/recovery_pass.h"
#include "storage/segment.h"
#include <stdio.h>

static int64_t call(struct redo *redo, struct op op)
{
    return recovery_pass_call(redo->pass, &op);
}

bool redo_aside_begin(struct redo *redo, enum error error)
{
    struct recovery_pass *pass = redo->pass;
    bool files = error == ERROR_CHECKSUM || error == ERROR_MALFORMED || error == ERROR_NOT_FOUND;
    if (!files || redo->bound || pass->strict)
        return false;
    REACHED("log set aside by a replay");
    redo->aside = true;
    size_t size = strlen(pass->fault) + 1;
    redo->aside_reason = memory_zeroed(size);
    memcpy(redo->aside_reason, pass->fault, size);
    pass->set_aside++;
    if (!pass->warning[0])
        snprintf(pass->warning, sizeof pass->warning, "set aside: %s", pass->fault);
    pass->fault[0] = 0;
    return true;
}

static uint8_t *room(struct redo *redo, size_t size)
{
    size_t needed = redo->aside_size + size;
    if (needed > redo->aside_capacity) {
        redo->aside_capacity =
            needed > 2 * redo->aside_capacity ? needed : 2 * redo->aside_capacity;
        redo->aside_data = memory_resized(redo->aside_data, redo->aside_capacity);
    }
    return redo->aside_data + redo->aside_size;
}

enum error redo_aside_take(struct redo *redo, const struct journal_entry *entry)
{
    struct journal_entry own = *entry;
    own.id = ASIDE_ID;
    switch (entry->kind) {
    case ENTRY_BIND: /* of those behind marks only the first of each segment says anything new */
        if (redo->aside_size > 0 && entry->segment_base == redo->segment_base)
            return ERROR_NONE;
        redo->segment_base = entry->segment_base;
        redo->aside_first = redo->aside_size ? redo->aside_first : entry->segment_base;
        redo->aside_size += entry_bind_encode(&own, room(redo, ENTRY_BIND_SIZE_MAX));
        return ERROR_NONE;
    case ENTRY_APPEND: {
        size_t size = (size_t)entry->batches.size;
        uint8_t *to = room(redo, ENTRY_APPEND_HEADER_MAX + size);
        size_t header = entry_append_header_encode(ASIDE_ID, (uint32_t)size, to);
        if (size < BATCH_RECORDS_AT)
            return ERROR_MALFORMED;
        if (!redo->aside_appended)
            redo->aside_first = (int64_t)load_be64(entry->batches.data);
        redo->aside_appended = true;
        memcpy(to + header, entry->batches.data, size);
        redo->aside_size += header + size;
        return ERROR_NONE;
    }
    case ENTRY_START:
        redo->aside_size +=
            entry_start_encode(ASIDE_ID, entry->offset, room(redo, ENTRY_START_SIZE_MAX));
        return ERROR_NONE;
    default:
        redo->aside_size += entry_cut_encode(&own, room(redo, ENTRY_CUT_SIZE_MAX));
        return ERROR_NONE;
    }
}

enum error redo_aside_take_place(struct redo *redo)
{
    struct journal_entry bind = {.kind = ENTRY_BIND,
                                 .topic_id = redo->key.topic_id,
                                 .partition = redo->key.partition,
                                 .segment_base = redo->bound_base,
                                 .position = (uint32_t)redo->bound_position};
    return redo_aside_take(redo, &bind);
}

/* The folder's own name has its flush before the journal is given up (store_open). */
static enum error flush_folder(struct redo *redo)
{
    int64_t handle = call(
        redo,
        (struct op){.kind = OP_OPEN, .path = redo->folder, .flags = OPEN_READ | OPEN_DIRECTORY});
    if (handle < 0)
        return op_error(handle);
    int64_t result = call(redo, (struct op){.kind = OP_FLUSH, .handle = (int32_t)handle});
    (void)call(redo, (struct op){.kind = OP_CLOSE, .handle = (int32_t)handle});
    return op_error(result);
}

static enum error write_file(struct redo *redo, const uint8_t *data, size_t size)
{
    char name[SEGMENT_NAME_SIZE], path[1100], temporary[1110];
    segment_name(redo->aside_first, ASIDE_SUFFIX, name);
    snprintf(path, sizeof path, "%s/%s", redo->folder, name);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    (void)call(redo, (struct op){.kind = OP_MAKE_DIRECTORY, .path = redo->folder});
    int64_t handle = call(
        redo, (struct op){.kind = OP_OPEN, .path = temporary, .flags = OPEN_WRITE | OPEN_CREATE});
    if (handle < 0)
        return op_error(handle);
    enum error error = redo_write(redo->pass, (int32_t)handle, data, (int64_t)size, 0);
    if (!error)
        error = op_error(
            call(redo, (struct op){.kind = OP_TRUNCATE, .handle = (int32_t)handle, .size = size}));
    if (!error)
        error = op_error(call(redo, (struct op){.kind = OP_FLUSH, .handle = (int32_t)handle}));
    (void)call(redo, (struct op){.kind = OP_CLOSE, .handle = (int32_t)handle});
    if (!error)
        error = op_error(
            call(redo, (struct op){.kind = OP_RENAME, .path = temporary, .path_to = path}));
    if (MUTANT(skip_fsync_of_replayed_aside))
        return error;
    return error ? error : flush_folder(redo);
}

enum error redo_aside_end(struct redo *redo)
{
    if (MUTANT(set_aside_cuts))
        return ERROR_NONE;
    size_t at = aside_entries_at(redo->aside_reason);
    uint8_t *data = memory_zeroed(at + redo->aside_size);
    memcpy(data + at, redo->aside_data, redo->aside_size);
    aside_seal(data, redo->aside_reason, redo->aside_size);
    enum error error = write_file(redo, data, at + redo->aside_size);
    memory_free(data);
    if (error)
        snprintf(redo->pass->fault, sizeof redo->pass->fault,
                 "%s: what the journal holds of it can't be set aside: %s", redo->folder,
                 error_text(error));
    return error;
}
