#pragma once
/* A second stack on the same thread: what runs there can be left in the middle and gone on with.
 * For cores that block side by side in one world (world_crew.c). */
#include <stdbool.h>
#include <ucontext.h>

struct fiber {
    ucontext_t own, outside;
    void *stack;
    void (*run)(void *argument);
    void *argument;
    bool ended;
    /* what the address sanitizer is told */
    void *own_fake, *outside_fake;
    const void *outside_stack;
    size_t outside_size;
};

/* Begins `run(argument)` on a stack of its own; the first fiber_go runs it. */
void fiber_init(struct fiber *fiber, void (*run)(void *argument), void *argument);

/* From outside: runs it until it pauses or ends. */
void fiber_go(struct fiber *fiber);

/* Within it: back to who called fiber_go, until the next one. */
void fiber_pause(struct fiber *fiber);

/* Within it: as fiber_pause, but it will never be gone on with. */
_Noreturn void fiber_end(struct fiber *fiber);

/* Once it has ended: gives back its stack. */
void fiber_done(struct fiber *fiber);
