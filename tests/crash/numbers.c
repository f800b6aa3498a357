#include "crash/numbers.h"
#include "base/check.h"
#include "crash/shares.h"
#include <stdio.h>
#include <stdlib.h>

enum { AT_A_TIME = 100 }; /* numbers of a process */

static void run_some(void *element)
{
    struct numbers *numbers = element;
    for (int i = 0; i < AT_A_TIME && !numbers->ended && !numbers->failure[0]; i++) {
        numbers->run(numbers, numbers->at);
        numbers->runs++;
        if (!numbers->failure[0])
            numbers->at += numbers->step;
    }
}

void numbers_run(struct numbers *numbers)
{
    struct numbers *shared = shares_take(sizeof *shared);
    check(shared && numbers->first > 0 && numbers->step > 0);
    *shared = *numbers;
    shared->at = numbers->first;
    while (!shared->ended && !shared->failure[0]) {
        int status[SHARES];
        shares_run(shared, sizeof *shared, 1, run_some, status);
        if (status[0] != 0)
            snprintf(shared->failure, sizeof shared->failure,
                     "the process has ended with status %x", (unsigned)status[0]);
    }
    *numbers = *shared;
    shares_release(shared, sizeof *shared);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

void numbers_choose(struct numbers *numbers, uint64_t otherwise, uint64_t from)
{
    numbers->step = number_of("BOLE_FAULTS", otherwise);
    numbers->first = 1 + number_of("BOLE_FAULTS_FROM", from) % numbers->step;
}
