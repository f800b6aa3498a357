#include "sim/client_model.h"
#include "base/check.h"
#include "base/memory.h"
#include "sim/client_keys.h"
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

const char *model_compression(const struct model_rules *rules)
{
    return rules->codec == MODEL_CODEC_SENT ? "producer"
           : rules->codec == CODEC_NONE     ? "uncompressed"
                                            : codec_name((enum codec)rules->codec);
}

const char *model_cleanup(const struct model_rules *rules)
{
    return !rules->compacts ? "delete" : rules->keeps ? "compact" : "compact,delete";
}

struct model_topic *model_find(const struct model *model, struct uuid id)
{
    return map_get(&model->by_id, &id, sizeof id);
}

static bool find_rules(struct model *model, struct model_topic *topic)
{
    static const char *const prefixes[MODEL_KINDS] = {"fixed-", "passing-", "auto-"};
    topic->rules = &model->rules[0][0];
    for (int kind = 0; kind < MODEL_KINDS; kind++) {
        size_t size = strlen(prefixes[kind]);
        int index = topic->name[size] - '0';
        if (strncmp(topic->name, prefixes[kind], size) != 0)
            continue;
        topic->kind = (enum model_kind)kind;
        if (index >= 0 && index < MODEL_NAMES_MAX)
            topic->rules = &model->rules[kind][index];
        return index >= 0 && index < MODEL_NAMES_MAX;
    }
    return false;
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
    if (!find_rules(model, topic))
        world_violation(model->world, "topic %s was never asked for", topic->name);
    topic->partition_count = topic->grow_asked = partition_count;
    topic->deleted_ns = INT64_MAX;
    topic->seen_ns = model->world->now_ns;
    for (int i = 0; i < MODEL_PARTITIONS_MAX; i++)
        topic->partitions[i] = (struct model_partition){
            .topic = topic, .index = i, .high_watermark_seen = -1, .seen_ns = model->world->now_ns};
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
    if (!string_equal(string_of(topic->name), name))
        world_violation(model->world, "topic %s is now %.*s", topic->name, name.size, name.data);
    model_count_seen(model, topic, partition_count, asked_ns);
    if (asked_ns > topic->deleted_ns)
        world_violation(model->world, "topic %s was deleted at %lld ns and is back", topic->name,
                        (long long)topic->deleted_ns);
    return topic;
}

void model_grow_asked(struct model_topic *topic, int32_t count)
{
    topic->grow_asked = topic->grow_asked > count ? topic->grow_asked : count;
}

void model_count_seen(struct model *model, struct model_topic *topic, int32_t count,
                      int64_t asked_ns)
{
    if (count > topic->grow_asked) {
        world_violation(model->world, "topic %s has %d partitions, asked were %d", topic->name,
                        count, topic->grow_asked);
        return;
    }
    const struct model_partition *last = &topic->partitions[topic->partition_count - 1];
    if (count < topic->partition_count && asked_ns > last->seen_ns + MODEL_SPREAD_NS)
        world_violation(model->world, "topic %s has %d partitions and had %d", topic->name, count,
                        topic->partition_count);
    for (; topic->partition_count < count; topic->partition_count++)
        topic->partitions[topic->partition_count].seen_ns = model->world->now_ns;
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

uint64_t model_send(struct model *model, struct model_partition *partition, uint32_t size,
                    int64_t timestamp, enum codec codec)
{
    check(size >= MODEL_VALUE_MIN);
    if (model->record_count >= model->record_capacity) {
        int before = machine_memory_enter(MEMORY_NOBODY);
        model->record_capacity = model->record_capacity ? 2 * model->record_capacity : 1024;
        model->records =
            memory_resized(model->records, model->record_capacity * sizeof model->records[0]);
        machine_memory_enter(before);
    }
    model->records[model->record_count] = (struct model_record){
        .partition = partition,
        .offset = -1,
        .size = size,
        .timestamp = partition->topic->rules->append_time ? MODEL_NO_TIME : timestamp,
        .codec = (uint8_t)codec};
    return model->record_count++;
}

void model_refuse(struct model *model, uint64_t uid)
{
    check(uid > 0 && uid < model->record_count);
    model->records[uid].refused = true;
}

void model_value(uint64_t uid, uint8_t *value, uint32_t size)
{
    store_be64(value, uid);
    uint64_t state = uid * 0x9e3779b97f4a7c15u + 1;
    bool repeats = uid & 1; /* every other one can be compressed */
    for (uint32_t i = 8; i < size; i++) {
        if (i % 8 == 0 && !(repeats && i > 16))
            state = (state ^ (state >> 29)) * 0xbf58476d1ce4e5b9u + 1;
        value[i] = (uint8_t)(state >> (8 * (i % 8)));
    }
}

static struct bytes of_uid(uint8_t *bytes, uint64_t uid, int32_t size)
{
    for (int32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(uid >> (8 * (i & 7)));
    return (struct bytes){bytes, size};
}

static void write_header(struct writer *writer, const char *name, struct bytes value)
{
    struct record_header header = {.key = {(const uint8_t *)name, (int32_t)strlen(name)},
                                   .value = value};
    record_write_header(writer, &header);
}

/* Of a compacted topic. */
static void keyed_extras(const struct model *model, uint64_t uid, struct model_bytes *bytes,
                         struct record *ret_record)
{
    struct writer writer;
    uint8_t name[8];
    int key = model_key(uid);
    /* one of them is empty, which is a key like any other */
    ret_record->key =
        of_uid(bytes->key, 0x79656b00u + (uint64_t)key, key == 0 ? 0 : 4 + key % 3 * 5);
    writer_init(&writer, bytes->headers, sizeof bytes->headers);
    ret_record->headers_count = model_is_tombstone(model, uid);
    store_be64(name, uid);
    if (ret_record->headers_count > 0)
        write_header(&writer, "uid", (struct bytes){name, sizeof name});
    ret_record->headers = (struct bytes){bytes->headers, (int32_t)writer.size};
}

void model_extras(const struct model *model, uint64_t uid, struct model_bytes *bytes,
                  struct record *ret_record)
{
    if (model->records[uid].partition->topic->rules->compacts) {
        keyed_extras(model, uid, bytes, ret_record);
        return;
    }
    uint64_t kind = (uid * 0x9e3779b97f4a7c15u) >> 32;
    int32_t key_size = (int32_t)(kind % 4 * 5) - 5; /* null, empty, 5, 10 */
    uint8_t value[8];
    ret_record->key = key_size < 0 ? BYTES_NULL : of_uid(bytes->key, uid, key_size);
    ret_record->headers_count = (int32_t)max_i64((int64_t)(kind >> 8) % 6 - 3, 0);
    struct writer writer;
    writer_init(&writer, bytes->headers, sizeof bytes->headers);
    for (int32_t i = 0; i < ret_record->headers_count; i++) {
        const char *const names[] = {"", "na", "name"};
        write_header(&writer, names[i],
                     (kind >> 16) % 3 == 0 ? BYTES_NULL : of_uid(value, uid + (uint64_t)i, 7));
    }
    check(writer.error == ERROR_NONE);
    ret_record->headers = (struct bytes){bytes->headers, (int32_t)writer.size};
}

static bool same_bytes(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size <= 0 || memcmp(a.data, b.data, (size_t)a.size) == 0);
}

/* Key and headers, which records of the batch have as they were sent. */
static bool extras_are(const struct model *model, uint64_t uid, const struct record *record)
{
    struct model_bytes bytes;
    struct record wanted;
    model_extras(model, uid, &bytes, &wanted);
    return same_bytes(record->key, wanted.key) && record->headers_count == wanted.headers_count &&
           (wanted.headers_count == 0 || same_bytes(record->headers, wanted.headers));
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
    if (slot->uid != uid)
        slot->crc = 0;
    slot->uid = uid;
    return slot;
}

static void promise(struct model_partition *partition, struct model_slot *slot, int64_t offset)
{
    slot->is_promised = true;
    partition->promised_end = max_i64(partition->promised_end, offset + 1);
}

/* The time of a record stays what it was; the leader's is known from the first time it is seen. */
static void check_time(struct model *model, uint64_t uid, int64_t timestamp)
{
    struct model_record *record = &model->records[uid];
    const struct model_partition *partition = record->partition;
    if (record->timestamp == MODEL_NO_TIME)
        record->timestamp = timestamp;
    if (record->timestamp != timestamp)
        world_violation(model->world, "%s-%d: record %llu has time %lld and had %lld",
                        partition->topic->name, partition->index, (unsigned long long)uid,
                        (long long)timestamp, (long long)record->timestamp);
}

void model_acknowledge(struct model *model, uint64_t uid, int64_t offset, int64_t append_time_ms)
{
    check(uid > 0 && uid < model->record_count);
    const struct model_partition *partition = model->records[uid].partition;
    struct model_slot *slot = place(model, uid, offset, "acknowledged");
    model->acknowledged++;
    if (model->records[uid].refused)
        world_violation(model->world, "%s-%d: record %llu is acknowledged, and was to be refused",
                        partition->topic->name, partition->index, (unsigned long long)uid);
    if ((append_time_ms >= 0) != partition->topic->rules->append_time)
        world_violation(model->world, "%s-%d: acknowledged with append time %lld",
                        partition->topic->name, partition->index, (long long)append_time_ms);
    else if (append_time_ms >= 0)
        check_time(model, uid, append_time_ms);
    if (slot)
        promise(model->records[uid].partition, slot, offset);
}

static uint64_t uid_of_tombstone(const struct record *record)
{
    struct reader reader;
    struct record_header header;
    reader_init(&reader, record->headers.data, (size_t)record->headers.size);
    record_next_header(&reader, &header);
    return reader.error || header.value.size != 8 ? 0 : load_be64(header.value.data);
}

/* Is it a record that was sent there, whole? Returns its uid, or 0. */
static uint64_t recognise(const struct model *model, const struct model_partition *partition,
                          const struct record *record)
{
    struct bytes value = record->value;
    uint64_t uid = value.size >= MODEL_VALUE_MIN ? load_be64(value.data) : 0;
    if (value.size < 0 && record->headers_count == 1)
        uid = uid_of_tombstone(record);
    if (uid == 0 || uid >= model->record_count || model->records[uid].partition != partition ||
        model_is_tombstone(model, uid) != (value.size < 0) || !extras_are(model, uid, record))
        return 0;
    bool same = value.size < 0 ||
                (model->records[uid].size == (uint32_t)value.size && value_is(uid, value));
    return same ? uid : 0;
}

/* The record that is known to lie at `offset` was read there. */
static void note_read(struct model *model, struct model_partition *partition, int64_t offset,
                      bool promises)
{
    struct model_slot *slot = &partition->slots[offset];
    model->read++;
    if (promises)
        promise(partition, slot, offset);
    slot->is_verified = true;
    if (model->pass)
        model_pass_meet(model->pass, slot->uid, offset);
}

void model_read(struct model *model, struct model_partition *partition, const struct record *record,
                bool promises)
{
    uint64_t uid = recognise(model, partition, record);
    if (uid == 0 || model->records[uid].refused) {
        world_violation(model->world,
                        "%s-%d offset %lld: %d bytes that were not sent there, or refused (uid "
                        "%llu)",
                        partition->topic->name, partition->index, (long long)record->offset,
                        (int)record->value.size, (unsigned long long)uid);
        return;
    }
    struct model_slot *slot = place(model, uid, record->offset, "read");
    check_time(model, uid, record->timestamp);
    if (slot)
        note_read(model, partition, record->offset, promises);
}

void model_verify_begin(struct model *model)
{
    for (int32_t i = 0; i < model->topic_count; i++)
        for (int j = 0; j < model->topics[i]->partition_count; j++) {
            struct model_partition *partition = &model->topics[i]->partitions[j];
            for (int64_t k = 0; k < partition->capacity; k++)
                partition->slots[k].is_verified = false;
        }
}

bool model_verified(const struct model_partition *partition, int64_t start, int64_t *ret_missing)
{
    for (int64_t offset = start; offset < partition->promised_end; offset++)
        if (partition->slots[offset].is_promised && !partition->slots[offset].is_verified) {
            *ret_missing = offset;
            return false;
        }
    return true;
}

/* Codec, kind of time and size are what the topic's rules say; max_timestamp is what Kafka says. */
static bool obeys_rules(const struct model *model, const struct model_partition *partition,
                        const struct batch *batch, uint64_t uid, int64_t max_timestamp)
{
    const struct model_rules *rules = partition->topic->rules;
    int codec = rules->codec == MODEL_CODEC_SENT ? model->records[uid].codec : rules->codec;
    return (batch->attributes & BATCH_CODEC_MASK) == codec &&
           !(batch->attributes & BATCH_APPEND_TIME) == !rules->append_time &&
           batch->whole.size <= rules->size_max_bytes && batch->max_timestamp == max_timestamp;
}

/* These very bytes were read before: a record is sent once, so what begins with the same one and
 * has the same CRC is the same batch. */
static bool was_read(const struct model_partition *partition, const struct batch *batch)
{
    int64_t offset = batch->base_offset;
    return offset >= 0 && batch_last_offset(batch) < partition->capacity && batch->crc != 0 &&
           batch->count == batch->last_offset_delta + 1 &&
           partition->slots[offset].crc == batch->crc;
}

static bool read_batch(struct model *model, struct model_partition *partition,
                       const struct batch *batch, bool promises)
{
    if (was_read(partition, batch)) {
        for (int64_t offset = batch->base_offset; offset <= batch_last_offset(batch); offset++)
            note_read(model, partition, offset, promises);
        return true;
    }
    struct arena arena;
    struct batch_iterator iterator;
    struct record record;
    int32_t count = 0;
    uint64_t uid = 0;
    int64_t max_timestamp = -1;
    arena_init(&arena, 64u << 20);
    if (batch_iterate(batch, &arena, &iterator) == ERROR_NONE)
        while (batch_next(&iterator, &record)) {
            model_read(model, partition, &record, promises);
            max_timestamp = max_i64(max_timestamp, record.timestamp);
            uid = count++ == 0 ? recognise(model, partition, &record) : uid;
        }
    arena_done(&arena);
    bool dense = count == batch->last_offset_delta + 1 || partition->topic->rules->compacts;
    bool good = count == batch->count && dense &&
                (uid == 0 || obeys_rules(model, partition, batch, uid, max_timestamp));
    if (good && uid != 0)
        slot_at(partition, batch->base_offset)->crc = batch->crc;
    return good;
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
        if (error && partition->rotten)
            return; /* the reader knows by its CRC */
        if (error) {
            world_violation(model->world, "%s-%d: a batch after offset %lld is bad: %s", topic,
                            partition->index, (long long)*next, error_text(error));
            return;
        }
        bool gaps = partition->topic->rules->compacts && batch.base_offset > *next;
        if (*next >= 0 && batch.base_offset != *next && !gaps)
            world_violation(model->world, "%s-%d: a batch at %lld, expected %lld", topic,
                            partition->index, (long long)batch.base_offset, (long long)*next);
        *next = batch_last_offset(&batch) + 1;
        if (!read_batch(model, partition, &batch, promises))
            world_violation(model->world,
                            "%s-%d: the batch at %lld has not its %d records, or is not as the "
                            "topic's settings say (attributes %d)",
                            topic, partition->index, (long long)batch.base_offset, batch.count,
                            batch.attributes);
        data.data += batch.whole.size;
        data.size -= batch.whole.size;
    }
}
