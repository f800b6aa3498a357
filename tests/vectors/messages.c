#include "base/check.h"
#include "protocol/compare.h"
#include "protocol/frame.h"
#include "protocol/json.h"
#include "tests/vectors/vectors.h"

static const struct message *find(struct string name)
{
    for (int i = 0; i < message_count(); i++) {
        char kafka_name[80];
        message_kafka_name(message_at(i), kafka_name, sizeof kafka_name);
        if (string_equal(string_of(kafka_name), name))
            return message_at(i);
    }
    return NULL;
}

static enum verdict same_bytes(struct vector *vector, const struct message *message,
                               int16_t version, const void *value, struct bytes want)
{
    size_t size = message_size(message, version, value);
    uint8_t *again = arena_take(vector->arena, size + 1);
    struct writer writer;
    writer_init(&writer, again, size);
    enum error error = message_encode(message, version, &writer, value);
    if (error != ERROR_NONE)
        return vector_failed(vector, "%s v%d: encode: %s", message->name, version,
                             error_name(error));
    if (!bytes_equal((struct bytes){again, (int32_t)writer.size}, want))
        return vector_failed(vector, "%s v%d: encodes to other bytes", message->name, version);
    return PASSED;
}

static enum verdict same_json(struct vector *vector, const struct message *message, int16_t version,
                              const void *value, const struct json *want)
{
    struct writer writer;
    writer_init(&writer, NULL, 0);
    message_print_json(message, version, value, &writer);
    char *text = arena_take(vector->arena, writer.size + 1);
    writer_init(&writer, text, writer.size);
    message_print_json(message, version, value, &writer);
    struct string printed = {text, (int32_t)writer.size};
    if (!json_equal(json_parse(vector->arena, printed), want))
        return vector_failed(vector, "%s v%d: prints %.150s", message->name, version, text);
    return PASSED;
}

enum verdict check_body(struct vector *vector, struct string name, int16_t version,
                        struct bytes bytes, const struct json *json)
{
    const struct message *message = find(name);
    if (!message)
        return UNKNOWN;
    void *value = arena_take(vector->arena, message->size);
    struct reader reader;
    reader_init(&reader, bytes.data, (size_t)bytes.size);
    enum error error = message_decode_whole(message, version, &reader, vector->arena, value);
    if (error != ERROR_NONE)
        return vector_failed(vector, "%s v%d: decode: %s", message->name, version,
                             error_name(error));
    enum verdict verdict = same_bytes(vector, message, version, value, bytes);
    if (verdict == PASSED && json)
        verdict = same_json(vector, message, version, value, json);
    return verdict;
}

/* The header versions of the tables against those of the line. */
static bool header_is_right(const struct message *message, int16_t version, int64_t want)
{
    if (want < 0)
        return true;
    const struct api *api = api_find(message->key);
    if (message->kind == MESSAGE_REQUEST)
        return request_header_version(api, version) == want;
    return message->kind != MESSAGE_RESPONSE || response_header_version(api, version) == want;
}

/* A record of the metadata log has a frame before its body: version 1, key and version. */
static struct bytes without_frame(struct bytes bytes, const struct message *message,
                                  int16_t version)
{
    struct reader reader;
    reader_init(&reader, bytes.data, (size_t)bytes.size);
    if (read_uvarint(&reader) != 1 || read_uvarint(&reader) != (uint32_t)message->key ||
        read_uvarint(&reader) != (uint32_t)version)
        return BYTES_NULL;
    return (struct bytes){reader.next, (int32_t)reader_left(&reader)};
}

enum verdict check_message(struct vector *vector)
{
    struct string name = json_text(vector->line, "message");
    const struct message *message = find(name);
    if (!message)
        return UNKNOWN;
    int16_t version = (int16_t)json_number(vector->line, "version", -1);
    if (json_number(vector->line, "key", -1) != message->key)
        return vector_failed(vector, "%s: the key is %d", message->name, message->key);
    if (!header_is_right(message, version, json_number(vector->line, "header", -1)))
        return vector_failed(vector, "%s v%d: another header version", message->name, version);
    struct bytes bytes = json_hex(vector->arena, json_text(vector->line, "hex"));
    const struct json *json = json_get(vector->line, "json");
    enum verdict verdict = check_body(vector, name, version, bytes, json);
    if (verdict == FAILED && message->kind == MESSAGE_METADATA_RECORD) {
        struct bytes body = without_frame(bytes, message, version);
        if (body.size >= 0)
            verdict = check_body(vector, name, version, body, json);
    }
    return verdict;
}

enum verdict check_coordinator(struct vector *vector)
{
    struct bytes key = json_hex(vector->arena, json_text(vector->line, "keyHex"));
    struct bytes value = json_hex(vector->arena, json_text(vector->line, "valueHex"));
    if (key.size < 2 || (int16_t)load_be16(key.data) != json_number(vector->line, "type", -1))
        return vector_failed(vector, "another type in the key");
    struct bytes body = {key.data + 2, key.size - 2};
    enum verdict verdict = check_body(vector, json_text(vector->line, "keyMessage"), 0, body,
                                      json_get(vector->line, "keyJson"));
    if (verdict != PASSED || value.size < 0)
        return verdict;
    int16_t version = (int16_t)json_number(vector->line, "valueVersion", -1);
    if (value.size < 2 || (int16_t)load_be16(value.data) != version)
        return vector_failed(vector, "another version in the value");
    body = (struct bytes){value.data + 2, value.size - 2};
    return check_body(vector, json_text(vector->line, "valueMessage"), version, body,
                      json_get(vector->line, "valueJson"));
}
