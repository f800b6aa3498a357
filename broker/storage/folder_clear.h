#pragma once
/* Removes a partition's folder with all its files: of a deleted topic, or what an earlier topic of
 * the same name left behind. The removal is flushed before anyone may use the name again, so a
 * crash can never mix the old files with new ones. */
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

/* True while anything is being removed; `waiter` is parked until one has ended. */
bool folder_clear_await_all(struct store *store, struct waiter *waiter, struct flow *flow);
