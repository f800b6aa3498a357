#pragma once
/* Between the files of the world; not for scenarios. */
#include "sim/disk.h"
#include "sim/world.h"
#include "base/check.h"

enum event_kind { EVENT_COMPLETION, EVENT_TURN, EVENT_ARRIVAL, EVENT_ACTION };

/* What the world keeps in op->scratch. */
struct op_state {
    struct world_event event; /* 8 bytes */
    struct world_port *port;
    void *object; /* struct open_file, struct socket or struct listener; null: gone or a path */
    uint64_t checksum; /* of a write's bytes at submission; of a connect: when it gives up */
    union {
        uint64_t bound; /* of a flush: the disk's sequence at submission */
        int64_t result; /* once it is done */
    };
    int64_t record; /* in the recording; -1 none */
    uint64_t mark;  /* OP_IN_FLIGHT ^ its address while the world has it */
    int32_t error;  /* to end with */
    bool shortened, cancelled;
    bool drained; /* by a shutdown: ends with 0 */
    bool due;     /* taken from the agenda: not done yet, or done and not completed yet */
};
_Static_assert(sizeof(struct op_state) <= sizeof((struct op *)0)->scratch, "op_state fits");

#define OP_IN_FLIGHT 0x0b0e1e5f11647b01u

static inline struct op_state *op_state(struct op *op)
{
    return (struct op_state *)op->scratch;
}

static inline struct op *event_op(struct world_event *event)
{
    return CONTAINER_OF((uint64_t *)event, struct op, scratch[0]);
}

struct world_port {
    struct port port;
    struct list link; /* in world->dead_ports */
    struct world *world;
    struct machine *machine;
    struct core *core; /* null: only port_call, or a test that waits by hand */
    int index;
    bool alive, in_turn, woken, delivered;
    int waiting; /* depth of port_waits that drive the world */
    struct world_event turn;
    int64_t turn_due_ns;
    struct op *delivering; /* to be completed by the next port_wait */
    struct op **ready;     /* done, and nobody turns or waits on this port */
    int32_t ready_count, ready_capacity;
    struct op **calls; /* in flight without a flow: port_call's */
    int32_t calls_count, calls_capacity;
    int32_t in_flight, cancelled; /* operations; those of them that were cancelled */
    uint8_t *pool;
    bool *pool_taken;
    int32_t *pool_free;
    int32_t pool_free_count;
};

enum handle_type { HANDLE_FREE, HANDLE_LISTENER, HANDLE_SOCKET, HANDLE_FILE };

struct handle {
    uint8_t type;
    int32_t next_free;
    void *object;
};

struct open_file {
    struct list link; /* in machine->files */
    struct inode *inode;
    uint32_t flags;
    int32_t references;                    /* the handle, and operations in flight */
    uint64_t cookie;                       /* of OP_LIST */
    char folder[WORLD_FOLDER_BYTES];       /* the first part of its path */
    uint32_t losses_told, all_losses_told; /* of the inode's and the disk's */
};

struct listener {
    struct list link; /* in machine->listeners */
    struct machine *machine;
    uint16_t port;
    struct list backlog; /* of struct socket */
    int32_t backlog_count;
    struct list accepts; /* of struct op */
};

/* One end of a connection, with the bytes that come in. */
struct socket {
    struct list link;    /* in machine->sockets, a backlog too */
    struct list pending; /* in a listener's backlog */
    struct machine *machine;
    struct socket *peer;                        /* null: closed, cut */
    struct machine *peer_machine;               /* where the bytes come from */
    struct address peer_address, local_address; /* of an accepted one */
    uint8_t *ring;
    uint64_t written, arrived, taken; /* taken <= arrived <= written <= taken + capacity */
    bool end_sent, end_arrived, reset_sent, reset, shut;
    struct world_event arrival;
    struct list receives, sends; /* of struct op, in order of submission */
};

/* world.c */
void agenda_add(struct world *world, struct world_event *event, int64_t due_ns);
void agenda_remove(struct world *world, struct world_event *event);
int64_t world_draw(struct world *world, struct world_range range);
void world_mix(struct world *world, uint64_t value);
void op_schedule(struct op *op); /* at a drawn moment; nothing if it is scheduled */
void op_finish(struct op *op, int64_t result);
void op_cancel(struct op *op); /* marks it */

/* world_crew.c: within a part of a crew, until `port` has something for it */
void world_task_wait(struct world *world, const struct world_port *port);

/* world_port.c */
extern const struct port_operations world_port_operations;
void port_deliver(struct world_port *port, struct op *op);
void port_turn(struct world_port *port);
void port_plan_turn(struct world_port *port);
void port_stop(struct world_port *port); /* moves it to world->dead_ports */
void port_free(struct world_port *port);
int32_t pool_take(struct world_port *port);
int32_t handle_add(struct machine *machine, enum handle_type type, void *object);
void *handle_get(struct machine *machine, int32_t handle, enum handle_type type);
void handle_free(struct machine *machine, int32_t handle);

/* world_net.c: */
void net_submit(struct op *op);
int64_t net_execute(struct op *op, bool *ret_again);
void net_cancel(struct op *op);
void net_arrive(struct socket *socket);
int64_t socket_close(struct socket *socket, bool orderly);
int64_t listener_close(struct listener *listener);
void net_stop_machine(struct machine *machine);

/* world_disk.c */
void file_submit(struct op *op);
int64_t file_execute(struct op *op);
int64_t file_close(struct machine *machine, struct open_file *file);
void file_stop_machine(struct machine *machine, bool power_lost);
