/* Snapshots of producers and indexes of aborted transactions, of `bole dump`. */
#include "storage/producer_snapshot.h"
#include "storage/txn_index.h"
#include "tools/dump.h"
#include <inttypes.h>

static struct bytes whole(struct dump_file *file)
{
    const uint8_t *bytes = file->size > 0 && file->size <= PRODUCER_SNAPSHOT_BYTES_MAX
                               ? dump_file_at(file, 0, file->size)
                               : NULL;
    return (struct bytes){bytes, bytes ? (int32_t)file->size : 0};
}

/* A start passes over what is damaged, and a loss of power may leave it so: that is no fault. */
static void judge_snapshot(struct dump *dump, const char *path, struct bytes bytes, int64_t offset)
{
    struct producers producers;
    producers_init(&producers, 0, 0);
    enum error error = producer_snapshot_decode(bytes, offset, &producers);
    if (error)
        dump_left(dump, path, -1,
                  "%s: it is ignored, and an older one or the log tells what it did",
                  error_text(error));
    else
        dump_end(dump, path, "producers=%" PRIu32, producers.by_id.count);
    producers_done(&producers);
}

void dump_producer_snapshot(struct dump *dump, const char *path, int64_t offset)
{
    struct dump_file file;
    dump_begin(dump, path);
    if (dump_file_open(dump, &file, path)) {
        struct bytes bytes = whole(&file);
        struct producer_image image;
        for (int32_t at = 0; producer_snapshot_next(bytes, &at, &image);)
            dump_event(dump,
                       "producer id=%" PRId64 " epoch=%d last_sequence=%" PRId32
                       " last_offset=%" PRId64 " offset_delta=%" PRId32 " timestamp=%" PRId64
                       " coordinator_epoch=%" PRId32 " transaction_first_offset=%" PRId64 "\n",
                       image.id, image.epoch, image.last_sequence, image.last_offset,
                       image.offset_delta, image.timestamp_ms, image.coordinator_epoch,
                       image.txn_first_offset);
        judge_snapshot(dump, path, bytes, offset);
    }
    dump_file_close(&file);
}

void dump_txn_index(struct dump *dump, const char *path, int64_t base_offset)
{
    struct dump_file file;
    dump_begin(dump, path);
    if (dump_file_open(dump, &file, path)) {
        struct bytes bytes = whole(&file);
        struct aborted_txn_entry entry;
        int64_t count = file.size / TXN_INDEX_ENTRY, last = -1;
        for (int32_t i = 0; i < count; i++) {
            if (!txn_index_decode(bytes, i, base_offset, &entry) || entry.last_offset <= last) {
                dump_fault(dump, path, (int64_t)i * TXN_INDEX_ENTRY, "this entry can't be");
                break;
            }
            last = entry.last_offset;
            dump_event(dump,
                       "aborted producer=%" PRId64 " first_offset=%" PRId64 " last_offset=%" PRId64
                       " last_stable_offset=%" PRId64 "\n",
                       entry.producer_id, entry.first_offset, entry.last_offset,
                       entry.last_stable_offset);
        }
        if (file.size % TXN_INDEX_ENTRY != 0)
            dump_fault(dump, path, count * TXN_INDEX_ENTRY, "the last entry is cut");
        dump_end(dump, path, "aborted=%" PRId64, count);
    }
    dump_file_close(&file);
}
