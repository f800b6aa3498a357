/* What a leader demands of a batch from a client, in Kafka's order of checks (LogValidator), so
 * that a batch that is wrong in several ways gets the answer it gets there. Stricter than Kafka
 * where that lets bytes pass that no reader could agree on: bytes after the batch, offsets that are
 * not dense, overlong varints, negative sizes other than null. */
#include "base/check.h"
#include "base/mutant.h"
#include "protocol/batch.h"

enum { ZSTD_FROM_PRODUCE_VERSION = 7 };

static enum error refuse(struct batch_report *report, enum error error, const char *text)
{
    report->text = text;
    return error;
}

/* Exactly one batch of magic 2, and nothing behind it. */
static enum error check_frame(struct bytes data, struct batch_report *report)
{
    size_t size = data.size < 0 ? 0 : (size_t)data.size;
    struct batch *batch = &report->batch, next;
    enum error error = batch_view(data.data, size, batch);
    if (error == ERROR_TRUNCATED)
        return refuse(report, ERROR_INVALID_RECORD, "there is no whole record batch");
    if (error == ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT)
        return refuse(report, error, "message sets of magic 0 and 1 are not supported");
    if (error != ERROR_NONE)
        return refuse(report, error, "the length or magic of the batch is impossible");
    size_t left = size - (size_t)batch->whole.size;
    if (left == 0)
        return ERROR_NONE;
    error = batch_view(data.data + batch->whole.size, left, &next);
    if (error == ERROR_CORRUPT_MESSAGE)
        return refuse(report, error, "what follows the batch is no batch");
    if (error == ERROR_TRUNCATED && batch_check_crc(batch) != ERROR_NONE)
        return refuse(report, ERROR_CORRUPT_MESSAGE, "the CRC does not match");
    return refuse(report, ERROR_INVALID_RECORD, "there must be exactly one batch per partition");
}

static enum error check_header(const struct batch_rules *rules, struct batch_report *report)
{
    const struct batch *batch = &report->batch;
    enum codec codec = batch->attributes & BATCH_CODEC_MASK;
    if (codec == CODEC_ZSTD && rules->produce_version < ZSTD_FROM_PRODUCE_VERSION)
        return refuse(report, ERROR_UNSUPPORTED_COMPRESSION_TYPE,
                      "this version of Produce does not allow zstd");
    if (batch->whole.size > rules->size_max_bytes)
        return refuse(report, ERROR_MESSAGE_TOO_LARGE, "the batch is above max.message.bytes");
    if (batch_check_crc(batch) != ERROR_NONE)
        return refuse(report, ERROR_CORRUPT_MESSAGE, "the CRC does not match");
    if (codec >= CODECS_END)
        return refuse(report, ERROR_INVALID_RECORD, "the codec is unknown");
    if (batch->base_offset != 0)
        return refuse(report, ERROR_INVALID_RECORD, "the base offset must be 0");
    if (batch->last_offset_delta < 0 || batch->count <= 0)
        return refuse(report, ERROR_INVALID_RECORD, "the batch has no records");
    if ((int64_t)batch->last_offset_delta + 1 != batch->count)
        return refuse(report, ERROR_INVALID_RECORD, "count and last offset do not match");
    if (batch->producer_id >= 0 && batch->base_sequence < 0)
        return refuse(report, ERROR_INVALID_RECORD, "a producer id needs a sequence");
    if (batch->attributes & BATCH_CONTROL)
        return refuse(report, ERROR_INVALID_RECORD, "clients may not write control records");
    return ERROR_NONE;
}

/* A difference that may wrap, as Kafka's does. */
static int64_t difference(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static bool timestamp_is_good(const struct batch_rules *rules, const struct batch *batch,
                              int64_t timestamp)
{
    if (!rules->append_time && timestamp != -1)
        return difference(rules->now_ms, timestamp) <= rules->before_max_ms &&
               difference(timestamp, rules->now_ms) <= rules->after_max_ms;
    return !(batch->attributes & BATCH_APPEND_TIME);
}

static void note_record(struct batch_report *report, int32_t index)
{
    if (report->records_count < BATCH_RECORD_ERRORS_MAX)
        report->record_errors[report->records_count++] = index;
}

static enum error check_records(const struct batch_rules *rules, struct batch_iterator *iterator,
                                struct batch_report *report)
{
    const struct batch *batch = &report->batch;
    enum error error = ERROR_NONE;
    int64_t max_timestamp = -1;
    struct record record;
    const uint8_t *begin = iterator->reader.next;
    for (int32_t index = 0; batch_next(iterator, &record); index++) {
        enum error found = ERROR_NONE;
        int64_t taken_bytes = iterator->reader.next - begin;
        begin = iterator->reader.next;
        if (taken_bytes > rules->record_max_bytes)
            found = refuse(report, ERROR_INVALID_RECORD, "a record is too large");
        else if (rules->keys_required && record.key.size < 0)
            found = refuse(report, ERROR_INVALID_RECORD, "a compacted topic needs keys");
        else if (record.offset != index && !(MUTANT(batch_offsets_not_checked_inside) &&
                                             (batch->attributes & BATCH_CODEC_MASK)))
            found = refuse(report, ERROR_INVALID_RECORD, "the offsets are not dense from 0");
        else if (!timestamp_is_good(rules, batch, record.timestamp))
            found = refuse(report, ERROR_INVALID_TIMESTAMP, "a timestamp is out of bounds");
        if (found != ERROR_NONE) {
            note_record(report, index);
            error = error == ERROR_INVALID_TIMESTAMP ? error : found;
        }
        if (record.timestamp > max_timestamp)
            max_timestamp = record.timestamp;
    }
    if (iterator->reader.error != ERROR_NONE) {
        report->records_count = 0;
        note_record(report, iterator->index);
        return refuse(report, ERROR_INVALID_RECORD, "a record is malformed");
    }
    report->max_timestamp = rules->append_time ? rules->now_ms : max_timestamp;
    return error;
}

enum error batch_validate(struct bytes data, const struct batch_rules *rules, struct arena *arena,
                          struct batch_report *report)
{
    report->text = NULL;
    report->records_count = 0;
    enum error error = check_frame(data, report);
    if (error == ERROR_NONE)
        error = check_header(rules, report);
    if (error != ERROR_NONE)
        return error;
    struct batch_iterator iterator;
    error = batch_iterate(&report->batch, arena, &iterator);
    if (error != ERROR_NONE)
        return refuse(report, error, "the records can't be decompressed");
    error = check_records(rules, &iterator, report);
    if (error == ERROR_NONE && data.size > rules->segment_max_bytes)
        return refuse(report, ERROR_RECORD_LIST_TOO_LARGE, "the batch does not fit into a segment");
    return error;
}
