#include "logic/image.h"
#include "base/check.h"
#include "base/memory.h"
#include "logic/image_memory.h"
#include "logic/image_write.h"
#include "logic/topic_name.h"
#include "protocol/messages.h"

void image_init(struct image *image, int core_count, uint64_t seed)
{
    check(core_count >= 1 && core_count <= 1024);
    *image = (struct image){.core_count = core_count};
    map_init(&image->by_name, seed);
    map_init(&image->by_id, seed + 1);
    map_init(&image->by_folded, seed + 2);
    map_init(&image->directories, seed + 3);
    image_kept_init(&image->kept, seed + 4);
    image->core_load = memory_zeroed((size_t)core_count * sizeof *image->core_load);
}

static void topic_free(struct image_topic *topic)
{
    for (int32_t i = 0; i < topic->partition_capacity; i++)
        memory_free(topic->partitions[i].directories);
    for (int32_t i = 0; i < topic->config_count; i++) {
        memory_free(topic->configs[i].name);
        memory_free(topic->configs[i].value);
    }
    memory_free(topic->partitions);
    memory_free(topic->configs);
    memory_free(topic->folded);
    memory_free(topic->name);
    memory_free(topic);
}

void image_done(struct image *image)
{
    uint32_t position = 0;
    struct image_topic *topic;
    while ((topic = map_next(&image->by_id, &position)))
        topic_free(topic);
    for (int32_t i = 0; i < image->broker_count; i++)
        image_broker_done(&image->brokers[i]);
    for (int32_t i = 0; i < image->feature_count; i++)
        memory_free(image->features[i].name);
    memory_free(image->brokers);
    memory_free(image->features);
    memory_free(image->core_load);
    map_done(&image->by_name);
    map_done(&image->by_id);
    map_done(&image->by_folded);
    image_directories_done(image);
    image_kept_done(&image->kept);
}

/* Looking up. */

const struct image_topic *image_topic_by_name(const struct image *image, struct string name)
{
    return name.size < 0 ? NULL : map_get(&image->by_name, name.data, (size_t)name.size);
}

const struct image_topic *image_topic_by_id(const struct image *image, struct uuid id)
{
    return map_get(&image->by_id, id.bytes, sizeof id.bytes);
}

const struct image_topic *image_next_topic(const struct image *image, uint32_t *position)
{
    return map_next(&image->by_id, position);
}

const struct image_partition *image_partition(const struct image_topic *topic, int32_t id)
{
    bool there = id >= 0 && id < topic->partition_capacity && topic->partitions[id].core >= 0;
    return there ? &topic->partitions[id] : NULL;
}

int image_partition_core(const struct image *image, struct uuid topic_id, int32_t partition_id)
{
    const struct image_topic *topic = image_topic_by_id(image, topic_id);
    const struct image_partition *partition = topic ? image_partition(topic, partition_id) : NULL;
    return partition ? partition->core : -1;
}

/* Copies `name` with . as _ into `to`, of as many bytes. False, and nothing copied, where it has
 * neither. */
static bool fold(struct string name, char *to)
{
    if (!memchr(name.data, '.', (size_t)name.size) && !memchr(name.data, '_', (size_t)name.size))
        return false;
    for (int32_t i = 0; i < name.size; i++)
        to[i] = name.data[i] == '.' ? '_' : name.data[i];
    return true;
}

const struct image_topic *image_topic_colliding(const struct image *image, struct string name)
{
    char folded[TOPIC_NAME_MAX];
    if (name.size <= 0 || name.size > TOPIC_NAME_MAX || !fold(name, folded))
        return NULL;
    const struct image_topic *other = map_get(&image->by_folded, folded, (size_t)name.size);
    return other && !string_equal(image_topic_name(other), name) ? other : NULL;
}

const int32_t *image_partition_list(const struct image_partition *partition, enum image_list list,
                                    int32_t *ret_count)
{
    check(partition->core >= 0);
    const int32_t *at = (const int32_t *)(partition->directories + partition->counts[0]);
    for (int i = 0; i < (int)list; i++)
        at += partition->counts[i];
    *ret_count = partition->counts[list];
    return at;
}

void image_topic_settings(const struct image_topic *topic, const struct settings *broker,
                          struct topic_settings *ret_settings)
{
    if (topic->settings_epoch == topic->changed_epoch) {
        *ret_settings = topic->settings;
        return;
    }
    topic_settings_init(ret_settings, broker);
    for (int32_t i = 0; i < topic->config_count; i++) {
        struct sentence sentence;
        /* Refused: written by another version; the broker's stays, as the head of image.h says. */
        (void)topic_settings_set(ret_settings, broker, string_of(topic->configs[i].name),
                                 string_of(topic->configs[i].value), &sentence);
    }
    struct image_topic *memo =
        (struct image_topic *)topic; /* owned by this core, as the image is */
    memo->settings = *ret_settings;
    memo->settings_epoch = topic->changed_epoch;
}

/* Applying. */

static struct image_topic *find_topic(struct image *image, struct uuid id)
{
    return map_get(&image->by_id, id.bytes, sizeof id.bytes);
}

static enum error apply_topic(struct image *image, const struct topic_record *record)
{
    if (record->name.size <= 0 || record->name.size > TOPIC_NAME_MAX)
        return ERROR_MALFORMED;
    if (find_topic(image, record->topic_id) || image_topic_by_name(image, record->name))
        return ERROR_TOPIC_ALREADY_EXISTS;
    struct image_topic *topic = memory_zeroed(sizeof *topic);
    topic->id = record->topic_id;
    topic->name = image_copy_text(record->name);
    topic->name_size = record->name.size;
    char folded[TOPIC_NAME_MAX];
    if (fold(record->name, folded))
        topic->folded = image_copy_text((struct string){folded, record->name.size});
    topic->changed_epoch = image->epoch;
    map_put(&image->by_name, topic->name, (size_t)topic->name_size, topic);
    map_put(&image->by_id, topic->id.bytes, sizeof topic->id.bytes, topic);
    if (topic->folded)
        map_put(&image->by_folded, topic->folded, (size_t)topic->name_size, topic);
    image->topic_count++;
    return ERROR_NONE;
}

static enum error apply_remove_topic(struct image *image, const struct remove_topic_record *record)
{
    struct image_topic *topic = find_topic(image, record->topic_id);
    if (!topic)
        return ERROR_UNKNOWN_TOPIC_ID;
    for (int32_t i = 0; i < topic->partition_capacity; i++) {
        if (topic->partitions[i].core < 0)
            continue;
        image->core_load[topic->partitions[i].core]--;
        image_count_directories(image, &topic->partitions[i], -1);
    }
    image->partition_count -= topic->partition_count;
    image->topic_count--;
    map_remove(&image->by_name, topic->name, (size_t)topic->name_size);
    map_remove(&image->by_id, topic->id.bytes, sizeof topic->id.bytes);
    /* Two names that collide may come from an old log; the map knows the later one only. */
    if (topic->folded &&
        map_get(&image->by_folded, topic->folded, (size_t)topic->name_size) == topic)
        map_remove(&image->by_folded, topic->folded, (size_t)topic->name_size);
    topic_free(topic);
    return ERROR_NONE;
}

/* One list of broker ids as a record has it. */
struct ids {
    const int32_t *ids;
    int32_t count; /* -1: null */
};

/* Puts directories and lists into one new block and frees the old one; the lists may point into it.
 * A directory that is not given is zero: unassigned. */
static void set_lists(struct image_partition *partition, const struct uuid *directories,
                      int32_t directory_count, const struct ids lists[IMAGE_LIST_COUNT])
{
    size_t replicas = (size_t)lists[IMAGE_REPLICAS].count, total = 0;
    for (int i = 0; i < IMAGE_LIST_COUNT; i++)
        total += (size_t)lists[i].count;
    struct uuid *block = memory_zeroed(replicas * sizeof *block + total * sizeof(int32_t));
    for (size_t i = 0; i < replicas && (int32_t)i < directory_count; i++)
        block[i] = directories[i];
    int32_t *to = (int32_t *)(block + replicas);
    for (int i = 0; i < IMAGE_LIST_COUNT; i++) {
        if (lists[i].count)
            memcpy(to, lists[i].ids, (size_t)lists[i].count * sizeof *to);
        to += lists[i].count;
        partition->counts[i] = (uint16_t)lists[i].count;
    }
    memory_free(partition->directories);
    partition->directories = block;
}

static bool lists_are_sound(const struct ids lists[IMAGE_LIST_COUNT])
{
    for (int i = 0; i < IMAGE_LIST_COUNT; i++) {
        if (lists[i].count < 0 || lists[i].count > IMAGE_REPLICAS_MAX)
            return false;
    }
    return lists[IMAGE_REPLICAS].count > 0;
}

/* The core with the fewest partitions, the lowest of several. */
static int16_t least_loaded_core(const struct image *image)
{
    int least = 0;
    for (int i = 1; i < image->core_count; i++) {
        if (image->core_load[i] < image->core_load[least])
            least = i;
    }
    return (int16_t)least;
}

static void make_room(struct image_topic *topic, int32_t id)
{
    if (id < topic->partition_capacity)
        return;
    int32_t capacity = topic->partition_capacity + topic->partition_capacity / 2;
    capacity = capacity > id ? capacity : id + 1;
    topic->partitions =
        memory_resized(topic->partitions, (size_t)capacity * sizeof *topic->partitions);
    for (int32_t i = topic->partition_capacity; i < capacity; i++)
        topic->partitions[i] = (struct image_partition){.core = -1};
    topic->partition_capacity = capacity;
}

static int32_t zero_if_null(int32_t count)
{
    return count > 0 ? count : 0;
}

static enum error apply_partition(struct image *image, const struct partition_record *record)
{
    struct image_topic *topic = find_topic(image, record->topic_id);
    if (!topic)
        return ERROR_UNKNOWN_TOPIC_ID;
    const struct ids lists[IMAGE_LIST_COUNT] = {
        [IMAGE_REPLICAS] = {record->replicas, record->replicas_count},
        [IMAGE_ISR] = {record->isr, record->isr_count},
        [IMAGE_REMOVING] = {record->removing_replicas, record->removing_replicas_count},
        [IMAGE_ADDING] = {record->adding_replicas, record->adding_replicas_count},
        [IMAGE_ELR] = {record->eligible_leader_replicas,
                       zero_if_null(record->eligible_leader_replicas_count)},
        [IMAGE_LAST_KNOWN_ELR] = {record->last_known_elr,
                                  zero_if_null(record->last_known_elr_count)},
    };
    if (record->partition_id < 0 || record->partition_id >= IMAGE_PARTITIONS_MAX ||
        !lists_are_sound(lists))
        return ERROR_MALFORMED;
    make_room(topic, record->partition_id);
    struct image_partition *partition = &topic->partitions[record->partition_id];
    if (partition->core < 0) {
        partition->core = image_tagged_core(record, image->core_count);
        if (partition->core < 0)
            partition->core = least_loaded_core(image);
        image->core_load[partition->core]++;
        image->partition_count++;
        topic->partition_count++;
    } else {
        image_count_directories(image, partition, -1);
    }
    set_lists(partition, record->directories, record->directories_count, lists);
    image_count_directories(image, partition, 1);
    partition->leader = record->leader;
    partition->leader_epoch = record->leader_epoch;
    partition->partition_epoch = record->partition_epoch;
    partition->leader_recovery_state = record->leader_recovery_state;
    topic->changed_epoch = image->epoch;
    return ERROR_NONE;
}

static struct ids list_now(const struct image_partition *partition, enum image_list list)
{
    struct ids ids;
    ids.ids = image_partition_list(partition, list, &ids.count);
    return ids;
}

/* What a change says of a list, or the list as it is where it says nothing (null). */
static struct ids changed(const struct image_partition *partition, enum image_list list,
                          const int32_t *ids, int32_t count)
{
    return count < 0 ? list_now(partition, list) : (struct ids){ids, count};
}

/* A record may hold any number: the epoch after the last one wraps, as in Java. */
static int32_t epoch_after(int32_t epoch)
{
    return (int32_t)((uint32_t)epoch + 1);
}

/* Fields that are null, -2 (leader) or -1 (recovery state) stay. As in Kafka's
 * PartitionRegistration.merge a leader that is named, be it the same, begins the next leader epoch,
 * and every change the next partition epoch. */
static enum error apply_partition_change(struct image *image,
                                         const struct partition_change_record *record)
{
    struct image_topic *topic = find_topic(image, record->topic_id);
    if (!topic)
        return ERROR_UNKNOWN_TOPIC_ID;
    if (!image_partition(topic, record->partition_id))
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    struct image_partition *p = &topic->partitions[record->partition_id];
    const struct ids lists[IMAGE_LIST_COUNT] = {
        [IMAGE_REPLICAS] = changed(p, IMAGE_REPLICAS, record->replicas, record->replicas_count),
        [IMAGE_ISR] = changed(p, IMAGE_ISR, record->isr, record->isr_count),
        [IMAGE_REMOVING] =
            changed(p, IMAGE_REMOVING, record->removing_replicas, record->removing_replicas_count),
        [IMAGE_ADDING] =
            changed(p, IMAGE_ADDING, record->adding_replicas, record->adding_replicas_count),
        [IMAGE_ELR] = changed(p, IMAGE_ELR, record->eligible_leader_replicas,
                              record->eligible_leader_replicas_count),
        [IMAGE_LAST_KNOWN_ELR] =
            changed(p, IMAGE_LAST_KNOWN_ELR, record->last_known_elr, record->last_known_elr_count),
    };
    if (!lists_are_sound(lists))
        return ERROR_MALFORMED;
    bool directories_said = record->directories_count >= 0;
    image_count_directories(image, p, -1);
    set_lists(p, directories_said ? record->directories : p->directories,
              directories_said ? record->directories_count : p->counts[IMAGE_REPLICAS], lists);
    image_count_directories(image, p, 1);
    if (record->leader != -2) {
        p->leader = record->leader;
        p->leader_epoch = epoch_after(p->leader_epoch);
    }
    if (record->leader_recovery_state != -1)
        p->leader_recovery_state = record->leader_recovery_state;
    p->partition_epoch = epoch_after(p->partition_epoch);
    topic->changed_epoch = image->epoch;
    return ERROR_NONE;
}

static void clear_elr(struct image_topic *topic, struct image *image)
{
    static const int32_t none[1]; /* read only, and nothing of it */
    for (int32_t id = 0; id < topic->partition_capacity; id++) {
        const struct image_partition *partition = image_partition(topic, id);
        if (!partition ||
            partition->counts[IMAGE_ELR] + partition->counts[IMAGE_LAST_KNOWN_ELR] == 0)
            continue;
        struct partition_change_record change;
        message_set_defaults(&partition_change_record_message, &change);
        change.partition_id = id;
        change.topic_id = topic->id;
        change.eligible_leader_replicas = change.last_known_elr = (void *)(uintptr_t)none;
        change.eligible_leader_replicas_count = change.last_known_elr_count = 0;
        (void)apply_partition_change(image, &change); /* it is there, with all its replicas */
    }
}

/* No eligible leader replica is known any more: of a topic or, without a name, of all (KIP-966,
 * TopicsDelta.replay). */
static enum error apply_clear_elr(struct image *image, const struct clear_elr_record *record)
{
    if (record->topic_name.size > 0) {
        const struct image_topic *topic = image_topic_by_name(image, record->topic_name);
        if (!topic)
            return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        clear_elr(find_topic(image, topic->id), image);
        return ERROR_NONE;
    }
    uint32_t position = 0;
    for (struct image_topic *topic; (topic = map_next(&image->by_id, &position));)
        clear_elr(topic, image);
    return ERROR_NONE;
}

static void remove_config(struct image_topic *topic, int32_t place)
{
    memory_free(topic->configs[place].name);
    memory_free(topic->configs[place].value);
    topic->config_count--;
    memmove(&topic->configs[place], &topic->configs[place + 1],
            (size_t)(topic->config_count - place) * sizeof *topic->configs);
}

static enum error apply_config(struct image *image, const struct config_record *record)
{
    struct image_topic *topic = NULL;
    if (record->resource_type == IMAGE_RESOURCE_TOPIC && record->resource_name.size >= 0)
        topic = map_get(&image->by_name, record->resource_name.data,
                        (size_t)record->resource_name.size);
    if (!topic) { /* for a topic that is not there it is none of a log that Kafka writes */
        image->ignored_records += record->resource_type == IMAGE_RESOURCE_TOPIC ||
                                  !image_keep(&image->kept, config_record_message.key, record);
        return ERROR_NONE;
    }
    int32_t place = 0;
    while (place < topic->config_count &&
           !string_equal(string_of(topic->configs[place].name), record->name))
        place++;
    bool known = place < topic->config_count;
    topic->changed_epoch = image->epoch;
    if (record->value.size < 0) {
        if (known)
            remove_config(topic, place);
        return ERROR_NONE;
    }
    if (!known) {
        topic->configs =
            memory_resized(topic->configs, (size_t)(place + 1) * sizeof *topic->configs);
        topic->configs[place] = (struct image_config){.name = image_copy_text(record->name)};
        topic->config_count++;
    }
    memory_free(topic->configs[place].value);
    topic->configs[place].value = image_copy_text(record->value);
    return ERROR_NONE;
}

/* Ids are given out upwards (ProducerIdControlManager.replay). */
static enum error apply_producer_ids(struct image *image, const struct producer_ids_record *record)
{
    if (record->next_producer_id <= image->next_producer_id)
        return ERROR_MALFORMED;
    image->next_producer_id = record->next_producer_id;
    return ERROR_NONE;
}

enum error image_apply(struct image *image, int16_t type, const void *record)
{
    image->epoch++;
    if (type == topic_record_message.key)
        return apply_topic(image, record);
    if (type == partition_record_message.key)
        return apply_partition(image, record);
    if (type == partition_change_record_message.key)
        return apply_partition_change(image, record);
    if (type == remove_topic_record_message.key)
        return apply_remove_topic(image, record);
    if (type == config_record_message.key)
        return apply_config(image, record);
    if (type == register_broker_record_message.key)
        return image_apply_register_broker(image, record);
    if (type == unregister_broker_record_message.key)
        return image_apply_unregister_broker(image, record);
    if (type == fence_broker_record_message.key)
        return image_apply_fence(image, ((const struct fence_broker_record *)record)->id, true);
    if (type == unfence_broker_record_message.key)
        return image_apply_fence(image, ((const struct unfence_broker_record *)record)->id, false);
    if (type == broker_registration_change_record_message.key)
        return image_apply_registration_change(image, record);
    if (type == feature_level_record_message.key)
        return image_apply_feature_level(image, record);
    if (type == producer_ids_record_message.key)
        return apply_producer_ids(image, record);
    if (type == clear_elr_record_message.key)
        return apply_clear_elr(image, record);
    /* What an aborted transaction held never came here (cluster/metadata_transaction.h). */
    if (type != no_op_record_message.key && type != abort_transaction_record_message.key &&
        !image_keep(&image->kept, type, record))
        image->ignored_records++;
    return ERROR_NONE;
}
