#include "cluster/snapshot_file.h"
#include "protocol/batch.h"
#include "protocol/messages.h"
#include <stdio.h>
#include <string.h>

enum { OFFSET_DIGITS = 20, EPOCH_DIGITS = 10 };

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

enum error snapshot_encode_header(struct arena *arena, const struct quorum *quorum, int32_t epoch,
                                  int64_t last_ms, struct bytes *ret)
{
    struct snapshot_header_record header;
    message_set_defaults(&snapshot_header_record_message, &header);
    header.last_contained_log_timestamp = last_ms;
    struct control controls[3] = {
        {CONTROL_SNAPSHOT_HEADER, &snapshot_header_record_message, &header}};
    int32_t count = 1 + quorum_controls(quorum, arena, controls + 1);
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    fields.leader_epoch = epoch;
    return control_encode(arena, controls, count, last_ms, &fields, ret);
}

enum error snapshot_encode_footer(struct arena *arena, int32_t epoch, int64_t last_ms,
                                  int64_t base_offset, struct bytes *ret)
{
    struct snapshot_footer_record footer;
    message_set_defaults(&snapshot_footer_record_message, &footer);
    struct control control = {CONTROL_SNAPSHOT_FOOTER, &snapshot_footer_record_message, &footer};
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    fields.leader_epoch = epoch;
    fields.base_offset = base_offset;
    return control_encode(arena, &control, 1, last_ms, &fields, ret);
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
