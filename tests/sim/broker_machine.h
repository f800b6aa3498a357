#pragma once
/* A simulated machine that runs a whole broker: net, api, cluster and storage on ports of the
 * world.
 *
 *   down -> booting -> up -> stopping -> closing -> down   [broker_machine_boot, _stop]
 *   any  -> down                                  [broker_machine_crash, _kill]
 *
 * Invariants
 *  1. Whatever the broker takes from the heap is the machine's (machine_memory.h): a crash drops
 * it, a clean stop must have given it all back.
 *  2. Boot, stop, crash and kill are called from outside of any turn. */
#include "cluster/broker.h"
#include "sim/world.h"

enum broker_state { BROKER_DOWN, BROKER_BOOTING, BROKER_UP, BROKER_STOPPING, BROKER_CLOSING };

enum { BROKER_PORT = 9092 };

struct broker_machine {
    struct world *world;
    int machine;
    struct settings settings; /* drawn by the scenario; stays over restarts */
    int cores;
    size_t buffers_bytes;     /* budget of each core */
    uint32_t flush_all_files; /* 0: as the broker has it */
    int64_t session_eviction_ms;
    struct broker broker;
    enum broker_state state;
    uint64_t boots;        /* begun; seeds the broker's randomness */
    uint64_t incarnations; /* boots that came to an end */
    bool has_crashed;      /* while it was booting or stopping */
    char why[512];         /* of the last failed boot */
    bool verbose;          /* the broker's log of events is printed, once it is up */
    /* inside */
    bool net_stopped, fenced;
    struct world_action crash;
    bool crash_is_kill;
};

void broker_machine_init(struct broker_machine *machine, struct world *world);
void broker_machine_done(struct broker_machine *machine);

/* Opens everything and runs the world until the broker has registered itself. False: it did not
 * come up, `why` says it; the machine is down. */
bool broker_machine_boot(struct broker_machine *machine);

/* Stops in order. False: it could not (a fenced store, a crash meanwhile); it is down anyway. True:
 * it has stopped and freed everything; a violation is noted otherwise. */
bool broker_machine_stop(struct broker_machine *machine);

/* Power loss and kill -9, now. Nothing if it is down. */
void broker_machine_crash(struct broker_machine *machine);
void broker_machine_kill(struct broker_machine *machine);

/* The same in `delay_ns`, wherever the broker is then; also while it boots or stops. */
void broker_machine_crash_in(struct broker_machine *machine, int64_t delay_ns, bool is_kill);

/* Takes that back. */
void broker_machine_crash_never(struct broker_machine *machine);

/* Where the connections of another machine (-1: of all) stand, and the budgets of their cores: text
 * for a message, a line each. */
void broker_machine_describe(const struct broker_machine *machine, int peer, char *text,
                             size_t size);

/* Has the broker lost the directory of its metadata, or its last one? Then a process of its kind
 * would end. */
bool broker_machine_is_fenced(const struct broker_machine *machine);

/* Has this directory failed on any core, or was it absent at the start? */
bool broker_machine_has_failed(const struct broker_machine *machine, int directory);
