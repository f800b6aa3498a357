#include "sim/world_fiber.h"
#include "base/check.h"
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TELLS_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define TELLS_ASAN 1
#endif

#ifdef TELLS_ASAN
#include <sanitizer/common_interface_defs.h>
#define LEAVE(fake_, stack_, size_)  __sanitizer_start_switch_fiber(fake_, stack_, size_)
#define ARRIVE(fake_, stack_, size_) __sanitizer_finish_switch_fiber(fake_, stack_, size_)
#else
#define LEAVE(fake_, stack_, size_)  (void)0
#define ARRIVE(fake_, stack_, size_) (void)0
#endif

enum { STACK_BYTES = 1 << 20, SPARE_MOST = 64 };

/* The program's: mapping stacks anew for each start of a broker would cost more than the start. */
static void *spare[SPARE_MOST];
static int spare_count;

static void run_fiber(uint32_t high, uint32_t low)
{
    struct fiber *fiber = (struct fiber *)((uintptr_t)high << 32 | low);
    ARRIVE(NULL, &fiber->outside_stack, &fiber->outside_size);
    fiber->run(fiber->argument);
    fiber_end(fiber);
}

void fiber_init(struct fiber *fiber, void (*run)(void *argument), void *argument)
{
    *fiber = (struct fiber){.run = run, .argument = argument};
    if (spare_count > 0)
        fiber->stack = spare[--spare_count];
    else
        fiber->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    check(fiber->stack != MAP_FAILED && getcontext(&fiber->own) == 0);
    fiber->own.uc_stack.ss_sp = fiber->stack;
    fiber->own.uc_stack.ss_size = STACK_BYTES;
    fiber->own.uc_link = NULL;
    uintptr_t address = (uintptr_t)fiber;
    makecontext(&fiber->own, (void (*)(void))run_fiber, 2, (uint32_t)(address >> 32),
                (uint32_t)address);
}

void fiber_go(struct fiber *fiber)
{
    check(!fiber->ended);
    LEAVE(&fiber->outside_fake, fiber->stack, STACK_BYTES);
    check(swapcontext(&fiber->outside, &fiber->own) == 0);
    ARRIVE(fiber->outside_fake, NULL, NULL);
}

void fiber_pause(struct fiber *fiber)
{
    LEAVE(&fiber->own_fake, fiber->outside_stack, fiber->outside_size);
    check(swapcontext(&fiber->own, &fiber->outside) == 0);
    ARRIVE(fiber->own_fake, &fiber->outside_stack, &fiber->outside_size);
}

void fiber_end(struct fiber *fiber)
{
    fiber->ended = true;
    LEAVE(NULL, fiber->outside_stack, fiber->outside_size);
    setcontext(&fiber->outside);
    __builtin_unreachable();
}

void fiber_done(struct fiber *fiber)
{
    check(fiber->ended && fiber->stack);
    if (spare_count < SPARE_MOST)
        spare[spare_count++] = fiber->stack;
    else
        check(munmap(fiber->stack, STACK_BYTES) == 0);
    fiber->stack = NULL;
}
