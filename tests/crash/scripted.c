#include "crash/scripted.h"
#include "base/memory.h"

struct scripted *scripted_create(const struct rig_settings *settings)
{
    struct scripted *scripted = memory_zeroed(sizeof *scripted);
    oracle_init(&scripted->oracle, settings->seed, settings->slots, settings->batch_most);
    rig_init(&scripted->rig, settings, &scripted->oracle);
    scripted->script.rig = &scripted->rig;
    return scripted;
}

void scripted_destroy(struct scripted *scripted)
{
    rig_done(&scripted->rig);
    script_done(&scripted->script);
    oracle_done(&scripted->oracle);
    memory_free(scripted);
}
