#include "base/memory.h"
#include "protocol/frame.h"
#include "support/test.h"

static struct arena arena_of(size_t budget_bytes)
{
    struct arena arena;
    arena_init(&arena, budget_bytes);
    return arena;
}

/* One topic, one partition, records of three bytes, version 9 (flexible). */
static const uint8_t produce_v9[] = {0, 0xff, 0xff, 0, 0, 0x75, 0x30, /* null, -1, 30000 */
                                     2, 2,    't',                    /* one topic "t" */
                                     2, 0,    0,    0, 7, 4,    'a',  'b', 'c', 0, /* partition 7 */
                                     0, 0};

TEST(message, decodes_one_partition_of_a_produce)
{
    struct arena arena = arena_of(4096);
    struct reader reader;
    struct produce_request request;
    reader_init(&reader, produce_v9, sizeof produce_v9);
    EQ(message_decode_whole(&produce_request_message, 9, &reader, &arena, &request), ERROR_NONE);
    EQ(request.transactional_id.size, -1);
    EQ(request.acks, -1);
    EQ(request.timeout_ms, 30000);
    EQ(request.topic_data_count, 1);
    EQ(request.topic_data[0].name.size, 1);
    EQ(request.topic_data[0].partition_data_count, 1);
    struct produce_request_partition_produce_data *data = request.topic_data[0].partition_data;
    EQ(data->index, 7);
    EQ(data->records.whole.size, 3);
    TRUE_(data->records.whole.data == produce_v9 + 16); /* borrowed, not copied */
    arena_done(&arena);
}

TEST(message, encodes_to_the_bytes_it_was_decoded_from)
{
    struct arena arena = arena_of(4096);
    struct reader reader;
    struct produce_request request;
    uint8_t bytes[64];
    struct writer writer;
    reader_init(&reader, produce_v9, sizeof produce_v9);
    EQ(message_decode(&produce_request_message, 9, &reader, &arena, &request), ERROR_NONE);
    EQ(message_size(&produce_request_message, 9, &request), sizeof produce_v9);
    writer_init(&writer, bytes, sizeof bytes);
    EQ(message_encode(&produce_request_message, 9, &writer, &request), ERROR_NONE);
    EQ(writer.size, sizeof produce_v9);
    EQ_BYTES(bytes, produce_v9, sizeof produce_v9);
    arena_done(&arena);
}

TEST(message, every_cut_is_an_error)
{
    struct arena arena = arena_of(4096);
    for (size_t size = 0; size < sizeof produce_v9; size++) {
        uint8_t *copy = memory_aligned(16, size + 1); /* so that ASan sees a byte too far */
        memcpy(copy, produce_v9, size);
        struct reader reader;
        struct produce_request request;
        reader_init(&reader, copy, size);
        TRUE_(message_decode(&produce_request_message, 9, &reader, &arena, &request) != ERROR_NONE);
        memory_free(copy);
        arena_reset(&arena, 4096);
    }
    arena_done(&arena);
}

TEST(message, one_byte_too_many_is_trailing)
{
    struct arena arena = arena_of(4096);
    uint8_t bytes[sizeof produce_v9 + 1] = {0};
    struct reader reader;
    struct produce_request request;
    memcpy(bytes, produce_v9, sizeof produce_v9);
    reader_init(&reader, bytes, sizeof bytes);
    EQ(message_decode_whole(&produce_request_message, 9, &reader, &arena, &request),
       ERROR_TRAILING_BYTES);
    arena_done(&arena);
}

TEST(message, a_huge_count_allocates_nothing)
{
    static const uint8_t classic[] = {0xff, 0xff, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0};
    static const uint8_t compact[] = {0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0};
    struct arena arena = arena_of(SIZE_MAX);
    struct reader reader;
    struct produce_request request;
    reader_init(&reader, classic, sizeof classic);
    TRUE_(message_decode(&produce_request_message, 3, &reader, &arena, &request) != ERROR_NONE);
    EQ(arena.used_bytes, 0);
    reader_init(&reader, compact, sizeof compact);
    TRUE_(message_decode(&produce_request_message, 9, &reader, &arena, &request) != ERROR_NONE);
    EQ(arena.used_bytes, 0);
    arena_done(&arena);
}

TEST(message, a_spent_budget_is_no_memory)
{
    struct arena arena = arena_of(10);
    struct reader reader;
    struct produce_request request;
    reader_init(&reader, produce_v9, sizeof produce_v9);
    EQ(message_decode(&produce_request_message, 9, &reader, &arena, &request), ERROR_NO_MEMORY);
    arena_done(&arena);
}

TEST(message, gathers_records_without_copying)
{
    struct bytes parts[] = {{(const uint8_t *)"abc", 3}, {(const uint8_t *)"de", 2}};
    struct fetch_response_partition_data partition;
    struct fetch_response_fetchable_topic_response topic = {
        .topic = STRING("t"), .partitions = &partition, .partitions_count = 1};
    struct fetch_response response = {.responses = &topic, .responses_count = 1};
    memset(&partition, 0, sizeof partition);
    partition.diverging_epoch.epoch = partition.current_leader.leader_epoch = -1;
    partition.current_leader.leader_id = partition.preferred_read_replica = -1;
    partition.diverging_epoch.end_offset = partition.snapshot_id.end_offset = -1;
    partition.snapshot_id.epoch = -1;
    partition.records = (struct records){{NULL, 5}, parts, 2};

    uint8_t flat[256], apart[256];
    struct writer writer;
    struct gather gather;
    struct bytes slices[8];
    writer_init(&writer, flat, sizeof flat);
    EQ(message_encode(&fetch_response_message, 12, &writer, &response), ERROR_NONE);
    size_t flat_size = writer.size;

    writer_init(&writer, NULL, 0);
    gather_init(&gather, NULL, 0, &writer);
    EQ(message_encode_gather(&fetch_response_message, 12, &writer, &gather, &response), ERROR_NONE);
    EQ(writer.size, flat_size - 5);
    EQ(gather.count, 4);

    writer_init(&writer, apart, sizeof apart);
    gather_init(&gather, slices, 8, &writer);
    EQ(message_encode_gather(&fetch_response_message, 12, &writer, &gather, &response), ERROR_NONE);
    EQ(gather.count, 4);
    EQ(gather.size_bytes, flat_size);
    TRUE_(slices[1].data == parts[0].data && slices[2].data == parts[1].data);
    size_t at = 0;
    for (int i = 0; i < gather.count; i++) {
        EQ_BYTES(slices[i].data, flat + at, (size_t)slices[i].size);
        at += (size_t)slices[i].size;
    }
    EQ(at, flat_size);
}

TEST(message, refuses_a_field_that_the_version_lacks)
{
    struct heartbeat_request request;
    message_set_defaults(&heartbeat_request_message, &request);
    EQ(message_size(&heartbeat_request_message, 0, &request), 8);
    request.group_instance_id = STRING("static");
    struct writer writer;
    writer_init(&writer, NULL, 0);
    EQ(message_encode(&heartbeat_request_message, 0, &writer, &request), ERROR_UNSUPPORTED_VERSION);
    EQ(message_size(&heartbeat_request_message, 0, &request), 0);
    EQ(message_size(&heartbeat_request_message, 3, &request), 8 + 2 + 6);
}

TEST(message, tags_twice_or_beyond_the_frame_are_refused)
{
    static const uint8_t twice[] = {0, 0, 0, 0, 0, 0, 0, 2, 9, 1, 'x', 9, 1, 'y'};
    static const uint8_t once[] = {0, 0, 0, 0, 0, 0, 1, 9, 1, 'x'};
    static const uint8_t beyond[] = {0, 0, 0, 0, 0, 0, 1, 9, 2, 'x'};
    struct arena arena = arena_of(4096);
    struct reader reader;
    struct heartbeat_response response;
    reader_init(&reader, once, sizeof once);
    EQ(message_decode_whole(&heartbeat_response_message, 4, &reader, &arena, &response),
       ERROR_NONE);
    EQ(response.unknown_tags.count, 1);
    reader_init(&reader, beyond, sizeof beyond);
    EQ(message_decode(&heartbeat_response_message, 4, &reader, &arena, &response), ERROR_TRUNCATED);
    reader_init(&reader, twice + 1, sizeof twice - 1);
    EQ(message_decode(&heartbeat_response_message, 4, &reader, &arena, &response), ERROR_MALFORMED);
    arena_done(&arena);
}

TEST(frame, headers_follow_the_body)
{
    const struct api *produce = api_find(API_PRODUCE), *versions = api_find(API_API_VERSIONS);
    EQ(request_header_version(produce, 8), 1);
    EQ(request_header_version(produce, 9), 2);
    EQ(response_header_version(produce, 9), 1);
    EQ(request_header_version(versions, 3), 2);
    EQ(response_header_version(versions, 3), 0);
    EQ(request_header_version(NULL, 0), 1);
    EQ_TEXT(api_name(43), "ElectLeaders");
    EQ_TEXT(api_name(4), "UNKNOWN");
    EQ(api_find(API_INIT_PRODUCER_ID)->newest_stable, 5);
}

TEST(frame, reads_a_request_header)
{
    static const uint8_t bytes[] = {0, 0, 0, 9, 0, 0, 0, 5, 0, 2, 'i', 'd', 0};
    struct arena arena = arena_of(4096);
    struct reader reader;
    struct request_header header;
    reader_init(&reader, bytes, sizeof bytes);
    EQ(request_header_decode(&reader, &arena, &header), ERROR_NONE);
    EQ(header.correlation_id, 5);
    TRUE_(string_equal(header.client_id, STRING("id")));
    EQ(reader_left(&reader), 0);
    struct writer writer;
    uint8_t again[32];
    writer_init(&writer, again, sizeof again);
    EQ(request_header_encode(&writer, api_find(0), 9, 5, STRING("id")), ERROR_NONE);
    EQ(writer.size, sizeof bytes);
    EQ_BYTES(again, bytes, sizeof bytes);
    arena_done(&arena);
}

TEST(frame, an_unknown_version_keeps_the_correlation_id)
{
    static const uint8_t bytes[] = {0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff};
    struct arena arena = arena_of(4096);
    struct reader reader;
    struct request_header header;
    reader_init(&reader, bytes, sizeof bytes);
    EQ(request_header_decode(&reader, &arena, &header), ERROR_UNSUPPORTED_VERSION);
    EQ(header.request_api_key, 18);
    EQ(header.request_api_version, 99);
    EQ(header.correlation_id, 5);
    arena_done(&arena);
}
