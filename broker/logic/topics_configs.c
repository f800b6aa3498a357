/* IncrementalAlterConfigs and AlterConfigs: settings of topics. What both ask is first written down
 * the same way, as a list of changes a resource; AlterConfigs, which says all that shall be set,
 * takes away what it does not name.
 *
 * Settings of brokers are read once, at the start, so a change of them is refused with what to do
 * instead; the same for loggers, client metrics and groups, of which there are none yet. */
#include "base/check.h"
#include "logic/duplicates.h"
#include "logic/topic_name.h"
#include "logic/topics.h"

enum resource_type {
    RESOURCE_TOPIC = 2,
    RESOURCE_BROKER = 4,
    RESOURCE_LOGGER = 8,
    RESOURCE_CLIENT_METRICS = 16,
    RESOURCE_GROUP = 32,
};

enum change_kind { CHANGE_SET, CHANGE_DELETE, CHANGE_APPEND, CHANGE_SUBTRACT };

struct change {
    struct string name, value; /* value: as asked, then the new one; null: back to the default */
    int8_t kind;
};

/* What one resource of a request asks for. */
struct alteration {
    int8_t type;
    struct string name;
    struct change *changes;
    int32_t count;
    bool is_whole; /* what is set and not named is taken away */
    struct complaint complaint;
};

static void refuse(struct alteration *alteration, enum error error, struct string text)
{
    alteration->complaint = (struct complaint){error, text};
}

/* Names that come twice, and values that are missing, in Kafka's words and order. */
static enum error check_changes(const struct topics_view *view, struct alteration *alteration)
{
    int32_t count = alteration->count;
    struct string *names = arena_take(view->arena, (size_t)count * sizeof *names);
    uint8_t *seen = arena_take(view->arena, (size_t)count);
    if (!names || !seen)
        return ERROR_NO_MEMORY;
    for (int32_t i = 0; i < count; i++)
        names[i] = alteration->changes[i].name;
    duplicates_find(names, count, random_next(view->random), seen);
    for (int32_t i = 0; i < count; i++) {
        const struct change *change = &alteration->changes[i];
        if (seen[i] != SEEN_ONCE)
            refuse(alteration, ERROR_INVALID_REQUEST, STRING("Error due to duplicate config keys"));
        if (alteration->complaint.error)
            return ERROR_NONE;
        if (change->kind < CHANGE_SET || change->kind > CHANGE_SUBTRACT)
            refuse(alteration, ERROR_INVALID_REQUEST,
                   arena_format(view->arena, "Unknown operations type %d", (int)change->kind));
        else if (change->kind != CHANGE_DELETE && change->value.size < 0)
            refuse(alteration, ERROR_INVALID_REQUEST,
                   arena_format(view->arena, "Null value not supported for : %.*s",
                                (int)change->name.size, change->name.data));
    }
    return ERROR_NONE;
}

/* The number in the name of a broker. False: it is none, or that of another broker. */
static bool names_a_broker(const struct topics_view *view, struct alteration *alteration)
{
    struct string name = alteration->name;
    int32_t node = settings_node_id(view->settings);
    struct string id = arena_format(view->arena, "%d", node);
    bool is_number = name.size > 0;
    for (int32_t i = 0; i < name.size; i++)
        is_number &= (name.data[i] >= '0' && name.data[i] <= '9') ||
                     (i == 0 && name.size > 1 && name.data[i] == '-');
    if (string_equal(name, id))
        return true;
    refuse(alteration, ERROR_INVALID_REQUEST,
           is_number
               ? arena_format(view->arena, "Unexpected broker id, expected %d, but received %.*s",
                              node, (int)name.size, name.data)
               : arena_format(view->arena, "Node id must be an integer, but it is: %.*s",
                              (int)name.size, name.data));
    return false;
}

/* Nothing of a broker can be changed while it runs: says so of the first change. */
static void refuse_broker(const struct topics_view *view, struct alteration *alteration)
{
    struct sentence sentence;
    if (alteration->name.size > 0 && !names_a_broker(view, alteration))
        return;
    if (alteration->count == 0)
        return;
    struct string name = alteration->changes[0].name;
    if (!setting_find(SETTING_BROKER, name)) {
        (void)setting_unknown(SETTING_BROKER, name, &sentence); /* the same error, in words */
        refuse(alteration, ERROR_INVALID_CONFIG, arena_format(view->arena, "%s", sentence.text));
        return;
    }
    refuse(alteration, ERROR_INVALID_REQUEST,
           arena_format(view->arena,
                        "Cannot update these configs dynamically: %.*s. The settings of this "
                        "broker are read at its start: set it in its properties file or with -X, "
                        "and start it again",
                        (int)name.size, name.data));
}

/* The resources of which there are none. */
static void refuse_other(const struct topics_view *view, struct alteration *alteration)
{
    bool is_incremental = !alteration->is_whole;
    if (alteration->type == RESOURCE_LOGGER && is_incremental) {
        if (names_a_broker(view, alteration) && alteration->count > 0)
            refuse(alteration, ERROR_INVALID_CONFIG,
                   arena_format(view->arena, "Logger %.*s does not exist!",
                                (int)alteration->changes[0].name.size,
                                alteration->changes[0].name.data));
    } else if (alteration->type == RESOURCE_CLIENT_METRICS) {
        refuse(alteration, ERROR_INVALID_REQUEST,
               STRING("Subscriptions of client metrics are not built yet"));
    } else if (alteration->type == RESOURCE_GROUP) {
        refuse(alteration, ERROR_INVALID_REQUEST, STRING("Groups are not built yet"));
    } else {
        refuse(alteration, ERROR_INVALID_REQUEST,
               arena_format(view->arena, "Unknown resource type %d", (int)alteration->type));
    }
}

static struct string current_value(const struct image_topic *topic, struct string name)
{
    for (int32_t i = 0; topic && i < topic->config_count; i++)
        if (string_equal(string_of(topic->configs[i].name), name))
            return string_of(topic->configs[i].value);
    return STRING_NULL;
}

/* Counts the entries of a list. */
static int32_t list_count(struct string list)
{
    struct string rest = list, entry;
    int32_t count = 0;
    while (list_next_entry(&rest, &entry))
        count++;
    return count;
}

/* The entries of `first`, then of `second`, each once; without those of `first` where
 * `without_first` says so. Null: budget. */
static struct string list_union(const struct topics_view *view, struct string first,
                                struct string second, bool without_first)
{
    int32_t first_count = list_count(first), count = 0;
    size_t most = (size_t)first_count + (size_t)list_count(second);
    struct string *entries = arena_take(view->arena, most * sizeof *entries);
    uint8_t *seen = arena_take(view->arena, most);
    char *data = arena_take(view->arena, (size_t)first.size + (size_t)second.size + 1);
    if (!entries || !seen || !data)
        return STRING_NULL;
    while (list_next_entry(&first, &entries[count]) || list_next_entry(&second, &entries[count]))
        count++;
    duplicates_find(entries, count, random_next(view->random), seen);
    struct string merged = {data, 0};
    for (int32_t i = without_first ? first_count : 0; i < count; i++) {
        if (entries[i].size == 0 || seen[i] == SEEN_BEFORE)
            continue;
        if (merged.size > 0)
            data[merged.size++] = ',';
        memcpy(data + merged.size, entries[i].data, (size_t)entries[i].size);
        merged.size += entries[i].size;
    }
    return merged;
}

/* Makes the new value of a list out of the old one and what is to be added or taken away. */
static enum error edit_list(const struct topics_view *view, const struct image_topic *topic,
                            struct alteration *alteration, struct change *change)
{
    const struct setting *setting = setting_find(SETTING_TOPIC, change->name);
    if (!setting || setting_wire_type(setting) != SETTING_LIST) {
        refuse(alteration, ERROR_INVALID_CONFIG,
               arena_format(view->arena, "Can't %s to key %.*s because its type is not LIST.",
                            change->kind == CHANGE_APPEND ? "APPEND" : "SUBTRACT",
                            (int)change->name.size, change->name.data));
        return ERROR_NONE;
    }
    struct string old = current_value(topic, change->name);
    if (old.size < 0)
        old = string_of(setting->default_text ? setting->default_text : "");
    bool is_append = change->kind == CHANGE_APPEND;
    change->value = is_append ? list_union(view, old, change->value, false)
                              : list_union(view, change->value, old, true);
    return change->value.size < 0 ? ERROR_NO_MEMORY : ERROR_NONE;
}

static const struct change *change_of(const struct alteration *alteration, struct string name)
{
    for (int32_t i = 0; i < alteration->count; i++)
        if (string_equal(alteration->changes[i].name, name))
            return &alteration->changes[i];
    return NULL;
}

/* Would the topic's settings, with the changes, be valid? What stays as it is was judged before. */
static void judge(const struct topics_view *view, const struct image_topic *topic,
                  struct alteration *alteration)
{
    struct topic_settings settings;
    struct sentence sentence;
    topic_settings_init(&settings, view->settings);
    for (int32_t i = 0; topic && i < topic->config_count && !alteration->is_whole; i++) {
        struct string name = string_of(topic->configs[i].name);
        if (!change_of(alteration, name))
            (void)topic_settings_set(&settings, view->settings, name,
                                     string_of(topic->configs[i].value), &sentence);
    }
    for (int32_t i = 0; i < alteration->count; i++) {
        const struct change *change = &alteration->changes[i];
        if (change->value.size < 0)
            continue;
        enum error error =
            topic_settings_set(&settings, view->settings, change->name, change->value, &sentence);
        if (error) {
            refuse(alteration, error, arena_format(view->arena, "%s", sentence.text));
            return;
        }
    }
}

static enum error add_record(const struct alteration *alteration, struct string name,
                             struct string value, struct record_list *records)
{
    struct config_record *record = record_list_add(records, &config_record_message);
    if (!record)
        return ERROR_NO_MEMORY;
    record->resource_type = IMAGE_RESOURCE_TOPIC;
    record->resource_name = alteration->name;
    record->name = name;
    record->value = value;
    return ERROR_NONE;
}

/* A record for each setting whose value changes. */
static enum error add_records(const struct topics_view *view, const struct image_topic *topic,
                              const struct alteration *alteration, struct record_list *records)
{
    enum error error = ERROR_NONE;
    for (int32_t i = 0; i < alteration->count && !error; i++) {
        const struct change *change = &alteration->changes[i];
        struct string current = current_value(topic, change->name);
        bool is_same =
            current.size < 0 ? change->value.size < 0 : string_equal(current, change->value);
        if (!is_same)
            error = add_record(alteration, change->name, change->value, records);
    }
    for (int32_t i = 0; alteration->is_whole && i < topic->config_count && !error; i++) {
        struct string name = string_of(topic->configs[i].name);
        if (change_of(alteration, name))
            continue;
        /* The image's own name is gone once the record is applied on the first core. */
        char *copy = arena_copy(view->arena, name.data, (size_t)name.size);
        if (!copy)
            return ERROR_NO_MEMORY;
        error = add_record(alteration, (struct string){copy, name.size}, STRING_NULL, records);
    }
    return error;
}

static enum error alter_topic(const struct topics_view *view, struct alteration *alteration,
                              struct record_list *records)
{
    if (alteration->name.size <= 0)
        refuse(alteration, ERROR_INVALID_REQUEST,
               STRING("Default topic resources are not allowed."));
    else if (!topic_name_is_valid(alteration->name))
        refuse(alteration, ERROR_INVALID_TOPIC_EXCEPTION,
               topic_name_complaint(view->arena, alteration->name));
    if (alteration->complaint.error)
        return ERROR_NONE;
    const struct image_topic *topic = image_topic_by_name(view->image, alteration->name);
    for (int32_t i = 0; i < alteration->count && !alteration->complaint.error; i++) {
        struct change *change = &alteration->changes[i];
        enum error error = ERROR_NONE;
        if (change->kind == CHANGE_DELETE)
            change->value = STRING_NULL;
        else if (change->kind != CHANGE_SET)
            error = edit_list(view, topic, alteration, change);
        if (error)
            return error;
    }
    if (!alteration->complaint.error)
        judge(view, topic, alteration);
    if (!alteration->complaint.error && !topic)
        refuse(alteration, ERROR_UNKNOWN_TOPIC_OR_PARTITION,
               arena_format(view->arena, "The topic '%.*s' does not exist.",
                            (int)alteration->name.size, alteration->name.data));
    return alteration->complaint.error ? ERROR_NONE : add_records(view, topic, alteration, records);
}

static enum error alter(const struct topics_view *view, struct alteration *alteration,
                        struct record_list *records)
{
    enum error error = check_changes(view, alteration);
    if (error || alteration->complaint.error)
        return error;
    if (alteration->type == RESOURCE_TOPIC)
        return alter_topic(view, alteration, records);
    if (alteration->type == RESOURCE_BROKER)
        refuse_broker(view, alteration);
    else
        refuse_other(view, alteration);
    return ERROR_NONE;
}

/* A resource that comes twice is refused each time. */
static enum error refuse_duplicates(const struct topics_view *view, struct alteration *all,
                                    int32_t count)
{
    struct string *keys = arena_take(view->arena, (size_t)count * sizeof *keys);
    uint8_t *seen = arena_take(view->arena, (size_t)count);
    if (!keys || !seen)
        return ERROR_NO_MEMORY;
    for (int32_t i = 0; i < count; i++) {
        size_t size = (size_t)all[i].name.size + 1;
        char *key = arena_take(view->arena, size);
        if (!key)
            return ERROR_NO_MEMORY;
        key[0] = (char)all[i].type;
        memcpy(key + 1, all[i].name.data, size - 1);
        keys[i] = (struct string){key, (int32_t)size};
    }
    duplicates_find(keys, count, random_next(view->random), seen);
    for (int32_t i = 0; i < count; i++)
        if (seen[i] != SEEN_ONCE)
            refuse(&all[i], ERROR_INVALID_REQUEST,
                   STRING("Each resource must appear at most once."));
    return ERROR_NONE;
}

static enum error alter_all(const struct topics_view *view, struct alteration *all, int32_t count,
                            bool validate_only, struct record_list *records)
{
    struct record_mark mark = record_list_mark(records);
    enum error error = refuse_duplicates(view, all, count);
    for (int32_t i = 0; i < count && !error; i++)
        if (!all[i].complaint.error)
            error = alter(view, &all[i], records);
    if (validate_only)
        record_list_return(records, mark);
    return error;
}

enum error topics_handle_incremental(const struct topics_view *view,
                                     const struct incremental_alter_configs_request *request,
                                     struct record_list *records,
                                     struct incremental_alter_configs_response *response)
{
    message_set_defaults(&incremental_alter_configs_response_message, response);
    int32_t count = request->resources_count;
    struct alteration *all = arena_take(view->arena, (size_t)count * sizeof *all);
    response->responses = arena_take(view->arena, (size_t)count * sizeof *response->responses);
    if (!all || !response->responses)
        return ERROR_NO_MEMORY;
    for (int32_t i = 0; i < count; i++) {
        const struct incremental_alter_configs_request_alter_configs_resource *in =
            &request->resources[i];
        struct change *changes =
            arena_take(view->arena, (size_t)in->configs_count * sizeof *changes);
        if (!changes)
            return ERROR_NO_MEMORY;
        for (int32_t j = 0; j < in->configs_count; j++)
            changes[j] = (struct change){in->configs[j].name, in->configs[j].value,
                                         in->configs[j].config_operation};
        all[i] = (struct alteration){
            in->resource_type,        in->resource_name, changes, in->configs_count, false,
            {ERROR_NONE, STRING_NULL}};
    }
    enum error error = alter_all(view, all, count, request->validate_only, records);
    for (int32_t i = 0; i < count && !error; i++) {
        struct incremental_alter_configs_response_alter_configs_resource_response *out =
            &response->responses[response->responses_count++];
        message_set_defaults(
            &incremental_alter_configs_response_alter_configs_resource_response_message, out);
        out->error_code = (int16_t)all[i].complaint.error;
        out->error_message = all[i].complaint.text;
        out->resource_type = all[i].type;
        out->resource_name = all[i].name;
    }
    return error;
}

enum error topics_handle_alter(const struct topics_view *view,
                               const struct alter_configs_request *request,
                               struct record_list *records, struct alter_configs_response *response)
{
    message_set_defaults(&alter_configs_response_message, response);
    int32_t count = request->resources_count;
    struct alteration *all = arena_take(view->arena, (size_t)count * sizeof *all);
    response->responses = arena_take(view->arena, (size_t)count * sizeof *response->responses);
    if (!all || !response->responses)
        return ERROR_NO_MEMORY;
    for (int32_t i = 0; i < count; i++) {
        const struct alter_configs_request_alter_configs_resource *in = &request->resources[i];
        struct change *changes =
            arena_take(view->arena, (size_t)in->configs_count * sizeof *changes);
        if (!changes)
            return ERROR_NO_MEMORY;
        for (int32_t j = 0; j < in->configs_count; j++)
            changes[j] = (struct change){in->configs[j].name, in->configs[j].value, CHANGE_SET};
        all[i] = (struct alteration){
            in->resource_type,        in->resource_name, changes, in->configs_count, true,
            {ERROR_NONE, STRING_NULL}};
    }
    enum error error = alter_all(view, all, count, request->validate_only, records);
    for (int32_t i = 0; i < count && !error; i++) {
        struct alter_configs_response_alter_configs_resource_response *out =
            &response->responses[response->responses_count++];
        message_set_defaults(&alter_configs_response_alter_configs_resource_response_message, out);
        out->error_code = (int16_t)all[i].complaint.error;
        out->error_message = all[i].complaint.text;
        out->resource_type = all[i].type;
        out->resource_name = all[i].name;
    }
    return error;
}
