/* Compares the files of a rig's disk with its oracle, past all code of the broker but the format of
 * a batch. */
#include "base/check.h"
#include "base/memory.h"
#include "crash/image_digest.h"
#include "crash/rig.h"
#include "logic/epochs.h"
#include "protocol/batch.h"
#include "storage/log_starts.h"
#include "storage/segment.h"
#include "storage/sidecar_format.h"
#include <stdio.h>
#include <stdlib.h>

enum { FILES_MAX = 4096 };

static uint8_t *read_file(struct disk *disk, struct inode *inode)
{
    uint8_t *bytes = memory_zeroed((size_t)inode->size + 1);
    int64_t got = disk_read(disk, inode, 0, bytes, (size_t)inode->size);
    check(got == inode->size || (got == 0 && inode->size == 0));
    return bytes;
}

struct look {
    struct rig *rig;
    int32_t slot;
    char folder[64];
    bool clean;
    int64_t offset; /* all before it is right */
    int64_t bases[FILES_MAX];
    int count;
};

/* Each entry of an index must point at a batch, with the offset of its last record. */
static void look_at_index(struct look *look, int64_t base, const uint8_t *log, int64_t log_size)
{
    struct rig *rig = look->rig;
    char path[128], name[SEGMENT_NAME_SIZE];
    segment_name(base, ".index", name);
    snprintf(path, sizeof path, "%s/%s", look->folder, name);
    struct disk *disk = rig->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, path);
    if (!inode) {
        if (look->clean &&
            log_size > 2 * rig->settings.log.index_interval_bytes + 2 * BATCH_BYTES_MAX)
            rig_fail(rig, "%s is missing", path);
        return;
    }
    uint8_t *index = read_file(disk, inode);
    int64_t last = 0;
    for (int64_t at = 0; at + 8 <= inode->size; at += 8) {
        int64_t offset = base + load_be32(index + at), position = load_be32(index + at + 4);
        if (!look->clean && position <= last)
            break; /* the end of what was flushed: from here on it is not believed */
        if (!look->clean && position >= log_size)
            break;
        bool right = position > last && position + BATCH_RECORDS_AT <= log_size;
        const struct sent *sent =
            right ? oracle_batch_at(rig->oracle, look->slot, rig->promises[look->slot].generation,
                                    (int64_t)load_be64(log + position))
                  : NULL;
        if (!sent || sent->end_offset - 1 != offset) {
            rig_fail(rig, "%s: entry %lld (offset %lld, position %lld) is wrong", path,
                     (long long)at / 8, (long long)offset, (long long)position);
            break;
        }
        last = position;
    }
    if (look->clean && inode->size % 8)
        rig_fail(rig, "%s has %lld bytes", path, (long long)inode->size);
    int64_t gap = max_i64(rig->settings.log.index_interval_bytes, rig->index_gap_bytes);
    if (look->clean && log_size - last > gap + BATCH_BYTES_MAX)
        rig_fail(rig, "%s ends at position %lld of %lld", path, (long long)last,
                 (long long)log_size);
    memory_free(index);
}

/* Of the batch in `log` whose last offset is `last`: its max timestamp. -2: there is no such batch,
 * or one before it has a timestamp as large. */
static int64_t largest_at(const uint8_t *log, int64_t log_size, int64_t last)
{
    int64_t before = -1;
    for (int64_t at = 0; at + BATCH_RECORDS_AT <= log_size;) {
        const uint8_t *batch = log + at;
        int64_t timestamp_ms = (int64_t)load_be64(batch + BATCH_MAX_TIMESTAMP_AT);
        int64_t offset =
            (int64_t)load_be64(batch) + (int32_t)load_be32(batch + BATCH_LAST_OFFSET_DELTA_AT);
        if (offset == last)
            return timestamp_ms > before ? timestamp_ms : -2;
        before = timestamp_ms > before ? timestamp_ms : before;
        at += BATCH_OVERHEAD + (int64_t)load_be32(batch + BATCH_LENGTH_AT);
    }
    return -2;
}

static int64_t largest(const uint8_t *log, int64_t log_size)
{
    int64_t most = -1;
    for (int64_t at = 0; at + BATCH_RECORDS_AT <= log_size;) {
        int64_t timestamp_ms = (int64_t)load_be64(log + at + BATCH_MAX_TIMESTAMP_AT);
        most = timestamp_ms > most ? timestamp_ms : most;
        at += BATCH_OVERHEAD + (int64_t)load_be32(log + at + BATCH_LENGTH_AT);
    }
    return most;
}

/* Each entry of a time index must be the first with so large a timestamp; after a clean stop the
 * last is the segment's largest. */
static void look_at_times(struct look *look, int64_t base, const uint8_t *log, int64_t log_size)
{
    struct rig *rig = look->rig;
    char path[128], name[SEGMENT_NAME_SIZE];
    segment_name(base, ".timeindex", name);
    snprintf(path, sizeof path, "%s/%s", look->folder, name);
    struct disk *disk = rig->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, path);
    if (!inode) {
        if (look->clean && log_size > 0)
            rig_fail(rig, "%s is missing", path);
        return;
    }
    uint8_t *index = read_file(disk, inode);
    int64_t last_ms = -1, last = -1;
    for (int64_t at = 0; at + 12 <= inode->size; at += 12) {
        int64_t timestamp_ms = (int64_t)load_be64(index + at), offset = load_be32(index + at + 8);
        if (!look->clean && (timestamp_ms <= max_i64(last_ms, 0) || offset <= last))
            break; /* as in look_at_index; zeros, too */
        if (timestamp_ms <= last_ms || offset <= last ||
            largest_at(log, log_size, base + offset) != timestamp_ms) {
            rig_fail(rig, "%s: entry %lld (timestamp %lld, offset %lld) is wrong", path,
                     (long long)at / 12, (long long)timestamp_ms, (long long)(base + offset));
            break;
        }
        last_ms = timestamp_ms;
        last = offset;
    }
    if (look->clean && inode->size % 12)
        rig_fail(rig, "%s has %lld bytes", path, (long long)inode->size);
    if (look->clean && largest(log, log_size) != last_ms)
        rig_fail(rig, "%s ends with timestamp %lld, the largest is %lld", path, (long long)last_ms,
                 (long long)largest(log, log_size));
    memory_free(index);
}

/* A sidecar is whole, and what it says of this .log is true, unless it is of an earlier one. */
static void look_at_sidecar(struct look *look, int64_t base, const uint8_t *log, int64_t log_size)
{
    struct rig *rig = look->rig;
    char path[128], name[SEGMENT_NAME_SIZE];
    segment_name(base, SIDECAR_SUFFIX, name);
    snprintf(path, sizeof path, "%s/%s", look->folder, name);
    struct disk *disk = rig->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, path);
    if (!inode)
        return;
    uint8_t *bytes = read_file(disk, inode);
    struct sidecar *sidecar = NULL;
    struct sidecar_fault fault = {0};
    enum error error = sidecar_decode((struct bytes){bytes, (int32_t)inode->size}, &sidecar);
    if (error)
        rig_fail(rig, "%s is damaged", path);
    bool fits = !error && sidecar_fits(sidecar, base, log_size, INT64_MAX);
    for (int32_t i = 0; fits && i < sidecar->run_count; i++)
        if (sidecar_judge(sidecar, i, (struct bytes){log, (int32_t)log_size}, 0, &fault) !=
            SIDECAR_AGREES)
            rig_fail(rig, "%s does not agree: %s at %lld", path, fault.what ? fault.what : "others",
                     (long long)fault.position);
    sidecar_free(sidecar);
    memory_free(bytes);
}

/* The log start that recovery has found, acknowledged or not; 0: none. */
static int64_t start_found(const struct look *look)
{
    struct rig *rig = look->rig;
    struct disk *disk = rig->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, "data/" LOG_STARTS_FILE);
    if (!inode)
        return 0;
    struct log_starts starts;
    bool news = false;
    uint8_t *text = read_file(disk, inode);
    log_starts_init(&starts);
    (void)log_starts_decode(&starts, (struct bytes){text, (int32_t)inode->size}, &news);
    struct uuid id = oracle_topic_id(rig->oracle, look->slot, rig->promises[look->slot].generation);
    int64_t start = log_starts_get(&starts, id, slot_partition(look->slot));
    log_starts_done(&starts);
    memory_free(text);
    return start;
}

static void look_at_segment(struct look *look, int64_t base)
{
    struct rig *rig = look->rig;
    char path[128], name[SEGMENT_NAME_SIZE];
    segment_name(base, ".log", name);
    snprintf(path, sizeof path, "%s/%s", look->folder, name);
    struct disk *disk = rig->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, path);
    if (base > look->offset &&
        (base <= rig->promises[look->slot].start || base <= start_found(look)))
        look->offset = base; /* what was before has gone, or some of it */
    if (base != look->offset) {
        rig_fail(rig, "%s follows offset %lld", path, (long long)look->offset);
        return;
    }
    uint8_t *bytes = read_file(disk, inode);
    int64_t at = 0;
    while (at < inode->size) {
        const struct sent *sent = oracle_batch_at(
            rig->oracle, look->slot, rig->promises[look->slot].generation, look->offset);
        if (!sent || at + sent->size > inode->size || !oracle_matches(sent, bytes + at)) {
            rig_fail(rig,
                     "%s, position %lld of %lld: not the batch of offset %lld (%s; %lld was "
                     "acknowledged)",
                     path, (long long)at, (long long)inode->size, (long long)look->offset,
                     sent ? "sent" : "never sent",
                     (long long)rig->promises[look->slot].acknowledged_end);
            break;
        }
        look->offset = sent->end_offset;
        at += sent->size;
    }
    if (!rig->failure[0])
        look_at_index(look, base, bytes, inode->size);
    if (!rig->failure[0])
        look_at_times(look, base, bytes, inode->size);
    if (!rig->failure[0] && !rig->damaged && !rig->sidecar_damaged)
        look_at_sidecar(look, base, bytes, inode->size);
    memory_free(bytes);
}

/* The file of leader epochs must say what the batches say. */
static void look_at_epochs(struct look *look)
{
    struct rig *rig = look->rig;
    char path[128];
    snprintf(path, sizeof path, "%s/leader-epoch-checkpoint", look->folder);
    struct disk *disk = rig->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, path);
    if (!inode) {
        if (look->count > 0)
            rig_fail(rig, "%s is missing", path);
        return;
    }
    struct epochs want = {0};
    int64_t inode_size = inode->size;
    for (int64_t offset = 0; offset < look->offset;) {
        const struct sent *sent =
            oracle_batch_of(rig->oracle, look->slot, rig->promises[look->slot].generation, offset);
        epochs_assign(&want, (int32_t)load_be32(sent->bytes + BATCH_LEADER_EPOCH_AT), offset);
        offset = sent->end_offset;
    }
    uint8_t *text = read_file(disk, inode);
    const struct promise *promise = &rig->promises[look->slot];
    struct epochs found = {0};
    /* It is cut at the start when the log is opened; of an empty log it may tell an epoch, or not.
     */
    if (promise->start_asked > 0 &&
        epochs_decode(&found, (struct bytes){text, (int32_t)inode->size})) {
        epochs_truncate_start(&want, promise->start_asked);
        epochs_truncate_start(&found, promise->start_asked);
        epochs_truncate_end(&want, look->offset);
        epochs_truncate_end(&found, look->offset);
        memory_free(text);
        inode_size = (int64_t)epochs_text_size(&found);
        text = memory_zeroed((size_t)inode_size);
        inode_size = (int64_t)epochs_encode(&found, INT64_MAX, (char *)text, (size_t)inode_size);
    }
    epochs_free(&found);
    char *wanted = memory_zeroed(epochs_text_size(&want));
    size_t size = epochs_encode(&want, INT64_MAX, wanted, epochs_text_size(&want));
    if (inode_size != (int64_t)size || memcmp(text, wanted, size) != 0)
        rig_fail(rig, "%s: is \"%.60s\", must be \"%.*s\"", path, (const char *)text,
                 (int)(size < 60 ? size : 60), wanted);
    memory_free(text);
    memory_free(wanted);
    epochs_free(&want);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static void look_at_slot(struct look *look)
{
    struct rig *rig = look->rig;
    slot_folder(look->slot, look->folder, sizeof look->folder);
    struct inode *folder = disk_find(rig->world->machines[0]->disk, look->folder);
    if (!folder)
        return;
    for (struct list *node = folder->entries.next; node != &folder->entries; node = node->next) {
        int64_t base;
        check(look->count < FILES_MAX);
        if (segment_name_parse(CONTAINER_OF(node, struct entry, link)->name, ".log", &base))
            look->bases[look->count++] = base;
    }
    qsort(look->bases, (size_t)look->count, sizeof look->bases[0], compare);
    if (look->clean && look->count > 1 && look->bases[1] <= rig->promises[look->slot].start)
        rig_fail(rig, "%s: a segment below the log start is left", look->folder);
    for (int i = 0; i < look->count && !rig->failure[0]; i++)
        look_at_segment(look, look->bases[i]);
    if (!rig->failure[0])
        look_at_epochs(look);
}

/* Is the folder of the generation that is meant? Files of an earlier one are no log's. */
static bool is_ours(struct rig *rig, int32_t slot)
{
    char folder[64], path[128];
    slot_folder(slot, folder, sizeof folder);
    snprintf(path, sizeof path, "%s/partition.metadata", folder);
    struct disk *disk = rig->world->machines[0]->disk;
    struct inode *inode = disk_find(disk, path);
    if (!inode)
        return false;
    uint8_t *text = read_file(disk, inode);
    char id[32], wanted[96];
    struct uuid topic_id = oracle_topic_id(rig->oracle, slot, rig->promises[slot].generation);
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (int i = 0; i < 22; i++) { /* base64url, six bits at a time */
        int value = 0;
        for (int bit = 6 * i; bit < 6 * i + 6; bit++)
            value = value << 1 | (bit < 128 ? topic_id.bytes[bit / 8] >> (7 - bit % 8) & 1 : 0);
        id[i] = digits[value];
    }
    id[22] = 0;
    int size = snprintf(wanted, sizeof wanted, "version: 0\ntopic_id: %s\n", id);
    bool ours = inode->size == size && memcmp(text, wanted, (size_t)size) == 0;
    memory_free(text);
    return ours;
}

void rig_look(struct rig *rig, bool clean, int64_t ends[SLOTS_MAX])
{
    for (int i = 0; i < rig->settings.slots && !rig->failure[0]; i++) {
        if (rig->offline & 1u << i) {
            if (ends)
                ends[i] = rig->promises[i].acknowledged_end;
            continue;
        }
        struct look *look = memory_zeroed(sizeof *look);
        *look = (struct look){.rig = rig, .slot = i, .clean = clean};
        if (is_ours(rig, i) || (!clean && rig->unowned & 1u << i))
            look_at_slot(look);
        if (look->offset < rig->promises[i].acknowledged_end)
            rig_fail(rig, "%s ends at %lld, %lld was acknowledged", look->folder,
                     (long long)look->offset, (long long)rig->promises[i].acknowledged_end);
        if (ends)
            ends[i] = look->offset;
        memory_free(look);
    }
}

/* Which of the journals and of the files of log starts tells does not matter. */
static bool tells_the_same(const char *name)
{
    return strncmp(name, "journal-", 8) == 0 || strncmp(name, "log-starts", 10) == 0;
}

uint64_t rig_digest(struct rig *rig)
{
    return image_digest_of(disk_find(rig->world->machines[0]->disk, "data"), 1, tells_the_same);
}
