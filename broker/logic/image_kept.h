#pragma once
/* Records of the metadata log that no code here acts on yet, but that a snapshot must not lose:
 * settings of brokers and of clients' kinds, SCRAM credentials, quotas, ACLs, delegation tokens,
 * registrations of controllers. A Kafka node has written them; one that goes on here finds them
 * again. Pure.
 *
 * Invariants
 *  1. Of each thing (a user's credential of one mechanism, an ACL, ...) the last record is kept, in
 *     the place of its first one, and none once a later record has removed it.
 *  2. What is kept encodes to the bytes of the record as it was read, fields not known included
 *     (message.h 3): all these records have one version.
 *  3. At most IMAGE_KEPT_BYTES_MAX are kept. What finds no room is not, and the caller is told. */
#include "base/list.h"
#include "base/map.h"
#include "protocol/message.h"

enum { IMAGE_KEPT_BYTES_MAX = 64 << 20 };

struct image_kept {
    struct map by_key; /* struct image_kept_record */
    struct list order; /* of the same */
    size_t bytes;
};

struct image_kept_record {
    struct list order;
    const struct message *message;
    uint8_t *key; /* what it is about; owned, as the body */
    uint8_t *body;
    size_t key_size, body_size;
};

void image_kept_init(struct image_kept *kept, uint64_t seed);
void image_kept_done(struct image_kept *kept);

/* Keeps a record, or removes what it takes back. False: it is of a type that is not kept, or finds
 * no room. */
bool image_keep(struct image_kept *kept, int16_t type, const void *record);

/* The one after `record`, the first after null; null at the end. */
const struct image_kept_record *image_kept_next(const struct image_kept *kept,
                                                const struct image_kept_record *record);

/* Do both keep the same, in the same order? */
bool image_kept_same(const struct image_kept *a, const struct image_kept *b);
