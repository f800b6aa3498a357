#include "sim/client_model.h"
#include "base/check.h"
#include "base/memory.h"
#include "protocol/batch.h"
#include "sim/machine_memory.h"

void model_init(struct model *model, struct world *world)
{
    *model = (struct model){.world = world, .record_count = 1};
    map_init(&model->by_id, 1);
}

void model_done(struct model *model)
{
    for (int32_t i = 0; i < model->topic_count; i++) {
        for (int j = 0; j < MODEL_PARTITIONS_MAX; j++)
            memory_free(model->topics[i]->partitions[j].slots);
        memory_free(model->topics[i]);
    }
    memory_free(model->topics);
    memory_free(model->records);
    map_done(&model->by_id);
}

/* ---- topics ---- */

struct model_topic *model_find(const struct model *model, struct uuid id)
{
    return map_get(&model->by_id, &id, sizeof id);
}

static struct model_topic *add_topic(struct model *model, struct uuid id, struct string name,
                                     int32_t partition_count)
{
    if (partition_count < 1 || partition_count > MODEL_PARTITIONS_MAX ||
        name.size >= MODEL_NAME_SIZE) {
        world_violation(model->world, "topic %.*s has %d partitions", name.size, name.data,
                        partition_count);
        return NULL;
    }
    int before = machine_memory_enter(MEMORY_NOBODY);
    struct model_topic *topic = memory_zeroed(sizeof *topic);
    topic->id = id;
    memcpy(topic->name, name.data, (size_t)name.size);
    topic->partition_count = partition_count;
    topic->deleted_ns = INT64_MAX;
    topic->seen_ns = model->world->now_ns;
    for (int i = 0; i < MODEL_PARTITIONS_MAX; i++)
        topic->partitions[i] =
            (struct model_partition){.topic = topic, .index = i, .high_watermark_seen = -1};
    if (model->topic_count == model->topic_capacity) {
        model->topic_capacity = model->topic_capacity ? 2 * model->topic_capacity : 16;
        model->topics =
            memory_resized(model->topics, (size_t)model->topic_capacity * sizeof model->topics[0]);
    }
    model->topics[model->topic_count++] = topic;
    map_put(&model->by_id, &topic->id, sizeof topic->id, topic);
    machine_memory_enter(before);
    return topic;
}

struct model_topic *model_topic_seen(struct model *model, struct uuid id, struct string name,
                                     int32_t partition_count, int64_t asked_ns)
{
    struct model_topic *topic = model_find(model, id);
    if (!topic)
        return add_topic(model, id, name, partition_count);
    if (!string_equal(string_of(topic->name), name) || topic->partition_count != partition_count)
        world_violation(model->world, "topic %s is now %.*s with %d partitions", topic->name,
                        name.size, name.data, partition_count);
    if (asked_ns > topic->deleted_ns)
        world_violation(model->world, "topic %s was deleted at %lld ns and is back", topic->name,
                        (long long)topic->deleted_ns);
    return topic;
}

void model_topic_missing(struct model *model, struct model_topic *topic, int64_t asked_ns)
{
    if (!topic->delete_asked && asked_ns > topic->seen_ns + MODEL_SPREAD_NS)
        world_violation(model->world, "topic %s has vanished", topic->name);
}

void model_topic_deleted(struct model *model, struct model_topic *topic)
{
    if (topic->deleted_ns == INT64_MAX)
        topic->deleted_ns = model->world->now_ns;
}

/* ---- records ---- */

uint64_t model_send(struct model *model, struct model_partition *partition, uint32_t size)
{
    check(size >= MODEL_VALUE_MIN);
    if (model->record_count >= model->record_capacity) {
        int before = machine_memory_enter(MEMORY_NOBODY);
        model->record_capacity = model->record_capacity ? 2 * model->record_capacity : 1024;
        model->records =
            memory_resized(model->records, model->record_capacity * sizeof model->records[0]);
        machine_memory_enter(before);
    }
    model->records[model->record_count] =
        (struct model_record){.partition = partition, .offset = -1, .size = size};
    return model->record_count++;
}

void model_value(uint64_t uid, uint8_t *value, uint32_t size)
{
    store_be64(value, uid);
    uint64_t state = uid * 0x9e3779b97f4a7c15u + 1;
    for (uint32_t i = 8; i < size; i++) {
        if (i % 8 == 0)
            state = (state ^ (state >> 29)) * 0xbf58476d1ce4e5b9u + 1;
        value[i] = (uint8_t)(state >> (8 * (i % 8)));
    }
}

static bool value_is(uint64_t uid, struct bytes value)
{
    uint8_t wanted[256];
    uint32_t size = (uint32_t)value.size < sizeof wanted ? (uint32_t)value.size : sizeof wanted;
    model_value(uid, wanted, size);
    if (memcmp(wanted, value.data, size) != 0)
        return false;
    if ((uint32_t)value.size == size)
        return true;
    uint8_t *whole = memory_zeroed((size_t)value.size);
    model_value(uid, whole, (uint32_t)value.size);
    bool same = memcmp(whole, value.data, (size_t)value.size) == 0;
    memory_free(whole);
    return same;
}

static struct model_slot *slot_at(struct model_partition *partition, int64_t offset)
{
    if (offset >= partition->capacity) {
        int64_t capacity = partition->capacity ? 2 * partition->capacity : 256;
        while (capacity <= offset)
            capacity *= 2;
        int before = machine_memory_enter(MEMORY_NOBODY);
        partition->slots =
            memory_resized(partition->slots, (size_t)capacity * sizeof partition->slots[0]);
        machine_memory_enter(before);
        memset(partition->slots + partition->capacity, 0,
               (size_t)(capacity - partition->capacity) * sizeof partition->slots[0]);
        partition->capacity = capacity;
    }
    return &partition->slots[offset];
}

/* Record `uid` lies at `offset`: so it does for ever. */
static struct model_slot *place(struct model *model, uint64_t uid, int64_t offset, const char *what)
{
    struct model_record *record = &model->records[uid];
    struct model_partition *partition = record->partition;
    const char *topic = partition->topic->name;
    if (offset < 0 || offset > (int64_t)model->record_count) {
        world_violation(model->world, "%s-%d: %s at %lld", topic, partition->index, what,
                        (long long)offset);
        return NULL;
    }
    struct model_slot *slot = slot_at(partition, offset);
    if (slot->is_promised && slot->uid != uid)
        world_violation(model->world, "%s-%d offset %lld: record %llu is %s where %llu was", topic,
                        partition->index, (long long)offset, (unsigned long long)uid, what,
                        (unsigned long long)slot->uid);
    if (record->offset >= 0 && record->offset != offset)
        world_violation(model->world, "%s-%d: record %llu is %s at %lld and was at %lld", topic,
                        partition->index, (unsigned long long)uid, what, (long long)offset,
                        (long long)record->offset);
    record->offset = offset;
    slot->uid = uid;
    return slot;
}

static void promise(struct model_partition *partition, struct model_slot *slot, int64_t offset)
{
    partition->promised_count += !slot->is_promised;
    slot->is_promised = true;
    partition->promised_end = max_i64(partition->promised_end, offset + 1);
}

void model_acknowledge(struct model *model, uint64_t uid, int64_t offset)
{
    check(uid > 0 && uid < model->record_count);
    struct model_slot *slot = place(model, uid, offset, "acknowledged");
    model->acknowledged++;
    if (slot)
        promise(model->records[uid].partition, slot, offset);
}

void model_read(struct model *model, struct model_partition *partition, int64_t offset,
                struct bytes value, bool promises)
{
    const char *topic = partition->topic->name;
    uint64_t uid = value.size >= MODEL_VALUE_MIN ? load_be64(value.data) : 0;
    if (uid == 0 || uid >= model->record_count || model->records[uid].partition != partition ||
        model->records[uid].size != (uint32_t)value.size || !value_is(uid, value)) {
        world_violation(model->world,
                        "%s-%d offset %lld: %d bytes that were not sent there (uid "
                        "%llu)",
                        topic, partition->index, (long long)offset, (int)value.size,
                        (unsigned long long)uid);
        return;
    }
    struct model_slot *slot = place(model, uid, offset, "read");
    model->read++;
    if (!slot)
        return;
    if (promises)
        promise(partition, slot, offset);
    partition->verified_count += slot->is_promised && !slot->is_verified;
    slot->is_verified = slot->is_promised;
}

void model_verify_begin(struct model *model)
{
    for (int32_t i = 0; i < model->topic_count; i++)
        for (int j = 0; j < model->topics[i]->partition_count; j++) {
            struct model_partition *partition = &model->topics[i]->partitions[j];
            partition->verified_count = 0;
            for (int64_t k = 0; k < partition->capacity; k++)
                partition->slots[k].is_verified = false;
        }
}

bool model_verified(const struct model_partition *partition)
{
    return partition->verified_count == partition->promised_count;
}

static bool read_batch(struct model *model, struct model_partition *partition,
                       const struct batch *batch, bool promises)
{
    struct arena arena;
    struct batch_iterator iterator;
    struct record record;
    int32_t count = 0;
    arena_init(&arena, 64u << 20);
    if (batch_iterate(batch, &arena, &iterator) == ERROR_NONE)
        while (batch_next(&iterator, &record)) {
            model_read(model, partition, record.offset, record.value, promises);
            count++;
        }
    arena_done(&arena);
    return count == batch->count && count == batch->last_offset_delta + 1;
}

void model_read_batches(struct model *model, struct model_partition *partition, struct bytes data,
                        int64_t *next, bool promises)
{
    const char *topic = partition->topic->name;
    while (data.size > 0) {
        struct batch batch;
        enum error error = batch_view(data.data, (size_t)data.size, &batch);
        if (!error)
            error = batch_check_crc(&batch);
        if (error) {
            world_violation(model->world, "%s-%d: a batch after offset %lld is bad: %s", topic,
                            partition->index, (long long)*next, error_text(error));
            return;
        }
        if (*next >= 0 && batch.base_offset != *next)
            world_violation(model->world, "%s-%d: a batch at %lld, expected %lld", topic,
                            partition->index, (long long)batch.base_offset, (long long)*next);
        *next = batch_last_offset(&batch) + 1;
        if (!read_batch(model, partition, &batch, promises))
            world_violation(model->world, "%s-%d: the batch at %lld has not its %d records", topic,
                            partition->index, (long long)batch.base_offset, batch.count);
        data.data += batch.whole.size;
        data.size -= batch.whole.size;
    }
}
