/* CreatePartitions, and the records of new partitions. */
#include "base/check.h"
#include "logic/duplicates.h"
#include "logic/topics_partitions.h"

/* Where a replica is to lie: the broker's directory if it has only one, else it chooses (zero). */
static struct uuid directory_of(const struct image *image, int32_t broker_id)
{
    const struct image_broker *broker = image_broker(image, broker_id);
    bool only_one = broker && broker->log_dir_count == 1;
    return only_one ? broker->log_dirs[0] : (struct uuid){{0}};
}

static enum error fill(const struct topics_view *view, struct partition_record *record,
                       const int32_t *replicas, int32_t count)
{
    int32_t *isr = arena_take(view->arena, (size_t)count * sizeof *isr);
    struct uuid *directories = arena_take(view->arena, (size_t)count * sizeof *directories);
    int32_t *copy = arena_copy(view->arena, replicas, (size_t)count * sizeof *copy);
    if (!isr || !directories || !copy)
        return ERROR_NO_MEMORY;
    record->replicas = copy;
    record->isr = isr;
    record->directories = directories;
    record->replicas_count = record->directories_count = count;
    for (int32_t i = 0; i < count; i++) {
        directories[i] = directory_of(view->image, replicas[i]);
        if (placement_is_active(view->image, replicas[i]))
            isr[record->isr_count++] = replicas[i];
    }
    if (record->isr_count == 0) /* placed on fenced brokers alone: it comes up with the first */
        isr[record->isr_count++] = replicas[0];
    record->leader = placement_is_active(view->image, isr[0]) ? isr[0] : -1;
    record->leader_epoch = 0;
    record->partition_epoch = 0;
    return ERROR_NONE;
}

enum error topics_add_partitions(const struct topics_view *view, const struct new_partitions *what,
                                 struct record_list *records)
{
    int32_t placed[IMAGE_REPLICAS_MAX];
    check(!what->placed || what->replication_factor <= IMAGE_REPLICAS_MAX);
    for (int32_t i = 0; i < what->count; i++) {
        struct partition_record *record = record_list_add(records, &partition_record_message);
        if (!record)
            return ERROR_NO_MEMORY;
        record->topic_id = what->topic_id;
        record->partition_id = what->first + i;
        const int32_t *replicas = placed;
        int32_t count = what->replication_factor;
        if (what->placed) {
            placement_replicas(what->placed, what->first + i, count, placed);
        } else {
            replicas = what->assigned[i].replicas;
            count = what->assigned[i].count;
        }
        enum error error = fill(view, record, replicas, count);
        if (error)
            return error;
    }
    return ERROR_NONE;
}

enum error topics_place_in_directories(const struct topics_view *view,
                                       const struct record_list *records)
{
    int32_t node_id = settings_node_id(view->settings);
    struct placement_directories directories;
    if (!placement_directories_init(&directories, view->image, node_id, view->arena))
        return ERROR_NO_MEMORY;
    const struct metadata_record *at = directories.count > 0 ? records->first : NULL;
    for (; at; at = at->next) {
        if (at->message != &partition_record_message)
            continue;
        struct partition_record *record = at->value;
        for (int32_t i = 0; i < record->replicas_count; i++)
            if (record->replicas[i] == node_id)
                record->directories[i] = placement_directory(&directories);
    }
    return ERROR_NONE;
}

/* By hand: as many assignments as partitions are added, each sound. */
static struct complaint
check_assigned(const struct topics_view *view,
               const struct create_partitions_request_create_partitions_topic *wanted,
               struct new_partitions *new)
{
    int32_t added = new->count;
    if (wanted->assignments_count != added)
        return (struct complaint){
            ERROR_INVALID_REPLICA_ASSIGNMENT,
            arena_format(view->arena,
                         "Attempted to add %d additional partition(s), but only %d assignment(s) "
                         "were specified.",
                         added, wanted->assignments_count)};
    struct assigned *assigned = arena_take(view->arena, (size_t)added * sizeof *assigned);
    if (!assigned)
        return (struct complaint){ERROR_NO_MEMORY, STRING_NULL};
    for (int32_t i = 0; i < added; i++) {
        assigned[i].replicas = wanted->assignments[i].broker_ids;
        assigned[i].count = wanted->assignments[i].broker_ids_count;
        struct complaint complaint =
            placement_check(view->image, view->arena, new->first + i, assigned[i].replicas,
                            assigned[i].count, new->replication_factor);
        if (complaint.error)
            return complaint;
    }
    new->assigned = assigned;
    return (struct complaint){ERROR_NONE, STRING_NULL};
}

static struct complaint check_count(const struct topics_view *view, const struct image_topic *topic,
                                    int32_t wanted)
{
    struct complaint complaint = {ERROR_INVALID_PARTITIONS, STRING_NULL};
    int32_t now = topic->partition_count;
    if (wanted == now)
        complaint.text = arena_format(view->arena, "Topic already has %d partition(s).", now);
    else if (wanted < now)
        complaint.text = arena_format(
            view->arena, "The topic %s currently has %d partition(s); %d would not be an increase.",
            topic->name, now, wanted);
    else if (wanted - now > TOPICS_PARTITIONS_MAX)
        complaint.text = STRING("Unable to perform excessively large batch operation.");
    else
        complaint.error = ERROR_NONE;
    return complaint;
}

static struct complaint grow(const struct topics_view *view,
                             const struct create_partitions_request_create_partitions_topic *wanted,
                             struct record_list *records)
{
    const struct image_topic *topic = image_topic_by_name(view->image, wanted->name);
    if (!topic || topic->partition_count == 0)
        return (struct complaint){ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                                  STRING("This server does not host this topic-partition.")};
    struct complaint complaint = check_count(view, topic, wanted->count);
    if (complaint.error)
        return complaint;
    const struct image_partition *model = image_partition(topic, 0);
    struct new_partitions new = {
        .topic_id = topic->id,
        .first = topic->partition_count,
        .count = wanted->count - topic->partition_count,
        .replication_factor = model ? model->counts[IMAGE_REPLICAS] : 1,
    };
    struct placement placement;
    if (wanted->assignments_count >= 0) {
        complaint = check_assigned(view, wanted, &new);
    } else {
        complaint = placement_init(&placement, view->image, new.replication_factor, view->random,
                                   view->arena);
        new.placed = &placement;
    }
    if (complaint.error)
        return complaint;
    return (struct complaint){topics_add_partitions(view, &new, records), STRING_NULL};
}

enum error topics_handle_partitions(const struct topics_view *view,
                                    const struct create_partitions_request *request,
                                    struct record_list *records,
                                    struct create_partitions_response *response)
{
    message_set_defaults(&create_partitions_response_message, response);
    int32_t count = request->topics_count;
    uint8_t *seen = arena_take(view->arena, (size_t)count);
    struct string *names = arena_take(view->arena, (size_t)count * sizeof *names);
    response->results = arena_take(view->arena, (size_t)count * sizeof *response->results);
    if (!seen || !names || !response->results)
        return ERROR_NO_MEMORY;
    for (int32_t i = 0; i < count; i++)
        names[i] = request->topics[i].name;
    duplicates_find(names, count, random_next(view->random), seen);
    for (int32_t i = 0; i < count; i++) {
        if (seen[i] == SEEN_BEFORE)
            continue;
        struct record_mark mark = record_list_mark(records);
        struct complaint complaint = {ERROR_INVALID_REQUEST, STRING("Duplicate topic name.")};
        if (seen[i] == SEEN_ONCE)
            complaint = grow(view, &request->topics[i], records);
        if (complaint.error == ERROR_NO_MEMORY || records->overflowed)
            return ERROR_NO_MEMORY;
        if (complaint.error || request->validate_only)
            record_list_return(records, mark);
        struct create_partitions_response_create_partitions_topic_result *result =
            &response->results[response->results_count++];
        message_set_defaults(&create_partitions_response_create_partitions_topic_result_message,
                             result);
        result->name = request->topics[i].name;
        result->error_code = (int16_t)complaint.error;
        result->error_message = complaint.text;
    }
    return topics_place_in_directories(view, records);
}
