#pragma once
/* A real broker, and frames to it byte by byte: requests of any API in any version over a socket of
 * one's own, with nothing of a client between. Expectations are counted where something fails that
 * no test is about. */
#include "base/arena.h"
#include "interop/process.h"
#include "protocol/frame.h"

enum {
    WIRE_FRAME_BYTES = 1 << 20,
    WIRE_ARENA_BYTES = 32 << 20,
    WIRE_CORRELATION = 77, /* of every request */
};

#define WIRE_TOPIC "conformance"

struct wire {
    struct process broker;
    struct arena arena;              /* of what is being asked and answered; the test resets it */
    int serial;                      /* for names */
    struct uuid topic_id;            /* of WIRE_TOPIC, which has two partitions */
    uint8_t frame[WIRE_FRAME_BYTES]; /* the last one, sent or received */
};

/* Starts a broker, with this "key=value" or null, and makes WIRE_TOPIC. Null, and a failed
 * expectation, if it can't. To be ended by wire_end, which expects a stop in order; it takes null.
 */
struct wire *wire_start(const char *setting);
void wire_end(struct wire *wire);

/* A new connection, or -1. */
int wire_dial(const struct wire *wire);

/* Sends `size` bytes of wire->frame, of which the first four are to be the length, and receives the
 * answer, without its length, into wire->frame: its size. 0: the connection was closed without one;
 * -1: neither came. */
int64_t wire_exchange(struct wire *wire, int handle, size_t size);

/* Puts a request into wire->frame; its size with the four bytes of the length. */
size_t wire_encode(struct wire *wire, const struct api *api, int16_t version, const void *request);

/* The answer of `size` bytes in wire->frame, decoded to its last byte; null if it can't be. */
void *wire_decode(struct wire *wire, const struct api *api, int16_t version, int64_t size);

/* One request on a connection of its own; the answer in the arena, or null. */
void *wire_call(struct wire *wire, const struct api *api, int16_t version, const void *request);

/* A struct of a message at its defaults, in the arena. */
void *wire_take(struct wire *wire, const struct message *message);
#define TAKE(wire, name) ((struct name *)wire_take((wire), &name##_message))

/* A name that no topic has yet. */
struct string wire_new_name(struct wire *wire);

/* A batch of one record, in the arena. */
struct bytes wire_record(struct wire *wire);

/* Makes a topic of two partitions; its id. */
struct uuid wire_create_topic(struct wire *wire, struct string name);
