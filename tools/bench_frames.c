/* The requests that the generator replays. */
#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "protocol/batch.h"
#include "tools/bench.h"
#include <time.h>

static int64_t wall_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* The largest value of a record that fits into `left_bytes` of the batch; -1 if none does. */
static int32_t value_that_fits(const struct batch_builder *builder, struct record record,
                               int64_t left_bytes)
{
    for (int64_t size = left_bytes; size >= 0; size--) {
        record.value.size = (int32_t)size;
        if ((int64_t)record_size(builder, &record) <= left_bytes)
            return (int32_t)size;
        if (size < left_bytes - 32)
            break;
    }
    return -1;
}

/* Words of 3 to 10 letters out of 256, in random order. */
static void fill_with_words(uint8_t *text, size_t size, struct random *random)
{
    uint8_t words[256][10];
    for (int i = 0; i < 256; i++)
        for (int j = 0; j < 10; j++)
            words[i][j] = (uint8_t)('a' + random_below(random, 26));
    for (size_t at = 0; at < size;) {
        const uint8_t *word = words[random_below(random, 256)];
        size_t length = 3 + word[0] % 8;
        for (size_t i = 0; i < length && at < size; i++)
            text[at++] = word[i];
        if (at < size)
            text[at++] = ' ';
    }
}

/* In place, if that makes it smaller. */
static void compress_batch(struct batch_builder *builder, enum codec codec)
{
    struct arena arena;
    struct batch batch;
    struct bytes packed;
    arena_init(&arena, 16 * builder->size_bytes + (8u << 20));
    enum error error = batch_view(builder->data, builder->size_bytes, &batch);
    if (!error)
        error = batch_recode(&batch, codec, codec_usual_level(codec), &arena, &packed);
    check(!error);
    if ((size_t)packed.size < builder->size_bytes) {
        memcpy(builder->data, packed.data, (size_t)packed.size);
        builder->size_bytes = (size_t)packed.size;
    }
    arena_done(&arena);
}

/* Fills a batch of at most `batch_bytes` with records of `record_bytes`; the last one is as long as
 * the rest. The values are random bytes of 6 bits: no disk makes them smaller than 3/4. With a
 * codec they are words, which each codec makes smaller. */
static void build_batch(struct batch_builder *builder, const struct bench_settings *settings)
{
    size_t capacity = (size_t)settings->batch_bytes;
    batch_builder_init(builder, memory_zeroed(capacity), capacity);
    uint8_t *value = memory_zeroed(capacity);
    struct random random;
    random_seed(&random, 1);
    for (size_t i = 0; i < capacity; i++)
        value[i] = (uint8_t)(' ' + random_below(&random, 64));
    if (settings->codec != CODEC_NONE)
        fill_with_words(value, capacity, &random);
    struct record record = {.timestamp = wall_ms(), .key = BYTES_NULL, .headers_count = 0};
    for (;;) {
        int64_t left = settings->batch_bytes - (int64_t)builder->size_bytes;
        int32_t size = value_that_fits(builder, record, left);
        if (size < 0 && builder->count)
            break;
        check(size >= 0);
        /* The rest is not split when one of the two would be shorter than half a record. */
        if (size > settings->record_bytes + settings->record_bytes / 2)
            size = (int32_t)settings->record_bytes;
        record.value = (struct bytes){value, size};
        enum error error = batch_builder_add(builder, &record);
        check(!error);
    }
    batch_builder_end(builder, &BATCH_FIELDS_PLAIN);
    if (settings->codec != CODEC_NONE)
        compress_batch(builder, settings->codec);
    memory_free(value);
}

static void encode(struct bench_frame *frame, const struct api *api, int16_t version,
                   const void *message)
{
    struct writer writer;
    writer_init(&writer, NULL, 0);
    for (int pass = 0; pass < 2; pass++) {
        write_i32(&writer, pass ? (int32_t)frame->size - 4 : 0);
        enum error error = request_header_encode(&writer, api, version, 0, STRING("bole-bench"));
        if (!error)
            error = message_encode(api->request, version, &writer, message);
        check(!error);
        if (pass)
            break;
        frame->size = writer.size;
        frame->data = memory_aligned(64, writer.size);
        writer_init(&writer, frame->data, frame->size);
    }
}

static void build_produce(struct bench_frames *frames, const struct bench_settings *settings,
                          const struct metadata_topic *topic)
{
    int32_t partitions = topic->partition_count;
    int32_t each = settings->per_request ? (int32_t)settings->per_request : partitions;
    each = each < partitions ? each : partitions;
    struct batch_builder batch;
    build_batch(&batch, settings);
    frames->batch_bytes = (int64_t)batch.size_bytes;
    frames->count = (partitions + each - 1) / each;
    frames->frames = memory_zeroed((size_t)frames->count * sizeof *frames->frames);
    struct produce_request_partition_produce_data *data =
        memory_zeroed((size_t)each * sizeof *data);
    for (int32_t f = 0; f < frames->count; f++) {
        for (int32_t i = 0; i < each; i++) {
            message_set_defaults(&produce_request_partition_produce_data_message, &data[i]);
            data[i].index = (f * each + i) % partitions;
            data[i].records.whole = (struct bytes){batch.data, (int32_t)batch.size_bytes};
        }
        struct produce_request_topic_produce_data topic_data;
        message_set_defaults(&produce_request_topic_produce_data_message, &topic_data);
        topic_data.name = string_of(topic->name);
        topic_data.topic_id = topic->id;
        topic_data.partition_data = data;
        topic_data.partition_data_count = each;
        struct produce_request request;
        message_set_defaults(&produce_request_message, &request);
        request.acks = (int16_t)settings->acks;
        request.timeout_ms = 30000;
        request.topic_data = &topic_data;
        request.topic_data_count = 1;
        frames->frames[f].batches = each;
        encode(&frames->frames[f], frames->api, frames->version, &request);
    }
    memory_free(data);
    memory_free(batch.data);
}

void bench_frames_build(struct bench_frames *frames, const struct bench_settings *settings,
                        const struct metadata_topic *topic, int16_t version)
{
    static const enum api_key keys[] = {[BENCH_PRODUCE] = API_PRODUCE,
                                        [BENCH_API_VERSIONS] = API_API_VERSIONS,
                                        [BENCH_METADATA] = API_METADATA};
    *frames = (struct bench_frames){.api = api_find((int16_t)keys[settings->request]),
                                    .version = version};
    if (settings->request == BENCH_PRODUCE) {
        build_produce(frames, settings, topic);
        return;
    }
    frames->count = 1;
    frames->frames = memory_zeroed(sizeof *frames->frames);
    if (settings->request == BENCH_API_VERSIONS) {
        struct api_versions_request request;
        message_set_defaults(&api_versions_request_message, &request);
        encode(&frames->frames[0], frames->api, version, &request);
    } else {
        struct metadata_request request; /* an empty list: brokers only */
        message_set_defaults(&metadata_request_message, &request);
        encode(&frames->frames[0], frames->api, version, &request);
    }
}

void bench_frames_done(struct bench_frames *frames)
{
    for (int32_t i = 0; i < frames->count; i++)
        memory_free(frames->frames[i].data);
    memory_free(frames->frames);
    frames->frames = NULL;
    frames->count = 0;
}
