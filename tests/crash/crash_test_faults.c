/* Operations of a workload on the disk fail, each once, by number, in every way. Of the numbers one
 * in BOLE_FAULTS, ten if it is not set, from BOLE_FAULTS_FROM on. */
#include "crash/faults.h"
#include "crash/numbers.h"
#include "support/test.h"
#include <stdio.h>

struct tally {
    uint64_t runs, met, fenced, refused, refusals, checkpointed;
};

static void run_one(struct numbers *numbers, uint64_t number)
{
    struct faults one = *(const struct faults *)numbers->context;
    one.number = number;
    one.power_lost = !one.relived && (number % 3 != 0 || one.kind == FAULT_ERROR);
    faults_run(&one);
    const uint64_t found[NUMBERS_TALLIES] = {one.met, one.fenced, one.refused, one.refusals,
                                             one.fenced && one.checkpointed};
    for (int i = 0; i < NUMBERS_TALLIES; i++)
        numbers->tallies[i] += found[i];
    numbers->ended = !one.met;
    snprintf(numbers->failure, sizeof numbers->failure, "%s", one.failure);
}

/* All numbers, until one lies beyond the end. */
static void run_all(struct faults faults, struct tally *tally)
{
    struct numbers numbers = {.run = run_one, .context = &faults};
    numbers_choose(&numbers, 10, faults.seed);
    numbers_run(&numbers);
    tally->runs += numbers.runs;
    tally->met += numbers.tallies[0];
    tally->fenced += numbers.tallies[1];
    tally->refused += numbers.tallies[2];
    tally->refusals += numbers.tallies[3];
    tally->checkpointed += numbers.tallies[4];
    test_expect(numbers.failure[0] == 0, __FILE__, __LINE__,
                "variant %d, place %d, kind %d, starts %d, relived %d, operation %llu: %s",
                faults.variant, faults.place, faults.kind, faults.starts, faults.relived,
                (unsigned long long)numbers.at, numbers.failure);
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
