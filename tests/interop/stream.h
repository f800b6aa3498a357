#pragma once
/* A stream of records that follow from their number: keys, values and headers of many lengths, null
 * and empty ones among them, and timestamps that do not ascend. A digest is taken of what goes in
 * and of what comes out: SHA-256 over every byte of every record, in order. */
#include "protocol/batch.h"
#include <openssl/evp.h>

enum { STREAM_HEADERS_MAX = 2, STREAM_VALUE_MAX = 128, STREAM_TEXT_BYTES = 1 << 16 };

struct stream_record {
    int64_t timestamp;
    struct bytes key, value;
    struct record_header headers[STREAM_HEADERS_MAX];
    int headers_count;
    uint8_t value_bytes[STREAM_VALUE_MAX];
};

struct stream {
    uint8_t text[STREAM_TEXT_BYTES]; /* what records are cut from: words, so that it compresses */
};

void stream_init(struct stream *stream);

/* Record `number`, borrowing from the stream and from `record` itself. */
void stream_make(const struct stream *stream, uint32_t number, struct stream_record *record);

struct digest {
    EVP_MD_CTX *context;
};

void digest_init(struct digest *digest);

/* The next record. */
void digest_add(struct digest *digest, const struct stream_record *record);

/* The SHA-256 in hexadecimal; frees what the digest held. */
void digest_end(struct digest *digest, char text[65]);
