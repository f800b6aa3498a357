#pragma once
/* Look-ups by time in a rig's logs, compared with a walk over all that was sent. */
#include <stdbool.h>

struct worker;

/* Begins one: of a timestamp around those that were sent, or of the largest. */
void search_begin(struct worker *worker);

/* True: it waits. False: it has ended and was compared. */
bool search_goes_on(struct worker *worker);
