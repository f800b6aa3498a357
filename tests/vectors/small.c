#include "base/check.h"
#include "base/reader.h"
#include "base/writer.h"
#include "codec/crc32c.h"
#include "protocol/hash.h"
#include "protocol/json.h"
#include "tests/vectors/vectors.h"
#include <stdlib.h>

static struct bytes hex_of(struct vector *vector)
{
    return json_hex(vector->arena, json_text(vector->line, "hex"));
}

static bool kind_is(const struct vector *vector, const char *kind)
{
    return string_equal(json_text(vector->line, "kind"), string_of(kind));
}

static enum verdict passed_if(struct vector *vector, bool passed)
{
    struct string kind = json_text(vector->line, "kind"), hex = json_text(vector->line, "hex");
    return passed ? PASSED
                  : vector_failed(vector, "%.*s of %.*s", (int)kind.size, kind.data,
                                  hex.size > 0 ? (int)hex.size : 0, hex.data);
}

static enum verdict check_murmur2(struct vector *vector)
{
    struct bytes bytes = hex_of(vector);
    size_t size = (size_t)bytes.size;
    return passed_if(vector, (int32_t)hash_murmur2(bytes.data, size) ==
                                     json_number(vector->line, "hash", 0) &&
                                 hash_partition_of_key(bytes.data, size, 12) ==
                                     json_number(vector->line, "partitionOf12", -1) &&
                                 hash_partition_of_key(bytes.data, size, 1000) ==
                                     json_number(vector->line, "partitionOf1000", -1));
}

static enum verdict check_crc32c(struct vector *vector)
{
    struct bytes bytes = hex_of(vector);
    return passed_if(vector, crc32c(0, bytes.data, (size_t)bytes.size) ==
                                 json_number(vector->line, "crc", -1));
}

/* Which of the four varints the kind ends with; all as int64, unsigned ones by their bits. */
static int64_t read_one(struct string kind, struct reader *reader)
{
    switch (kind.size) {
    case 6:
        return read_varint(reader);
    case 7:
        return kind.data[0] == 'u' ? (int64_t)read_uvarint(reader) : read_varlong(reader);
    default:
        return (int64_t)read_uvarlong(reader);
    }
}

static void write_one(struct string kind, struct writer *writer, int64_t value)
{
    if (kind.size == 6)
        write_varint(writer, (int32_t)value);
    else if (kind.size == 7 && kind.data[0] != 'u')
        write_varlong(writer, value);
    else
        write_uvarlong(writer, (uint64_t)value);
}

/* The value of a line; above INT64_MAX by its bits. */
static int64_t value_of(const struct vector *vector)
{
    const struct json *value = json_get(vector->line, "value");
    char digits[32] = {0};
    check(value && value->text.size < 32);
    memcpy(digits, value->text.data, (size_t)value->text.size);
    return digits[0] == '-' ? strtoll(digits, NULL, 10) : (int64_t)strtoull(digits, NULL, 10);
}

static enum verdict check_varint(struct vector *vector)
{
    struct string kind = json_text(vector->line, "kind");
    struct bytes bytes = hex_of(vector);
    struct reader reader;
    struct writer writer;
    uint8_t again[16];
    int64_t value = value_of(vector);
    if (kind.data[0] == 'u' && kind.size == 7)
        value &= UINT32_MAX;
    reader_init(&reader, bytes.data, (size_t)bytes.size);
    writer_init(&writer, again, sizeof again);
    write_one(kind, &writer, value);
    return passed_if(vector, read_one(kind, &reader) == value && reader.error == ERROR_NONE &&
                                 reader_left(&reader) == 0 && writer.size == (size_t)bytes.size &&
                                 memcmp(again, bytes.data, writer.size) == 0);
}

/* Ours are stricter: each value has one form. */
static enum verdict check_odd_varint(struct vector *vector)
{
    struct string kind = json_text(vector->line, "kind");
    kind = (struct string){kind.data + 4, kind.size - 4};
    struct bytes bytes = hex_of(vector);
    struct reader reader;
    reader_init(&reader, bytes.data, (size_t)bytes.size);
    int64_t value = read_one(kind, &reader);
    if (json_text(vector->line, "expect").size >= 0)
        return passed_if(vector, reader.error != ERROR_NONE);
    if (reader.error != ERROR_NONE)
        return STRICTER;
    int64_t used = bytes.size - (int64_t)reader_left(&reader), want = value_of(vector);
    if (kind.data[0] == 'u' && kind.size == 7)
        want &= UINT32_MAX;
    return passed_if(vector, value == want && used == json_number(vector->line, "used", -1));
}

static enum verdict check_float(struct vector *vector)
{
    struct bytes bytes = hex_of(vector);
    struct string text = json_text(vector->line, "value");
    char digits[64] = {0};
    check(text.size > 0 && text.size < 63);
    memcpy(digits, text.data, (size_t)text.size);
    double want = strtod(digits, NULL), got;
    uint64_t bits = load_be64(bytes.data);
    memcpy(&got, &bits, sizeof got);
    return passed_if(vector, memcmp(&got, &want, sizeof got) == 0 || (got != got && want != want));
}

static enum verdict check_uuid(struct vector *vector)
{
    struct bytes bytes = hex_of(vector);
    struct uuid uuid;
    char text[32];
    struct writer writer;
    memcpy(uuid.bytes, bytes.data, sizeof uuid.bytes);
    writer_init(&writer, text, sizeof text);
    write_uuid_text(&writer, uuid);
    struct string written = {text, (int32_t)writer.size};
    return passed_if(vector,
                     string_equal(written, json_text(vector->line, "text")) &&
                         hash_java_uuid(uuid) == json_number(vector->line, "javaHash", INT64_MAX));
}

static enum verdict check_string_hash(struct vector *vector)
{
    struct string text = json_text(vector->line, "text");
    return passed_if(vector,
                     hash_java_string(text) == json_number(vector->line, "hash", INT64_MAX) &&
                         hash_partition_of_name(text, 50) ==
                             json_number(vector->line, "partitionOf50", -1));
}

/* int16 version and body. */
static enum verdict check_versioned(struct vector *vector, struct string message)
{
    struct bytes bytes = hex_of(vector);
    int16_t version = (int16_t)load_be16(bytes.data);
    struct bytes body = {bytes.data + 2, bytes.size - 2};
    if (version != json_number(vector->line, "version", version))
        return vector_failed(vector, "another version");
    return check_body(vector, message, version, body, NULL);
}

enum verdict check_small(struct vector *vector)
{
    struct string kind = json_text(vector->line, "kind");
    if (kind.size > 4 && memcmp(kind.data, "odd-", 4) == 0)
        return check_odd_varint(vector);
    if (kind_is(vector, "varint") || kind_is(vector, "varlong") || kind_is(vector, "uvarint") ||
        kind_is(vector, "uvarlong"))
        return check_varint(vector);
    if (kind_is(vector, "murmur2"))
        return check_murmur2(vector);
    if (kind_is(vector, "crc32c"))
        return check_crc32c(vector);
    if (kind_is(vector, "float64"))
        return check_float(vector);
    if (kind_is(vector, "uuid"))
        return check_uuid(vector);
    if (kind_is(vector, "string-hash"))
        return check_string_hash(vector);
    if (kind_is(vector, "consumer-subscription"))
        return check_versioned(vector, STRING("ConsumerProtocolSubscription"));
    if (kind_is(vector, "consumer-assignment"))
        return check_versioned(vector, STRING("ConsumerProtocolAssignment"));
    if (kind_is(vector, "control-key"))
        return check_versioned(vector, STRING("ControlRecordTypeSchema"));
    if (kind_is(vector, "end-txn-marker-value"))
        return check_versioned(vector, STRING("EndTxnMarker"));
    if (kind_is(vector, "principal"))
        return check_versioned(vector, STRING("DefaultPrincipalData"));
    return vector_failed(vector, "unknown kind %.*s", (int)kind.size, kind.data);
}
