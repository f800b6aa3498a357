/* A log whose end is cut off goes on as if what was cut had never been. */
#include "base/memory.h"
#include "crash/operations.h"
#include "storage/log_state.h"
#include "support/test.h"

enum { BATCHES = 24 };

static void append(struct script *script)
{
    script_append(script, 0, 100, BATCHES);
    script_do(script, OPERATION_flush);
}

/* The batches that follow are numbered as their producers would that know of the cut. */
static void cut_and_go_on(struct script *script, bool in_files)
{
    append(script);
    if (in_files)
        script_do(script, OPERATION_checkpoint);
    script_do(script, OPERATION_truncate);
    append(script);
    script_do(script, OPERATION_clean_stop);
    append(script);
}

TEST(truncate, forgets_what_producers_sent_beyond)
{
    for (int in_files = 0; in_files < 2; in_files++) {
        struct rig_settings settings = script_settings(1, 0);
        struct oracle oracle;
        struct rig *rig = memory_zeroed(sizeof *rig);
        struct script *script = memory_zeroed(sizeof *script);
        oracle_init(&oracle, 1, settings.slots, settings.batch_most);
        rig_init(rig, &settings, &oracle);
        script_begin(script, rig);
        cut_and_go_on(script, in_files);
        if (!rig->failure[0])
            TRUE_(worker_log(rig, 0)->producers.table.by_id.count > 0);
        rig_stop(rig);
        EQ_TEXT(rig->failure, "");
        rig_done(rig);
        oracle_done(&oracle);
        memory_free(script);
        memory_free(rig);
    }
}
