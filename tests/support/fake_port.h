#pragma once
/* A port made of memory, for tests of what lies above it: sockets only. Nothing happens by itself:
 * a test feeds bytes, sets the clock and runs turns; every completion comes in order of submission.
 */
#include "reactor/core.h"

enum { FAKE_SOCKETS = 32, FAKE_BYTES = 1 << 20, FAKE_POOL_MAX = 64 };

struct fake_socket {
    bool open, ended, shut, is_listener;
    uint8_t *in; /* what the peer has sent and nobody has received */
    size_t in_size, in_taken;
    uint8_t *out; /* what we sent */
    size_t out_size;
    size_t send_limit; /* bytes a send takes; 0: it waits */
    int sends;         /* completed */
};

struct fake_port {
    struct port port;
    struct now now;
    struct list waiting;       /* of ops */
    struct fake_port *network; /* whose sockets are meant: itself, or that of another core */
    struct fake_socket sockets[FAKE_SOCKETS];
    int32_t to_accept[FAKE_SOCKETS];
    int to_accept_count;
    struct address peer;  /* of the next that connects */
    struct address local; /* that it connects to */
    uint8_t *pool_bytes;
    bool pool_used[FAKE_POOL_MAX];
    int pool_used_count, pool_used_most;
    size_t receive_limit; /* bytes a receive takes */
    int no_buffers;       /* times NO_BUFFERS was answered */
    bool holds_work;      /* OP_WORK waits until this is false */
    int32_t holds_close;  /* OP_CLOSE of this handle waits; 0, a listener's: of none */
    int work_count;       /* OP_WORK that was done */
};

/* `pool_count` receive buffers of `pool_size` bytes. */
void fake_port_init(struct fake_port *fake, uint32_t pool_size, uint32_t pool_count);
void fake_port_done(struct fake_port *fake);

/* A peer connects: the handle that accept will give. */
int32_t fake_connect(struct fake_port *fake);

/* The peer sends bytes, or ends its side. */
void fake_feed(struct fake_port *fake, int32_t handle, const void *bytes, size_t size);
void fake_end(struct fake_port *fake, int32_t handle);

/* Turns of `core` until nothing moves any more without time or the peer. */
void fake_settle(struct fake_port *fake, struct core *core);

/* The clocks go on. */
void fake_pass_ms(struct fake_port *fake, int64_t ms);
