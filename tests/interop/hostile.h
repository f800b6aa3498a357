#pragma once
/* A client of plain bytes against a broker of one's own, for tests of what must not do harm. Beside
 * it a neighbour has been connected all along: whatever a test does, the neighbour goes on working.
 */
#include "base/arena.h"
#include "base/check.h"
#include "interop/process.h"
#include "protocol/batch.h"
#include "protocol/frame.h"
#include "support/test.h"

struct stage {
    struct process broker;
    struct arena arena;   /* requests and answers of the test */
    struct uuid topic_id; /* of "t", one partition */
    int32_t correlation_id;
    int neighbour;
    int64_t resident_bytes; /* when it had just started */
};

/* Starts a broker with these settings ("key=value", null at the end; or null), makes the topic "t"
 * and connects the neighbour. False if it can't be. */
bool stage_open(struct stage *stage, const char *const *settings);

/* The neighbour must be well, and the broker end in order. */
void stage_close(struct stage *stage);

/* The neighbour asks for the metadata and is answered. */
bool neighbour_is_well(struct stage *stage);

/* By how much the broker's memory has grown since it started. */
int64_t grown_bytes(struct stage *stage);

/* A connection: a socket that waits LIMIT at most for what it receives; -1 if it can't be. */
int client_connect(struct stage *stage);
void client_close(int client);

/* All the bytes. False if the other side has closed. */
bool client_send(int client, struct bytes bytes);

/* The next frame without its length, in the arena. Size -1 (data null): closed, or nothing came. */
struct bytes client_receive(struct stage *stage, int client);

/* The broker has closed the connection, and sent nothing before it did. */
bool client_is_refused(int client);

/* A frame in the arena: a request at version `version`; `extra` bytes are added or cut off. */
struct bytes frame_of(struct stage *stage, int16_t key, int16_t version, const void *request,
                      int extra);

/* A frame of a header and a body of any bytes. */
struct bytes frame_raw(struct stage *stage, int16_t key, int16_t version, struct bytes body);

/* A request at its defaults, in the arena. */
void *request_of(struct stage *stage, int16_t key);

/* Sends a request and takes the next answer, decoded; null if none came. */
void *client_ask(struct stage *stage, int client, int16_t key, int16_t version,
                 const void *request);

/* An answer's bytes, decoded: null if they are not one to the request of this correlation id. */
void *answer_of(struct stage *stage, struct bytes frame, int16_t key, int16_t version,
                int32_t correlation_id);

/* Produces `batch` to t-0 in version 13; the error of the answer, or INT16_MIN if none came. */
int produce(struct stage *stage, int client, struct bytes batch, int16_t acks);

/* Where t-0 ends, -1 if there is no answer: nothing refused may have been kept. */
int64_t log_end(struct stage *stage, int client);

/* A request that fetches from t-0, in the arena. */
void *fetch_of(struct stage *stage, int64_t offset, int32_t max_bytes, int32_t wait_ms);

/* A batch of `count` records of `size` bytes each, in the arena. */
struct bytes batch_of(struct stage *stage, int count, int32_t size);

/* Puts length and CRC right after something was changed. */
void batch_seal(struct bytes batch);
