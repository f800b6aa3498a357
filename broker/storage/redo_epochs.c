#include "storage/redo_epochs.h"
#include "base/memory.h"
#include "protocol/batch.h"
#include "storage/log_epochs.h"
#include "storage/recovery_pass.h"
#include "storage/redo.h"
#include <stdio.h>

static int64_t call(struct redo *redo, struct op op)
{
    return recovery_pass_call(redo->pass, &op);
}

static void file_path(struct redo *redo, const char *suffix, char *path, size_t size)
{
    snprintf(path, size, "%s/%s%s", redo->folder, EPOCHS_FILE, suffix);
}

enum error redo_epochs_begin(struct redo *redo, bool whole)
{
    char path[1100];
    redo->epochs_uncut = true;
    redo->epochs_lost = !whole;
    redo->epochs_size = 0;
    if (whole)
        return ERROR_NONE;
    file_path(redo, "", path, sizeof path);
    int64_t handle = call(redo, (struct op){.kind = OP_OPEN, .path = path, .flags = OPEN_READ});
    if (handle < 0)
        return op_error(handle) == ERROR_NOT_FOUND ? ERROR_NONE : op_error(handle);
    int64_t got = 0, capacity = 512;
    redo->epochs_text = memory_zeroed((size_t)capacity);
    do {
        if (redo->epochs_size == capacity) {
            capacity *= 2;
            redo->epochs_text = memory_resized(redo->epochs_text, (size_t)capacity);
        }
        got = call(redo, (struct op){.kind = OP_READ,
                                     .handle = (int32_t)handle,
                                     .data = redo->epochs_text + redo->epochs_size,
                                     .size = (size_t)(capacity - redo->epochs_size),
                                     .offset = redo->epochs_size});
        redo->epochs_size += got > 0 ? got : 0;
    } while (got > 0 && redo->epochs_size < INT32_MAX / 4);
    (void)call(redo, (struct op){.kind = OP_CLOSE, .handle = (int32_t)handle});
    if (got < 0)
        return op_error(got);
    redo->epochs_lost = !epochs_decode(
        &redo->epochs, (struct bytes){redo->epochs_text, (int32_t)redo->epochs_size});
    return ERROR_NONE;
}

void redo_epochs_note(struct redo *redo, struct bytes batches)
{
    for (int32_t at = 0; at + BATCH_RECORDS_AT <= batches.size;) {
        const uint8_t *batch = batches.data + at;
        int64_t size = batch_size_at(batch);
        int64_t base_offset = (int64_t)load_be64(batch);
        if (size < BATCH_RECORDS_AT || size > batches.size - at || base_offset < 0)
            return;
        if (redo->epochs_uncut)
            epochs_truncate_end(&redo->epochs, base_offset);
        redo->epochs_uncut = false;
        epochs_assign(&redo->epochs, (int32_t)load_be32(batch + BATCH_LEADER_EPOCH_AT),
                      base_offset);
        at += (int32_t)size;
    }
}

static enum error replace(struct redo *redo, const char *text, size_t size)
{
    char path[1100], temporary[1100];
    file_path(redo, "", path, sizeof path);
    file_path(redo, ".tmp", temporary, sizeof temporary);
    int64_t handle = call(
        redo, (struct op){.kind = OP_OPEN, .path = temporary, .flags = OPEN_WRITE | OPEN_CREATE});
    if (handle < 0)
        return op_error(handle);
    struct op cut = {.kind = OP_TRUNCATE, .handle = (int32_t)handle};
    enum error error = op_error(call(redo, cut));
    if (!error)
        error = redo_write(redo->pass, (int32_t)handle, text, (int64_t)size, 0);
    if (!error && !redo->pass->flush_all)
        error = op_error(call(redo, (struct op){.kind = OP_FLUSH, .handle = (int32_t)handle}));
    (void)call(redo, (struct op){.kind = OP_CLOSE, .handle = (int32_t)handle});
    if (!error)
        error = op_error(
            call(redo, (struct op){.kind = OP_RENAME, .path = temporary, .path_to = path}));
    return error;
}

/* There is none, or it is damaged: all of it is to be made anew. */
static enum error leave_away(struct redo *redo)
{
    char path[1100];
    file_path(redo, "", path, sizeof path);
    enum error error = op_error(call(redo, (struct op){.kind = OP_REMOVE, .path = path}));
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
}

enum error redo_epochs_end(struct redo *redo)
{
    enum error error = ERROR_NONE;
    if (redo->epochs_lost) {
        error = leave_away(redo);
    } else {
        size_t most = epochs_text_size(&redo->epochs);
        char *text = memory_zeroed(most);
        size_t size = epochs_encode(&redo->epochs, INT64_MAX, text, most);
        bool same = redo->epochs_text && (int64_t)size == redo->epochs_size &&
                    memcmp(text, redo->epochs_text, size) == 0;
        if (!same)
            error = replace(redo, text, size);
        memory_free(text);
    }
    epochs_free(&redo->epochs);
    memory_free(redo->epochs_text);
    redo->epochs_text = NULL;
    return error;
}
