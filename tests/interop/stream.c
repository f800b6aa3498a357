#include "interop/stream.h"
#include "base/check.h"
#include "base/random.h"
#include "base/writer.h"
#include <stdio.h>

enum { CANONICAL_BYTES = 1024 };

void stream_init(struct stream *stream)
{
    static const char *const words[] = {"log ",  "ring ", "offset ", "tree ",  "\xc3\xa4nd ",
                                        "batch", " and ", "epoch ",  "\0\n\t", "0123456789"};
    struct random random;
    random_seed(&random, 4);
    for (size_t at = 0; at < sizeof stream->text;) {
        size_t which = random_below(&random, ARRAY_COUNT(words));
        size_t size = which == 8 ? 3 : strlen(words[which]);
        for (size_t i = 0; i < size && at < sizeof stream->text; i++)
            stream->text[at++] = (uint8_t)words[which][i];
    }
}

/* `size` bytes of the text; which ones follows from the number. */
static struct bytes cut(const struct stream *stream, uint32_t number, int32_t size)
{
    uint32_t at = number * 2654435761u % (STREAM_TEXT_BYTES - STREAM_VALUE_MAX);
    return (struct bytes){stream->text + at, size};
}

void stream_make(const struct stream *stream, uint32_t number, struct stream_record *record)
{
    record->timestamp = INT64_C(1700000000000) + number / 8 - number % 5 * 1000;
    record->key = cut(stream, number, 1 + (int32_t)(number % 24));
    if (number % 7 == 0)
        record->key = BYTES_NULL;
    else if (number % 11 == 0)
        record->key.size = 0;
    struct bytes rest = cut(stream, number + 1, (int32_t)(number % 61));
    store_be32(record->value_bytes, number); /* no two are the same */
    memcpy(record->value_bytes + 4, rest.data, (size_t)rest.size);
    record->value = (struct bytes){record->value_bytes, 4 + rest.size};
    if (number % 13 == 0)
        record->value = BYTES_NULL;
    else if (number % 17 == 0)
        record->value.size = 0;
    record->headers_count = number % 8 == 0 ? (int)(number / 8 % (STREAM_HEADERS_MAX + 1)) : 0;
    for (int i = 0; i < record->headers_count; i++) {
        record->headers[i].key = (struct bytes){(const uint8_t *)"name", 4}; /* twice, too */
        record->headers[i].value = cut(stream, number + 2, (int32_t)(number / 8 % 20));
        if (number / 8 % 3 == 1)
            record->headers[i].value = BYTES_NULL;
    }
}

/* -- digests ------------------------------------------------------------------------------------
 */

void digest_init(struct digest *digest)
{
    digest->context = EVP_MD_CTX_new();
    check(digest->context && EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) == 1);
}

static void add_bytes(struct writer *writer, struct bytes bytes)
{
    write_i32(writer, bytes.size < 0 ? -1 : bytes.size);
    if (bytes.size > 0)
        write_raw(writer, bytes.data, (size_t)bytes.size);
}

void digest_add(struct digest *digest, const struct stream_record *record)
{
    uint8_t canonical[CANONICAL_BYTES];
    struct writer writer;
    writer_init(&writer, canonical, sizeof canonical);
    write_i64(&writer, record->timestamp);
    add_bytes(&writer, record->key);
    add_bytes(&writer, record->value);
    write_i32(&writer, record->headers_count);
    for (int i = 0; i < record->headers_count && i < STREAM_HEADERS_MAX; i++) {
        add_bytes(&writer, record->headers[i].key);
        add_bytes(&writer, record->headers[i].value);
    }
    /* A record that is too long for this is none of the stream's. */
    int added = writer.error ? EVP_DigestUpdate(digest->context, "too long", 8)
                             : EVP_DigestUpdate(digest->context, canonical, writer.size);
    check(added == 1);
}

void digest_end(struct digest *digest, char text[65])
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    check(EVP_DigestFinal_ex(digest->context, sum, &size) == 1 && size == 32);
    for (unsigned i = 0; i < size; i++)
        snprintf(text + 2 * (size_t)i, 3, "%02x", sum[i]);
    EVP_MD_CTX_free(digest->context);
    digest->context = NULL;
}
