#pragma once
/* The hashes on which Kafka's clients and brokers agree: which partition a key goes to, and which
 * partition of __consumer_offsets keeps a group. */
#include "base/bytes.h"

/* murmur2 with Kafka's seed (Utils.murmur2 of the Java client): by key to a partition. */
uint32_t hash_murmur2(const void *data, size_t size);

/* Java's String.hashCode, of UTF-16 units; `text` must be UTF-8. */
int32_t hash_java_string(struct string text);

/* Java's hash of a UUID, as Kafka's Uuid has it. */
int32_t hash_java_uuid(struct uuid uuid);

/* The partition of a record with this key among `count`. */
static inline int32_t hash_partition_of_key(const void *key, size_t size, int32_t count)
{
    return (int32_t)(hash_murmur2(key, size) & INT32_MAX) % count;
}

/* The partition, of `count`, that keeps a group or transaction of this name. */
static inline int32_t hash_partition_of_name(struct string name, int32_t count)
{
    int32_t hash = hash_java_string(name);
    return hash == INT32_MIN ? 0 : (hash < 0 ? -hash : hash) % count;
}
