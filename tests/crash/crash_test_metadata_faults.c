/* Disk operations fail, each once, by number, while a broker's metadata change, snapshots of them
 * are written and older ones go; and while a start reads and prunes them. Whatever it was: what was
 * answered is there at the next start, and only that. */
#include "base/check.h"
#include "cluster/snapshots.h"
#include "crash/fault_plan.h"
#include "crash/numbers.h"
#include "crash/place.h"
#include "support/test.h"
#include <stdio.h>

enum { NAMES = 5, FIRST_TURNS = 13, MORE_TURNS = 18 };

struct metadata_fault {
    /* arguments */
    bool in_start;
    enum fault_kind kind;
    uint64_t number;
    /* inside */
    struct place place;
    struct fault_plan plan;
    int64_t turns; /* that were answered */
    bool over;     /* one was not */
    /* results */
    bool met, fenced, refused;
    uint64_t snapshots; /* written while the fault could come */
    char failure[700];
};

static void fail(struct metadata_fault *fault, const char *what)
{
    if (fault->failure[0] == 0)
        snprintf(fault->failure, sizeof fault->failure, "%s (kind %d of operation; %.400s)", what,
                 fault->place.world->machines[0]->fault_kind, fault->place.why);
}

static void name_of(int64_t number, char name[8])
{
    snprintf(name, 8, "f%d", (int)(number % NAMES));
}

/* What is due is drained, flushed, written. */
static void rest(struct metadata_fault *fault)
{
    (void)world_run(fault->place.world, (struct world_stop){.for_ns = 20000000000});
}

/* Topics come and go, one after the other. */
static void take_turns(struct metadata_fault *fault, int64_t count)
{
    char name[8];
    for (int64_t i = 0; i < count && !fault->over && !fault->failure[0]; i++) {
        name_of(fault->turns, name);
        fault->over = place_try_topic(&fault->place, name) != ERROR_NONE;
        fault->turns += !fault->over;
        if (i % 6 == 5)
            rest(fault);
    }
}

/* After so many turns: is it there? */
static bool is_there(int64_t turns, int number)
{
    return (turns / NAMES + (number < turns % NAMES)) % 2 == 1;
}

static bool is_image_of(struct metadata_fault *fault, int64_t turns)
{
    const struct broker *broker = &fault->place.broker;
    for (int core = 0; core < PLACE_CORES; core++)
        for (int number = 0; number < NAMES; number++) {
            char name[8];
            name_of(number, name);
            const struct image_topic *topic =
                image_topic_by_name(&broker->shards[core].image, string_of(name));
            if (is_there(turns, number) ? !topic || topic->partition_count != 2 : topic != NULL)
                return false;
        }
    return true;
}

static void begin(struct metadata_fault *fault)
{
    place_init_metadata(&fault->place, 31, NULL);
    fault->place.world->settings.short_read_once_in = 0;
    check(place_boot(&fault->place));
    take_turns(fault, FIRST_TURNS);
    check(!fault->over);
}

static void crash(struct metadata_fault *fault)
{
    if (!fault->place.world->machines[0]->running)
        return;
    if (fault->number % 3 != 0 || fault->kind == FAULT_ERROR || fault_plan_lost(&fault->plan))
        world_crash(fault->place.world, 0);
    else
        world_kill(fault->place.world, 0);
}

static void run_in_work(struct metadata_fault *fault)
{
    int64_t end;
    fault_plan_begin(&fault->plan, fault->place.world);
    uint64_t before = snapshots_written(&fault->place.broker, &end);
    take_turns(fault, MORE_TURNS);
    fault->snapshots = snapshots_written(&fault->place.broker, &end) - before;
    fault_plan_end(&fault->plan);
    fault->fenced = fault->place.fenced;
    if ((fault->over || fault->fenced) && !fault_plan_may_fence(&fault->plan))
        fail(fault, "a change of metadata was refused, or the broker fenced");
    if (fault->number % 2 == 0 && !fault->fenced && !fault->over)
        place_stop(&fault->place);
    else
        crash(fault);
}

/* The start prunes. */
static void run_in_start(struct metadata_fault *fault)
{
    take_turns(fault, MORE_TURNS);
    if (fault->number % 2 == 0)
        place_stop(&fault->place);
    else
        crash(fault);
    if (!fault->place.world->machines[0]->running)
        world_start(fault->place.world, 0);
    fault_plan_begin(&fault->plan, fault->place.world);
    fault->refused = !place_boot(&fault->place);
    if (!fault->refused)
        take_turns(fault, 2);
    fault_plan_end(&fault->plan);
    fault->fenced = !fault->refused && fault->place.fenced;
    if (fault->refused && fault->kind == FAULT_SHORT)
        fail(fault, "a start was refused for a short transfer");
    crash(fault);
}

/* Without faults now. */
static void start_again(struct metadata_fault *fault)
{
    if (fault->failure[0])
        return;
    if (!place_boot(&fault->place)) {
        fail(fault, "the next start was refused");
        return;
    }
    if (!is_image_of(fault, fault->turns) && !(fault->over && is_image_of(fault, fault->turns + 1)))
        fail(fault, "the next start has other topics");
    fault->turns += fault->over && is_image_of(fault, fault->turns + 1);
    fault->over = false;
    take_turns(fault, 3);
    if (fault->over)
        fail(fault, "the next start takes no change of metadata");
    place_stop(&fault->place);
    place_done(&fault->place);
}

static void run_fault(struct numbers *numbers, uint64_t number)
{
    struct metadata_fault fault = *(const struct metadata_fault *)numbers->context;
    fault.number = number;
    fault.plan = (struct fault_plan){.kind = fault.kind, .number = number};
    begin(&fault);
    if (fault.in_start)
        run_in_start(&fault);
    else
        run_in_work(&fault);
    start_again(&fault);
    numbers->ended = !fault.plan.met;
    numbers->tallies[0] += fault.fenced;
    numbers->tallies[1] += fault.refused;
    numbers->tallies[2] += fault.snapshots;
    snprintf(numbers->failure, sizeof numbers->failure, "%s", fault.failure);
}

static void run_all(bool in_start, uint64_t *ret_refused)
{
    uint64_t runs = 0, fenced = 0, refused = 0, snapshots = 0;
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        struct metadata_fault fault = {.in_start = in_start, .kind = (enum fault_kind)kind};
        struct numbers numbers = {.run = run_fault, .context = &fault};
        numbers_choose(&numbers, 5, (uint64_t)kind);
        numbers_run(&numbers);
        runs += numbers.runs;
        fenced += numbers.tallies[0];
        refused += numbers.tallies[1];
        snapshots += numbers.tallies[2];
        test_expect(numbers.failure[0] == 0, __FILE__, __LINE__,
                    "start %d, kind %d, operation %llu: %s", in_start, kind,
                    (unsigned long long)numbers.at, numbers.failure);
    }
    printf("%llu runs, %llu fenced, %llu starts refused, %llu snapshots written\n",
           (unsigned long long)runs, (unsigned long long)fenced, (unsigned long long)refused,
           (unsigned long long)snapshots);
    TRUE_(in_start || snapshots > runs);
    *ret_refused = refused;
}

TEST(metadata_faults, at_every_operation_of_snapshots_and_changes)
{
    uint64_t refused;
    run_all(false, &refused);
    EQ(refused, 0); /* nothing starts */
}

TEST(metadata_faults, at_every_operation_of_a_start_that_prunes)
{
    uint64_t refused;
    run_all(true, &refused);
    TRUE_(refused > 0);
}
