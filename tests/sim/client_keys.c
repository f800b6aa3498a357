#include "sim/client_keys.h"
#include "base/check.h"
#include "base/reached.h"

static uint64_t hash_of(uint64_t uid)
{
    uint64_t hash = uid * 0x9e3779b97f4a7c15u;
    return (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9u >> 20;
}

int model_key(uint64_t uid)
{
    return (int)(hash_of(uid) % MODEL_KEYS);
}

bool model_is_tombstone(const struct model *model, uint64_t uid)
{
    return model->records[uid].partition->topic->rules->compacts && hash_of(uid) / 64 % 6 == 0;
}

void model_pass_begin(struct model *model, struct model_partition *partition,
                      struct model_pass *pass)
{
    pass->runs = partition->topic->rules->compacts;
    int found = 0;
    for (int key = 0; key < MODEL_KEYS; key++)
        pass->promised[key] = pass->met[key] = -1;
    for (int64_t offset = partition->promised_end - 1;
         offset >= 0 && found < MODEL_KEYS && pass->runs; offset--) {
        const struct model_slot *slot = &partition->slots[offset];
        int key = model_key(slot->uid);
        if (!slot->is_promised || pass->promised[key] >= 0)
            continue;
        pass->promised[key] = offset;
        found++;
    }
}

void model_pass_meet(struct model_pass *pass, uint64_t uid, int64_t offset)
{
    pass->met[model_key(uid)] = offset;
}

/* May a tombstone of the key hide what was promised at `offset`, or be that, and be gone? One that
 * was never acknowledged may lie anywhere. */
static bool is_buried(const struct model *model, const struct model_partition *partition, int key,
                      int64_t offset)
{
    if (partition->topic->rules->tombstone_ms > 0)
        return false; /* longer than anything takes here */
    for (uint64_t uid = 1; uid < model->record_count; uid++) {
        const struct model_record *record = &model->records[uid];
        if (record->partition == partition && model_key(uid) == key && !record->refused &&
            model_is_tombstone(model, uid) && (record->offset < 0 || record->offset >= offset))
            return true;
    }
    return false;
}

void model_pass_end(struct model *model, const struct model_partition *partition,
                    struct model_pass *pass, const char *who)
{
    if (!pass->runs)
        return;
    pass->runs = false;
    REACHED("a compacted log read from its start to its end");
    for (int key = 0; key < MODEL_KEYS; key++) {
        int64_t offset = pass->promised[key];
        if (offset < partition->start_seen || pass->met[key] >= offset ||
            is_buried(model, partition, key, offset))
            continue;
        world_violation(model->world, "%s: %s-%d: of key %d %lld was promised, %lld is the newest",
                        who, partition->topic->name, partition->index, key, (long long)offset,
                        (long long)pass->met[key]);
    }
}
