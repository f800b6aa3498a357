#pragma once
/* A whole broker without network on one machine of the world, over starts and stops: its metadata
 * are what matters. Small segments, snapshots after a few records. */
#include "cluster/broker.h"
#include "sim/world.h"

enum { SITE_CORES = 2, SITE_EVENTS_MAX = 2000000 };

struct site {
    struct world *world;
    struct settings settings;
    struct broker broker;
    uint64_t boots;
    char why[600];
};

/* `disk`: what it begins with, taken over; null: an empty one. */
void site_init(struct site *site, uint64_t seed, struct disk *disk);
void site_done(struct site *site);

/* False: the start was refused, with a sentence in site->why. */
bool site_boot(struct site *site);

/* In order. */
void site_stop(struct site *site);
