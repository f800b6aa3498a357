#include "base/arena.h"
#include "base/memory.h"
#include "protocol/batch.h"
#include "support/test.h"
#include "tools/bench.h"

/* Decodes a frame and checks every batch in it; marks the partitions. Returns their number. */
static int32_t check_frame(const struct bench_frames *frames, int32_t index, int64_t batch_bytes,
                           int *hits)
{
    const struct bench_frame *frame = &frames->frames[index];
    EQ(load_be32(frame->data), frame->size - 4);
    struct reader reader;
    reader_init(&reader, frame->data + 4, frame->size - 4);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct request_header header;
    struct produce_request request;
    EQ(request_header_decode(&reader, &arena, &header), ERROR_NONE);
    EQ(header.request_api_version, frames->version);
    EQ(message_decode_whole(&produce_request_message, frames->version, &reader, &arena, &request),
       ERROR_NONE);
    EQ(request.acks, -1);
    int32_t count = request.topic_data[0].partition_data_count;
    for (int32_t i = 0; i < count; i++) {
        const struct produce_request_partition_produce_data *data =
            &request.topic_data[0].partition_data[i];
        hits[data->index]++;
        struct batch batch;
        EQ(batch_view(data->records.whole.data, (size_t)data->records.whole.size, &batch),
           ERROR_NONE);
        EQ(batch_check_crc(&batch), ERROR_NONE);
        EQ(batch.whole.size, data->records.whole.size);
        TRUE_(batch.whole.size <= batch_bytes && batch.whole.size >= batch_bytes - 8);
        struct batch_iterator iterator;
        struct record record;
        int32_t records = 0;
        EQ(batch_iterate(&batch, NULL, &iterator), ERROR_NONE);
        while (batch_next(&iterator, &record))
            records++;
        EQ(iterator.reader.error, ERROR_NONE);
        EQ(records, batch.count);
    }
    arena_done(&arena);
    return count;
}

TEST(bench_frames, go_over_every_partition_with_good_batches)
{
    static const struct {
        int32_t partitions;
        int64_t per_request, batch_bytes;
        int32_t frames;
    } cases[] = {{1, 0, 100, 1},   {16, 0, 16384, 1}, {16, 4, 200, 4},
                 {10, 3, 1000, 4}, {5, 9, 80, 1},     {3, 1, 262144, 3}};
    for (int c = 0; c < (int)(sizeof cases / sizeof *cases); c++)
        for (int16_t version = 3; version <= 13; version++) {
            struct bench_settings settings = {.request = BENCH_PRODUCE,
                                              .per_request = cases[c].per_request,
                                              .batch_bytes = cases[c].batch_bytes,
                                              .record_bytes = 1000,
                                              .acks = -1};
            struct metadata_topic topic = {
                .name = (char *)"t", .id = {{1}}, .partition_count = cases[c].partitions};
            struct bench_frames frames;
            bench_frames_build(&frames, &settings, &topic, version);
            EQ(frames.count, cases[c].frames);
            int hits[16] = {0};
            for (int32_t i = 0; i < frames.count; i++)
                EQ(check_frame(&frames, i, cases[c].batch_bytes, hits), frames.frames[i].batches);
            for (int32_t i = 0; i < cases[c].partitions; i++)
                TRUE_(hits[i] >= 1 && hits[i] <= 2);
            bench_frames_done(&frames);
        }
}

TEST(bench_frames, the_smallest_request_is_a_header)
{
    struct bench_settings settings = {.request = BENCH_API_VERSIONS};
    struct bench_frames frames;
    bench_frames_build(&frames, &settings, NULL, 0);
    EQ(frames.count, 1);
    EQ(frames.frames[0].size, 4 + 2 + 2 + 4 + 2 + 10);
    EQ(frames.frames[0].batches, 0);
    bench_frames_done(&frames);
}
