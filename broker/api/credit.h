#pragma once
/* How much may be under way from one core to another: a count with a limit, and a line of those
 * that wait, who are served in the order in which they came, also before anybody who comes later
 * and finds room. Kept on the asking core. */
#include "base/list.h"
#include <stdbool.h>
#include <stdint.h>

struct credit {
    int32_t in_flight, limit;
    struct list waiting;
};

/* `limit` of at least 1. */
void credit_init(struct credit *credit, int32_t limit);

/* True: taken. False: `node` was put in line; credit_give hands it out when it has one. */
bool credit_take(struct credit *credit, struct list *node);

/* Gives one back. It passes to the first in line, which is taken out and returned; null: nobody
 * waits. */
struct list *credit_give(struct credit *credit);
