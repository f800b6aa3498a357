#pragma once
/* Inside the uring port: what uring.c (the ring, its queues, its turn) and uring_ops.c (what each
 * kind of operation looks like in the ring) share. Nobody else includes it. */
#include "reactor/port.h"
#include "reactor/system.h"
#include "reactor/workers.h"
#include <liburing.h>
#include <sys/socket.h>

enum { URING_POOL = 0 }; /* the group of the only buffer ring */

struct uring {
    struct port port;
    struct io_uring ring;
    struct list pending;   /* ops that found the submission queue full, oldest first */
    struct list cancels;   /* ops in the kernel that shall be cancelled */
    struct list shutdowns; /* OP_SHUTDOWN: after all that was submitted before */
    struct list ready;     /* ops with their result, to be delivered by the next wait */
    struct workers workers;
    int wake_event;
    uint64_t wake_value; /* where the armed read of wake_event puts its eight bytes */
    bool wake_armed, closing;
    bool has_task_flag; /* the kernel says in the ring whether it has work for us */
    uint64_t in_flight; /* submitted and not delivered */
    struct io_uring_buf_ring *pool;
    size_t pool_ring_size;
    uint8_t *pool_bytes;
};

/* Where an operation is. */
enum uring_place { PLACE_PENDING = 1, PLACE_RING, PLACE_CANCEL, PLACE_READY, PLACE_WORKERS };

/* What lies in op->scratch. */
struct uring_scratch {
    union {
        struct msghdr message; /* OP_SEND of several vectors */
        struct {               /* OP_ACCEPT, OP_CONNECT */
            union socket_address name;
            socklen_t name_size;
            int32_t socket;
        };
        bool is_folder; /* OP_REMOVE: second attempt; OP_FLUSH: fsync */
    };
    uint8_t place; /* enum uring_place */
};
_Static_assert(sizeof(struct uring_scratch) <= sizeof((struct op *)0)->scratch,
               "fits into scratch");

static inline struct uring_scratch *uring_scratch(struct op *op)
{
    return (struct uring_scratch *)op->scratch;
}

/* True for the kinds that go through the ring. */
bool uring_has_op(enum op_kind kind);

/* Work before `op` gets a place in the ring: the socket of a connect. Returns 0 or the result that
 * ends it. */
int64_t uring_begin(struct op *op);

/* Writes `op` into `sqe`. */
void uring_prepare(struct op *op, struct io_uring_sqe *sqe);

/* The operation's result for what the kernel answered; frees what a failed one held. *ret_again:
 * the operation is not over and has to be prepared once more. */
int64_t uring_finish(struct uring *uring, struct op *op, int32_t answer, uint32_t flags,
                     bool *ret_again);

/* The name of an opcode that the running kernel lacks; null if it has all that are needed. */
const char *uring_missing_opcode(struct io_uring *ring);
