#pragma once
/* Cores that recover a directory side by side end soon once one of them has failed, for the
 * directory, or the whole start, is given up anyway. Each looks between two units of its work: a
 * block of a journal, a window of a segment, an operation of a replay. What was begun may be left
 * like that: a start may be interrupted anywhere. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct recovery_halt {
    _Atomic int32_t failed; /* 1 + who was the first to fail, a core or a journal; 0: nobody has */
    const struct recovery_halt *also; /* that of the directory without which nothing goes on */
};

/* Has anybody failed? `halt` null: nobody else is at work. */
static inline bool recovery_is_off(const struct recovery_halt *halt)
{
    for (; halt; halt = halt->also)
        if (atomic_load_explicit(&halt->failed, memory_order_relaxed))
            return true;
    return false;
}

/* Who has failed; only the first counts. */
static inline void recovery_failed(struct recovery_halt *halt, int32_t who)
{
    int32_t nobody = 0;
    if (halt)
        (void)atomic_compare_exchange_strong_explicit(&halt->failed, &nobody, who + 1,
                                                      memory_order_relaxed, memory_order_relaxed);
}

/* Whose error is to be told; -1: nobody of this directory has failed. */
static inline int32_t recovery_first_failed(const struct recovery_halt *halt)
{
    return halt ? atomic_load_explicit(&halt->failed, memory_order_relaxed) - 1 : -1;
}
