#pragma once
/* One seed of the whole broker in the simulator: settings, clients and faults drawn, oracles after
 * every event and at the end. See broker_sim.c for the phases. */
#include "sim/broker_machine.h"
#include "sim/client.h"
#include <stdio.h>

enum { SIM_CLIENTS_MAX = 16, SIM_PRODUCER_IDS_MAX = 4096, SIM_GHOST_BYTES_MAX = 3500 };

/* A batch of an idempotent producer that comes once more over another connection, as if the network
 * had kept it: its client has not seen it acknowledged yet, all before it has. */
struct sim_ghost {
    struct client *owner; /* null: none */
    struct model_partition *partition;
    uint64_t first_uid;
    int32_t size, count; /* of bytes, of records */
    uint8_t bytes[SIM_GHOST_BYTES_MAX];
};

/* Of quiet hours (broker_quiet.h). */
enum { QUIET_STEPS = 256 };
struct quiet {
    uint64_t at_event; /* 0: none, or it is over */
    bool hush;         /* clients begin nothing new */
    bool stepped;      /* the wall clock is wrong: only its topics are written to */
    bool undisturbed;  /* nothing that the world does ends a connection */
    int64_t up_ns;     /* the broker came up then */
    int64_t begun_ns;  /* the world does nothing to connections since; what it did may arrive yet */
    struct quiet_step {
        int64_t since_ns, offset_ms;
    } steps[QUIET_STEPS];
    int step_count;
};

struct simulation {
    uint64_t seed, events_wanted;
    struct world *world;
    struct random random; /* the scenario's: settings, faults, when */
    struct random extra;  /* the same, of what came later: so the draws before stay what they are */
    struct broker_machine broker;
    struct model model;
    struct client clients[SIM_CLIENTS_MAX];
    int client_count;
    struct hostile *hostile;
    bool calm; /* no faults any more: what is asked must be answered */
    int64_t calm_ns;
    int32_t topics[MODEL_KINDS]; /* names of each kind */
    struct {
        uint64_t boots, topics, cores; /* as seen between two requests: digests */
        int64_t end_offset;            /* of the metadata log; 0: nothing seen yet */
        int core_count;
    } metadata;
    bool verbose, disk_faults;
    int directories;    /* of the broker, each a disk that may break */
    int broken;         /* of them; -1: none */
    bool has_broken[3]; /* ever: what was lost may be told later */
    bool by_chance;     /* operations may have failed, whosever they are */
    /* counted */
    uint64_t crashes, kills, stops, failed_boots, fences, cuts;
    struct world_action unblock;
    int64_t producer_ids[SIM_PRODUCER_IDS_MAX]; /* all that were ever given */
    int producer_id_count;
    struct sim_ghost ghost;
    struct quiet quiet;
    bool rots;     /* bits of cold files flip */
    bool compacts; /* some topics are compacted */
    bool retains;  /* some topics have limits of age or size */
};

/* Tells what the scenario does. */
#define SAY(sim, ...)                                                                              \
    do {                                                                                           \
        if ((sim)->verbose) {                                                                      \
            printf("[%9.3f s, event %llu] ", (double)(sim)->world->now_ns / 1e9,                   \
                   (unsigned long long)(sim)->world->events);                                      \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)

struct sim_result {
    bool failed;
    uint64_t hash, events, failed_event;
    char message[640];
    uint64_t records, acknowledged, read, crashes, kills, stops, failed_boots, fences, losses;
};

/* The name of a log directory. */
const char *sim_directory(int directory);

/* Starts the broker, however often it takes; kills it or takes its power; ends what disturbs the
 * world by chance. */
void sim_boot(struct simulation *sim);
void sim_crash(struct simulation *sim);
void sim_end_faults(struct simulation *sim);

/* Runs one seed. `verbose` prints what the scenario does. */
struct sim_result sim_run(uint64_t seed, uint64_t events, bool verbose);

/* broker_oracles.c: after every event. */
void oracle_event(struct world *world, void *argument);
/* The broker begins anew: what held for the last incarnation only is forgotten. */
void oracle_incarnation(struct simulation *sim);
/* After a clean stop: reads the disk. */
void oracle_disk(struct simulation *sim);

/* client_hostile.c: starts it; it needs no answer. */
void hostile_start(struct simulation *sim);
