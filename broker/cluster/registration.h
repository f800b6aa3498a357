#pragma once
/* Inside cluster/: what a start writes into the metadata log, before the cores run, and what a stop
 * does. A stop fences the node, as Kafka's brokers do: without that a Kafka node that goes on in
 * this directory would take itself for another broker that still lives, for
 * broker.session.timeout.ms. */
#include "base/arena.h"
#include "cluster/broker.h"

/* Founds a log in which nothing lies (cluster/quorum.h), registers this incarnation of the node
 * with its log directories, says where partitions lie of which the metadata did not say it
 * (cluster/whereabouts.h), and leads those that have no leader. Turns all cores on this thread. */
enum error registration_run(struct broker *broker, struct port *port);

/* The ids of the log directories that partitions may be placed in, in the arena. Null: budget. */
struct uuid *registration_directories(const struct broker *broker, struct arena *arena,
                                      int32_t *ret_count);

/* Leaving, on core 0, for the flow that stops it: a hold of `flow` is released once the log says
 * so, or could not be told, which does no harm. */
void registration_leave(struct broker *broker, struct flow *flow);

/* Frees what leaving took. */
void registration_close(struct broker *broker);
