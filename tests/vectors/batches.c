#include "base/check.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"
#include "protocol/json.h"
#include "tests/vectors/vectors.h"
#include <stdlib.h>

enum { LONG_VALUE_BYTES = 4096, HOUR_MS = 3600000 };

static void put(struct writer *writer, const char *text)
{
    write_raw(writer, text, strlen(text));
}

static void put_name(struct writer *writer, const char *name)
{
    put(writer, ",");
    write_json_string(writer, string_of(name));
    put(writer, ":");
}

static void put_number(struct writer *writer, struct arena *arena, const char *name, int64_t value)
{
    struct string digits = arena_format(arena, "%lld", (long long)value);
    put_name(writer, name);
    write_raw(writer, digits.data, (size_t)digits.size);
}

static void put_flag(struct writer *writer, const char *name, bool value)
{
    put_name(writer, name);
    put(writer, value ? "true" : "false");
}

static void put_base64(struct writer *writer, const char *name, struct bytes bytes)
{
    put_name(writer, name);
    put(writer, bytes.size < 0 ? "null" : "\"");
    write_base64(writer, bytes);
    put(writer, bytes.size < 0 ? "" : "\"");
}

static void put_headers(struct writer *writer, const struct record *record)
{
    struct reader reader;
    reader_init(&reader, record->headers.data, (size_t)record->headers.size);
    put_name(writer, "headers");
    put(writer, "[");
    for (int32_t i = 0; i < record->headers_count; i++) {
        struct record_header header;
        record_next_header(&reader, &header);
        put(writer, i ? ",{\"key\":" : "{\"key\":");
        write_json_string(writer, (struct string){(const char *)header.key.data, header.key.size});
        put_base64(writer, "value", header.value);
        put(writer, "}");
    }
    put(writer, "]");
}

static void put_record(struct writer *writer, struct arena *arena, const struct batch *batch,
                       const struct record *record)
{
    put(writer, "{\"first\":0"); /* so that every member that counts has a comma before it */
    put_number(writer, arena, "offset", record->offset);
    put_number(writer, arena, "timestamp", record->timestamp);
    if (batch->producer_id >= 0)
        put_number(
            writer, arena, "sequence",
            sequence_after(batch->base_sequence, (int32_t)(record->offset - batch->base_offset)));
    put_base64(writer, "key", record->key);
    if (record->value.size > LONG_VALUE_BYTES) {
        put_number(writer, arena, "valueSize", record->value.size);
        put_number(writer, arena, "valueCrc32c",
                   crc32c(0, record->value.data, (size_t)record->value.size));
    } else {
        put_base64(writer, "value", record->value);
    }
    put_headers(writer, record);
    put(writer, "}");
}

static void put_fields(struct writer *writer, struct arena *arena, const struct batch *batch)
{
    enum codec codec = batch->attributes & BATCH_CODEC_MASK;
    bool append_time = batch->attributes & BATCH_APPEND_TIME;
    put(writer, "{\"magic\":2");
    put_number(writer, arena, "size", batch->whole.size);
    put_number(writer, arena, "baseOffset", batch->base_offset);
    put_number(writer, arena, "lastOffset", batch_last_offset(batch));
    put_number(writer, arena, "partitionLeaderEpoch", batch->leader_epoch);
    put_number(writer, arena, "crc", batch->crc);
    put_number(writer, arena, "attributes", batch->attributes);
    put_name(writer, "compression");
    write_json_string(writer, string_of(codec < CODECS_END ? codec_name(codec) : "unknown"));
    put_name(writer, "timestampType");
    put(writer, append_time ? "\"LogAppendTime\"" : "\"CreateTime\"");
    put_flag(writer, "transactional", batch->attributes & BATCH_TRANSACTIONAL);
    put_flag(writer, "control", batch->attributes & BATCH_CONTROL);
    if (batch->attributes & BATCH_DELETE_HORIZON) {
        put_number(writer, arena, "deleteHorizonMs", batch->base_timestamp);
    } else {
        put_name(writer, "deleteHorizonMs");
        put(writer, "null");
    }
    put_number(writer, arena, "producerId", batch->producer_id);
    put_number(writer, arena, "producerEpoch", batch->producer_epoch);
    put_number(writer, arena, "baseSequence", batch->base_sequence);
    put_number(writer, arena, "lastSequence",
               sequence_after(batch->base_sequence, batch->last_offset_delta));
    put_number(writer, arena, "baseTimestamp", batch->base_timestamp);
    put_number(writer, arena, "maxTimestamp", batch->max_timestamp);
    put_number(writer, arena, "count", batch->count);
}

/* What we read in a batch, as JSON; null after an error. */
static struct json *read_batch(struct vector *vector, const struct batch *batch)
{
    struct batch_iterator iterator;
    struct record record;
    struct writer writer;
    size_t capacity = 1 << 20;
    char *text = arena_take(vector->arena, capacity);
    writer_init(&writer, text, capacity);
    if (batch_check_crc(batch) != ERROR_NONE ||
        batch_iterate(batch, vector->arena, &iterator) != ERROR_NONE)
        return NULL;
    put_fields(&writer, vector->arena, batch);
    put_name(&writer, "records");
    put(&writer, "[");
    while (batch_next(&iterator, &record)) {
        put(&writer, iterator.index > 1 ? "," : "");
        put_record(&writer, vector->arena, batch, &record);
    }
    put(&writer, "]}");
    if (iterator.reader.error != ERROR_NONE || writer.error != ERROR_NONE)
        return NULL;
    return json_parse(vector->arena, (struct string){text, (int32_t)writer.size});
}

static bool name_is(const struct json *json, const char *name)
{
    return string_equal(json->name, string_of(name));
}

static bool is_named_in(const struct json *json, const char *const *names)
{
    while (*names && !name_is(json, *names))
        names++;
    return *names != NULL;
}

/* True if all members of `want` are in `got` and equal, those named in `skip` (null ends it) apart.
 */
static bool has_members(const struct json *got, const struct json *want, const char *const *skip)
{
    for (const struct json *member = want->first; member; member = member->next) {
        const struct json *same = got->first;
        while (same && !string_equal(same->name, member->name))
            same = same->next;
        if (!is_named_in(member, skip) && !json_equal(same, member))
            return false;
    }
    return true;
}

/* A control record is shown a second time, decoded; check_body has the tables for that. */
static enum verdict check_control(struct vector *vector, const struct json *record,
                                  const struct record *read)
{
    static const char *const bodies[] = {NULL,
                                         NULL,
                                         "LeaderChangeMessage",
                                         "SnapshotHeaderRecord",
                                         "SnapshotFooterRecord",
                                         "KRaftVersionRecord",
                                         "VotersRecord"};
    const struct json *control = json_get(record, "controlRecord");
    if (!control)
        return PASSED;
    if (read->key.size != 4 || load_be16(read->key.data + 2) > 6)
        return vector_failed(vector, "a control record without a type");
    const char *body = bodies[load_be16(read->key.data + 2)];
    if (body)
        return check_body(vector, string_of(body), 0, read->value, json_get(control, "json"));
    struct bytes marker = {read->value.data + 2, read->value.size - 2};
    if ((int32_t)load_be32(marker.data) != json_number(control, "coordinatorEpoch", -1))
        return vector_failed(vector, "another coordinator epoch");
    return check_body(vector, STRING("EndTxnMarker"), 0, marker, NULL);
}

static enum verdict check_records(struct vector *vector, const struct batch *batch,
                                  const struct json *got, const struct json *want)
{
    static const char *const skip[] = {"controlRecord", NULL};
    const struct json *ours = json_get(got, "records")->first;
    const struct json *theirs = json_get(want, "records")->first;
    struct batch_iterator iterator;
    struct record record;
    if (batch_iterate(batch, vector->arena, &iterator) != ERROR_NONE)
        return vector_failed(vector, "can't be read twice");
    for (; ours && theirs; ours = ours->next, theirs = theirs->next) {
        if (!has_members(ours, theirs, skip))
            return vector_failed(vector, "a record differs");
        bool more = batch_next(&iterator, &record);
        check(more);
        enum verdict verdict = check_control(vector, theirs, &record);
        if (verdict != PASSED)
            return verdict;
    }
    return ours || theirs ? vector_failed(vector, "another number of records") : PASSED;
}

/* The batches in `data` against those in `wanted`; `skip` as in has_members. */
static enum verdict same_batches(struct vector *vector, struct bytes data,
                                 const struct json *wanted, const char *const *skip)
{
    int64_t trailing = json_number(vector->line, "trailing", 0);
    for (const struct json *want = wanted->first; want; want = want->next) {
        struct batch batch;
        enum error error = batch_view(data.data, (size_t)data.size, &batch);
        if (json_number(want, "magic", -1) < 2) /* recognised, and not served */
            return error == ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT
                       ? PASSED
                       : vector_failed(vector, "a message set: %s", error_name(error));
        if (error != ERROR_NONE)
            return vector_failed(vector, "view: %s", error_name(error));
        struct json *got = read_batch(vector, &batch);
        if (!got)
            return vector_failed(vector, "can't be read");
        if (!has_members(got, want, skip))
            return vector_failed(vector, "the header differs");
        enum verdict verdict = check_records(vector, &batch, got, want);
        if (verdict != PASSED)
            return verdict;
        data = (struct bytes){data.data + batch.whole.size, data.size - batch.whole.size};
    }
    struct batch none;
    if (data.size != trailing ||
        (trailing && batch_view(data.data, (size_t)data.size, &none) != ERROR_TRUNCATED))
        return vector_failed(vector, "%d bytes are left", (int)data.size);
    return PASSED;
}

enum verdict check_batches(struct vector *vector)
{
    static const char *const skip[] = {"records", NULL};
    struct bytes data = json_hex(vector->arena, json_text(vector->line, "hex"));
    return same_batches(vector, data, json_get(vector->line, "batches"), skip);
}

static int64_t setting(const struct vector *vector, const char *name, int64_t otherwise)
{
    struct string text = json_text(json_get(vector->line, "config"), name);
    char digits[32] = {0};
    if (text.size < 0)
        return otherwise;
    check(text.size < 32);
    memcpy(digits, text.data, (size_t)text.size);
    return strtoll(digits, NULL, 10);
}

static bool setting_is(const struct vector *vector, const char *name, const char *value)
{
    return string_equal(json_text(json_get(vector->line, "config"), name), string_of(value));
}

static struct batch_rules rules_of(const struct vector *vector)
{
    int64_t segment = setting(vector, "segment.bytes", INT32_MAX);
    return (struct batch_rules){
        .now_ms = json_number(vector->line, "now", 1700000000000),
        .before_max_ms = setting(vector, "message.timestamp.before.max.ms", INT64_MAX),
        .after_max_ms = setting(vector, "message.timestamp.after.max.ms", HOUR_MS),
        .size_max_bytes = (int32_t)setting(vector, "max.message.bytes", INT32_MAX),
        .segment_max_bytes = (int32_t)setting(vector, "internal.segment.bytes", segment),
        .record_max_bytes = (int32_t)setting(vector, "max.decompressed.message.bytes", INT32_MAX),
        .produce_version = (int16_t)json_number(vector->line, "produceVersion", 13),
        .append_time = setting_is(vector, "message.timestamp.type", "LogAppendTime"),
        .keys_required = setting_is(vector, "cleanup.policy", "compact"),
    };
}

static enum codec codec_wanted(const struct vector *vector, enum codec producer)
{
    for (int codec = CODEC_GZIP; codec < CODECS_END; codec++) {
        if (setting_is(vector, "compression.type", codec_name((enum codec)codec)))
            return (enum codec)codec;
    }
    return setting_is(vector, "compression.type", "uncompressed") ? CODEC_NONE : producer;
}

/* What a leader stores of a batch that was found good. */
static struct bytes store(struct vector *vector, const struct batch_report *report,
                          const struct batch_rules *rules)
{
    const struct batch *batch = &report->batch;
    enum codec codec = batch->attributes & BATCH_CODEC_MASK;
    enum codec wanted = codec_wanted(vector, codec);
    struct bytes stored = batch->whole;
    if (wanted != codec) {
        enum error error =
            batch_recode(batch, wanted, codec_usual_level(wanted), vector->arena, &stored);
        check(error == ERROR_NONE);
    }
    uint8_t *copy = arena_copy(vector->arena, stored.data, (size_t)stored.size);
    batch_stamp(copy, (size_t)stored.size, rules->append_time, report->max_timestamp);
    batch_assign(copy, json_number(vector->line, "offset", 0),
                 (int32_t)json_number(vector->line, "leaderEpoch", 0));
    return (struct bytes){copy, stored.size};
}

enum verdict check_append(struct vector *vector)
{
    static const char *const skip[] = {"records", NULL};
    static const char *const skip_packed[] = {"records", "size", "crc", NULL};
    struct bytes data = json_hex(vector->arena, json_text(vector->line, "hex"));
    struct bytes want = json_hex(vector->arena, json_text(vector->line, "stored"));
    const struct json *batches = json_get(vector->line, "batches");
    struct batch_rules rules = rules_of(vector);
    struct batch_report report;
    enum error error = batch_validate(data, &rules, vector->arena, &report);
    if (error != ERROR_NONE)
        return vector_failed(vector, "refused: %s: %s", error_name(error), report.text);
    struct bytes stored = store(vector, &report, &rules);
    enum codec codec = report.batch.attributes & BATCH_CODEC_MASK;
    enum codec wanted = codec_wanted(vector, codec);
    bool exact = wanted == codec || wanted == CODEC_NONE;
    if (exact && !bytes_equal(stored, want))
        return vector_failed(vector, "other bytes are stored");
    if (same_batches(vector, stored, batches, exact ? skip : skip_packed) != PASSED)
        return FAILED;
    return same_batches(vector, want, batches, skip);
}

static bool same_record_errors(const struct vector *vector, const struct batch_report *report)
{
    const struct json *want = json_get(vector->line, "recordErrors");
    int32_t count = 0;
    if (!want)
        return true;
    for (const struct json *index = want->first; index; index = index->next, count++) {
        struct string got = arena_format(vector->arena, "%d", report->record_errors[count]);
        if (count >= report->records_count || !string_equal(got, index->text))
            return false;
    }
    return count == report->records_count;
}

static enum verdict refused_rightly(struct vector *vector, enum error error,
                                    const struct batch_report *report)
{
    int64_t want = json_number(vector->line, "error", 0);
    bool is_malformed = error == ERROR_CORRUPT_MESSAGE || error == ERROR_INVALID_RECORD;
    if (want == 0)
        return is_malformed ? STRICTER : vector_failed(vector, "refused: %s", error_name(error));
    if (want == -1) /* which Kafka did not foresee */
        return is_malformed ? PASSED : vector_failed(vector, "answered %s", error_name(error));
    if (error == ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT)
        return PASSED; /* a message set; Kafka says INVALID_RECORD */
    if (error != want || !same_record_errors(vector, report))
        return vector_failed(vector, "answered %s: %s", error_name(error), report->text);
    return PASSED;
}

/* The CRC and every record of every batch, as a reader of a log would. */
static enum verdict check_reader(struct vector *vector, struct bytes data)
{
    const struct json *want = json_get(vector->line, "reader");
    int64_t count = 0;
    bool good = true;
    while (good && data.size > 0) {
        struct batch batch;
        struct batch_iterator iterator;
        struct record record;
        enum error error = batch_view(data.data, (size_t)data.size, &batch);
        if (error == ERROR_TRUNCATED)
            break; /* a torn end */
        good = error == ERROR_NONE && batch_check_crc(&batch) == ERROR_NONE &&
               batch_iterate(&batch, vector->arena, &iterator) == ERROR_NONE;
        while (good && batch_next(&iterator, &record))
            count++;
        good = good && iterator.reader.error == ERROR_NONE;
        data = (struct bytes){data.data + (good ? batch.whole.size : 0),
                              data.size - (good ? batch.whole.size : 0)};
    }
    if (json_number(want, "error", 0) != 0)
        return good ? vector_failed(vector, "the reader lets it pass") : PASSED;
    if (!good)
        return STRICTER;
    return count == json_number(want, "records", count)
               ? PASSED
               : vector_failed(vector, "the reader reads %lld records", (long long)count);
}

enum verdict check_bad_batch(struct vector *vector)
{
    struct bytes data = json_hex(vector->arena, json_text(vector->line, "hex"));
    struct string name = json_text(vector->line, "name");
    struct batch_rules rules = rules_of(vector);
    struct batch_report report;
    enum verdict verdict = PASSED;
    enum error error = batch_validate(data, &rules, vector->arena, &report);
    if (error != ERROR_NONE)
        verdict = refused_rightly(vector, error, &report);
    else if (json_number(vector->line, "error", 0) != 0)
        verdict = vector_failed(vector, "accepted");
    else if (!bytes_equal(store(vector, &report, &rules),
                          json_hex(vector->arena, json_text(vector->line, "stored"))))
        verdict = vector_failed(vector, "other bytes are stored");
    if (verdict != FAILED) {
        enum verdict reader = check_reader(vector, data);
        verdict = reader == PASSED ? verdict : reader;
    }
    if (verdict == FAILED) {
        struct string why =
            arena_format(vector->arena, "%.*s: %s", (int)name.size, name.data, vector->why);
        vector_failed(vector, "%s", why.data);
    }
    return verdict;
}
