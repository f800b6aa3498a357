#pragma once
/* Which partition a record goes to, as Kafka's Java client decides: equal keys land where that
 * client puts them. Pure. */
#include "base/bytes.h"
#include "base/random.h"

/* MurmurHash2 with Kafka's seed, over the bytes of a key. */
int32_t murmur2(struct bytes key);

/* The partition of `count` for a record with this key (not null). */
int32_t partition_of_key(struct bytes key, int32_t count);

/* Records without a key stick to one partition, so that batches fill, and change to another one,
 * chosen at random, when a batch is full (KIP-480). */
struct sticky {
    struct random random;
    int32_t partition; /* -1: none chosen yet */
};

void sticky_init(struct sticky *sticky, uint64_t seed);
int32_t sticky_partition(struct sticky *sticky, int32_t count);
/* The batch is full: the next partition is another one, if there is one. */
void sticky_change(struct sticky *sticky, int32_t count);
