#pragma once
/* Which brokers get the replicas of new partitions, and in which of their log directories. Pure. */
#include "base/arena.h"
#include "base/error.h"
#include "base/random.h"
#include "logic/image.h"

/* What placing reads: the brokers of the image, and randomness for where to begin. */
struct placement {
    const struct image *image;
    const int32_t *brokers; /* that may get replicas, in the arena */
    int32_t broker_count;
    uint64_t start; /* of the stripes */
};

/* An error for the client: the code, and the words that Kafka has for it; NONE with a null text. */
struct complaint {
    enum error error;
    struct string text;
};

/* Chooses the brokers: those that are not fenced, or all that are registered where those are too
 * few for `replication_factor`. INVALID_REPLICATION_FACTOR where all are too few. NO_MEMORY when
 * the arena's budget is used up. */
struct complaint placement_init(struct placement *placement, const struct image *image,
                                int replication_factor, struct random *random, struct arena *arena);

/* The replicas of partition `id`, `count` (the replication factor) ids into `ret_replicas`: stripes
 * around the brokers, a further shift at each time round, so that followers spread too. */
void placement_replicas(const struct placement *placement, int32_t id, int32_t count,
                        int32_t *ret_replicas);

/* The log directories of a broker that may be used, and how many replicas each has; those placed by
 * the decision under way are counted. */
struct placement_directories {
    const struct uuid *ids; /* the image's */
    int32_t *loads;         /* in the arena */
    int32_t count;
};

/* False: the arena's budget is used up. */
bool placement_directories_init(struct placement_directories *directories,
                                const struct image *image, int32_t broker_id, struct arena *arena);

/* The one with the fewest replicas, the first of several (Kafka's LogManager.nextLogDirs), and
 * counts one more there. Zero where there is none: the broker chooses. */
struct uuid placement_directory(struct placement_directories *directories);

/* Checks one assignment made by hand, in Kafka's words: not empty, no broker twice, all of them
 * registered, at least one not fenced, as many as `expected_count` (-1: any number). */
struct complaint placement_check(const struct image *image, struct arena *arena, int32_t id,
                                 const int32_t *replicas, int32_t count, int32_t expected_count);

/* True if the broker is registered, not fenced and not shutting down. */
bool placement_is_active(const struct image *image, int32_t broker_id);
