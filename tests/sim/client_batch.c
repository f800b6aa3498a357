#include "sim/client_batch.h"
#include "base/check.h"
#include "base/memory.h"
#include "codec/crc32c.h"
#include "sim/broker_sim.h"
#include "sim/client_keys.h"

enum { ZSTD_FROM = 7, DAY_MS = 86400000, JITTER_MS = 1000 };

static int64_t draw_time(struct client *client, enum batch_lie lie)
{
    int64_t now_ms = client->core.now.wall_ms;
    if (lie == LIE_TIME_AHEAD)
        return now_ms + DAY_MS;
    if (lie == LIE_TIME_BEHIND)
        return now_ms - 2 * DAY_MS;
    return now_ms + random_between(&client->random, -JITTER_MS, JITTER_MS);
}

enum error client_batch_verdict(const struct client_batch *batch, int16_t version)
{
    const struct model_rules *rules = batch->partition->topic->rules;
    if (batch->codec == CODEC_ZSTD && version < ZSTD_FROM)
        return ERROR_UNSUPPORTED_COMPRESSION_TYPE;
    if (batch->size_bytes > rules->size_max_bytes)
        return ERROR_MESSAGE_TOO_LARGE;
    switch (batch->lie) {
    case LIE_CRC:
        return ERROR_CORRUPT_MESSAGE;
    case LIE_COUNT:
    case LIE_INNER_OFFSETS:
        return ERROR_INVALID_RECORD;
    case LIE_TIME_AHEAD:
        return rules->append_time ? ERROR_NONE : ERROR_INVALID_TIMESTAMP;
    case LIE_TIME_BEHIND:
        return rules->append_time || !rules->old_is_refused ? ERROR_NONE : ERROR_INVALID_TIMESTAMP;
    default:
        return ERROR_NONE;
    }
}

bool client_batch_may_fail(const struct client_batch *batch, int16_t version, int16_t acks,
                           int64_t segment_bytes, enum error error)
{
    const struct model_rules *rules = batch->partition->topic->rules;
    enum error verdict = client_batch_verdict(batch, version);
    bool recodes = rules->codec != MODEL_CODEC_SENT && rules->codec != (int)batch->codec;
    bool lacks_replicas = acks == -1 && rules->min_insync > 1;
    if (verdict != ERROR_NONE)
        return error == verdict;
    switch (error) {
    case ERROR_NONE:
        return !lacks_replicas;
    case ERROR_NOT_ENOUGH_REPLICAS:
        return lacks_replicas;
    case ERROR_KAFKA_STORAGE_ERROR:
    case ERROR_REQUEST_TIMED_OUT:
        return true;
    case ERROR_MESSAGE_TOO_LARGE:
        return recodes;
    case ERROR_RECORD_LIST_TOO_LARGE:
        return recodes || batch->size_bytes > segment_bytes;
    default:
        return false;
    }
}

/* ---- making one ---- */

static void redo_crc(uint8_t *data, int32_t size)
{
    store_be32(data + BATCH_CRC_AT,
               crc32c(0, data + BATCH_ATTRIBUTES_AT, (size_t)size - BATCH_ATTRIBUTES_AT));
}

/* The first record follows the header: length, attributes, no time after the base, offset. */
static void lie_about_offsets(uint8_t *data)
{
    uint8_t *at = data + BATCH_RECORDS_AT;
    while (*at++ & 0x80)
        ;
    check(at[1] == 0 && at[2] == 0);
    at[2] = 2; /* +1 */
}

static void lie_about_count(uint8_t *data, int32_t count)
{
    store_be32(data + BATCH_COUNT_AT, (uint32_t)count + 1);
    store_be32(data + BATCH_LAST_OFFSET_DELTA_AT, (uint32_t)count);
}

static void add_records(struct client *client, const struct client_batch_habits *habits,
                        struct batch_builder *builder, struct client_batch *batch)
{
    int32_t wanted = (int32_t)random_between(&client->random, 1, habits->records_max);
    uint8_t *value = memory_zeroed(habits->value_max);
    while (batch->count < wanted) {
        uint32_t size =
            (uint32_t)random_between(&client->random, MODEL_VALUE_MIN, habits->value_max);
        if (builder->size_bytes + size + 64 + 2 * MODEL_EXTRA_BYTES > CLIENT_BATCH_BYTES_MAX)
            break;
        struct model_bytes extras;
        struct record record = {.timestamp = draw_time(client, batch->lie),
                                .value = {value, (int32_t)size}};
        uint64_t uid =
            model_send(&client->sim->model, batch->partition, size, record.timestamp, batch->codec);
        model_value(uid, value, size);
        model_extras(&client->sim->model, uid, &extras, &record);
        if (model_is_tombstone(&client->sim->model, uid))
            record.value = BYTES_NULL;
        enum error error = batch_builder_add(builder, &record);
        check(error == ERROR_NONE);
        if (batch->count++ == 0)
            batch->first_uid = uid;
    }
    memory_free(value);
}

/* Compresses what was built, in place. */
static void pack(struct client_batch *batch, uint8_t *bytes)
{
    struct arena arena;
    struct batch view;
    struct bytes packed;
    if (batch->codec == CODEC_NONE)
        return;
    arena_init(&arena, 8 << 20);
    enum error error = batch_view(bytes, (size_t)batch->size_bytes, &view);
    if (!error)
        error = batch_recode(&view, batch->codec, codec_usual_level(batch->codec), &arena, &packed);
    check(error == ERROR_NONE && packed.size <= CLIENT_BATCH_SPACE);
    memcpy(bytes, packed.data, (size_t)packed.size);
    batch->size_bytes = packed.size;
    arena_done(&arena);
}

struct bytes client_batch_make(struct client *client, struct model_partition *partition,
                               const struct client_batch_habits *habits, uint8_t *bytes,
                               struct client_batch *ret_batch)
{
    struct batch_builder builder;
    struct client_batch *batch = ret_batch;
    *batch = (struct client_batch){.partition = partition};
    bool lies = habits->lie_once_in > 0 && random_once_in(&client->random, habits->lie_once_in);
    batch->lie = lies ? (enum batch_lie)random_between(&client->random, 1, LIES - 1) : LIE_NONE;
    batch->codec = habits->codec < CODECS_END
                       ? (enum codec)habits->codec
                       : (enum codec)random_below(&client->random, CODECS_END);
    batch_builder_init(&builder, bytes, CLIENT_BATCH_BYTES_MAX);
    add_records(client, habits, &builder, batch);
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    batch->size_bytes = (int32_t)builder.size_bytes;
    if (batch->lie == LIE_INNER_OFFSETS)
        lie_about_offsets(bytes);
    pack(batch, bytes);
    if (batch->lie == LIE_COUNT)
        lie_about_count(bytes, batch->count);
    redo_crc(bytes, batch->size_bytes);
    if (batch->lie == LIE_CRC)
        bytes[BATCH_CRC_AT] ^= 1;
    if (client_batch_verdict(batch, habits->version) != ERROR_NONE)
        for (int32_t i = 0; i < batch->count; i++)
            model_refuse(&client->sim->model, batch->first_uid + (uint64_t)i);
    return (struct bytes){bytes, batch->size_bytes};
}
