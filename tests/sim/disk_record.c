/* Recordings: see disk_record.h. Replay repeats the calls of disk_execute that had an effect, so
 * that inode ids come out as they were. What was done to a file without a name has no effect here.
 */
#include "sim/disk_record.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"

struct disk_recording *disk_recording_create(const struct disk *disk)
{
    struct disk_recording *recording = memory_zeroed(sizeof *recording);
    recording->start = disk_clone(disk);
    return recording;
}

void disk_recording_destroy(struct disk_recording *recording)
{
    if (!recording)
        return;
    for (uint32_t i = 0; i < recording->count; i++) {
        struct disk_record *record = &recording->records[i];
        if (record->kind != RECORD_SUBMIT)
            continue;
        memory_free(record->vector.iov_base);
        memory_free((char *)record->change.path);
        memory_free((char *)record->change.path_to);
    }
    disk_destroy(recording->cursor);
    disk_destroy(recording->start);
    memory_free(recording->records);
    memory_free(recording->in_flight);
    memory_free(recording);
}

static struct disk_record *add_record(struct disk_recording *recording, enum disk_record_kind kind)
{
    if (recording->count == recording->capacity) {
        recording->capacity = recording->capacity ? 2 * recording->capacity : 256;
        recording->records =
            memory_resized(recording->records, recording->capacity * sizeof recording->records[0]);
    }
    struct disk_record *record = &recording->records[recording->count++];
    *record = (struct disk_record){.kind = (uint8_t)kind};
    return record;
}

static char *copy_text(const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(memory_zeroed(size), text, size);
}

int64_t disk_record_submit(struct disk_recording *recording, const struct disk_change *change)
{
    if (recording->ended)
        return -1;
    struct disk_record *record = add_record(recording, RECORD_SUBMIT);
    record->change = *change;
    record->change.path = copy_text(change->path);
    record->change.path_to = copy_text(change->path_to);
    if (change->kind == OP_WRITE) {
        uint8_t *bytes = memory_zeroed((size_t)change->size);
        record->vector = (struct iovec){bytes, (size_t)change->size};
        for (int32_t i = 0; i < change->vector_count; i++) {
            memcpy(bytes, change->vectors[i].iov_base, change->vectors[i].iov_len);
            bytes += change->vectors[i].iov_len;
        }
    }
    return recording->count - 1;
}

void disk_record_complete(struct disk_recording *recording, int64_t submit,
                          const struct disk_change *done, int64_t result)
{
    if (recording->ended || submit < 0)
        return;
    struct disk_record *record = add_record(recording, RECORD_COMPLETE);
    record->submit = (uint32_t)submit;
    record->value = result;
    record->done = done != NULL;
    if (done)
        record->change = (struct disk_change){
            .size = done->size, .durable = done->durable, .fails = done->fails};
}

void disk_record_mark(struct disk_recording *recording, int64_t value)
{
    if (!recording->ended)
        add_record(recording, RECORD_MARK)->value = value;
}

int64_t disk_mark_at(const struct disk_recording *recording, uint32_t cut)
{
    while (cut > 0)
        if (recording->records[--cut].kind == RECORD_MARK)
            return recording->records[cut].value;
    return -1;
}

/* The change of record `submit`, with vectors that point to its bytes where they lie now. */
static struct disk_change recorded_change(struct disk_recording *recording, uint32_t submit)
{
    struct disk_change change = recording->records[submit].change;
    change.vectors = &recording->records[submit].vector;
    change.vector_count = 1;
    return change;
}

static void replay(struct disk_recording *recording)
{
    uint32_t at = recording->cursor_at++;
    const struct disk_record *record = &recording->records[at];
    if (record->kind == RECORD_SUBMIT) {
        recording->records[at].change.bound = recording->cursor->sequence + 1;
        if (recording->in_flight_count == recording->in_flight_capacity) {
            recording->in_flight_capacity =
                recording->in_flight_capacity ? 2 * recording->in_flight_capacity : 16;
            recording->in_flight =
                memory_resized(recording->in_flight,
                               recording->in_flight_capacity * sizeof recording->in_flight[0]);
        }
        recording->in_flight[recording->in_flight_count++] = at;
        return;
    }
    if (record->kind != RECORD_COMPLETE)
        return;
    uint32_t place = 0;
    while (recording->in_flight[place] != record->submit)
        check(++place < recording->in_flight_count);
    memmove(recording->in_flight + place, recording->in_flight + place + 1,
            (--recording->in_flight_count - place) * sizeof recording->in_flight[0]);
    struct disk_change change = recorded_change(recording, record->submit);
    bool flushes = change.kind == OP_FLUSH || change.kind == OP_FLUSH_ALL;
    if (!record->done || (record->value < 0 && !flushes))
        return;
    if (change.kind == OP_WRITE)
        change.size = min_i64(record->value, record->change.size);
    change.durable = record->change.durable;
    change.fails = record->change.fails;
    (void)disk_execute(recording->cursor, &change); /* the result is in the record */
}

struct disk *disk_image_at(struct disk_recording *recording, uint32_t cut,
                           struct disk_choice *choice)
{
    check(cut <= recording->count);
    if (!recording->cursor || recording->cursor_at > cut) {
        disk_destroy(recording->cursor);
        recording->cursor = disk_clone(recording->start);
        recording->cursor->limit_bytes = 0; /* what did not fit is in the results */
        recording->cursor_at = recording->in_flight_count = 0;
    }
    while (recording->cursor_at < cut)
        replay(recording);
    struct disk *disk = disk_clone(recording->cursor);
    for (uint32_t i = 0; i < recording->in_flight_count; i++) {
        struct disk_change change = recorded_change(recording, recording->in_flight[i]);
        disk_crash_in_flight(disk, &change, choice);
    }
    disk_crash(disk, choice);
    return disk;
}
