#pragma once
/* Record batches of magic 2 (KIP-98): the unit that is produced, stored and fetched.
 *
 *  offset size
 *       0    8  base offset                     set by the leader; not in the CRC
 *       8    4  length of all that follows
 *      12    4  partition leader epoch          set by the leader; not in the CRC
 *      16    1  magic, 2
 *      17    4  CRC-32C of all that follows
 *      21    2  attributes: bits 0-2 codec, 3 append time, 4 transactional, 5 control, 6 horizon
 *      23    4  last offset delta
 *      27    8  base timestamp
 *      35    8  max timestamp
 *      43    8  producer id, -1 none
 *      51    2  producer epoch
 *      53    4  base sequence
 *      57    4  number of records
 *      61    -  records, compressed as a whole if the codec is not 0
 *
 * A record: varint length, int8 attributes, varlong timestamp delta, varint offset delta, key and
 * value (varint size, -1 null), varint number of headers, and of each key and value likewise. */
#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/reader.h"
#include "base/writer.h"
#include "codec/codec.h"

enum {
    BATCH_LENGTH_AT = 8,
    BATCH_LEADER_EPOCH_AT = 12,
    BATCH_MAGIC_AT = 16,
    BATCH_CRC_AT = 17,
    BATCH_ATTRIBUTES_AT = 21, /* the CRC covers from here to the end */
    BATCH_LAST_OFFSET_DELTA_AT = 23,
    BATCH_BASE_TIMESTAMP_AT = 27,
    BATCH_MAX_TIMESTAMP_AT = 35,
    BATCH_PRODUCER_ID_AT = 43,
    BATCH_PRODUCER_EPOCH_AT = 51,
    BATCH_BASE_SEQUENCE_AT = 53,
    BATCH_COUNT_AT = 57,
    BATCH_RECORDS_AT = 61, /* size of the header */
    BATCH_OVERHEAD = 12,   /* what `length` leaves out */
};

enum {
    BATCH_CODEC_MASK = 7,
    BATCH_APPEND_TIME = 8,
    BATCH_TRANSACTIONAL = 16,
    BATCH_CONTROL = 32,
    BATCH_DELETE_HORIZON = 64, /* base timestamp is the time at which tombstones may go (KIP-534) */
};

/* A batch seen through its header. Borrows the bytes. */
struct batch {
    struct bytes whole; /* header and records */
    int64_t base_offset;
    int32_t leader_epoch;
    uint32_t crc;
    uint16_t attributes; /* all 16 bits as they are; Kafka keeps those without a meaning */
    int32_t last_offset_delta;
    int64_t base_timestamp, max_timestamp; /* milliseconds since 1970; -1 none */
    int64_t producer_id;                   /* -1 none */
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t count; /* of records */
};

struct record {
    int64_t offset;
    int64_t timestamp; /* milliseconds; the batch's max timestamp if it has append time */
    struct bytes key, value;
    struct bytes headers; /* as they lie there; walk them with record_next_header */
    int32_t headers_count;
};

struct record_header {
    struct bytes key; /* UTF-8 by convention, not checked; never null */
    struct bytes value;
};

/* Looks at the header of the batch at the beginning of `data`; more may follow it. Neither CRC nor
 * records are looked at. TRUNCATED if the batch does not end within `size`; CORRUPT_MESSAGE if its
 * length or magic can't be; UNSUPPORTED_FOR_MESSAGE_FORMAT for a message set of magic 0 or 1. */
enum error batch_view(const void *data, size_t size, struct batch *ret_batch);

/* Only the header, of which BATCH_RECORDS_AT bytes must be there; nothing is judged. `size_bytes`
 * is taken as that of the whole batch. */
void batch_view_header(const uint8_t *data, int32_t size_bytes, struct batch *ret_batch);

/* CORRUPT_MESSAGE unless the stored CRC is that of the bytes. */
enum error batch_check_crc(const struct batch *batch);

/* Of the batch whose header lies there: all its bytes, as its length says, and its last offset. */
static inline int64_t batch_size_at(const uint8_t *batch)
{
    return BATCH_OVERHEAD + (int64_t)(int32_t)load_be32(batch + BATCH_LENGTH_AT);
}

static inline int64_t batch_last_offset_at(const uint8_t *batch)
{
    return (int64_t)load_be64(batch) + (int32_t)load_be32(batch + BATCH_LAST_OFFSET_DELTA_AT);
}

static inline int64_t batch_last_offset(const struct batch *batch)
{
    return (int64_t)((uint64_t)batch->base_offset + (uint64_t)batch->last_offset_delta);
}

/* The sequence `count` records after `sequence`; from INT32_MAX it goes on at 0. -1 stays -1. */
static inline int32_t sequence_after(int32_t sequence, int32_t count)
{
    return sequence < 0 ? sequence : (int32_t)(((uint32_t)sequence + (uint32_t)count) & INT32_MAX);
}

/* Walks the records of a batch. Set up with batch_iterate. */
struct batch_iterator {
    const struct batch *batch;
    struct reader reader; /* its error says why batch_next stopped; NONE: at the end */
    int32_t index;        /* of the record that comes next */
};

/* Begins at the first record. A compressed batch is decompressed into the arena, whose budget
 * bounds it; `arena` may be null if the batch is not compressed. NO_MEMORY; INVALID_RECORD if the
 * compressed bytes are bad; UNSUPPORTED_COMPRESSION_TYPE. */
enum error batch_iterate(const struct batch *batch, struct arena *arena,
                         struct batch_iterator *ret_iterator);

/* The next record, borrowing from the batch (or the arena). False at the end and at an error: then
 * iterator->reader.error is TRUNCATED or MALFORMED, also if bytes are left after the last record.
 */
bool batch_next(struct batch_iterator *iterator, struct record *ret_record);

/* The next header of a record; `reader` begins at record.headers and this is called
 * record.headers_count times. */
void record_next_header(struct reader *reader, struct record_header *ret_header);

/* What a leader demands of a batch from a client. */
struct batch_rules {
    int64_t now_ms;                      /* wall clock */
    int64_t before_max_ms, after_max_ms; /* message.timestamp.before.max.ms, after.max.ms */
    int32_t size_max_bytes;              /* max.message.bytes, header and records */
    int32_t segment_max_bytes;           /* segment.bytes: a batch must fit into one */
    int32_t record_max_bytes;            /* max.decompressed.message.bytes, of one record */
    int16_t produce_version;             /* of the request: zstd from 7 on (KIP-110) */
    bool append_time;                    /* message.timestamp.type=LogAppendTime */
    bool keys_required;                  /* cleanup.policy has compact */
};

enum { BATCH_RECORD_ERRORS_MAX = 16 };

/* What came of a validation, good or bad. */
struct batch_report {
    struct batch batch;    /* if the batch is good */
    int64_t max_timestamp; /* of the records, or now with append time: to be stored */
    const char *text;      /* why it was refused, a sentence; null if it is good */
    int32_t records_count; /* entries of record_errors, the first so many that were refused */
    int32_t record_errors[BATCH_RECORD_ERRORS_MAX]; /* indexes in the batch */
};

/* Validates what a client sent for one partition as a leader must: exactly one batch, length, CRC,
 * attributes, count against offsets dense from 0, framing of every record, keys, timestamps.
 * Compressed batches are decompressed into `arena`. Changes nothing but `report`.
 * CORRUPT_MESSAGE, INVALID_RECORD, INVALID_TIMESTAMP, MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE,
 * UNSUPPORTED_FOR_MESSAGE_FORMAT, UNSUPPORTED_COMPRESSION_TYPE: for the partition's error code.
 * NO_MEMORY: the arena is too small. */
enum error batch_validate(struct bytes data, const struct batch_rules *rules, struct arena *arena,
                          struct batch_report *report);

/* Puts offset and leader epoch into the batch at `data`. The CRC leaves them out. */
void batch_assign(void *data, int64_t base_offset, int32_t leader_epoch);

/* Puts kind and value of the max timestamp into the batch at `data`, `size` bytes, and the CRC with
 * them; nothing if they are that already. */
void batch_stamp(void *data, size_t size, bool append_time, int64_t max_timestamp);

/* Makes a copy of the batch in the arena whose records are compressed with `codec` at `level`
 * (codec_compress), or plain, whatever they were; all else in the header stays, but length, codec
 * and CRC. INVALID_RECORD if the compressed bytes are bad; NO_MEMORY. */
enum error batch_recode(const struct batch *batch, enum codec codec, int level, struct arena *arena,
                        struct bytes *ret_batch);

/* Builds an uncompressed batch record by record in memory of the caller. */
struct batch_builder {
    uint8_t *data;
    size_t size_bytes, capacity;
    int32_t count;
    int64_t base_timestamp, max_timestamp;
};

/* What batch_builder_end puts into the header. */
struct batch_fields {
    int64_t base_offset;
    int32_t leader_epoch;
    int16_t attributes;
    int64_t producer_id; /* -1 none; then epoch and sequence are to be -1 too */
    int16_t producer_epoch;
    int32_t base_sequence;
};

/* For a batch of a producer without identity. */
#define BATCH_FIELDS_PLAIN                                                                         \
    ((struct batch_fields){                                                                        \
        .leader_epoch = -1, .producer_id = -1, .producer_epoch = -1, .base_sequence = -1})

/* `capacity` of at least BATCH_RECORDS_AT. */
void batch_builder_init(struct batch_builder *builder, void *data, size_t capacity);

/* Appends a record with the next offset; of `record` its timestamp, key, value and headers (raw, as
 * record_write_header makes them) count. NO_MEMORY if it does not fit: then nothing has changed. */
enum error batch_builder_add(struct batch_builder *builder, const struct record *record);

/* Writes the header; the batch is builder->data, builder->size_bytes. At least one record. */
void batch_builder_end(struct batch_builder *builder, const struct batch_fields *fields);

/* Appends one header to those of a record: `writer` collects what record.headers is to be. */
void record_write_header(struct writer *writer, const struct record_header *header);

/* Bytes that a record takes in a batch, its length included. */
size_t record_size(const struct batch_builder *builder, const struct record *record);
