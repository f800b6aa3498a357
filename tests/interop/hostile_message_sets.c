/* Message sets of magic 0 and 1, as clients before 0.11 sent them: whole, with their own CRC, by
 * themselves, several in a row, and compressed ones with a set inside. They are an error of their
 * partition, by name, in every version of Produce that is served; nothing of them is kept. */
#include "codec/codec.h"
#include "interop/hostile.h"
#include "protocol/messages.h"
#include <zlib.h>

enum { MESSAGE_CRC_AT = 12, MESSAGE_MAGIC_AT = 16, SET_BYTES_MAX = 4096 };

static void write_field(struct writer *writer, struct bytes bytes)
{
    write_i32(writer, bytes.size < 0 ? -1 : bytes.size);
    if (bytes.size > 0)
        write_raw(writer, bytes.data, (size_t)bytes.size);
}

/* offset 8, size 4, CRC 4, magic 1, attributes 1, of magic 1 timestamp 8, then key and value. */
static void write_message(struct writer *writer, int8_t magic, enum codec codec, int64_t offset,
                          struct bytes key, struct bytes value)
{
    uint8_t *message = writer->data + writer->size;
    write_i64(writer, offset);
    write_i32(writer, 0);
    write_i32(writer, 0);
    write_i8(writer, magic);
    write_i8(writer, (int8_t)codec);
    if (magic == 1)
        write_i64(writer, 1700000000000);
    write_field(writer, key);
    write_field(writer, value);
    EQ(writer->error, ERROR_NONE);
    size_t size = (size_t)(writer->data + writer->size - message);
    store_be32(message + 8, (uint32_t)(size - MESSAGE_CRC_AT));
    store_be32(message + MESSAGE_CRC_AT,
               (uint32_t)crc32(0, message + MESSAGE_MAGIC_AT, (uInt)(size - MESSAGE_MAGIC_AT)));
}

/* So many messages; the first has neither key nor value, as small as there can be. */
static struct bytes set_of(struct stage *stage, int8_t magic, int count)
{
    struct writer writer;
    writer_init(&writer, arena_take(&stage->arena, SET_BYTES_MAX), SET_BYTES_MAX);
    for (int i = 0; i < count; i++) {
        struct bytes key = i == 0 ? BYTES_NULL : (struct bytes){(const uint8_t *)"key", 3};
        struct bytes value = i == 0 ? BYTES_NULL : (struct bytes){(const uint8_t *)"value", 5};
        write_message(&writer, magic, CODEC_NONE, i, key, value);
    }
    return (struct bytes){writer.data, (int32_t)writer.size};
}

/* One message whose value is a compressed set. */
static struct bytes wrapped(struct stage *stage, int8_t magic, enum codec codec)
{
    struct bytes inner = set_of(stage, magic, 3);
    struct codec_output output = {.arena = &stage->arena, .limit_bytes = 1 << 20};
    struct writer writer;
    EQ(codec_compress(codec, codec_usual_level(codec), inner.data, (size_t)inner.size, &output),
       ERROR_NONE);
    writer_init(&writer, arena_take(&stage->arena, SET_BYTES_MAX), SET_BYTES_MAX);
    write_message(&writer, magic, codec, 2, BYTES_NULL,
                  (struct bytes){output.data, (int32_t)output.size});
    return (struct bytes){writer.data, (int32_t)writer.size};
}

static int produce_at(struct stage *stage, int client, int16_t version, struct bytes records)
{
    struct produce_request *in = request_of(stage, API_PRODUCE);
    struct produce_request_partition_produce_data partition = {.records.whole = records};
    struct produce_request_topic_produce_data topic = {.partition_data = &partition,
                                                       .partition_data_count = 1};
    if (version >= 13)
        topic.topic_id = stage->topic_id;
    else
        topic.name = STRING("t");
    in->acks = -1;
    in->timeout_ms = 10000;
    in->topic_data = &topic;
    in->topic_data_count = 1;
    struct produce_response *out = client_ask(stage, client, API_PRODUCE, version, in);
    if (!out || out->responses_count != 1 || out->responses[0].partition_responses_count != 1)
        return INT16_MIN;
    return out->responses[0].partition_responses[0].error_code;
}

/* In every version that is served, on one connection that goes on. */
static void expect_refused(struct stage *stage, int client, struct bytes set, const char *what)
{
    for (int16_t version = 3; version <= 13; version++) {
        int error = produce_at(stage, client, version, set);
        test_expect(error == ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT, __FILE__, __LINE__,
                    "%s in Produce %d: got %d", what, version, error);
    }
    EQ(log_end(stage, client), 0);
}

static void expect_all_refused(int8_t magic)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        int client = client_connect(&stage);
        expect_refused(&stage, client, set_of(&stage, magic, 1), "the smallest message");
        expect_refused(&stage, client, set_of(&stage, magic, 3), "three messages");
        expect_refused(&stage, client, wrapped(&stage, magic, CODEC_GZIP), "gzip");
        expect_refused(&stage, client, wrapped(&stage, magic, CODEC_SNAPPY), "snappy");
        expect_refused(&stage, client, wrapped(&stage, magic, CODEC_LZ4), "lz4");
        EQ(produce(&stage, client, batch_of(&stage, 2, 10), -1), ERROR_NONE);
        EQ(log_end(&stage, client), 2);
        client_close(client);
    }
    stage_close(&stage);
}

TEST(hostile_message_sets, sets_of_magic_0_are_refused_by_name)
{
    expect_all_refused(0);
}

TEST(hostile_message_sets, sets_of_magic_1_are_refused_by_name)
{
    expect_all_refused(1);
}

/* A set that is damaged, too: what is not read needs no right CRC, but its frame must be whole. */
TEST(hostile_message_sets, a_set_that_is_cut_is_no_set)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        int client = client_connect(&stage);
        struct bytes set = set_of(&stage, 1, 1);
        for (int32_t size = 0; size < set.size; size++) {
            int error = produce_at(&stage, client, 13, (struct bytes){set.data, size});
            test_expect(error == ERROR_INVALID_RECORD || error == ERROR_CORRUPT_MESSAGE, __FILE__,
                        __LINE__, "%d bytes: got %d", size, error);
        }
        EQ(log_end(&stage, client), 0);
        client_close(client);
    }
    stage_close(&stage);
}

/* What clients of that age sent them in: Produce 0 to 2, advertised and not served. */
TEST(hostile_message_sets, the_requests_of_their_time_close_the_connection)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        for (int16_t version = 0; version <= 2; version++) {
            struct bytes set = set_of(&stage, version > 0, 2);
            struct writer writer;
            writer_init(&writer, arena_take(&stage.arena, SET_BYTES_MAX), SET_BYTES_MAX);
            write_i16(&writer, -1);
            write_i32(&writer, 10000);
            write_i32(&writer, 1); /* topics */
            write_i16(&writer, 1);
            write_raw(&writer, "t", 1);
            write_i32(&writer, 1); /* partitions */
            write_i32(&writer, 0);
            write_field(&writer, set);
            struct bytes frame = frame_raw(&stage, API_PRODUCE, version,
                                           (struct bytes){writer.data, (int32_t)writer.size});
            int client = client_connect(&stage);
            TRUE_(client_send(client, frame));
            TRUE_(client_is_refused(client));
            client_close(client);
            TRUE_(neighbour_is_well(&stage));
        }
        EQ(log_end(&stage, stage.neighbour), 0);
    }
    stage_close(&stage);
}
