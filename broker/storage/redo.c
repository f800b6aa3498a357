#include "storage/redo.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/folder.h"
#include "storage/log_epochs.h"
#include "storage/recovery_pass.h"
#include "storage/redo_aside.h"
#include "storage/redo_epochs.h"
#include "storage/redo_index.h"
#include "storage/segment.h"
#include "storage/sidecar_format.h"
#include <stdio.h>

enum {
    GATHER_BYTES = 64 << 10,
    LIST_BYTES = 8192,
};

static const int64_t every_file = INT64_MIN;

static int64_t call(struct recovery_pass *pass, struct op op)
{
    return recovery_pass_call(pass, &op);
}

static enum error fault(struct redo *redo, int64_t result, const char *what)
{
    enum error error = result < 0 ? op_error(result) : ERROR_INPUT_OUTPUT;
    snprintf(redo->pass->fault, sizeof redo->pass->fault,
             "%s: %s (segment %lld, position %lld): %s", redo->folder, what,
             (long long)redo->segment_base, (long long)redo->written, error_text(error));
    return error;
}

enum error redo_list(struct port *port, const char *folder,
                     enum error (*each)(void *context, char kind, const char *name), void *context)
{
    struct op open = {.kind = OP_OPEN, .path = folder, .flags = OPEN_READ | OPEN_DIRECTORY};
    int64_t handle = port_call(port, &open);
    if (handle < 0)
        return op_error(handle);
    char *names = memory_zeroed(LIST_BYTES);
    enum error error = ERROR_NONE;
    while (!error) {
        struct op list = {
            .kind = OP_LIST, .handle = (int32_t)handle, .data = names, .size = LIST_BYTES};
        int64_t size = port_call(port, &list);
        error = op_error(size);
        if (size <= 0)
            break;
        for (int64_t at = 0; at < size && !error; at += 2 + (int64_t)strlen(names + at + 1))
            error = each(context, names[at], names + at + 1);
    }
    memory_free(names);
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(port, &close); /* only read */
    return error;
}

/* ---- the folder --------------------------------------------------------------------------- */

struct removal {
    struct recovery_pass *pass;
    const char *folder;
    int64_t beyond; /* only segments whose base is above; or every_file */
    bool found;
    char victim[1400];
    int64_t snapshots_end; /* snapshots up to it stay */
};

static enum error remove_file(void *context, char kind, const char *name)
{
    struct removal *removal = context;
    if (removal->beyond == every_file && strcmp(name, PARTITION_METADATA_FILE) == 0)
        return ERROR_NONE; /* it goes last */
    if (removal->beyond != every_file) {
        int64_t base;
        if (!segment_name_parse(name, NULL, &base) || base <= removal->beyond ||
            (segment_name_parse(name, ".snapshot", &base) && base <= removal->snapshots_end))
            return ERROR_NONE;
    }
    removal->found = true;
    snprintf(removal->victim, sizeof removal->victim, "%s/%s", removal->folder, name);
    return op_error(call(removal->pass, (struct op){.kind = OP_REMOVE, .path = removal->victim}));
}

/* Removal changes what a listing walks over: list again until nothing is found. */
static enum error remove_files(struct recovery_pass *pass, const char *folder, int64_t beyond,
                               int64_t snapshots_end)
{
    struct removal removal = {
        .pass = pass, .folder = folder, .beyond = beyond, .snapshots_end = snapshots_end};
    enum error error;
    do {
        removal.found = false;
        error = redo_list(pass->port, folder, remove_file, &removal);
    } while (!error && removal.found);
    return error;
}

static enum error flush_folder(struct recovery_pass *pass, const char *folder)
{
    int64_t handle = call(
        pass, (struct op){.kind = OP_OPEN, .path = folder, .flags = OPEN_READ | OPEN_DIRECTORY});
    if (handle < 0)
        return op_error(handle);
    int64_t result = call(pass, (struct op){.kind = OP_FLUSH, .handle = (int32_t)handle});
    (void)call(pass, (struct op){.kind = OP_CLOSE, .handle = (int32_t)handle});
    return op_error(result);
}

enum error redo_remove_folder(struct recovery_pass *pass, const char *folder)
{
    char path[1100];
    snprintf(path, sizeof path, "%s/" PARTITION_METADATA_FILE, folder);
    enum error error = remove_files(pass, folder, every_file, -1);
    if (!error) /* the last file, see folder_clear.h */
        error = op_error(call(pass, (struct op){.kind = OP_REMOVE, .path = path}));
    if (!error || error == ERROR_NOT_FOUND)
        error = op_error(call(pass, (struct op){.kind = OP_REMOVE, .path = folder}));
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
}

/* Whose folder is it? NOT_FOUND: there is none, or it does not say, for its word was lost in a
 * crash. MALFORMED: that is damaged. */
static enum error read_owner(struct redo *redo, struct uuid *ret_owner)
{
    char path[1100];
    snprintf(path, sizeof path, "%s/" PARTITION_METADATA_FILE, redo->folder);
    int64_t handle =
        call(redo->pass, (struct op){.kind = OP_OPEN, .path = path, .flags = OPEN_READ});
    if (handle < 0)
        return op_error(handle);
    uint8_t text[PARTITION_METADATA_SIZE];
    int64_t size = 0, got;
    do {
        got = call(redo->pass, (struct op){.kind = OP_READ,
                                           .handle = (int32_t)handle,
                                           .data = text + size,
                                           .size = sizeof text - (size_t)size,
                                           .offset = size});
        size += got > 0 ? got : 0;
    } while (got > 0 && size < (int64_t)sizeof text);
    (void)call(redo->pass, (struct op){.kind = OP_CLOSE, .handle = (int32_t)handle});
    if (got < 0)
        return op_error(got);
    struct bytes word = {text, (int32_t)size};
    if (partition_metadata_is_torn(word))
        return ERROR_NOT_FOUND;
    return partition_metadata_decode(word, ret_owner) ? ERROR_NONE : ERROR_MALFORMED;
}

static enum error note_segment(void *context, char kind, const char *name)
{
    int64_t base;
    *(bool *)context |= kind == 'f' && segment_name_parse(name, ".log", &base);
    return ERROR_NONE;
}

static bool has_segments(struct redo *redo)
{
    bool any = false;
    return redo_list(redo->pass->port, redo->folder, note_segment, &any) == ERROR_NONE && any;
}

enum error redo_write(struct recovery_pass *pass, int32_t handle, const void *data, int64_t size,
                      int64_t offset)
{
    struct iovec vector = {(void *)(uintptr_t)data, (size_t)size};
    while (vector.iov_len > 0) {
        int64_t written = call(pass, (struct op){.kind = OP_WRITE,
                                                 .handle = handle,
                                                 .vectors = &vector,
                                                 .vector_count = 1,
                                                 .offset = offset});
        if (written <= 0)
            return written ? op_error(written) : ERROR_INPUT_OUTPUT;
        vector.iov_base = (uint8_t *)vector.iov_base + written;
        vector.iov_len -= (size_t)written;
        offset += written;
    }
    return ERROR_NONE;
}

static enum error create_folder(struct redo *redo)
{
    struct recovery_pass *pass = redo->pass;
    int64_t result = call(pass, (struct op){.kind = OP_MAKE_DIRECTORY, .path = redo->folder});
    if (result < 0 && op_error(result) != ERROR_ALREADY_EXISTS)
        return fault(redo, result, "the folder can't be created");
    char path[1100], text[PARTITION_METADATA_SIZE];
    snprintf(path, sizeof path, "%s/" PARTITION_METADATA_FILE, redo->folder);
    int64_t handle =
        call(pass, (struct op){.kind = OP_OPEN, .path = path, .flags = OPEN_WRITE | OPEN_CREATE});
    if (handle < 0)
        return fault(redo, handle, "partition.metadata can't be created");
    size_t size = partition_metadata_encode(redo->key.topic_id, text);
    enum error error = redo_write(pass, (int32_t)handle, text, (int64_t)size, 0);
    if (!error && result < 0) /* a flush that failed may have lost the size of one that was there */
        error = op_error(
            call(pass, (struct op){.kind = OP_TRUNCATE, .handle = (int32_t)handle, .size = size}));
    if (!error && !redo->pass->flush_all)
        error = op_error(call(pass, (struct op){.kind = OP_FLUSH, .handle = (int32_t)handle}));
    (void)call(pass, (struct op){.kind = OP_CLOSE, .handle = (int32_t)handle});
    return error ? fault(redo, -(int64_t)error, "partition.metadata can't be written") : error;
}

enum error redo_begin(struct redo *redo, struct recovery_pass *pass, bool whole)
{
    redo->pass = pass;
    redo->handle = -1;
    struct uuid owner;
    enum error error = redo_epochs_begin(redo, whole);
    if (error)
        return fault(redo, -(int64_t)error, EPOCHS_FILE " can't be read");
    error = read_owner(redo, &owner);
    if (error == ERROR_NONE && uuid_equal(owner, redo->key.topic_id)) {
        if (!whole)
            return ERROR_NONE;
        return create_folder(redo); /* no checkpoint has flushed it yet: written and flushed anew */
    }
    if (error != ERROR_NONE && error != ERROR_NOT_FOUND && error != ERROR_MALFORMED)
        return fault(redo, -(int64_t)error, "partition.metadata can't be read");
    if (!whole && error == ERROR_NOT_FOUND && has_segments(redo)) {
        REACHED("partition.metadata is lost");
        return create_folder(redo); /* a checkpoint has seen the log: the folder is its own */
    }
    if (!whole) /* a checkpoint has flushed it with the log's first bytes */
        return fault(redo, -(int64_t)(error ? error : ERROR_CHECKSUM),
                     "partition.metadata is not that of the log whose end the journal holds");
    if (!MUTANT(recreated_topic_sees_old_files)) {
        error = redo_remove_folder(pass, redo->folder);
        if (error)
            return fault(redo, -(int64_t)error, "an earlier topic's folder can't be removed");
    }
    return create_folder(redo);
}

/* ---- the segment -------------------------------------------------------------------------- */

static enum error write_gathered(struct redo *redo)
{
    if (redo->gathered_size == 0)
        return ERROR_NONE;
    enum error error =
        redo_write(redo->pass, redo->handle, redo->gathered, redo->gathered_size, redo->written);
    if (error)
        return fault(redo, -(int64_t)error, "the segment can't be written");
    redo->written += redo->gathered_size;
    redo->gathered_size = 0;
    return ERROR_NONE;
}

/* Writes the rest, cuts the file there, flushes and closes it. */
static enum error end_segment(struct redo *redo)
{
    if (redo->handle < 0)
        return ERROR_NONE;
    enum error error = write_gathered(redo);
    int64_t end = redo->written;
    if (MUTANT(cut_too_much))
        end -= redo->last_entry_size;
    struct op cut = {.kind = OP_TRUNCATE, .handle = redo->handle, .size = (size_t)end};
    if (!error && !MUTANT(cut_too_little))
        error = op_error(call(redo->pass, cut));
    if (!error && !redo->pass->flush_all)
        error = op_error(call(redo->pass, (struct op){.kind = OP_FLUSH, .handle = redo->handle}));
    if (!error)
        error = redo_index_end(redo);
    (void)call(redo->pass, (struct op){.kind = OP_CLOSE, .handle = redo->handle});
    redo->handle = -1;
    segment_free(redo->index);
    redo->index = NULL;
    return error ? fault(redo, -(int64_t)error, "the segment can't be cut and flushed") : error;
}

/* Its sidecar tells of what was cut off. */
static enum error remove_sidecar(struct redo *redo, int64_t segment_base)
{
    char path[1100], name[SEGMENT_NAME_SIZE];
    segment_name(segment_base, SIDECAR_SUFFIX, name);
    snprintf(path, sizeof path, "%s/%s", redo->folder, name);
    enum error error = op_error(call(redo->pass, (struct op){.kind = OP_REMOVE, .path = path}));
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
}

/* Ends the segment that is open, and opens the one that was bound. */
static enum error open_bound(struct redo *redo)
{
    redo->bind_pending = false;
    enum error error = end_segment(redo);
    if (error)
        return error;
    char path[1100], name[SEGMENT_NAME_SIZE];
    segment_name(redo->bound_base, ".log", name);
    snprintf(path, sizeof path, "%s/%s", redo->folder, name);
    redo->segment_base = redo->bound_base;
    redo->written = redo->bound_position;
    uint32_t flags = OPEN_READ | OPEN_WRITE | (redo->bound_position ? 0 : OPEN_CREATE);
    int64_t handle = call(redo->pass, (struct op){.kind = OP_OPEN, .path = path, .flags = flags});
    if (handle < 0)
        return fault(redo, handle, "the segment can't be opened");
    redo->handle = (int32_t)handle;
    struct file_stat stat = {0};
    int64_t result =
        call(redo->pass, (struct op){.kind = OP_STAT, .handle = redo->handle, .data = &stat});
    if (result < 0)
        return fault(redo, result, "the size of the segment can't be read");
    if (stat.size_bytes < redo->written)
        return fault(redo, -(int64_t)ERROR_CHECKSUM, "bytes before the journal's are missing");
    error = redo_index_begin(redo);
    if (error)
        return fault(redo, -(int64_t)error, "the index can't be read");
    redo->bound = true;
    if (MUTANT(replay_twice_appends_twice))
        redo->written = stat.size_bytes;
    return ERROR_NONE;
}

enum error redo_bind(struct redo *redo, int64_t segment_base, int64_t position)
{
    bool again =
        redo->bind_pending && redo->bound_base == segment_base && redo->bound_position == position;
    enum error error = redo->bind_pending && !again ? open_bound(redo) : ERROR_NONE;
    if (error || again)
        return error;
    if (redo->handle >= 0 && redo->segment_base == segment_base) {
        if (position == redo->written + redo->gathered_size)
            return ERROR_NONE;
        return fault(redo, -(int64_t)ERROR_MALFORMED, "the journal's entries do not join");
    }
    /* Not opened before something is to be written: a cut that follows may have been carried out
     * before, and then the place is no more. */
    redo->bind_pending = true;
    redo->bound_base = segment_base;
    redo->bound_position = position;
    return ERROR_NONE;
}

enum error redo_cut(struct redo *redo, int64_t segment_base, int64_t position, int64_t end_offset)
{
    bool anew = segment_base < 0;
    redo->bind_pending = false;
    redo->bound = true;
    redo->last_entry_size = 0;
    enum error error = end_segment(redo);
    if (!error)
        error = remove_files(redo->pass, redo->folder, segment_base, anew ? -1 : end_offset);
    if (!error && !anew)
        error = remove_sidecar(redo, segment_base);
    if (error)
        return fault(redo, -(int64_t)error, "what lies beyond the log's end can't be removed");
    epochs_truncate_end(&redo->epochs, anew ? 0 : end_offset);
    redo->epochs_uncut = false;
    redo->bound_base = anew ? end_offset : segment_base;
    redo->bound_position = position;
    error = open_bound(redo);
    if (error)
        return error;
    REACHED("a cut replayed");
    error = redo_index_cut(redo, end_offset);
    return error ? fault(redo, -(int64_t)error, "the indexes can't be cut off") : error;
}

/* Room for `size` more gathered bytes: by growing up to GATHER_BYTES, then by writing. */
static enum error make_room(struct redo *redo, int32_t size)
{
    int64_t needed = redo->gathered_size + size;
    if (needed <= redo->gathered_capacity)
        return ERROR_NONE;
    if (needed > GATHER_BYTES) {
        enum error error = write_gathered(redo);
        if (error || size <= redo->gathered_capacity)
            return error;
        needed = size;
    }
    int64_t doubled = min_i64(2 * redo->gathered_capacity, GATHER_BYTES);
    redo->gathered_capacity = max_i64(needed, max_i64(doubled, 1024));
    redo->gathered = memory_resized(redo->gathered, (size_t)redo->gathered_capacity);
    return ERROR_NONE;
}

enum error redo_append(struct redo *redo, struct bytes batches)
{
    enum error error = redo->bind_pending ? open_bound(redo) : ERROR_NONE;
    if (error)
        return error;
    if (redo->handle < 0)
        return fault(redo, -(int64_t)ERROR_MALFORMED, "the journal has an entry before its bind");
    error = make_room(redo, batches.size);
    if (error)
        return error;
    error = redo_index_note(redo, batches, redo->written + redo->gathered_size);
    if (error)
        return fault(redo, -(int64_t)error, "the time index can't be read");
    redo_epochs_note(redo, batches);
    memcpy(redo->gathered + redo->gathered_size, batches.data, (size_t)batches.size);
    redo->gathered_size += batches.size;
    redo->last_entry_size = batches.size;
    redo->pass->replayed_bytes += (uint64_t)batches.size;
    return ERROR_NONE;
}

enum error redo_end(struct redo *redo)
{
    enum error error = ERROR_NONE;
    if (redo->bind_pending && !redo->aside) {
        error = open_bound(redo);
        if (error && redo_aside_begin(redo, error))
            error = redo_aside_take_place(redo);
    }
    if (redo->aside)
        return error ? error : redo_aside_end(redo);
    int64_t last = redo->handle >= 0 ? redo->segment_base : INT64_MAX;
    if (!error)
        error = end_segment(redo);
    if (!error)
        /* Snapshots may be all that tells of producers in segments that have gone; those beyond the
         * end go when the log is opened. */
        error = remove_files(redo->pass, redo->folder, last, INT64_MAX);
    if (!error)
        error = redo_epochs_end(redo);
    if (!error && !MUTANT(skip_fsync_of_replayed_folder) && !redo->pass->flush_all)
        error = flush_folder(redo->pass, redo->folder);
    memory_free(redo->gathered);
    redo->gathered = NULL;
    return error;
}

void redo_done(struct redo *redo)
{
    segment_free(redo->index);
    epochs_free(&redo->epochs);
    memory_free(redo->epochs_text);
    memory_free(redo->aside_reason);
    memory_free(redo->aside_data);
    memory_free(redo->gathered);
    memory_free(redo);
}
