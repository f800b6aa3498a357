#pragma once
/* A broker of a few lines for the client's tests: a thread that answers every request with what a
 * function of the test returns. ApiVersions it answers itself (all that our tables know). */
#include "base/arena.h"
#include "host_port.h"
#include "protocol/frame.h"
#include <pthread.h>

enum { FAKE_CONNECTIONS_MAX = 16 };

struct fake_broker {
    /* The answer, a struct of api->response in the arena; null: cut the connection. */
    const void *(*answer)(struct fake_broker *broker, const struct api *api, const void *request,
                          struct arena *arena);
    void *context;
    struct host_port address;
    int listener, stop[2];
    int connections[FAKE_CONNECTIONS_MAX];
    int connection_count, accepted_count;
    pthread_t thread;
};

/* Listens on 127.0.0.1 at a free port below 32768. `answer` and `context` are set before. */
void fake_broker_start(struct fake_broker *broker);
/* Ends the thread: after it the test may read what `answer` has written. */
void fake_broker_stop(struct fake_broker *broker);

/* A Metadata answer: node 1 is this broker and leads `partitions` partitions of `topic`. */
const void *fake_metadata(struct fake_broker *broker, struct arena *arena, const char *topic,
                          int32_t partitions);
