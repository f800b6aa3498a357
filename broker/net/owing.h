#pragma once
/* Answers that wait for their peers to take them: how much memory they hold, per connection and in
 * all on a core, so that clients that never read cost a bounded amount. For net/ only.
 *
 *   beyond the limit        who has not taken what he was answered is not read from, and who takes
 *                           nothing for a second is closed
 *   beyond twice the limit  nobody is read from, until answers have been taken or dropped
 *
 * Invariants
 *  1. net->owed_bytes is the sum of queued_bytes of the open connections; net->owing lists those
 *     that have any, the longest without progress first.
 *  2. Whoever waits in net->owed_waiters is woken once it is not more than twice the limit. */
#include "net/connection.h"

/* An answer of `bytes` waits now; it was sent, or dropped. */
void owing_add(struct connection *connection, size_t bytes);
void owing_remove(struct connection *connection, size_t bytes);

/* The peer has taken some. */
void owing_mark_progress(struct connection *connection);

/* The connection is closed: what it is owed is dropped soon, and counts no more. */
void owing_forget(struct connection *connection);

/* May more be answered on this connection, as far as the sum goes? */
bool owing_has_room(const struct connection *connection);

/* May more be answered at all? Else a connection waits in net->owed_waiters. */
bool owing_has_room_at_all(const struct net *net);

/* When the watch is to look; INT64_MAX: there is no need. */
int64_t owing_deadline(const struct net *net);

/* The connection to be closed for taking nothing, at a time past the deadline. */
struct connection *owing_first(const struct net *net);
