/* Few descriptors: what is kept open gives way, and nothing fails where they are used up. */
#include "base/check.h"
#include "base/memory.h"
#include "crash/operations.h"
#include "crash/scripted.h"
#include "sim/reached.h"
#include "storage/log_state.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

struct sampling {
    const struct rig *rig;
    int32_t *most;
};

static void sample(struct world *world, void *argument)
{
    const struct sampling *sampling = argument;
    int32_t now = sampling->rig->cores[0].core.openings.kept;
    (void)world;
    *sampling->most = now > *sampling->most ? now : *sampling->most;
}

/* Lives on a machine that has `machine` descriptors in all, of which each core keeps `kept` (0: as
 * many as it can). */
static void live(uint64_t seed, uint32_t machine, int32_t kept, int32_t *ret_most)
{
    struct rig_settings settings = rig_settings_random(seed);
    struct oracle oracle;
    struct rig *rig = memory_zeroed(sizeof *rig);
    settings.slots = 7;
    settings.cores = 1;
    settings.open_files = kept;
    settings.remove_once_in = seed % 2 ? 40 : 0;
    if (machine > 0)
        settings.world.handle_limit = machine;
    oracle_init(&oracle, seed, settings.slots, settings.batch_most);
    rig_init(rig, &settings, &oracle);
    for (int i = 0; i < 3 && !rig->failure[0]; i++) {
        rig_start(rig);
        world_on_event(rig->world, sample, &(struct sampling){rig, ret_most});
        TRUE_(rig_work(rig, 3000));
        world_on_event(rig->world, NULL, NULL);
        if (i % 2)
            rig_crash(rig, true);
        else
            rig_stop(rig);
    }
    EQ_TEXT(rig->failure, "");
    rig_done(rig);
    memory_free(rig);
    oracle_done(&oracle);
}

static uint64_t seeds(void)
{
    const char *text = getenv("BOLE_SEEDS");
    return text ? strtoull(text, NULL, 10) : 60;
}

/* Without a limit of its own a core has a handle for each of many segments. */
TEST(handles, that_are_kept_stay_few)
{
    int32_t few = 0, many = 0;
    for (uint64_t seed = 1; seed <= seeds() / 4; seed++) {
        live(seed, 0, 0, &many);
        live(seed, 0, 2, &few);
    }
    TRUE_(many > 7);
    TRUE_(few < many); /* those that are in use stay open */
}

TEST(handles, that_are_used_up_make_nothing_fail)
{
    int32_t most = 0;
    reached_begin();
    for (uint64_t seed = 1; seed <= seeds(); seed++)
        live(seed, 20 + (uint32_t)(seed % 4), seed % 3 ? 0 : 2, &most);
#if BOLE_MUTANTS
    TRUE_(reached_count("an opening out of descriptors") > 0);
#endif
    reached_end();
}

/* Everything reaches the files, the log is closed, and goes on where it was. */
static void close_and_go_on(void)
{
    struct rig_settings settings = script_settings(1, 0);
    struct scripted *scripted = scripted_create(&settings);
    struct rig *rig = &scripted->rig;
    struct script *script = &scripted->script;
    script_begin(script, rig);
    bool same = true;
    for (int i = 0; i < 3 && same; i++) {
        script_do(script, OPERATION_snapshot); /* with producers */
        script_do(script, OPERATION_checkpoint);
        script_do(script, OPERATION_checkpoint); /* the names of what the first one wrote */
        script_do(script, OPERATION_idle_close);
        const struct log *log = rig->workers[0].log;
        EQ(log->state, LOG_CLOSED);
        EQ(log->segment_count, 0);
        int64_t end = log->closed_end;
        script_do(script, OPERATION_drain); /* opens it */
        EQ(log->state, LOG_OPEN);
        EQ(log->appended_end, end);
        EQ(log->appended_end, rig->oracle->now[0].acknowledged_end);
        same = log->appended_end == rig->oracle->now[0].acknowledged_end;
        if (!same)
            break;
        script_do(script, OPERATION_append);
        script_do(script, OPERATION_flush);
        EQ(rig->workers[0].log->state, LOG_OPEN);
    }
    EQ(rig->cores[0].core.openings.kept <= 2 * settings.slots, true);
    if (same)
        script_do(script, OPERATION_clean_stop);
    EQ_TEXT(rig->failure, "");
    if (same)
        rig_stop(rig);
    scripted_destroy(scripted);
}

TEST(handles, of_idle_logs_are_closed_and_the_logs_go_on_where_they_were)
{
    close_and_go_on();
}
