#pragma once
/* Writes the snapshot of a log's producers, and before it the aborted transactions it rests on: a
 * step of the drain, which owns the log's files meanwhile. */
#include "reactor/flow.h"

/* Nothing due: passes at once. */
enum step drain_producers(struct flow *flow);
