#pragma once
/* Deadlines of calls that wait: one heap and one timer per core, so that a call which is answered
 * in time costs an entry and its removal, and no flow. When a deadline passes, its waiter is
 * cancelled, which wakes its flow; what follows is the flow's to decide. On its core only. */
#include "reactor/core.h"

struct deadlines {
    struct heap heap; /* of struct deadline, by monotonic time */
    struct core *core;
    struct flow flow;
    struct timer timer;
    bool parked;
};

struct deadline {
    struct heap_node node;
    struct deadlines *owner;
    struct waiter *waiter; /* cancelled when it passes; or null */
    void (*wake)(
        struct deadline *deadline); /* called when it passes; or null: wakes, and no more */
    int64_t at_ns;
    bool passed;
};

/* Before the core runs; and after it, when no call is left. */
void deadlines_open(struct deadlines *deadlines, struct core *core);
void deadlines_close(struct deadlines *deadlines);

/* `timeout_ms` from now, negative as 0. Costs nothing until started. */
void deadline_init(struct deadline *deadline, struct deadlines *deadlines, int32_t timeout_ms);

/* From now on it may pass and cancel `waiter` (or null). Called again only the waiter changes. */
void deadline_start(struct deadline *deadline, struct waiter *waiter);

/* It no longer matters. */
void deadline_done(struct deadline *deadline);
