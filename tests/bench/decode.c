/* What it costs to decode a Produce, to validate a batch and to take its CRC: nanoseconds, the best
 * of 21 rounds. */
#include "base/arena.h"
#include "base/memory.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"
#include "protocol/frame.h"
#include <stdio.h>
#include <time.h>

enum { ROUNDS = 21, BATCH_BYTES = 16384 };

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

#define MEASURE(name_, times_, ...)                                                                \
    do {                                                                                           \
        int64_t best = INT64_MAX;                                                                  \
        for (int round = 0; round < ROUNDS; round++) {                                             \
            int64_t begin = now_ns();                                                              \
            for (int time_ = 0; time_ < (times_); time_++) {                                       \
                __VA_ARGS__;                                                                       \
            }                                                                                      \
            best = min_i64(best, now_ns() - begin);                                                \
        }                                                                                          \
        printf("%-44s %10.1f ns\n", name_, (double)best / (times_));                               \
    } while (0)

static size_t make_batch(uint8_t *memory, size_t record_bytes, size_t batch_bytes)
{
    struct batch_builder builder;
    uint8_t *value = memory_zeroed(record_bytes);
    struct record record = {.timestamp = 1700000000000,
                            .key = {(const uint8_t *)"key-0001", 8},
                            .value = {value, (int32_t)record_bytes}};
    batch_builder_init(&builder, memory, batch_bytes);
    while (batch_builder_add(&builder, &record) == ERROR_NONE)
        record.timestamp++;
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    memory_free(value);
    return builder.size_bytes;
}

/* A Produce with `partitions` of one topic, each with the same records. */
static size_t make_produce(uint8_t *frame, size_t capacity, int16_t version, int32_t partitions,
                           struct bytes records)
{
    struct produce_request_partition_produce_data *data =
        memory_zeroed((size_t)partitions * sizeof *data);
    for (int32_t i = 0; i < partitions; i++) {
        data[i].index = i;
        data[i].records.whole = records;
    }
    struct produce_request_topic_produce_data topic = {
        .name = STRING("measurements"), .partition_data = data, .partition_data_count = partitions};
    struct produce_request request = {.transactional_id = STRING_NULL,
                                      .acks = -1,
                                      .timeout_ms = 30000,
                                      .topic_data = &topic,
                                      .topic_data_count = 1};
    struct writer writer;
    writer_init(&writer, frame, capacity);
    if (message_encode(&produce_request_message, version, &writer, &request) != ERROR_NONE)
        writer.size = 0;
    memory_free(data);
    return writer.size;
}

static void measure_produce(struct arena *arena, int16_t version, int32_t partitions)
{
    static const uint8_t little[64];
    size_t capacity = 1 << 20;
    uint8_t *frame = memory_zeroed(capacity);
    size_t size =
        make_produce(frame, capacity, version, partitions, (struct bytes){little, sizeof little});
    struct produce_request request;
    struct reader reader;
    char name[64];
    int times = 200000 / partitions;
    snprintf(name, sizeof name, "decode Produce v%d, %d partitions", version, (int)partitions);
    MEASURE(name, times, arena_reset(arena, 1 << 20); reader_init(&reader, frame, size);
            if (message_decode_whole(&produce_request_message, version, &reader, arena, &request))
                printf("failed\n"));
    memory_free(frame);
}

static void measure_batch(struct arena *arena, size_t record_bytes)
{
    uint8_t *memory = memory_zeroed(BATCH_BYTES);
    size_t size = make_batch(memory, record_bytes, BATCH_BYTES);
    struct batch_rules rules = {.now_ms = 1700000000000,
                                .before_max_ms = INT64_MAX,
                                .after_max_ms = 3600000,
                                .size_max_bytes = 1 << 20,
                                .segment_max_bytes = INT32_MAX,
                                .record_max_bytes = INT32_MAX,
                                .produce_version = 13};
    struct batch_report report;
    char name[64];
    snprintf(name, sizeof name, "validate 16 KiB of %zu-byte values", record_bytes);
    MEASURE(name, 2000,
            if (batch_validate((struct bytes){memory, (int32_t)size}, &rules, arena, &report))
                printf("failed\n"));
    memory_free(memory);
}

/* Lines of a log, so that there is something to compress. */
static size_t make_lines(uint8_t *memory, size_t batch_bytes)
{
    struct batch_builder builder;
    struct record record = {.timestamp = 1700000000000, .key = BYTES_NULL};
    batch_builder_init(&builder, memory, batch_bytes);
    for (int i = 0;; i++) {
        char line[128];
        int size = snprintf(line, sizeof line,
                            "2026-11-23T00:00:%02d.%03dZ INFO request %08x served in %d us",
                            i / 7 % 60, i * 37 % 1000, (unsigned)i * 2654435761u, 100 + i % 899);
        record.value = (struct bytes){(const uint8_t *)line, size};
        if (batch_builder_add(&builder, &record) != ERROR_NONE)
            break;
    }
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    return builder.size_bytes;
}

static void measure_codec(enum codec codec)
{
    struct arena kept, arena;
    struct batch batch;
    struct bytes packed;
    struct batch_rules rules = {.now_ms = 1700000000000,
                                .before_max_ms = INT64_MAX,
                                .after_max_ms = 3600000,
                                .size_max_bytes = 1 << 20,
                                .segment_max_bytes = INT32_MAX,
                                .record_max_bytes = INT32_MAX,
                                .produce_version = 13};
    struct batch_report report;
    char name[64];
    uint8_t *memory = memory_zeroed(BATCH_BYTES);
    arena_init(&kept, SIZE_MAX);
    arena_init(&arena, SIZE_MAX);
    size_t size = make_lines(memory, BATCH_BYTES);
    if (batch_view(memory, size, &batch) ||
        batch_recode(&batch, codec, codec_usual_level(codec), &kept, &packed))
        printf("failed\n");
    snprintf(name, sizeof name, "validate 16 KiB of lines, %s (%d bytes)", codec_name(codec),
             (int)packed.size);
    MEASURE(name, 200, arena_reset(&arena, 1 << 20);
            if (batch_validate(packed, &rules, &arena, &report)) printf("failed\n"));
    arena_done(&kept);
    arena_done(&arena);
    memory_free(memory);
}

int main(void)
{
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    for (int32_t partitions = 1; partitions <= 1000; partitions *= 10) {
        measure_produce(&arena, 8, partitions);
        measure_produce(&arena, 12, partitions);
    }
    uint8_t *memory = memory_zeroed(BATCH_BYTES);
    uint32_t crc = 0;
    MEASURE("CRC-32C of 16 KiB", 2000, crc = crc32c(crc, memory, BATCH_BYTES));
    memory_free(memory);
    measure_batch(&arena, 16000);
    measure_batch(&arena, 1000);
    measure_batch(&arena, 100);
    measure_batch(&arena, 10);
    for (int codec = CODEC_NONE; codec < CODECS_END; codec++)
        measure_codec((enum codec)codec);
    arena_done(&arena);
    return crc == 1;
}
