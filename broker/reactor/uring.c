/* The port on io_uring.
 *
 * Invariants
 *  1. An operation is in exactly one place (enum uring_place): `pending`, the ring, `cancels` (in
 *     the ring, too), `ready` or with the workers; shutdowns are on `shutdowns`. op->link belongs
 * to that place.
 *  2. While `pending` is not empty new operations go behind it, so the ring gets operations in the
 *     order of their submission.
 *  3. Cancellations are written into the ring behind the operation they are meant for and submitted
 *     before completions are reaped, so that none can hit a later use of the same memory.
 *  4. One call of the kernel a turn: it submits, and waits if there was nothing to deliver. None if
 *     there is nothing to submit, nothing to wait for and the kernel has raised no flag.
 *  5. The read of wake_event is always armed, except between its completion and the next wait. */
#include "reactor/uring.h"
#include "base/check.h"
#include "reactor/files.h"
#include "base/memory.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    HELPER_THREADS = 2,         /* so that a file need not wait for OP_WORK */
    COMPLETIONS_PER_ENTRY = 16, /* idle receives complete in bursts far above the queue depth */
    SUBMIT_ROUNDS_MAX = 100000,
};

/* Who a completion is for, besides operations. */
enum { TAG_IGNORED = 0, TAG_WAKE = 1 };

static struct uring *uring_of(struct port *port)
{
    return CONTAINER_OF(port, struct uring, port);
}

static void make_ready(struct uring *uring, struct op *op, int64_t result)
{
    op->result = result;
    uring_scratch(op)->place = PLACE_READY;
    list_push(&uring->ready, &op->link);
}

static bool put_into_ring(struct uring *uring, struct op *op)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    if (!sqe)
        return false;
    uring_prepare(op, sqe);
    uring_scratch(op)->place = PLACE_RING;
    return true;
}

static void put_into_pending(struct uring *uring, struct op *op)
{
    uring_scratch(op)->place = PLACE_PENDING;
    list_push(&uring->pending, &op->link);
}

static void uring_submit(struct port *port, struct op *op)
{
    struct uring *uring = uring_of(port);
    uring->in_flight++;
    list_init(&op->link);
    if (op->kind == OP_LISTEN) {
        make_ready(uring, op, socket_listen(op->address, 0));
        return;
    }
    if (op->kind == OP_SHUTDOWN) {
        uring_scratch(op)->place = PLACE_READY;
        list_push(&uring->shutdowns, &op->link);
        return;
    }
    if (!uring_has_op(op->kind)) {
        uring_scratch(op)->place = PLACE_WORKERS;
        workers_submit(&uring->workers, op);
        return;
    }
    int64_t failed = uring_begin(op);
    if (failed)
        make_ready(uring, op, failed);
    else if (!list_is_empty(&uring->pending) || !put_into_ring(uring, op))
        put_into_pending(uring, op);
}

static void uring_cancel(struct port *port, struct op *op)
{
    struct uring *uring = uring_of(port);
    check(op->running);
    switch (uring_scratch(op)->place) {
    case PLACE_PENDING: {
        list_remove(&op->link);
        bool again = false;
        make_ready(uring, op, uring_finish(uring, op, -ECANCELED, 0, &again));
        break;
    }
    case PLACE_RING:
        uring_scratch(op)->place = PLACE_CANCEL;
        list_push(&uring->cancels, &op->link);
        break;
    case PLACE_WORKERS:
        if (workers_cancel(&uring->workers, op))
            make_ready(uring, op, -(int64_t)ERROR_CANCELLED);
        break;
    default:
        break; /* cancelled already, or about to be delivered */
    }
}

static void deliver(struct uring *uring, struct op *op, int64_t result)
{
    uring->in_flight--;
    op_complete(op, result);
}

static unsigned deliver_ready(struct uring *uring)
{
    unsigned delivered = 0;
    struct list *node;
    for (; (node = list_pop(&uring->ready)); delivered++) {
        struct op *op = CONTAINER_OF(node, struct op, link);
        deliver(uring, op, op->result);
    }
    return delivered;
}

static bool arm_wake(struct uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    if (!sqe)
        return false;
    io_uring_prep_read(sqe, uring->wake_event, &uring->wake_value, sizeof uring->wake_value, 0);
    io_uring_sqe_set_data64(sqe, TAG_WAKE);
    uring->wake_armed = true;
    return true;
}

/* Moves what waits into the submission queue. False if some of it found no room. */
static bool fill_ring(struct uring *uring)
{
    if (!uring->wake_armed && !uring->closing && !arm_wake(uring))
        return false;
    struct list *node;
    while ((node = list_pop(&uring->pending))) {
        struct op *op = CONTAINER_OF(node, struct op, link);
        if (!put_into_ring(uring, op)) {
            list_push_front(&uring->pending, node);
            return false;
        }
    }
    while (!list_is_empty(&uring->cancels)) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
        if (!sqe)
            return false;
        io_uring_prep_cancel(sqe, CONTAINER_OF(uring->cancels.next, struct op, link), 0);
        io_uring_sqe_set_data64(sqe, TAG_IGNORED);
        list_pop(&uring->cancels);
    }
    return true;
}

static void take_completion(struct uring *uring, const struct io_uring_cqe *cqe)
{
    if (cqe->user_data == TAG_IGNORED)
        return;
    if (cqe->user_data == TAG_WAKE) {
        uring->wake_armed = false;
        workers_take(&uring->workers, &uring->ready);
        return;
    }
    struct op *op = (struct op *)(uintptr_t)cqe->user_data;
    bool again = false;
    int64_t result = uring_finish(uring, op, cqe->res, cqe->flags, &again);
    list_remove(&op->link); /* of `cancels`, if that was not submitted yet */
    if (again)
        put_into_pending(uring, op);
    else
        deliver(uring, op, result);
}

/* Delivers all completions that lie in the queue. */
static unsigned reap(struct uring *uring)
{
    unsigned head, count = 0;
    struct io_uring_cqe *cqe;
    io_uring_for_each_cqe(&uring->ring, head, cqe)
    {
        take_completion(uring, cqe);
        count++;
    }
    io_uring_cq_advance(&uring->ring, count);
    return count + deliver_ready(uring);
}

/* Enters the kernel: submits, lets it finish what it has for us, waits for `count` completions
 * until `until_ns`. What may go wrong (interrupted, too little memory, queue of completions full)
 * passes: what was not submitted stays in the queue for the next turn. */
static void enter(struct uring *uring, unsigned count, int64_t until_ns)
{
    int result;
    if (count == 0) {
        result = io_uring_submit_and_get_events(&uring->ring);
    } else if (until_ns == INT64_MAX) {
        result = io_uring_submit_and_wait(&uring->ring, count);
    } else {
        struct now now;
        system_clock(&now);
        int64_t left_ns = until_ns > now.monotonic_ns ? until_ns - now.monotonic_ns : 0;
        struct __kernel_timespec left = {left_ns / 1000000000, left_ns % 1000000000};
        struct io_uring_cqe *cqe;
        result = io_uring_submit_and_wait_timeout(&uring->ring, &cqe, count, &left, NULL);
    }
    check(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY ||
          result == -ETIME || result == -ENOMEM);
}

static bool kernel_has_work(const struct uring *uring)
{
    unsigned flags = IO_URING_READ_ONCE(*uring->ring.sq.kflags);
    return !uring->has_task_flag || flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* All that was submitted before goes to the kernel first. */
static unsigned run_shutdowns(struct uring *uring)
{
    unsigned delivered = 0;
    if (list_is_empty(&uring->shutdowns))
        return 0;
    enter(uring, 0, 0);
    struct list *node;
    for (; (node = list_pop(&uring->shutdowns)); delivered++) {
        struct op *op = CONTAINER_OF(node, struct op, link);
        deliver(uring, op, socket_shutdown(op->handle));
    }
    return delivered;
}

static void uring_wait(struct port *port, int64_t until_ns)
{
    struct uring *uring = uring_of(port);
    unsigned delivered = deliver_ready(uring);
    bool all = fill_ring(uring);
    for (int round = 0; !all && round < SUBMIT_ROUNDS_MAX; round++) {
        enter(uring, 0, 0);
        delivered += reap(uring);
        all = fill_ring(uring);
    }
    delivered += run_shutdowns(uring);
    bool waits = all && delivered == 0 && until_ns > 0;
    if (waits)
        enter(uring, 1, until_ns);
    else if (io_uring_sq_ready(&uring->ring) > 0 || kernel_has_work(uring))
        enter(uring, 0, 0);
    reap(uring);
}

static void uring_wake(struct port *port)
{
    uint64_t one = 1;
    check(write(uring_of(port)->wake_event, &one, sizeof one) == sizeof one);
}

static void uring_clock(struct port *port, struct now *now)
{
    system_clock(now);
}

static void uring_give_back(struct port *port, int32_t buffer)
{
    struct uring *uring = uring_of(port);
    check(buffer >= 0 && (uint32_t)buffer < port->pool_buffer_count);
    io_uring_buf_ring_add(uring->pool, uring->pool_bytes + (size_t)buffer * port->pool_buffer_size,
                          port->pool_buffer_size, (unsigned short)buffer,
                          io_uring_buf_ring_mask(port->pool_buffer_count), 0);
    io_uring_buf_ring_advance(uring->pool, 1);
}

static void free_uring(struct uring *uring)
{
    io_uring_queue_exit(&uring->ring);
    if (uring->pool)
        munmap(uring->pool, uring->pool_ring_size);
    memory_free(uring->pool_bytes);
    if (uring->wake_event >= 0)
        close(uring->wake_event);
    memory_free(uring);
}

static void uring_close(struct port *port)
{
    struct uring *uring = uring_of(port);
    while (uring->in_flight > 0)
        uring_wait(port, INT64_MAX);
    uring->closing = true; /* the armed read points into our memory: let it end first */
    uring_wake(port);
    while (uring->wake_armed)
        uring_wait(port, INT64_MAX);
    workers_done(&uring->workers);
    free_uring(uring);
}

static const struct port_operations operations = {
    .name = "uring",
    .submit = uring_submit,
    .cancel = uring_cancel,
    .wait = uring_wait,
    .wake = uring_wake,
    .clock = uring_clock,
    .give_back = uring_give_back,
    .call = file_call,
    .close = uring_close,
};

/* From the best set of flags to none. Returns 0 or a negative errno. */
static int open_ring(struct uring *uring, uint32_t depth)
{
    static const unsigned sets[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
            IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
        0,
    };
    int result = -EINVAL;
    for (int i = 0; i < ARRAY_COUNT(sets) && result == -EINVAL; i++) {
        struct io_uring_params parameters = {
            .flags = sets[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = depth * COMPLETIONS_PER_ENTRY,
        };
        result = io_uring_queue_init_params(depth, &uring->ring, &parameters);
        uring->has_task_flag = sets[i] & IORING_SETUP_TASKRUN_FLAG;
    }
    return result;
}

static int open_pool(struct uring *uring)
{
    uint32_t count = uring->port.pool_buffer_count;
    size_t size = count * sizeof(struct io_uring_buf);
    void *ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (ring == MAP_FAILED)
        return -errno;
    uring->pool = ring;
    uring->pool_ring_size = size;
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)ring, .ring_entries = count, .bgid = URING_POOL};
    int result = io_uring_register_buf_ring(&uring->ring, &registration, 0);
    if (result < 0)
        return result;
    io_uring_buf_ring_init(uring->pool);
    uring->pool_bytes = memory_aligned(4096, (size_t)count * uring->port.pool_buffer_size);
    for (uint32_t i = 0; i < count; i++)
        uring_give_back(&uring->port, (int32_t)i);
    return 0;
}

/* What the port needs besides the ring. False, with the reason, if something is not to be had. */
static bool complete_ring(struct uring *uring, char *why, size_t why_size)
{
    unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG;
    const char *missing = uring_missing_opcode(&uring->ring);
    if (missing) {
        snprintf(why, why_size, "this kernel's io_uring has no %s", missing);
        return false;
    }
    if ((uring->ring.features & needed) != needed) {
        snprintf(why, why_size, "this kernel's io_uring is older than Linux 5.11");
        return false;
    }
    uring->wake_event = eventfd(0, EFD_CLOEXEC);
    if (uring->wake_event < 0) {
        snprintf(why, why_size, "eventfd failed (%s)", strerrordesc_np(errno));
        return false;
    }
    int result = open_pool(uring);
    if (result < 0)
        snprintf(why, why_size, "no ring of buffers (%s): Linux 5.19 or newer is needed",
                 strerrordesc_np(-result));
    return result == 0;
}

enum error uring_open(const struct port_options *options, struct port **ret_port, char *why,
                      size_t why_size)
{
    uint32_t count = options->pool_buffer_count;
    check(count > 0 && count <= 32768 && (count & (count - 1)) == 0);
    check(options->queue_depth > 0 && options->pool_buffer_size > 0);
    struct uring *uring = memory_zeroed(sizeof *uring);
    uring->port = (struct port){&operations, options->pool_buffer_size, count};
    uring->wake_event = -1;
    int result = open_ring(uring, options->queue_depth);
    if (result < 0) {
        bool forbidden = result == -EPERM || result == -ENOSYS;
        snprintf(why, why_size, "io_uring_setup failed (%s)%s", strerrordesc_np(-result),
                 forbidden ? ": the kernel lacks io_uring, or a container or "
                             "kernel.io_uring_disabled forbids it"
                           : "");
        memory_free(uring);
        return ERROR_NOT_SUPPORTED;
    }
    if (!complete_ring(uring, why, why_size)) {
        free_uring(uring);
        return ERROR_NOT_SUPPORTED;
    }
    list_init(&uring->pending);
    list_init(&uring->cancels);
    list_init(&uring->shutdowns);
    list_init(&uring->ready);
    workers_init(&uring->workers, HELPER_THREADS, uring->wake_event);
    (void)io_uring_register_ring_fd(&uring->ring); /* only saves a look-up per call */
    *ret_port = &uring->port;
    return ERROR_NONE;
}
