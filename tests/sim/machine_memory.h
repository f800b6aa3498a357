#pragma once
/* Whose memory is whose: everything a simulated machine takes from the heap (base/memory.h) is kept
 * in a list of that machine, so that a crash can drop it at once, as a process's end does, and a
 * clean stop can be seen to leave nothing behind.
 *
 * The program is linked with --wrap for the four functions of base/memory.h and for core_turn: a
 * turn allocates for the machine whose core it is. The world's own memory belongs to nobody. */
#include "sim/world_crew.h"
#include <setjmp.h>

enum { MEMORY_NOBODY = -1 };

/* From now on memory is taken for `machine` (its index, or MEMORY_NOBODY); returns who had it. */
int machine_memory_enter(int machine);

/* The port of a core, whose operations are done by the world on nobody's account. */
struct port *machine_port(struct world *world, int machine, int core);

/* The crew of a machine's cores; a crash meanwhile ends their work, and then the call around it. */
struct machine_crew {
    struct crew crew;
    struct world_crew within;
};
struct crew *machine_crew_init(struct machine_crew *crew, struct world *world, int machine,
                               int count);

/* Around calls of a machine's code from outside of any turn that may wait (port_call): a crash
 * meanwhile ends the call at once, as a process ends. `if (machine_begin(machine) == 0) call();
 * machine_end();` */
#define machine_begin(machine) (machine_calls(machine), setjmp(machine_call_end))
void machine_calls(int machine);
void machine_end(void);
extern jmp_buf machine_call_end;

/* Bytes that the machine has taken and not freed. */
size_t machine_memory_bytes(int machine);
size_t machine_memory_blocks(int machine);

/* Frees all that the machine has taken; nothing of it may be used any more. */
void machine_memory_drop(int machine);
