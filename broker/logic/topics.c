#include "logic/topics.h"
#include "base/check.h"
#include "config/describe.h"
#include "logic/duplicates.h"
#include "logic/topic_name.h"
#include "logic/topics_partitions.h"

#define FINE ((struct complaint){ERROR_NONE, STRING_NULL})

struct uuid topics_new_id(const struct image *image, struct random *random)
{
    struct uuid id;
    do {
        store_be64(id.bytes, random_next(random));
        store_be64(id.bytes + 8, random_next(random));
        id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);
        id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    } while (id.bytes[0] >> 2 == 62 || image_topic_by_id(image, id)); /* 62: base64url's dash */
    return id;
}

/* What is to be made: one topic of CreateTopics, checked and completed. */
struct creation {
    const struct create_topics_request_creatable_topic *wanted;
    struct new_partitions partitions;
    struct placement placement;
    struct setting_pair *configs;
};

static struct complaint check_name(const struct topics_view *view, struct string name)
{
    if (!topic_name_is_valid(name))
        return (struct complaint){ERROR_INVALID_TOPIC_EXCEPTION,
                                  topic_name_complaint(view->arena, name)};
    if (string_equal(name, STRING("__cluster_metadata")))
        return (struct complaint){
            ERROR_INVALID_REQUEST,
            STRING("Creation of internal topic __cluster_metadata is prohibited.")};
    int size = (int)name.size;
    if (image_topic_by_name(view->image, name))
        return (struct complaint){
            ERROR_TOPIC_ALREADY_EXISTS,
            arena_format(view->arena, "Topic '%.*s' already exists.", size, name.data)};
    const struct image_topic *other = image_topic_colliding(view->image, name);
    if (other)
        return (struct complaint){ERROR_INVALID_TOPIC_EXCEPTION,
                                  arena_format(view->arena,
                                               "Topic '%.*s' collides with existing topic: %s",
                                               size, name.data, other->name)};
    return FINE;
}

/* Every partition from 0 on, each once, all with as many replicas. */
static struct complaint check_by_hand(const struct topics_view *view, struct creation *creation)
{
    const struct create_topics_request_creatable_topic *wanted = creation->wanted;
    int32_t count = wanted->assignments_count;
    if (wanted->replication_factor != -1)
        return (struct complaint){ERROR_INVALID_REQUEST,
                                  STRING("A manual partition assignment was specified, but "
                                         "replication factor was not set to -1.")};
    if (wanted->num_partitions != -1)
        return (struct complaint){ERROR_INVALID_REQUEST,
                                  STRING("A manual partition assignment was specified, but "
                                         "numPartitions was not set to -1.")};
    struct assigned *assigned = arena_take(view->arena, (size_t)count * sizeof *assigned);
    if (!assigned)
        return (struct complaint){ERROR_NO_MEMORY, STRING_NULL};
    for (int32_t i = 0; i < count; i++) {
        int32_t id = wanted->assignments[i].partition_index;
        if (id < 0 || id >= count)
            return (struct complaint){
                ERROR_INVALID_REPLICA_ASSIGNMENT,
                STRING("partitions should be a consecutive 0-based integer sequence")};
        if (assigned[id].replicas)
            return (struct complaint){
                ERROR_INVALID_REPLICA_ASSIGNMENT,
                arena_format(view->arena,
                             "Found multiple manual partition assignments for partition %d", id)};
        assigned[id].replicas = wanted->assignments[i].broker_ids;
        assigned[id].count = wanted->assignments[i].broker_ids_count;
        struct complaint complaint =
            placement_check(view->image, view->arena, id, assigned[id].replicas, assigned[id].count,
                            i == 0 ? -1 : wanted->assignments[0].broker_ids_count);
        if (complaint.error)
            return complaint;
    }
    creation->partitions.count = count;
    creation->partitions.replication_factor = assigned[0].count;
    creation->partitions.assigned = assigned;
    return FINE;
}

static struct complaint check_numbers(const struct topics_view *view, struct creation *creation)
{
    int32_t factor = creation->wanted->replication_factor;
    int32_t count = creation->wanted->num_partitions;
    if (factor < -1 || factor == 0)
        return (struct complaint){ERROR_INVALID_REPLICATION_FACTOR,
                                  STRING("Replication factor must be larger than 0, or -1 to use "
                                         "the default value.")};
    if (count < -1 || count == 0)
        return (struct complaint){
            ERROR_INVALID_PARTITIONS,
            STRING("Number of partitions was set to an invalid non-positive value.")};
    creation->partitions.count = count == -1 ? view->settings->num_partitions : count;
    creation->partitions.replication_factor =
        factor == -1 ? view->settings->default_replication_factor : factor;
    if (creation->partitions.replication_factor > IMAGE_REPLICAS_MAX)
        return (struct complaint){ERROR_INVALID_REPLICATION_FACTOR,
                                  STRING("Replication factor is too large.")};
    creation->partitions.placed = &creation->placement;
    return placement_init(&creation->placement, view->image,
                          creation->partitions.replication_factor, view->random, view->arena);
}

static struct complaint check_configs(const struct topics_view *view, struct creation *creation)
{
    const struct create_topics_request_creatable_topic *wanted = creation->wanted;
    struct topic_settings settings;
    topic_settings_init(&settings, view->settings);
    creation->configs =
        arena_take(view->arena, (size_t)wanted->configs_count * sizeof *creation->configs);
    if (!creation->configs)
        return (struct complaint){ERROR_NO_MEMORY, STRING_NULL};
    for (int32_t i = 0; i < wanted->configs_count; i++) {
        struct string name = wanted->configs[i].name, value = wanted->configs[i].value;
        struct sentence sentence;
        if (value.size < 0)
            return (struct complaint){
                ERROR_INVALID_CONFIG,
                arena_format(view->arena, "Null value not supported for topic configs: %.*s",
                             (int)name.size, name.data)};
        enum error error = topic_settings_set(&settings, view->settings, name, value, &sentence);
        if (error)
            return (struct complaint){error, arena_format(view->arena, "%s", sentence.text)};
        creation->configs[i] = (struct setting_pair){name, value};
    }
    return FINE;
}

static struct complaint check_creation(const struct topics_view *view, int32_t partitions_left,
                                       struct creation *creation)
{
    struct complaint complaint = check_name(view, creation->wanted->name);
    if (!complaint.error)
        complaint = creation->wanted->assignments_count > 0 ? check_by_hand(view, creation)
                                                            : check_numbers(view, creation);
    if (!complaint.error)
        complaint = check_configs(view, creation);
    if (!complaint.error && creation->partitions.count > partitions_left)
        complaint = (struct complaint){
            ERROR_POLICY_VIOLATION, STRING("Unable to perform excessively large batch operation.")};
    return complaint;
}

/* The records: the topic, its settings, its partitions. */
static enum error add_records(const struct topics_view *view, const struct creation *creation,
                              struct record_list *records)
{
    struct topic_record *topic = record_list_add(records, &topic_record_message);
    if (!topic)
        return ERROR_NO_MEMORY;
    topic->name = creation->wanted->name;
    topic->topic_id = creation->partitions.topic_id;
    for (int32_t i = 0; i < creation->wanted->configs_count; i++) {
        struct config_record *config = record_list_add(records, &config_record_message);
        if (!config)
            return ERROR_NO_MEMORY;
        config->resource_type = IMAGE_RESOURCE_TOPIC;
        config->resource_name = topic->name;
        config->name = creation->configs[i].name;
        config->value = creation->configs[i].value;
    }
    return topics_add_partitions(view, &creation->partitions, records);
}

/* What the new topic's settings are, as a client is told. Topics of a request that set none of
 * their own share the list of the first of them, `plain`. */
static enum error describe(const struct topics_view *view, const struct creation *creation,
                           struct create_topics_response_creatable_topic_result *result,
                           struct create_topics_response_creatable_topic_result *plain)
{
    bool is_plain = creation->wanted->configs_count == 0;
    if (is_plain && plain->configs) {
        result->configs = plain->configs;
        result->configs_count = plain->configs_count;
        return ERROR_NONE;
    }
    struct topic_source source = {.broker = view->settings,
                                  .pairs = creation->configs,
                                  .pair_count = creation->wanted->configs_count,
                                  .arena = view->arena};
    int count = 0;
    for (int i = 0; i < SETTING_COUNT; i++)
        count += setting_table[i].scope == SETTING_TOPIC && !setting_table[i].internal;
    result->configs = arena_take(view->arena, (size_t)count * sizeof *result->configs);
    if (!result->configs)
        return ERROR_NO_MEMORY;
    result->configs_count = 0;
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (setting_table[i].scope != SETTING_TOPIC || setting_table[i].internal)
            continue;
        struct described_setting described;
        setting_describe_topic(&source, &setting_table[i], &described);
        struct create_topics_response_creatable_topic_configs *config =
            &result->configs[result->configs_count++];
        message_set_defaults(&create_topics_response_creatable_topic_configs_message, config);
        config->name = string_of(setting_table[i].name);
        config->value = described.value;
        config->read_only = described.read_only;
        config->config_source = (int8_t)described.source;
        config->is_sensitive = described.sensitive;
    }
    if (is_plain)
        *plain = *result;
    return ERROR_NONE;
}

/* What is kept from topic to topic of one request. */
struct creations {
    struct record_list *records;
    int32_t partitions_left;
    struct create_topics_response_creatable_topic_result plain; /* for describe */
};

/* One topic: its records at the end of the list and its result, or a complaint and no records. */
static enum error create(const struct topics_view *view, struct creations *all,
                         struct creation *creation,
                         struct create_topics_response_creatable_topic_result *result)
{
    struct complaint complaint = check_creation(view, all->partitions_left, creation);
    result->name = creation->wanted->name;
    result->error_code = (int16_t)complaint.error;
    result->error_message = complaint.text;
    if (complaint.error)
        return complaint.error == ERROR_NO_MEMORY ? ERROR_NO_MEMORY : ERROR_NONE;
    all->partitions_left -= creation->partitions.count;
    creation->partitions.topic_id = topics_new_id(view->image, view->random);
    result->topic_id = creation->partitions.topic_id;
    result->num_partitions = creation->partitions.count;
    result->replication_factor = (int16_t)creation->partitions.replication_factor;
    enum error error = describe(view, creation, result, &all->plain);
    return error ? error : add_records(view, creation, all->records);
}

enum error topics_handle_create(const struct topics_view *view,
                                const struct create_topics_request *request,
                                struct record_list *records,
                                struct create_topics_response *response)
{
    message_set_defaults(&create_topics_response_message, response);
    struct creations all = {.records = records, .partitions_left = TOPICS_PARTITIONS_MAX};
    int32_t count = request->topics_count;
    struct string *names = arena_take(view->arena, (size_t)count * sizeof *names);
    uint8_t *seen = arena_take(view->arena, (size_t)count);
    response->topics = arena_take(view->arena, (size_t)count * sizeof *response->topics);
    if (!names || !seen || !response->topics)
        return ERROR_NO_MEMORY;
    for (int32_t i = 0; i < count; i++)
        names[i] = request->topics[i].name;
    duplicates_find(names, count, random_next(view->random), seen);
    struct record_mark mark = record_list_mark(records);
    for (int32_t i = 0; i < count; i++) {
        if (seen[i] == SEEN_BEFORE)
            continue;
        struct create_topics_response_creatable_topic_result *result =
            &response->topics[response->topics_count++];
        message_set_defaults(&create_topics_response_creatable_topic_result_message, result);
        if (seen[i] == SEEN_TWICE) {
            result->name = names[i];
            result->error_code = ERROR_INVALID_REQUEST;
            result->error_message = STRING("Duplicate topic name.");
            continue;
        }
        struct creation creation = {.wanted = &request->topics[i]};
        enum error error = create(view, &all, &creation, result);
        if (error)
            return error;
    }
    if (request->validate_only)
        record_list_return(records, mark);
    return topics_place_in_directories(view, records);
}

enum error topics_handle_auto_create(const struct topics_view *view, const struct string *names,
                                     int32_t count, struct record_list *records,
                                     enum error *ret_errors)
{
    uint8_t *seen = arena_take(view->arena, (size_t)count);
    if (!seen)
        return ERROR_NO_MEMORY;
    int32_t partitions_left = TOPICS_PARTITIONS_MAX;
    duplicates_find(names, count, random_next(view->random), seen);
    for (int32_t i = 0; i < count; i++) {
        struct create_topics_request_creatable_topic wanted;
        message_set_defaults(&create_topics_request_creatable_topic_message, &wanted);
        wanted.name = names[i];
        wanted.num_partitions = wanted.replication_factor = -1;
        struct creation creation = {.wanted = &wanted};
        struct complaint complaint = check_creation(view, partitions_left, &creation);
        if (complaint.error == ERROR_NO_MEMORY)
            return ERROR_NO_MEMORY;
        ret_errors[i] = complaint.error;
        bool may = view->settings->auto_create_topics_enable && !topic_name_is_internal(names[i]);
        if (!may && complaint.error != ERROR_INVALID_TOPIC_EXCEPTION &&
            complaint.error != ERROR_TOPIC_ALREADY_EXISTS)
            ret_errors[i] = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        if (ret_errors[i] || seen[i] == SEEN_BEFORE)
            continue;
        partitions_left -= creation.partitions.count;
        creation.partitions.topic_id = topics_new_id(view->image, view->random);
        enum error error = add_records(view, &creation, records);
        if (error)
            return error;
    }
    return topics_place_in_directories(view, records);
}
