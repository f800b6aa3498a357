#pragma once
/* Removes a partition's folder with all its files: of a deleted topic, or what an earlier topic of
 * the same name left behind. The removal is flushed before anyone may use the name again, so a
 * crash can never mix the old files with new ones.
 *
 * Cores that share the directory take turns at a folder (folder_claims.h), and a deleted topic's
 * removal leaves alone what a later one of its name has made.
 *
 * Invariant: partition.metadata, durable, says whose the folder is before the first other file
 * goes, and goes itself when the removal of the last other one is durable. So a folder without it
 * in which there are segments is none that is being removed: it is that of the topic that has its
 * name, unless the journal holds another log that was never in the files for certain (orphans.h).
 */
#include "reactor/core.h"

struct log;
struct store;

/* Starts removing `folder` (copied). With `log` (removed, or null) it first waits until nobody uses
 * that any more, closes its files and frees it. A flow of its own; an error fences the store, and
 * the next start clears what no topic names. */
void folder_clear_start(struct store *store, const char *folder, struct log *log);

/* Is `folder` being removed? Then `waiter` is parked for `flow`: look again when woken. */
bool folder_clear_await(struct store *store, const char *folder, struct waiter *waiter,
                        struct flow *flow);

/* True while it is not durable of some folder whose it is: then an anchor must not move on, for the
 * journal may be all that tells of its log. `waiter` is parked. */
bool folder_clear_await_names(struct store *store, struct waiter *waiter, struct flow *flow);

/* True while anything is being removed; `waiter` is parked until one has ended. */
bool folder_clear_await_all(struct store *store, struct waiter *waiter, struct flow *flow);
