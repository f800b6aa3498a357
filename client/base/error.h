#pragma once
/* Errors: Kafka's codes as they go over the wire, and a few of this process (1000 and up).
 * One enum for both, so that a function returns `enum error` whatever went wrong. */
#include <stdbool.h>
#include <stdint.h>

enum error {
#define ERROR(name, code, retriable, refreshes) ERROR_##name = code,
#define LOCAL(name, code, text)                 ERROR_##name = code,
#include "base/error.def"
#undef ERROR
#undef LOCAL
};

/* "NOT_LEADER_OR_FOLLOWER"; "UNKNOWN" for a code that is in no table. Static memory. */
const char *error_name(enum error error);

/* A sentence for a person: of local errors their text, of Kafka's their name. Static memory. */
const char *error_text(enum error error);

/* True where a client may send the same request again (the `retriable` column of the table). */
bool error_is_retriable(enum error error);

/* What goes into an error_code field: Kafka's codes as they are; a local error, which has no
 * meaning on the wire, as KAFKA_STORAGE_ERROR (storage) or UNKNOWN_SERVER_ERROR. */
enum error error_for_wire(enum error error);

/* An error_code field as it came from a peer. Our local errors have no meaning there: a number of
 * theirs is UNKNOWN_SERVER_ERROR, so that no peer can make us take its word for one of them. */
static inline enum error error_from_wire(int16_t code)
{
    return code < 1000 ? (enum error)code : ERROR_UNKNOWN_SERVER_ERROR;
}
