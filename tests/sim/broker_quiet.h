#pragma once
/* Quiet hours: faults rest, clients mostly too, and time goes on. The broker's wall clock is
 * stepped by hours and days and back, while the monotonic clock goes on; then it is left alone for
 * as long as retention wants it steady, and longer.
 *
 *   settle -> step -> a little work -> wait ... -> step back -> steady -> what is old is gone
 *                                                            -> no .deleted file is left
 *  1. While nothing disturbs it the broker closes no connection that was used lately.
 *  2. Records go by age only if they are older than retention.ms, by a wall clock that has been
 *     steady for ten minutes; by size only as long as retention.bytes remain (oracle_retention).
 *  3. What is older than that does go, and files that were renamed .deleted are removed in the end.
 *  4. LogAppendTime is what the broker's wall clock says, wherever that was stepped to
 *     (quiet_is_wall_time). */
#include "sim/broker_sim.h"

struct log;
struct model_partition;

/* Draws whether and when this seed has one, and sets up the broker for it. */
void quiet_draw(struct simulation *sim);

/* Runs it if its time has come; the broker is up. */
void quiet_look(struct simulation *sim);

/* Steps the broker's wall clock; all steps go this way. */
void quiet_step_wall(struct simulation *sim, int64_t delta_ms);

/* Could the broker's wall clock have said so at some moment from `since_ns` on? */
bool quiet_is_wall_time(const struct simulation *sim, int64_t since_ns, int64_t wall_ms);

/* Is the client to do nothing new? */
bool quiet_is_hushed(const struct client *client);

/* A log that is watched begins later than anybody asked for: may retention have moved it there? If
 * so the model is told. */
void oracle_retention(struct simulation *sim, const struct log *log,
                      struct model_partition *partition);
