#pragma once
/* New partitions of one topic as records, placed by hand or by placement. For topics.c and
 * topics_grow.c. */
#include "logic/topics.h"

/* Which partitions, and on whom. */
struct new_partitions {
    struct uuid topic_id;
    int32_t first, count;           /* ids */
    int32_t replication_factor;     /* where they are placed by us */
    const struct placement *placed; /* null: by `assigned` */
    const struct assigned {
        const int32_t *replicas;
        int32_t count;
    } * assigned; /* of first, first + 1, ... */
};

/* Appends a PartitionRecord each. NO_MEMORY when the budget is used up. */
enum error topics_add_partitions(const struct topics_view *view, const struct new_partitions *what,
                                 struct record_list *records);

/* Says in the records of new partitions in which log directory of this broker each is to lie; once,
 * when all of a request are there. NO_MEMORY. */
enum error topics_place_in_directories(const struct topics_view *view,
                                       const struct record_list *records);
