#pragma once
/* JSON of any message, for traces, for `bole` and for tests. Kafka's field names; only the fields
 * of the version, tagged ones only if they are not at their default; bytes and records in base64
 * with padding, uuids in base64url of 22 characters, an int64 as a number of all its digits. */
#include "protocol/message.h"

/* Appends one line of JSON without an end of line. NO_MEMORY if it does not fit; a writer with data
 * null gives the size. */
enum error message_print_json(const struct message *message, int16_t version, const void *value,
                              struct writer *writer);

/* Appends a string of JSON with its quotes: control characters, quote and backslash escaped. */
void write_json_string(struct writer *writer, struct string text);

/* Appends base64 (RFC 4648) with padding, without quotes. */
void write_base64(struct writer *writer, struct bytes bytes);

/* Appends the 22 characters in which Kafka shows a uuid, without quotes. */
void write_uuid_text(struct writer *writer, struct uuid uuid);
