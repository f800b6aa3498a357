#include "crash/keyed_runs.h"
#include "base/memory.h"
#include <stdio.h>

void keyed_lives(uint64_t seed, bool crashes, struct keyed *keyed)
{
    struct keyed_settings settings = keyed_settings_random(seed);
    struct random random;
    random_seed(&random, seed ^ 0x11fe);
    keyed_init(keyed, &settings);
    for (int i = 0; i < 6 && !keyed->failure[0]; i++) {
        keyed_start(keyed);
        keyed_work(keyed, 300 + random_below(&random, 3000));
        if (random_once_in(&random, 2))
            keyed_settle(keyed);
        uint64_t end = crashes ? random_below(&random, 3) : 0;
        if (end == 0)
            keyed_stop(keyed);
        else if (!keyed->failure[0])
            keyed_crash(keyed, end == 1);
    }
}

/* True: flushes among them, after which only a loss of power shows what is durable (lives.c). */
static bool plan_faults(struct keyed *keyed, struct random *random)
{
    static const uint8_t kinds[] = {OP_WRITE,    OP_WRITE,  OP_FLUSH,  OP_ALLOCATE,
                                    OP_TRUNCATE, OP_RENAME, OP_REMOVE, OP_RENAME};
    bool flushes = false;
    for (int count = (int)random_below(random, 4); count > 0; count--) {
        int kind = kinds[random_below(random, sizeof kinds)];
        flushes |= kind == OP_FLUSH;
        world_fail(keyed->world, 0, kind, 1 + random_below(random, kind == OP_WRITE ? 300 : 40),
                   random_below(random, 2) ? ERROR_INPUT_OUTPUT : ERROR_NO_SPACE);
    }
    return flushes;
}

void keyed_faults(uint64_t seed, struct keyed *keyed)
{
    struct keyed_settings settings = keyed_settings_random(seed);
    struct random random;
    random_seed(&random, seed ^ 0xfa17);
    keyed_init(keyed, &settings);
    keyed->faulty = true;
    for (int i = 0; i < 8 && !keyed->failure[0]; i++) {
        keyed->world->machines[0]->fault_met = 0;
        keyed_start(keyed);
        bool flushes = !keyed->failure[0] && plan_faults(keyed, &random);
        keyed_work(keyed, 300 + random_below(&random, 3000));
        keyed->world->machines[0]->fault_count = 0; /* those that were not met */
        if (keyed->failure[0])
            break;
        if (flushes || keyed_is_fenced(keyed) || random_once_in(&random, 2))
            keyed_crash(keyed, flushes || random_once_in(&random, 2));
        else
            keyed_stop(keyed);
    }
}

/* Small segments, passes of a few records and no limit: much is compacted by few operations. */
static struct keyed_settings brisk_settings(uint64_t seed)
{
    struct keyed_settings settings = keyed_settings_random(seed);
    settings.log.segment_bytes = 4096;
    settings.log.min_dirty_ratio = 0.05;
    settings.store.cleaner.map_bytes = 1 << 14; /* else passes take a few records each */
    settings.store.cleaner.bytes_per_second = 0;
    settings.value_most = settings.value_most > 300 ? 300 : settings.value_most;
    return settings;
}

/* ---- a fault at an operation by number ---- */

static void judge_fault(const struct keyed_fault *fault, const struct fault_plan *plan)
{
    if (fault->fenced && !fault_plan_may_fence(plan))
        keyed_fail(fault->keyed, "the store was fenced, when an operation of kind %d failed",
                   plan->world->machines[0]->fault_kind);
}

void keyed_fault(struct keyed_fault *fault)
{
    struct keyed_settings settings = brisk_settings(fault->seed);
    struct fault_plan plan = {.kind = fault->kind, .number = fault->number};
    struct keyed *keyed = fault->keyed;
    settings.world.short_read_once_in = settings.world.short_write_once_in = 0;
    settings.commit_once_in = 1;
    keyed_init(keyed, &settings);
    keyed_start(keyed);
    keyed_work(keyed, 600);
    if (keyed->failure[0])
        return;
    uint64_t renames = keyed->world->machines[0]->submitted[OP_RENAME];
    keyed->faulty = true;
    fault_plan_begin(&plan, keyed->world);
    keyed_work_on(keyed, 900);
    fault->swaps = (keyed->world->machines[0]->submitted[OP_RENAME] - renames) / 3;
    bool stops = fault->number % 2 == 0 && !keyed_is_fenced(keyed);
    if (stops)
        keyed_stop(keyed); /* the rest of the faults meets it */
    fault_plan_end(&plan);
    fault->met = plan.met;
    fault->fenced = keyed_is_fenced(keyed) || keyed->fenced;
    judge_fault(fault, &plan);
    if (keyed->process && !keyed->failure[0])
        keyed_crash(keyed, fault->power_lost || fault_plan_lost(&plan));
    keyed->faulty = false;
    keyed_start(keyed);
    keyed_work(keyed, 100);
    keyed_settle(keyed);
    keyed_stop(keyed);
}

/* ---- every cut ---- */

/* What had been promised at a cut; before the first mark, what the first life had. */
static void promised_at(struct keyed_cuts *run, uint32_t cut, int64_t *durable, int64_t *committed)
{
    int64_t mark = disk_mark_at(run->recording, cut);
    *durable = mark < 0 ? run->begin : mark >> 32;
    *committed = mark < 0 ? run->begin : mark & 0xffffffff;
}

/* Starts on the image, reads all, cleans on for a while, ends the life and starts once more. */
static void look_at_image(struct keyed_cuts *run, uint32_t cut, struct disk_choice choice)
{
    struct keyed *image = memory_zeroed(sizeof *image);
    int64_t durable, committed;
    promised_at(run, cut, &durable, &committed);
    struct disk_choice chosen = choice;
    keyed_init_image(image, run->keyed, disk_image_at(run->recording, cut, &chosen), durable,
                     committed);
    keyed_start(image);
    if (random_once_in(&run->random, 8)) { /* crashed again, somewhere in what it finishes */
        keyed_work(image, 1 + random_below(&run->random, 200));
        if (!image->failure[0])
            keyed_crash(image, random_once_in(&run->random, 2));
        keyed_start(image);
        run->recoveries++;
    }
    if (random_once_in(&run->random, 8))
        keyed_settle(image);
    keyed_stop(image);
    if (image->failure[0] && !run->keyed->failure[0])
        snprintf(run->keyed->failure, sizeof run->keyed->failure,
                 "cut %u, kind %d, number %llu: %s", cut, choice.kind,
                 (unsigned long long)choice.number, image->failure);
    keyed_done(image);
    memory_free(image);
    run->images++;
}

void keyed_images(uint64_t seed, uint32_t step, struct keyed_cuts *run)
{
    struct keyed_settings settings = brisk_settings(seed);
    keyed_init(run->keyed, &settings);
    random_seed(&run->random, seed ^ 0x1ac6e);
    keyed_start(run->keyed);
    keyed_work(run->keyed, 1500);
    keyed_stop(run->keyed);
    run->begin = run->keyed->durable;
    world_record_start(run->keyed->world, 0);
    keyed_start(run->keyed);
    keyed_work(run->keyed, 1200);
    if (!run->keyed->failure[0])
        keyed_crash(run->keyed, true);
    run->recording = world_record_stop(run->keyed->world, 0);
    for (uint32_t cut = (uint32_t)random_below(&run->random, step);
         cut <= run->recording->count && !run->keyed->failure[0];
         cut += 1 + (uint32_t)random_below(&run->random, 2 * step - 1)) {
        look_at_image(run, cut, disk_choice_of(CHOICE_OLD, 0));
        look_at_image(run, cut, disk_choice_of(CHOICE_NEW, 0));
        look_at_image(run, cut, disk_choice_of(CHOICE_RANDOM, random_next(&run->random) >> 32));
        look_at_image(
            run, cut,
            disk_choice_of(random_once_in(&run->random, 2) ? CHOICE_ONE_OLD : CHOICE_ONE_NEW,
                           random_below(&run->random, 24)));
    }
    disk_recording_destroy(run->recording);
}
