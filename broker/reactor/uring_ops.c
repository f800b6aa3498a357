/* The kinds of operations as they look in the ring: prepared, and finished. Which kinds are not
 * here: OP_LISTEN and OP_SHUTDOWN never wait and are plain calls; OP_STAT, OP_LIST, OP_SPACE,
 * OP_TRUNCATE and OP_FLUSH_ALL have no opcode that is old enough, or one that the kernel hands to a
 * thread anyway, and go to a thread of ours. */
#include "base/check.h"
#include "reactor/files.h"
#include "reactor/files_cached.h"
#include "reactor/uring.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MODE = 0644, FOLDER_MODE = 0755 };

static unsigned limited(size_t size)
{
    return size < TRANSFER_MAX ? (unsigned)size : TRANSFER_MAX;
}

static void prepare_accept(struct op *op, struct io_uring_sqe *sqe)
{
    struct uring_scratch *scratch = uring_scratch(op);
    scratch->name_size = sizeof scratch->name;
    bool named = op->address != NULL;
    io_uring_prep_accept(sqe, op->handle, named ? &scratch->name.plain : NULL,
                         named ? &scratch->name_size : NULL, SOCK_CLOEXEC);
}

static void prepare_connect(struct op *op, struct io_uring_sqe *sqe)
{
    struct uring_scratch *scratch = uring_scratch(op);
    io_uring_prep_connect(sqe, scratch->socket, &scratch->name.plain, scratch->name_size);
}

static void prepare_receive(struct op *op, struct io_uring_sqe *sqe)
{
    io_uring_prep_recv(sqe, op->handle, op->data, op->data ? limited(op->size) : 0, 0);
    if (!op->data) {
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = URING_POOL;
    }
}

/* MSG_WAITALL makes the kernel go on until all is sent, instead of an answer per piece. */
static void prepare_send(struct op *op, struct io_uring_sqe *sqe)
{
    int flags = MSG_NOSIGNAL | MSG_WAITALL;
    if (op->vector_count == 1) {
        io_uring_prep_send(sqe, op->handle, op->vectors[0].iov_base,
                           limited(op->vectors[0].iov_len), flags);
        return;
    }
    struct msghdr *message = &uring_scratch(op)->message;
    *message = (struct msghdr){
        .msg_iov = (struct iovec *)op->vectors,
        .msg_iovlen = (size_t)(op->vector_count < VECTORS_MAX ? op->vector_count : VECTORS_MAX),
    };
    io_uring_prep_sendmsg(sqe, op->handle, message, (unsigned)flags);
}

static void prepare_open(struct op *op, struct io_uring_sqe *sqe)
{
    io_uring_prep_openat(sqe, AT_FDCWD, op->path, file_open_flags(op->flags), FILE_MODE);
}

static void prepare_close(struct op *op, struct io_uring_sqe *sqe)
{
    io_uring_prep_close(sqe, op->handle);
}

static void prepare_read(struct op *op, struct io_uring_sqe *sqe)
{
    io_uring_prep_read(sqe, op->handle, op->data, limited(op->size), (uint64_t)op->offset);
    if (op->flags & READ_CACHED_ONLY)
        sqe->rw_flags = RWF_NOWAIT; /* without it the ring waits for the disk, by itself */
}

static void prepare_write(struct op *op, struct io_uring_sqe *sqe)
{
    if (op->vector_count == 1)
        io_uring_prep_write(sqe, op->handle, op->vectors[0].iov_base,
                            limited(op->vectors[0].iov_len), (uint64_t)op->offset);
    else
        io_uring_prep_writev(
            sqe, op->handle, op->vectors,
            (unsigned)(op->vector_count < VECTORS_MAX ? op->vector_count : VECTORS_MAX),
            (uint64_t)op->offset);
    if (op->flags & WRITE_DURABLE)
        sqe->rw_flags = RWF_DSYNC;
}

static void prepare_flush(struct op *op, struct io_uring_sqe *sqe)
{
    io_uring_prep_fsync(sqe, op->handle, uring_scratch(op)->is_folder ? 0 : IORING_FSYNC_DATASYNC);
}

static void prepare_allocate(struct op *op, struct io_uring_sqe *sqe)
{
    io_uring_prep_fallocate(sqe, op->handle, 0, op->offset, (off_t)op->size);
}

static void prepare_rename(struct op *op, struct io_uring_sqe *sqe)
{
    io_uring_prep_renameat(sqe, AT_FDCWD, op->path, AT_FDCWD, op->path_to, 0);
}

static void prepare_remove(struct op *op, struct io_uring_sqe *sqe)
{
    io_uring_prep_unlinkat(sqe, AT_FDCWD, op->path,
                           uring_scratch(op)->is_folder ? AT_REMOVEDIR : 0);
}

static void prepare_make_directory(struct op *op, struct io_uring_sqe *sqe)
{
    io_uring_prep_mkdirat(sqe, AT_FDCWD, op->path, FOLDER_MODE);
}

static const struct {
    void (*prepare)(struct op *op, struct io_uring_sqe *sqe);
    int opcode;
    const char *opcode_name;
} kinds[OP_KIND_COUNT] = {
    [OP_ACCEPT] = {prepare_accept, IORING_OP_ACCEPT, "ACCEPT"},
    [OP_CONNECT] = {prepare_connect, IORING_OP_CONNECT, "CONNECT"},
    [OP_RECEIVE] = {prepare_receive, IORING_OP_RECV, "RECV"},
    [OP_SEND] = {prepare_send, IORING_OP_SENDMSG, "SENDMSG"},
    [OP_OPEN] = {prepare_open, IORING_OP_OPENAT, "OPENAT"},
    [OP_CLOSE] = {prepare_close, IORING_OP_CLOSE, "CLOSE"},
    [OP_READ] = {prepare_read, IORING_OP_READ, "READ"},
    [OP_WRITE] = {prepare_write, IORING_OP_WRITEV, "WRITEV"},
    [OP_FLUSH] = {prepare_flush, IORING_OP_FSYNC, "FSYNC"},
    [OP_ALLOCATE] = {prepare_allocate, IORING_OP_FALLOCATE, "FALLOCATE"},
    [OP_RENAME] = {prepare_rename, IORING_OP_RENAMEAT, "RENAMEAT"},
    [OP_REMOVE] = {prepare_remove, IORING_OP_UNLINKAT, "UNLINKAT"},
    [OP_MAKE_DIRECTORY] = {prepare_make_directory, IORING_OP_MKDIRAT, "MKDIRAT"},
};

bool uring_has_op(enum op_kind kind)
{
    return kinds[kind].prepare != NULL;
}

int64_t uring_begin(struct op *op)
{
    struct uring_scratch *scratch = uring_scratch(op);
    if (op->kind == OP_FLUSH) {
        scratch->is_folder = file_is_folder(op->handle);
    } else if (op->kind == OP_REMOVE) {
        scratch->is_folder = false;
    } else if (op->kind == OP_READ && op->flags & READ_CACHED_ONLY) {
        return file_ask_cache(op->handle, op->offset, op->size);
    } else if (op->kind == OP_CONNECT) {
        int64_t socket = socket_create(op->address, 0);
        if (socket < 0)
            return socket;
        scratch->socket = (int32_t)socket;
        scratch->name_size = socket_address_write(&scratch->name, op->address);
    }
    return 0;
}

void uring_prepare(struct op *op, struct io_uring_sqe *sqe)
{
    kinds[op->kind].prepare(op, sqe);
    io_uring_sqe_set_data(sqe, op);
}

/* The kernel may have taken a buffer for a receive that then brought nothing. */
static int64_t finish_receive(struct uring *uring, struct op *op, int32_t answer, uint32_t flags)
{
    if (!(flags & IORING_CQE_F_BUFFER))
        return answer;
    int32_t buffer = (int32_t)(flags >> IORING_CQE_BUFFER_SHIFT);
    if (answer <= 0) {
        uring->port.operations->give_back(&uring->port, buffer);
        return answer;
    }
    op->pool_buffer = buffer;
    op->data = uring->pool_bytes + (size_t)buffer * uring->port.pool_buffer_size;
    return answer;
}

int64_t uring_finish(struct uring *uring, struct op *op, int32_t answer, uint32_t flags,
                     bool *ret_again)
{
    struct uring_scratch *scratch = uring_scratch(op);
    int64_t result = answer < 0 ? -(int64_t)error_of_errno(-answer) : answer;
    switch (op->kind) {
    case OP_RECEIVE:
        return finish_receive(uring, op, (int32_t)result, flags);
    case OP_ACCEPT:
        if (answer >= 0 && op->address)
            socket_address_read(op->address, &scratch->name);
        if (answer >= 0 && op->data)
            socket_local_address(answer, op->data);
        return result;
    case OP_CONNECT:
        if (answer >= 0)
            return scratch->socket;
        close(scratch->socket);
        return result;
    case OP_OPEN:
        return answer >= 0 ? file_opened(answer, op->flags) : result;
    case OP_REMOVE:
        if (answer == -EISDIR && !scratch->is_folder)
            scratch->is_folder = *ret_again = true;
        return result;
    default:
        return result;
    }
}

const char *uring_missing_opcode(struct io_uring *ring)
{
    static const char unknown[] = "PROBE";
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    const char *missing = probe ? NULL : unknown;
    for (int kind = 0; kind < OP_KIND_COUNT && !missing; kind++)
        if (kinds[kind].prepare && !io_uring_opcode_supported(probe, kinds[kind].opcode))
            missing = kinds[kind].opcode_name;
    if (probe)
        io_uring_free_probe(probe);
    return missing;
}
