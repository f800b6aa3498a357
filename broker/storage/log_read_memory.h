#pragma once
/* The part of a read that is served from the log's pieces in memory. */
#include "storage/log.h"

/* Gives the batches from read->offset on that lie in memory, as the arguments of the read allow:
 * large pieces where they are, small ones copied one behind the other. None is no error. */
void log_read_memory(struct log_read *read);
