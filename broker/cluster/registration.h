#pragma once
/* Inside cluster/: what a start writes into the metadata log, before the cores run. */
#include "base/arena.h"
#include "cluster/broker.h"

/* Registers this incarnation of the node with its log directories, and says where partitions lie of
 * which the metadata did not say it (cluster/whereabouts.h). Turns all cores on this thread. */
enum error registration_run(struct broker *broker, struct port *port);

/* The ids of the log directories that partitions may be placed in, in the arena. Null: budget. */
struct uuid *registration_directories(const struct broker *broker, struct arena *arena,
                                      int32_t *ret_count);
