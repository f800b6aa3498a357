#pragma once
/* The cores of a machine at work before they run (reactor/crew.h), side by side in virtual time:
 * each has a stack of its own and runs until it waits for its port; then the others go on, and when
 * all of them wait, the world. The same seed gives the same run. */
#include "reactor/crew.h"
#include "sim/world.h"

struct world_crew {
    struct crew crew;
    struct world *world;
    int machine, count;
};

void world_crew_init(struct world_crew *crew, struct world *world, int machine, int count);

/* Does a part of a crew run now, not who called its work()? */
bool world_crew_works(const struct world *world);

/* Within a part, which will never be gone on with: its machine has stopped. */
_Noreturn void world_crew_leave(struct world *world);
