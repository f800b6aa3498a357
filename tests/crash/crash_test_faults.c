/* Operations of a workload on the disk fail, each once, by number, in every way. Of the numbers one
 * in BOLE_FAULTS, ten if it is not set, from BOLE_FAULTS_FROM on: so the whole space is that many
 * processes' (what a crash leaves in memory is not freed). */
#include "crash/faults.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

struct tally {
    uint64_t runs, met, fenced, refused, refusals, checkpointed;
};

/* All numbers, until one lies beyond the end. */
static void run_all(struct faults faults, struct tally *tally)
{
    uint64_t step = number_of("BOLE_FAULTS", 10);
    uint64_t from = number_of("BOLE_FAULTS_FROM", faults.seed) % step;
    for (uint64_t number = 1 + from;; number += step) {
        struct faults one = faults;
        one.number = number;
        one.power_lost = !faults.relived && (number % 3 != 0 || faults.kind == FAULT_ERROR);
        faults_run(&one);
        tally->runs++;
        tally->met += one.met;
        tally->fenced += one.fenced;
        tally->refused += one.refused;
        tally->refusals += one.refusals;
        tally->checkpointed += one.fenced && one.checkpointed;
        if (!test_expect(one.failure[0] == 0, __FILE__, __LINE__,
                         "variant %d, place %d, kind %d, starts %d, relived %d, operation %llu: %s",
                         one.variant, one.place, one.kind, one.starts, one.relived,
                         (unsigned long long)number, one.failure) ||
            !one.met)
            return;
    }
}

static void run_place(enum fault_place place)
{
    struct tally tally = {0};
    for (int variant = 0; variant < SCRIPT_VARIANTS; variant++)
        for (int kind = 0; kind < FAULT_KINDS; kind++)
            for (int starts = STARTS_CLASSIC; starts <= STARTS_RESUME; starts++)
                run_all((struct faults){.seed = (uint64_t)variant + 1,
                                        .variant = variant,
                                        .starts = (enum rig_starts)starts,
                                        .place = place,
                                        .kind = (enum fault_kind)kind},
                        &tally);
    printf("%llu runs: %llu met, %llu fenced, %llu starts refused, %llu appends refused\n",
           (unsigned long long)tally.runs, (unsigned long long)tally.met,
           (unsigned long long)tally.fenced, (unsigned long long)tally.refused,
           (unsigned long long)tally.refusals);
    TRUE_(tally.met > 0);
}

TEST(faults, at_every_operation_of_a_workload)
{
    run_place(FAULTS_IN_WORK);
}

TEST(faults, at_every_operation_of_a_start)
{
    run_place(FAULTS_IN_START);
}

/* A failed flush has fenced the store, and the process alone has ended. */
TEST(faults, whose_losses_a_later_checkpoint_does_not_rest_on)
{
    struct tally tally = {0};
    for (int variant = 0; variant < SCRIPT_VARIANTS; variant++)
        for (int starts = STARTS_CLASSIC; starts <= STARTS_RESUME; starts++)
            run_all((struct faults){.seed = (uint64_t)variant + 1,
                                    .variant = variant,
                                    .starts = (enum rig_starts)starts,
                                    .place = FAULTS_IN_WORK,
                                    .kind = FAULT_ERROR,
                                    .relived = true},
                    &tally);
    printf("%llu runs: %llu fenced, %llu of them with a checkpoint afterwards\n",
           (unsigned long long)tally.runs, (unsigned long long)tally.fenced,
           (unsigned long long)tally.checkpointed);
    TRUE_(tally.checkpointed > 0);
}
