/* DeleteTopics. */
#include "base/check.h"
#include "logic/duplicates.h"
#include "logic/topics.h"

/* One topic to delete, named by versions up to 5 or by either from 6 on. */
struct doomed {
    struct string name; /* null: named by id */
    struct uuid id;
    enum error error;
    struct string complaint;
    const struct image_topic *topic;
};

static void refuse(struct doomed *doomed, enum error error, struct string complaint)
{
    doomed->error = error;
    doomed->complaint = complaint;
}

/* Finds the topic and says what is wrong with how it was named, in Kafka's words. */
static void resolve(const struct topics_view *view, struct doomed *doomed)
{
    bool has_id = !uuid_is_zero(doomed->id), has_name = doomed->name.size >= 0;
    if (has_id && has_name)
        refuse(doomed, ERROR_INVALID_REQUEST,
               STRING("You may not specify both topic name and topic id."));
    else if (!has_id && !has_name)
        refuse(doomed, ERROR_INVALID_REQUEST, STRING("Neither topic name nor id were specified."));
    else if (has_name && !(doomed->topic = image_topic_by_name(view->image, doomed->name)))
        refuse(doomed, ERROR_UNKNOWN_TOPIC_OR_PARTITION,
               STRING("This server does not host this topic-partition."));
    else if (has_id && !(doomed->topic = image_topic_by_id(view->image, doomed->id)))
        refuse(doomed, ERROR_UNKNOWN_TOPIC_ID, STRING("This server does not host this topic ID."));
}

/* Refuses what is named more than once, by the same name, the same id, or one each. */
static enum error refuse_duplicates(const struct topics_view *view, struct doomed *all,
                                    int32_t count)
{
    struct string *keys = arena_take(view->arena, (size_t)count * sizeof *keys);
    uint8_t *seen = arena_take(view->arena, (size_t)count);
    if (!keys || !seen)
        return ERROR_NO_MEMORY;
    for (int32_t i = 0; i < count; i++) {
        const struct image_topic *topic = all[i].topic;
        const char *id = topic ? (const char *)topic->id.bytes : (const char *)all[i].id.bytes;
        bool by_id = all[i].name.size < 0 || topic;
        keys[i] = by_id ? (struct string){id, sizeof(struct uuid)} : all[i].name;
        if (all[i].error == ERROR_INVALID_REQUEST) /* named in no sound way: none's twin */
            keys[i] = STRING_NULL;
    }
    duplicates_find(keys, count, random_next(view->random), seen);
    for (int32_t i = 0; i < count; i++) {
        if (seen[i] != SEEN_ONCE)
            refuse(&all[i], ERROR_INVALID_REQUEST,
                   all[i].name.size >= 0 ? STRING("Duplicate topic name.")
                                         : STRING("Duplicate topic id."));
    }
    return ERROR_NONE;
}

static enum error doom(const struct topics_view *view, struct doomed *doomed,
                       struct record_list *records,
                       struct delete_topics_response_deletable_topic_result *result)
{
    message_set_defaults(&delete_topics_response_deletable_topic_result_message, result);
    if (!doomed->error && !view->settings->delete_topic_enable)
        refuse(doomed, ERROR_TOPIC_DELETION_DISABLED, STRING("Topic deletion is disabled."));
    result->name = doomed->name;
    result->topic_id = doomed->id;
    result->error_code = (int16_t)doomed->error;
    result->error_message = doomed->complaint;
    if (doomed->error)
        return ERROR_NONE;
    struct remove_topic_record *record = record_list_add(records, &remove_topic_record_message);
    /* The image's own name is gone once the record is applied, before the answer leaves. */
    char *name = arena_copy(view->arena, doomed->topic->name, (size_t)doomed->topic->name_size);
    if (!record || !name)
        return ERROR_NO_MEMORY;
    record->topic_id = doomed->topic->id;
    result->topic_id = doomed->topic->id;
    result->name = (struct string){name, doomed->topic->name_size};
    return ERROR_NONE;
}

enum error topics_handle_delete(const struct topics_view *view,
                                const struct delete_topics_request *request,
                                struct record_list *records,
                                struct delete_topics_response *response)
{
    message_set_defaults(&delete_topics_response_message, response);
    int32_t by_state = request->topics_count > 0 ? request->topics_count : 0;
    int32_t by_name = request->topic_names_count > 0 ? request->topic_names_count : 0;
    int32_t count = by_state + by_name;
    struct doomed *all = arena_take(view->arena, (size_t)count * sizeof *all);
    response->responses = arena_take(view->arena, (size_t)count * sizeof *response->responses);
    if (!all || !response->responses)
        return ERROR_NO_MEMORY;
    for (int32_t i = 0; i < by_state; i++) {
        all[i].name = request->topics[i].name;
        all[i].id = request->topics[i].topic_id;
    }
    for (int32_t i = 0; i < by_name; i++)
        all[by_state + i].name = request->topic_names[i];
    for (int32_t i = 0; i < count; i++) {
        all[i].complaint = STRING_NULL;
        resolve(view, &all[i]);
    }
    enum error error = refuse_duplicates(view, all, count);
    for (int32_t i = 0; i < count && !error; i++)
        error = doom(view, &all[i], records, &response->responses[response->responses_count++]);
    return error;
}
