#include "logic/image_write.h"
#include "base/mutant.h"
#include "protocol/messages.h"

enum part {
    PART_VERSION,
    PART_FEATURES,
    PART_BROKERS,
    PART_TOPICS,
    PART_CONFIGS,
    PART_PRODUCER_IDS,
    PART_KEPT,
    PART_END
};

static const struct string metadata_version = {"metadata.version", 16};

void image_write_begin(struct image_writer *writer, const struct image *image)
{
    *writer = (struct image_writer){.image = image};
}

/* A copy of the pointer that a record takes; nobody writes through it. */
static void *borrowed(const void *memory)
{
    return (void *)(uintptr_t)memory;
}

static void next_part(struct image_writer *writer)
{
    writer->part++;
    writer->next = 0;
    writer->position = 0;
    writer->topic = NULL;
}

static void write_feature(struct record_list *records, struct string name, int16_t level)
{
    struct feature_level_record *record = record_list_add(records, &feature_level_record_message);
    if (!record)
        return;
    record->name = name;
    record->feature_level = level;
}

/* Kafka reads the level of metadata before anything else. */
static void write_version(struct image_writer *writer, struct record_list *records)
{
    for (int32_t i = 0; i < writer->image->feature_count; i++) {
        const struct image_feature *feature = &writer->image->features[i];
        if (string_equal(string_of(feature->name), metadata_version))
            write_feature(records, metadata_version, feature->level);
    }
    next_part(writer);
}

static void write_features(struct image_writer *writer, struct record_list *records)
{
    if (writer->next == writer->image->feature_count) {
        next_part(writer);
        return;
    }
    const struct image_feature *feature = &writer->image->features[writer->next++];
    if (!string_equal(string_of(feature->name), metadata_version))
        write_feature(records, string_of(feature->name), feature->level);
}

static void write_endpoints(struct register_broker_record *record,
                            const struct image_broker *broker, struct arena *arena)
{
    struct register_broker_record_broker_endpoint *endpoints =
        arena_take(arena, (size_t)broker->endpoint_count * sizeof *endpoints + 1);
    if (!endpoints)
        return;
    message_set_defaults_each(&register_broker_record_broker_endpoint_message, endpoints,
                              broker->endpoint_count);
    for (int32_t i = 0; i < broker->endpoint_count; i++) {
        endpoints[i].name = string_of(broker->endpoints[i].name);
        endpoints[i].host = string_of(broker->endpoints[i].host);
        endpoints[i].port = broker->endpoints[i].port;
        endpoints[i].security_protocol = broker->endpoints[i].security_protocol;
    }
    record->end_points = endpoints;
    record->end_points_count = broker->endpoint_count;
}

static void write_broker(struct image_writer *writer, struct record_list *records)
{
    if (writer->next == writer->image->broker_count) {
        next_part(writer);
        return;
    }
    const struct image_broker *broker = &writer->image->brokers[writer->next++];
    struct register_broker_record *record =
        record_list_add(records, &register_broker_record_message);
    if (!record)
        return;
    record->broker_id = broker->id;
    record->broker_epoch = broker->epoch;
    record->incarnation_id = broker->incarnation_id;
    record->rack = string_of(broker->rack);
    record->fenced = broker->is_fenced;
    record->in_controlled_shutdown = broker->in_controlled_shutdown;
    record->log_dirs = borrowed(broker->log_dirs);
    record->log_dirs_count = broker->log_dir_count;
    write_endpoints(record, broker, records->arena);
    if (broker->endpoint_count > 0 && record->end_points_count == 0)
        records->overflowed = true;
}

/* ---- topics ------------------------------------------------------------------------------ */

static void tag_core(struct partition_record *record, int16_t core, int32_t core_count,
                     struct record_list *records)
{
    struct unknown_tag *tag = arena_take(records->arena, sizeof *tag);
    uint8_t *data = arena_take(records->arena, IMAGE_CORE_TAG_SIZE);
    if (!tag || !data) {
        records->overflowed = true;
        return;
    }
    store_be16(data, (uint16_t)core);
    store_be16(data + 2, (uint16_t)core_count);
    *tag = (struct unknown_tag){IMAGE_CORE_TAG, {data, IMAGE_CORE_TAG_SIZE}};
    record->unknown_tags = (struct unknown_tags){tag, 1};
}

int16_t image_tagged_core(const struct partition_record *record, int32_t core_count)
{
    for (int32_t i = 0; i < record->unknown_tags.count; i++) {
        const struct unknown_tag *tag = &record->unknown_tags.tags[i];
        if (tag->tag != IMAGE_CORE_TAG || tag->data.size != IMAGE_CORE_TAG_SIZE)
            continue;
        int32_t core = load_be16(tag->data.data), cores = load_be16(tag->data.data + 2);
        if (cores == core_count && core < core_count)
            return (int16_t)core;
    }
    return -1;
}

static void write_partition(const struct image *image, const struct image_topic *topic, int32_t id,
                            struct record_list *records)
{
    const struct image_partition *partition = image_partition(topic, id);
    struct partition_record *record =
        partition ? record_list_add(records, &partition_record_message) : NULL;
    if (!record)
        return;
    const int32_t *lists[IMAGE_LIST_COUNT];
    int32_t counts[IMAGE_LIST_COUNT];
    for (int i = 0; i < IMAGE_LIST_COUNT; i++)
        lists[i] = image_partition_list(partition, (enum image_list)i, &counts[i]);
    record->partition_id = id;
    record->topic_id = topic->id;
    record->replicas = borrowed(lists[IMAGE_REPLICAS]);
    record->replicas_count = record->directories_count = counts[IMAGE_REPLICAS];
    record->isr = borrowed(lists[IMAGE_ISR]);
    record->isr_count = counts[IMAGE_ISR];
    record->removing_replicas = borrowed(lists[IMAGE_REMOVING]);
    record->removing_replicas_count = counts[IMAGE_REMOVING];
    record->adding_replicas = borrowed(lists[IMAGE_ADDING]);
    record->adding_replicas_count = counts[IMAGE_ADDING];
    record->eligible_leader_replicas = borrowed(lists[IMAGE_ELR]);
    record->eligible_leader_replicas_count = counts[IMAGE_ELR] ? counts[IMAGE_ELR] : -1;
    record->last_known_elr = borrowed(lists[IMAGE_LAST_KNOWN_ELR]);
    record->last_known_elr_count = counts[IMAGE_LAST_KNOWN_ELR] ? counts[IMAGE_LAST_KNOWN_ELR] : -1;
    record->directories = borrowed(partition->directories);
    record->leader = partition->leader;
    record->leader_recovery_state = partition->leader_recovery_state;
    record->leader_epoch = partition->leader_epoch;
    record->partition_epoch = partition->partition_epoch;
    tag_core(record, partition->core, image->core_count, records);
}

/* The next topic to write, or the next part. */
static void next_topic(struct image_writer *writer)
{
    writer->next = 0;
    writer->topic = image_next_topic(writer->image, &writer->position);
    if (!writer->topic)
        next_part(writer);
}

static void write_topic(struct image_writer *writer, struct record_list *records)
{
    if (writer->topic && writer->next < writer->topic->partition_capacity) {
        write_partition(writer->image, writer->topic, writer->next++, records);
        return;
    }
    next_topic(writer);
    struct topic_record *record =
        writer->topic ? record_list_add(records, &topic_record_message) : NULL;
    if (!record)
        return;
    record->name = image_topic_name(writer->topic);
    record->topic_id = writer->topic->id;
}

static void write_config(struct image_writer *writer, struct record_list *records)
{
    if (!writer->topic || writer->next == writer->topic->config_count) {
        next_topic(writer);
        return;
    }
    const struct image_config *config = &writer->topic->configs[writer->next++];
    if (MUTANT(snapshot_forgets_configs))
        return;
    struct config_record *record = record_list_add(records, &config_record_message);
    if (!record)
        return;
    record->resource_type = IMAGE_RESOURCE_TOPIC;
    record->resource_name = image_topic_name(writer->topic);
    record->name = string_of(config->name);
    record->value = string_of(config->value);
}

/* Whose the last block was nobody asks again: -1, as Kafka writes it. */
static void write_producer_ids(struct image_writer *writer, struct record_list *records)
{
    struct producer_ids_record *record =
        writer->image->next_producer_id > 0 ? record_list_add(records, &producer_ids_record_message)
                                            : NULL;
    if (record) {
        record->broker_id = -1;
        record->next_producer_id = writer->image->next_producer_id;
    }
    next_part(writer);
}

static void write_kept(struct image_writer *writer, struct record_list *records)
{
    writer->kept = image_kept_next(&writer->image->kept, writer->kept);
    if (!writer->kept) {
        next_part(writer);
        return;
    }
    if (MUTANT(snapshot_forgets_kept))
        return;
    const struct message *message = writer->kept->message;
    void *record = record_list_add(records, message);
    struct reader reader;
    reader_init(&reader, writer->kept->body, writer->kept->body_size);
    if (record && message_decode_whole(message, message->newest, &reader, records->arena, record))
        records->overflowed = true; /* it was encoded here: only the arena can be too small */
}

bool image_write_step(struct image_writer *writer, struct record_list *records, int32_t most)
{
    /* A round writes one record at most, and none where it goes on to the next topic or part. */
    for (int32_t i = 0; i < most && writer->part != PART_END; i++) {
        switch ((enum part)writer->part) {
        case PART_VERSION:
            write_version(writer, records);
            break;
        case PART_FEATURES:
            write_features(writer, records);
            break;
        case PART_BROKERS:
            write_broker(writer, records);
            break;
        case PART_TOPICS:
            write_topic(writer, records);
            break;
        case PART_CONFIGS:
            write_config(writer, records);
            break;
        case PART_PRODUCER_IDS:
            write_producer_ids(writer, records);
            break;
        case PART_KEPT:
            write_kept(writer, records);
            break;
        case PART_END:
            break;
        }
    }
    return writer->part != PART_END;
}
