#pragma once
/* The simulated world behind the seam (broker/reactor/port.h): machines with cores, a network,
 * disks and clocks, in one thread, driven by one seed.
 *
 *  - The same seed, settings and calls give the same run: `world->hash` runs over every event.
 *  - One event at a time: a completion (delivered inside that core's port_wait by one core_turn), a
 *    turn for a timer, mail or ready flows, an arrival of bytes, or an action of the scenario.
 *  - Every operation takes effect at one moment between submission and completion, namely when it
 *    completes; those in flight at a crash happened wholly, partly or not at all.
 *  - What the broker must not do is noted as a violation (world_violation); a test looks at
 *    `world->violation_count` at its end.
 *
 * A scenario: world_create, world_add_machine, for each core world_port + core_init +
 * world_add_core, flow_start, world_run. A simulated client is a core on a machine of its own. */
#include "base/random.h"
#include "reactor/core.h"
#include "reactor/port.h"
#include <stdbool.h>
#include <stdint.h>

struct disk;
struct disk_recording;
struct world;
struct world_port;
struct world_task;
struct socket;

enum { WORLD_MACHINES_MAX = 64, WORLD_CORES_MAX = 16, WORLD_FAULTS_MAX = 16 };

struct world_range {
    int64_t low_ns, high_ns; /* both included */
};

/* Start from world_settings_default. "once_in" n: once in n on average, 0 never. */
struct world_settings {
    struct world_range latency[OP_KIND_COUNT]; /* from submission (or readiness) to completion */
    struct world_range slow;                   /* instead, once in slow_once_in */
    uint64_t slow_once_in;
    struct world_range cached_read;   /* the latency of a read with READ_CACHED_ONLY */
    struct world_range turn_delay;    /* from mail or a ready flow to the core's turn */
    struct world_range network_delay; /* from a send's completion to the arrival of its bytes */
    int64_t connect_timeout_ns;       /* to a machine that can't be reached */
    uint32_t pool_buffer_size, pool_buffer_count; /* of each port */
    uint32_t socket_buffer_bytes;                 /* of each direction; a sender waits beyond it */
    uint32_t backlog;                /* connections not accepted yet; refused beyond it */
    uint32_t handle_limit;           /* of a machine; TOO_MANY_FILES beyond it */
    uint64_t short_transfer_once_in; /* short receives and sends */
    uint64_t no_buffers_once_in;     /* receives into the pool end with NO_BUFFERS */
    uint64_t split_once_in;          /* bytes sent at once arrive in pieces */
    uint64_t cut_once_in;            /* of arrivals: the connection is cut */
    uint32_t sector_bytes;           /* 512 or 4096 */
    uint32_t direct_alignment;       /* 512 or 4096 */
    int64_t disk_limit_bytes;        /* 0: none */
    bool names_as_prefix;            /* see disk.h */
    uint64_t short_read_once_in, short_write_once_in;
    uint64_t
        forget_once_in; /* of reads with READ_CACHED_ONLY: the page cache has lost some of it */
    bool cache_untold;  /* they are not supported */
    uint64_t read_error_once_in, write_error_once_in, flush_error_once_in, name_error_once_in;
    int64_t wall_start_ms;
};

struct world_event {
    int32_t place; /* in the agenda; -1: not in it */
    uint8_t kind;
};

struct world_agenda_entry {
    int64_t due_ns;
    uint64_t tie; /* random: the order of those due at once */
    struct world_event *event;
};

/* Something the scenario does at a moment. The memory is the scenario's until it has run. */
struct world_action {
    struct world_event event;
    void (*run)(struct world_action *action, struct world *world);
};
#define WORLD_ACTION(run_) ((struct world_action){.event.place = -1, .run = (run_)})

enum { WORLD_FOLDER_BYTES = 16 };

/* An injected fault: see world_fail. */
struct world_fault {
    uint8_t kind;
    uint64_t at; /* the count of submitted operations of that kind; 0: free place */
    enum error error;
};

struct handle; /* of a machine's table */

struct machine {
    struct world *world;
    int index;
    bool running;
    int64_t wall_offset_ms;
    struct world_port *ports[WORLD_CORES_MAX];
    struct handle *handles;
    int32_t handle_count, handle_free, handles_used; /* handle_free: first free, -1 none */
    struct list sockets, listeners;
    uint16_t next_port;
    struct list files; /* of struct open_file */
    struct disk *disk;
    struct disk_recording *recording; /* null: not recording */
    struct list name_operations;      /* in flight on the disk, other than writes */
    struct world_fault faults[WORLD_FAULTS_MAX];
    int fault_count;
    uint8_t fault_kind;                    /* of the operation that met the last of them */
    bool fault_durable;                    /* a write that was to be durable */
    uint64_t fault_met;                    /* how many were met */
    char broken[WORLD_FOLDER_BYTES];       /* see world_break; empty: none */
    uint64_t submitted[OP_KIND_COUNT + 1]; /* the last: of any kind */
};

struct world {
    /* Not null: says whose memory is taken from now on, while a machine's OP_WORK is done; returns
     * who had it. */
    int (*account)(int machine);
    struct world_task *task; /* the part of a crew that runs now (world_crew.h); or null */
    uint64_t seed, hash, events;
    int64_t now_ns;
    struct random random;
    struct world_settings settings;
    struct machine *machines[WORLD_MACHINES_MAX];
    int machine_count;
    struct world_agenda_entry *agenda; /* a heap by (due, tie) */
    int32_t agenda_count, agenda_capacity;
    bool blocked[WORLD_MACHINES_MAX][WORLD_MACHINES_MAX]; /* from, to */
    struct list free_sockets, dead_ports;
    int violation_count;
    char violation[640]; /* the first one */
    bool quiet;          /* violations are counted, not printed */
    void (*on_event)(struct world *world, void *argument);
    void *on_event_argument;
};

struct world_settings world_settings_default(void);

/* Ranges, pool, buffers and faults drawn from `seed`: the swarm. */
struct world_settings world_settings_random(uint64_t seed);

/* `settings` null: the default. */
struct world *world_create(uint64_t seed, const struct world_settings *settings);

/* Frees the world, its ports and disks; what was on the cores is the scenario's. */
void world_destroy(struct world *world);

/* A machine with an empty disk, running. Returns its index, from 0. */
int world_add_machine(struct world *world);

/* The address of `port` on a machine: 10.0.0.(index + 1). 127.0.0.1 is the machine itself. */
struct address world_address(int machine, uint16_t port);

/* The port of a core (0 ...) of a running machine. The world's; valid until the machine stops. */
struct port *world_port(struct world *world, int machine, int core);

/* `core`, set up on a port of world_port, is turned from now on. */
void world_add_core(struct world *world, int machine, struct core *core);

/* After flow_start, timer_start or a hook called from outside of any turn. world_run notices by
 * itself what was given before it was called. */
void world_notice(struct world *world, struct core *core);

/* One event. False when nothing will ever happen any more. */
bool world_step(struct world *world);

/* Steps until `until` gives true (null: never), `events` have passed (0: no limit), the clock has
 * moved by `for_ns` (0: no limit), or nothing is left. True if `until` did. */
struct world_stop {
    bool (*until)(void *argument);
    void *argument;
    uint64_t events;
    int64_t for_ns;
};
bool world_run(struct world *world, struct world_stop stop);

/* Called after every event, outside of any turn: for oracles, and to crash at the n-th event. */
void world_on_event(struct world *world, void (*run)(struct world *world, void *argument),
                    void *argument);

/* Runs `action` in `delay_ns`. */
void world_at(struct world *world, struct world_action *action, int64_t delay_ns);

/* It will not run, if it has not. */
void world_forget(struct world *world, struct world_action *action);

/* Steps the wall clock of a machine. */
void world_wall_step(struct world *world, int machine, int64_t delta_ms);

/* ---- faults ---- */

/* The `nth` operation of `kind` (OP_KIND_COUNT: of any) that the machine submits from now, from 1,
 * ends with `error`; ERROR_NONE: is short, if it is a transfer; NO_SPACE: nothing happens to one
 * that takes no space. A send or receive that ends with
 * CONNECTION_RESET cuts its connection. */
void world_fail(struct world *world, int machine, int kind, uint64_t nth, enum error error);

/* The disk below a folder of the root breaks: every operation on what lies there ends with
 * INPUT_OUTPUT from now on, until another one breaks or none (null). At most one of a machine is
 * broken. */
void world_break(struct world *world, int machine, const char *folder);

/* Nothing goes from machine to machine while blocked; what was sent is kept. One direction. */
void world_block(struct world *world, int from, int to, bool blocked);

/* Cuts every connection between two machines: each end sees a reset, or an end. */
void world_cut(struct world *world, int a, int b);

/* The space limit of a machine's disk in bytes; 0: none. */
void world_disk_limit(struct world *world, int machine, int64_t bytes);

/* Power loss: cores and ports are gone, operations never complete (a port_call ends with
 * ERROR_STOPPED), connections are cut, the disk is what a crash leaves (disk.h), drawn. The memory
 * of the cores is the scenario's and may be freed at once. Not from within a turn of the machine.
 */
void world_crash(struct world *world, int machine);

/* kill -9: the same for the process, but the disk keeps what was completed, flushed or not; what
 * was in flight happened or not. */
void world_kill(struct world *world, int machine);

/* A process that has ended by itself: as world_kill; operations in flight are a violation. */
void world_stop_machine(struct world *world, int machine);

/* A stopped machine runs again, with new ports. */
void world_start(struct world *world, int machine);

/* ---- recordings: disk_record.h ---- */

/* Records what changes the disk of a machine, of which nothing may be in flight. Ends by itself
 * when the machine stops. */
void world_record_start(struct world *world, int machine);

/* The recording so far, now the caller's (disk_recording_destroy); null if there was none. */
struct disk_recording *world_record_stop(struct world *world, int machine);

/* Puts `value` into the recording, e.g. the offset that was acknowledged just now. */
void world_record_mark(struct world *world, int machine, int64_t value);

/* Gives a machine on which nothing is open another disk, an image; the world's from then on. */
void world_load_disk(struct world *world, int machine, struct disk *disk);

/* Notes a broken rule. Printed with seed and time unless `quiet`. */
void world_violation(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
