#pragma once
/* One line of a file of vectors: what kind it is shows in its members. Each checker says what came
 * of it; STRICTER is a pass where we refuse, by design, bytes that Kafka lets pass though
 * malformed. */
#include "base/arena.h"
#include "support/json.h"

enum verdict { FAILED, PASSED, STRICTER, UNKNOWN };

struct vector {
    struct arena *arena;
    const struct json *line;
    char why[256]; /* of FAILED */
};

/* Says why; returns FAILED. */
enum verdict vector_failed(struct vector *vector, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* {message, version, hex, json}: decoded, encoded to the same bytes, printed to the same JSON. */
enum verdict check_message(struct vector *vector);
/* {log, keyMessage, keyHex, ...}: a record of a coordinator. */
enum verdict check_coordinator(struct vector *vector);
/* {name, hex, batches}: what is read in batches. */
enum verdict check_batches(struct vector *vector);
/* {name, produceVersion, ...}: batches a leader refuses, or not. */
enum verdict check_bad_batch(struct vector *vector);
/* {name, hex, stored, ...}: what a leader makes of a batch. */
enum verdict check_append(struct vector *vector);
/* {kind, ...}: hashes, varints and other small things. */
enum verdict check_small(struct vector *vector);

/* Decodes `bytes` as the message of this name, whole, and encodes it again to the same bytes; with
 * `json` not null prints it to the same JSON. UNKNOWN if there is no such message. */
enum verdict check_body(struct vector *vector, struct string name, int16_t version,
                        struct bytes bytes, const struct json *json);
