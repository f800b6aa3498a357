#include "crash/lives.h"
#include "crash/model_producers.h"
#include "base/check.h"
#include "base/memory.h"
#include <stdio.h>

/* Some operations of the work that follows fail. True: flushes among them. What a failed flush of a
 * folder has covered never gets durable, whatever a process that goes on does with the same file
 * system: after it comes a loss of power. */
static bool plan_faults(struct rig *rig, struct random *random)
{
    static const uint8_t kinds[] = {OP_WRITE,    OP_WRITE,     OP_WRITE,
                                    OP_FLUSH,    OP_FLUSH_ALL, OP_ALLOCATE,
                                    OP_TRUNCATE, OP_REMOVE,    OP_MAKE_DIRECTORY};
    int count = (int)random_below(random, 3);
    bool flushes = false;
    for (int i = 0; i < count; i++) {
        int kind = kinds[random_below(random, ARRAY_COUNT(kinds))];
        flushes = flushes || kind == OP_FLUSH || kind == OP_FLUSH_ALL;
        world_fail(rig->world, 0, kind, 1 + random_below(random, 150),
                   random_below(random, 3) ? ERROR_INPUT_OUTPUT : ERROR_NO_SPACE);
    }
    return flushes;
}

void lives_run(enum lives_kind kind, uint64_t seed, int lives, char *failure, size_t size)
{
    struct rig_settings settings = rig_settings_random(seed);
    struct oracle oracle;
    struct rig *rig = memory_zeroed(sizeof *rig);
    struct random random;
    random_seed(&random, seed ^ 0x11fe);
    if (kind == LIVES_REMOVALS)
        settings.remove_once_in = 20 + random_below(&random, 60);
    if (random_once_in(&random, 2))
        settings.delete_once_in = 20 + random_below(&random, 100);
    oracle_init(&oracle, seed, settings.slots, settings.batch_most);
    rig_init(rig, &settings, &oracle);
    for (int i = 0; i < lives && !rig->failure[0]; i++) {
        rig_start(rig);
        bool flushes_fail = kind == LIVES_FAULTS && plan_faults(rig, &random);
        rig_work(rig, 200 + random_below(&random, 4000));
        switch (kind == LIVES_CLEAN ? 0 : flushes_fail ? 1 : random_below(&random, 3)) {
        case 0:
            rig_stop(rig);
            break;
        case 1:
            rig_crash(rig, true);
            break;
        default:
            rig_crash(rig, false);
        }
        if (kind == LIVES_REMOVALS && !rig->failure[0] && random_once_in(&random, 2))
            rig_delete(rig, (int32_t)random_below(&random, (uint64_t)settings.slots));
        if (!rig->failure[0] && random_once_in(&random, 3))
            model_plant_snapshot(rig, (int32_t)random_below(&random, (uint64_t)settings.slots));
        rig->world->machines[0]->fault_count = 0; /* those that were not met */
    }
    snprintf(failure, size, "%s", rig->failure);
    rig_done(rig);
    memory_free(rig);
    oracle_done(&oracle);
}
