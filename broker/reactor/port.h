#pragma once
/* THE SEAM. Everything the broker asks of the operating system goes through one `struct port` per
 * core: about twenty operations, their completions, a wake-up and two clocks. Behind it stand
 * uring.c, epoll.c and the simulator's world.c; one suite of tests runs against all of them.
 *
 * Rules that every port keeps
 *  1. port_submit never fails and never completes an operation itself: errors come as completions.
 *  2. Completions are delivered only inside port_wait (and port_call), by op_complete, on the
 *     core's thread, in any order.
 *  3. Until its completion an operation, its memory and its buffers belong to the port.
 *  4. Transfers may be short. A result is a count or a handle (≥ 0), or -(enum error).
 *  5. OP_WRITE with WRITE_DURABLE completes when the bytes are on stable storage; without it they
 *     are, once an OP_FLUSH of the same file, started after the write's completion, has succeeded.
 *     A name (created, renamed, removed) is, once its directory has been flushed.
 *  6. What goes over a socket is ordered; file operations in flight at once are not.
 *  7. errno does not pass: results are of `enum error` (client/base/error.def).
 * Only port_wake may be called from another thread. */
#include "base/error.h"
#include "base/list.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct flow;

/* The two clocks, read together. `monotonic_ns` for time-outs and sessions, `wall_ms` (since 1970)
 * for timestamps and retention. */
struct now {
    int64_t monotonic_ns;
    int64_t wall_ms;
};

enum op_kind {
    /* sockets */
    OP_LISTEN,   /* address (port 0: any; filled in) -> handle of the listener */
    OP_ACCEPT,   /* handle -> handle of the connection; address (the peer's) filled in when not
                    null; data, when not null a struct address: the one the peer connected to */
    OP_CONNECT,  /* address -> handle */
    OP_RECEIVE,  /* handle, data + size, or data null: into a buffer of the pool, which data and
                    pool_buffer then name (if bytes came) -> bytes, 0 at the end;
                    ERROR_NO_BUFFERS when the pool is empty */
    OP_SEND,     /* handle, vectors + vector_count -> bytes */
    OP_SHUTDOWN, /* handle: both directions; a receive or send in flight completes -> 0 */
    /* files; paths are relative to the process's folder or absolute, and live until completion */
    OP_OPEN,      /* path, flags of enum open_flags -> handle */
    OP_CLOSE,     /* handle of any kind, with nothing else in flight on it -> 0 */
    OP_READ,      /* handle, data, size, offset, flags of enum read_flags -> bytes, 0 at the end */
    OP_WRITE,     /* handle, vectors, vector_count, offset, flags of enum write_flags -> bytes */
    OP_FLUSH,     /* handle of a file: its bytes and size; of a folder: its names -> 0 */
    OP_FLUSH_ALL, /* handle of a folder: every file and name of that file system -> 0 */
    OP_ALLOCATE,  /* handle, offset, size: extents with zeros, the size grows -> 0 */
    OP_TRUNCATE,  /* handle, size: cut, or grown with zeros -> 0 */
    OP_LIST,      /* handle of a folder, data, size: the next entries, each 'd' or 'f', name, NUL
                     -> bytes, 0 at the end */
    OP_STAT,      /* path, or null and handle; data: struct file_stat -> 0 */
    OP_RENAME,    /* path, path_to: replaces what is there -> 0 */
    OP_REMOVE,    /* path: a file or an empty folder -> 0 */
    OP_MAKE_DIRECTORY, /* path -> 0, ERROR_ALREADY_EXISTS */
    OP_SPACE,          /* handle of a folder, data: struct file_space, of its file system -> 0 */
    /* neither: what would take a turn too long */
    OP_WORK, /* work, data: work(data) is called on a helper thread, once -> what it returns.
                ERROR_CANCELLED, ERROR_NO_MEMORY: it was not called. It ends by itself, and touches
                nothing but what `data` leads to, which nobody else does until the completion */
    OP_KIND_COUNT
};

enum open_flags {
    OPEN_READ = 1,
    OPEN_WRITE = 2,
    OPEN_CREATE = 4,    /* if it is not there */
    OPEN_EXCLUSIVE = 8, /* with OPEN_CREATE: refuse if it is there */
    OPEN_DIRECT = 16,   /* no page cache: offset, size and memory aligned as file_stat says */
    OPEN_DIRECTORY = 32,
    OPEN_LOCK = 64,           /* an exclusive lock for as long as it is open; ERROR_NO_PERMISSION if
                                 another process has it */
    OPEN_NOTHING_AHEAD = 128, /* reads through the page cache fetch what they ask for, no more: what
                                 the system would read ahead stands before others' writes */
};

/* READ_CACHED_ONLY, of a file opened without OPEN_DIRECT: only if all `size` bytes lie in the page
 * cache, else ERROR_WOULD_WAIT, also where they go beyond the end of the file. Asks nothing of the
 * disk and waits for nothing, so it ends within the next port_wait. ERROR_NOT_SUPPORTED where the
 * system or the file system can't tell. */
enum read_flags { READ_CACHED_ONLY = 1 };

enum write_flags { WRITE_DURABLE = 1 };

struct file_stat {
    int64_t size_bytes;
    int64_t allocated_bytes;   /* blocks on disk */
    uint32_t direct_alignment; /* of offset, size and memory with OPEN_DIRECT; a power of two */
    bool is_directory;
};

struct file_space {
    int64_t free_bytes;  /* that this process may still take */
    int64_t total_bytes; /* free or not */
};

/* IPv4 or IPv6 (IPv4 mapped into the last four bytes, family 4). */
struct address {
    uint8_t family; /* 4 or 6 */
    uint8_t bytes[16];
    uint16_t port;
};

/* One operation. The submitter owns it, sets kind, flow and arguments, and leaves it alone until
 * the completion has released the hold on `flow`. */
struct op {
    struct flow *flow; /* a hold is taken by op_start and released at completion; null: none */
    struct list link;  /* the port's */
    uint8_t kind;      /* enum op_kind */
    bool running;      /* between submission and completion */
    uint32_t flags;
    int32_t handle;
    int32_t vector_count;
    int64_t result; /* see rule 4 */
    int64_t offset;
    size_t size;
    void *data;
    const struct iovec *vectors;
    const char *path, *path_to;
    int64_t (*work)(void *data); /* of OP_WORK: a pure function of what `data` leads to */
    struct address *address;
    int32_t
        pool_buffer; /* OP_RECEIVE with data null: the pool's buffer, to be given back; -1 none */
    uint64_t scratch[8]; /* the port's */
};

struct port;

struct port_operations {
    const char *name; /* "uring", "epoll", "world" */
    void (*submit)(struct port *port, struct op *op);
    /* Asks that `op` end soon; it still completes, with ERROR_CANCELLED or as it would have. */
    void (*cancel)(struct port *port, struct op *op);
    /* Submits what is prepared and delivers completions; if there are none, waits for one, for
     * port_wake, or until `until_ns` of the monotonic clock (at or before now: does not wait). May
     * return early with nothing delivered. */
    void (*wait)(struct port *port, int64_t until_ns);
    void (*wake)(struct port *port); /* from any thread: ends a wait, now or the next one */
    void (*clock)(struct port *port, struct now *now);
    /* Gives a pool buffer back; it may be filled again at once. */
    void (*give_back)(struct port *port, int32_t pool_buffer);
    /* Carries a file operation out on this thread, blocking; for port_call only. Null: port_call
     * submits and waits. */
    int64_t (*call)(const struct op *op);
    /* Nothing may be in flight, except cancelled operations, which are waited for; and no thread
     * may be about to wake it: cores close their ports once all of them have stopped. */
    void (*close)(struct port *port);
};

/* A port begins with this; each implementation embeds it. */
struct port {
    const struct port_operations *operations;
    uint32_t pool_buffer_size; /* bytes of each receive buffer of the pool */
    uint32_t pool_buffer_count;
};

/* Delivers a completion: called by ports only. Sets the result and releases the hold. */
void op_complete(struct op *op, int64_t result);

/* Starts `op`: takes a hold on op->flow, if any, and submits. */
void op_start(struct port *port, struct op *op);

/* Starts `op` and waits until it has completed; completions of others are delivered meanwhile. For
 * start and stop of the process and for tools, never in a flow. Returns the result. */
int64_t port_call(struct port *port, struct op *op);

/* The error of a result, ERROR_NONE if it is ≥ 0. */
static inline enum error op_error(int64_t result)
{
    return result < 0 ? (enum error) - result : ERROR_NONE;
}

/* What a real port is opened with. */
struct port_options {
    uint32_t queue_depth;       /* operations prepared before they are submitted, e.g. 256 */
    uint32_t pool_buffer_size;  /* e.g. 16384 */
    uint32_t pool_buffer_count; /* a power of two, e.g. 64 */
};

/* Opens a port on io_uring for the calling thread. ERROR_NOT_SUPPORTED, and a sentence in
 * `why[why_size]`, where the kernel lacks or forbids it. *ret_port is written only on success. */
enum error uring_open(const struct port_options *options, struct port **ret_port, char *why,
                      size_t why_size);

/* The same on epoll with file threads. */
enum error epoll_open(const struct port_options *options, struct port **ret_port, char *why,
                      size_t why_size);
