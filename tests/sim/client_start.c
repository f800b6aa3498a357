#include "sim/client_start.h"
#include "base/reached.h"

void model_start_seen(struct model *model, struct model_partition *partition, int64_t start)
{
    const char *topic = partition->topic->name;
    if (start < partition->start_promised)
        world_violation(model->world, "%s-%d: begins at %lld, promised was %lld", topic,
                        partition->index, (long long)start, (long long)partition->start_promised);
    if (start < partition->start_now)
        world_violation(model->world, "%s-%d: the log start went back from %lld to %lld", topic,
                        partition->index, (long long)partition->start_now, (long long)start);
    if (start > partition->start_asked && partition->purges_to_end > 0)
        partition->start_asked = start; /* at or below the high watermark, as ever */
    if (start > partition->start_asked)
        world_violation(model->world, "%s-%d: begins at %lld, which nobody asked for (%lld)", topic,
                        partition->index, (long long)start, (long long)partition->start_asked);
    partition->start_now = start;
    if (start > partition->start_seen)
        partition->start_seen = start;
}

void model_start_asked(struct model_partition *partition, int64_t offset)
{
    if (offset < 0)
        partition->purges_to_end++;
    else if (offset > partition->start_asked)
        partition->start_asked = offset;
}

void model_start_promised(struct model *model, struct model_partition *partition, int64_t start)
{
    if (start > partition->start_seen)
        world_violation(model->world, "%s-%d: records below %lld are gone, it begins at %lld",
                        partition->topic->name, partition->index, (long long)start,
                        (long long)partition->start_seen);
    if (start > partition->start_promised)
        partition->start_promised = start;
}

void model_start_told(struct model *model, const struct model_partition *partition,
                      int64_t promised, int64_t start, const char *who)
{
    if (start < promised || start > partition->start_seen)
        world_violation(model->world, "%s: %s-%d begins at %lld; promised was %lld, seen %lld", who,
                        partition->topic->name, partition->index, (long long)start,
                        (long long)promised, (long long)partition->start_seen);
}

bool model_start_explains(const struct model_partition *partition, int64_t offset, int64_t promised,
                          enum error error)
{
    if (error == ERROR_OFFSET_OUT_OF_RANGE) {
        if (offset < partition->start_promised)
            REACHED("a read below the log start");
        return offset < partition->start_seen;
    }
    return error != ERROR_NONE || offset >= promised;
}
