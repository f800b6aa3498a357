#include "cluster/snapshot_file.h"
#include "protocol/batch.h"
#include "protocol/messages.h"
#include <stdio.h>
#include <string.h>

/* Types of control records that are met here; the key is int16 version 0, int16 type. */
enum { CONTROL_SNAPSHOT_HEADER = 3, CONTROL_SNAPSHOT_FOOTER = 4 };
enum { CONTROL_BATCH_BYTES = 128, OFFSET_DIGITS = 20, EPOCH_DIGITS = 10 };

void snapshot_name(struct snapshot_id id, const char *suffix, char *name)
{
    snprintf(name, SNAPSHOT_NAME_SIZE, "%020lld-%010d%s", (long long)id.end_offset, id.epoch,
             suffix);
}

/* `count` digits at `text`; -1 if they are not, or too large a number. */
static int64_t parse_digits(const char *text, int count, int64_t most)
{
    int64_t value = 0;
    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9' || value > (most - (text[i] - '0')) / 10)
            return -1;
        value = 10 * value + (text[i] - '0');
    }
    return value;
}

bool snapshot_name_parse(const char *name, const char *suffix, struct snapshot_id *ret)
{
    size_t size = strlen(name), stem = OFFSET_DIGITS + 1 + EPOCH_DIGITS;
    if (size != stem + strlen(suffix) || strcmp(name + stem, suffix) != 0 ||
        name[OFFSET_DIGITS] != '-')
        return false;
    ret->end_offset = parse_digits(name, OFFSET_DIGITS, INT64_MAX);
    ret->epoch = (int32_t)parse_digits(name + OFFSET_DIGITS + 1, EPOCH_DIGITS, INT32_MAX);
    return ret->end_offset >= 0 && ret->epoch >= 0;
}

/* ---- control batches ---------------------------------------------------------------------- */

struct control {
    int16_t type;
    const struct message *message;
    const void *value;
    int64_t base_offset, time_ms;
    int32_t epoch;
};

static enum error encode_control(struct arena *arena, const struct control *control,
                                 struct bytes *ret)
{
    uint8_t key[4], value[32];
    store_be16(key, 0);
    store_be16(key + 2, (uint16_t)control->type);
    struct writer writer;
    writer_init(&writer, value, sizeof value);
    enum error error =
        message_encode(control->message, control->message->newest, &writer, control->value);
    uint8_t *data = arena_take(arena, CONTROL_BATCH_BYTES);
    if (!data)
        return ERROR_NO_MEMORY;
    struct batch_builder builder;
    batch_builder_init(&builder, data, CONTROL_BATCH_BYTES);
    struct record record = {.timestamp = control->time_ms,
                            .key = {key, sizeof key},
                            .value = {value, (int32_t)writer.size}};
    if (!error)
        error = batch_builder_add(&builder, &record);
    if (error)
        return error;
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    fields.attributes = BATCH_CONTROL;
    fields.base_offset = control->base_offset;
    fields.leader_epoch = control->epoch;
    batch_builder_end(&builder, &fields);
    *ret = (struct bytes){builder.data, (int32_t)builder.size_bytes};
    return ERROR_NONE;
}

enum error snapshot_encode_header(struct arena *arena, int32_t epoch, int64_t last_ms,
                                  struct bytes *ret)
{
    struct snapshot_header_record header;
    message_set_defaults(&snapshot_header_record_message, &header);
    header.last_contained_log_timestamp = last_ms;
    return encode_control(arena,
                          &(struct control){.type = CONTROL_SNAPSHOT_HEADER,
                                            .message = &snapshot_header_record_message,
                                            .value = &header,
                                            .time_ms = last_ms,
                                            .epoch = epoch},
                          ret);
}

enum error snapshot_encode_footer(struct arena *arena, int32_t epoch, int64_t last_ms,
                                  int64_t base_offset, struct bytes *ret)
{
    struct snapshot_footer_record footer;
    message_set_defaults(&snapshot_footer_record_message, &footer);
    return encode_control(arena,
                          &(struct control){.type = CONTROL_SNAPSHOT_FOOTER,
                                            .message = &snapshot_footer_record_message,
                                            .value = &footer,
                                            .base_offset = base_offset,
                                            .time_ms = last_ms,
                                            .epoch = epoch},
                          ret);
}

/* ---- judging ------------------------------------------------------------------------------ */

/* The first record of a control batch, if its key says `type`. */
static bool is_control(const struct batch *batch, int16_t type, struct record *ret)
{
    struct batch_iterator iterator;
    return (batch->attributes & BATCH_CONTROL) && (batch->attributes & BATCH_CODEC_MASK) == 0 &&
           batch_iterate(batch, NULL, &iterator) == ERROR_NONE && batch_next(&iterator, ret) &&
           ret->key.size >= 4 && (int16_t)load_be16(ret->key.data + 2) == type;
}

/* The time that the header's record says; -1 if it can't be read. */
static int64_t header_time(const struct record *record)
{
    struct snapshot_header_record header;
    struct reader reader;
    struct arena arena;
    arena_init(&arena, 4096);
    reader_init(&reader, record->value.data,
                record->value.size > 0 ? (size_t)record->value.size : 0);
    enum error error = message_decode(&snapshot_header_record_message, 0, &reader, &arena, &header);
    arena_done(&arena);
    return error ? -1 : header.last_contained_log_timestamp;
}

int64_t snapshot_header_time(const uint8_t *data, size_t size)
{
    struct batch batch;
    struct record record;
    bool read = batch_view(data, size, &batch) == ERROR_NONE &&
                batch_check_crc(&batch) == ERROR_NONE &&
                is_control(&batch, CONTROL_SNAPSHOT_HEADER, &record);
    return read ? header_time(&record) : -1;
}

bool snapshot_check(const uint8_t *data, size_t size, struct snapshot_report *ret)
{
    *ret = (struct snapshot_report){.last_ms = -1};
    int64_t next_offset = 0;
    bool ended = false;
    size_t at = 0;
    for (; at < size && !ret->fault;) {
        struct batch batch;
        struct record record;
        ret->position = (int64_t)at;
        if (ended)
            ret->fault = "bytes follow its footer";
        else if (batch_view(data + at, size - at, &batch) != ERROR_NONE)
            ret->fault = "a batch that is cut or is none";
        else if (batch_check_crc(&batch) != ERROR_NONE)
            ret->fault = "a batch whose CRC is wrong";
        else if (batch.base_offset != next_offset || batch.last_offset_delta < 0)
            ret->fault = "offsets that do not follow one another";
        else if (at == 0 && !is_control(&batch, CONTROL_SNAPSHOT_HEADER, &record))
            ret->fault = "it does not begin with a header of snapshots";
        if (ret->fault)
            break;
        if (at == 0)
            ret->last_ms = header_time(&record);
        ended = is_control(&batch, CONTROL_SNAPSHOT_FOOTER, &record);
        ret->records += batch.attributes & BATCH_CONTROL ? 0 : batch.count;
        next_offset = batch_last_offset(&batch) + 1;
        at += (size_t)batch.whole.size;
    }
    if (!ret->fault && !ended) {
        ret->position = (int64_t)at;
        ret->fault = "it ends without a footer: it was not written to its end";
    }
    return !ret->fault;
}
