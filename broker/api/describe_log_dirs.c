/* DescribeLogDirs: which partitions lie in which log directory, and how large they are
 * (ReplicaManager.describeLogDirs). Each partition's core looks at its own, one file at a time; the
 * answer is put together on the connection's core. A directory that has failed is named with its
 * error and without partitions. What was asked for and is not here is left out, as is the metadata
 * log, which Kafka's LogManager does not know either. */
#include "api/route.h"
#include "api/scatter.h"
#include "base/memory.h"
#include "cluster/log_dirs.h"
#include <stdio.h>

enum { ITEMS_AT_ONCE = 256 }; /* sizes that are in memory, told in one step */

struct log_dir_item {
    struct scatter_item base;
    struct string topic; /* a copy */
    int32_t directory;
    int64_t size_bytes;
};

struct log_dir_part {
    struct scatter_part base;
    struct log_size size; /* of base.at's */
    bool begun;
};

struct describe_log_dirs {
    struct call call;
    struct scatter scatter;
    struct log_dir_item **items; /* by topic, in order */
    int32_t item_count, item_capacity;
    struct map asked; /* of items, by topic id and index: each counts once */
    struct log_dir *dirs;
    struct file_space *spaces; /* of each directory; total_bytes -1: not known */
    struct op op;
    int32_t next; /* directory whose space is asked for */
    bool checked;
};
const uint16_t describe_log_dirs_call_size = sizeof(struct describe_log_dirs);

/* ---- a partition's core -------------------------------------------------------------------- */

/* False: it is not here, or its directory has failed. */
static bool find(struct log_dir_part *part, struct log_dir_item *item)
{
    struct shard *shard = part->base.shard;
    struct log_dir dir;
    struct scatter_item *base = &item->base;
    base->error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    base->partition = partition_find(shard, base->topic_id, base->index);
    if (!base->partition)
        return false;
    partition_reference(base->partition);
    item->directory = log_dir_of(base->partition);
    if (item->directory == shard->broker->directory_count ||
        !log_dir_describe(shard, item->directory, &dir) || dir.error)
        return false;
    log_dir_size(base->partition, &part->size);
    return true;
}

static enum step part_measure(struct flow *flow)
{
    struct log_dir_part *part = (struct log_dir_part *)flow;
    for (int32_t i = 0; part->base.at && i < ITEMS_AT_ONCE; part->base.at = part->base.at->next) {
        struct log_dir_item *item = (struct log_dir_item *)part->base.at;
        i++;
        if (!part->begun && !find(part, item))
            continue;
        part->begun = true;
        if (!log_size_step(&part->size, flow))
            return STEP_AGAIN;
        part->begun = false;
        item->base.error = ERROR_NONE;
        item->size_bytes = part->size.bytes;
    }
    return part->base.at ? STEP_AGAIN : STEP_NEXT;
}

static enum step part_answer(struct flow *flow)
{
    scatter_release(part_of(flow));
    scatter_end(part_of(flow));
    return STEP_NEXT;
}

static const struct flow_kind part_kind = {"describe-log-dirs-part",
                                           {{"measure", part_measure}, {"answer", part_answer}}};

/* ---- which partitions ---------------------------------------------------------------------- */

static bool is_asked(struct describe_log_dirs *describe, struct uuid topic_id, int32_t index)
{
    struct {
        struct uuid topic_id;
        int32_t index;
    } key = {topic_id, index};
    _Static_assert(sizeof key == sizeof(struct uuid) + sizeof(int32_t), "no padding");
    return map_get(&describe->asked, &key, sizeof key);
}

/* False: budget. */
static bool add_item(struct describe_log_dirs *describe, const struct image_topic *topic,
                     struct string name, int32_t index)
{
    enum error error;
    int32_t core = route_partition(&describe->call, topic, index, &error);
    if (core < 0 || is_asked(describe, topic->id, index))
        return true;
    struct log_dir_item *item =
        scatter_add(&describe->scatter, core, topic->id, index, sizeof *item);
    if (!item)
        return false;
    item->topic = name;
    if (describe->item_count == describe->item_capacity) {
        int32_t capacity = 2 * describe->item_capacity + 64;
        struct log_dir_item **items =
            call_take(&describe->call, (size_t)capacity, sizeof(struct log_dir_item *));
        if (!items)
            return false;
        if (describe->item_count)
            memcpy(items, describe->items, (size_t)describe->item_count * sizeof *items);
        describe->items = items;
        describe->item_capacity = capacity;
    }
    describe->items[describe->item_count++] = item;
    if (((const struct describe_log_dirs_request *)describe->call.in)->topics_count >= 0)
        map_put(&describe->asked, &item->base.topic_id, sizeof(struct uuid) + sizeof(int32_t),
                item);
    return true;
}

static bool add_all(struct describe_log_dirs *describe)
{
    uint32_t position = 0;
    for (const struct image_topic *topic;
         (topic = image_next_topic(&describe->call.shard->image, &position));) {
        struct string name = call_copy_string(&describe->call, image_topic_name(topic));
        for (int32_t i = 0; i < topic->partition_capacity; i++)
            if (!name.data || !add_item(describe, topic, name, i))
                return false;
    }
    return true;
}

static bool add_asked(struct describe_log_dirs *describe)
{
    const struct describe_log_dirs_request *in = describe->call.in;
    for (int32_t t = 0; t < in->topics_count; t++) {
        enum error error;
        const struct describe_log_dirs_request_describable_log_dir_topic *asked = &in->topics[t];
        const struct image_topic *topic =
            route_topic(&describe->call, false, (struct uuid){{0}}, asked->topic, &error);
        for (int32_t i = 0; topic && i < asked->partitions_count; i++)
            if (!add_item(describe, topic, asked->topic, asked->partitions[i]))
                return false;
    }
    return true;
}

static enum step describe_check(struct flow *flow)
{
    struct describe_log_dirs *describe = (struct describe_log_dirs *)flow;
    const struct describe_log_dirs_request *in = describe->call.in;
    size_t count = (size_t)describe->call.shard->broker->directory_count;
    map_init(&describe->asked, random_next(&describe->call.shard->random));
    describe->dirs = call_take(&describe->call, count, sizeof *describe->dirs);
    describe->spaces = call_take(&describe->call, count, sizeof *describe->spaces);
    if (!describe->dirs || !describe->spaces ||
        !scatter_init(&describe->scatter, &describe->call, sizeof(struct log_dir_part)))
        return STEP_FAIL;
    bool all = in->topics_count < 0 ? add_all(describe) : add_asked(describe);
    if (!all)
        return STEP_FAIL;
    describe->checked = true;
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&describe->scatter, &at));)
        scatter_start(part, &part_kind);
    request_next(describe->call.request);
    return STEP_NEXT;
}

/* ---- room ---------------------------------------------------------------------------------- */

/* Of each directory's file system, one after the other. */
static enum step describe_space(struct flow *flow)
{
    struct describe_log_dirs *describe = (struct describe_log_dirs *)flow;
    struct shard *shard = describe->call.shard;
    for (; describe->next < shard->broker->directory_count; describe->next++) {
        int32_t d = describe->next;
        struct log_dir *dir = &describe->dirs[d];
        if (describe->op.kind == OP_SPACE) {
            if (describe->op.result < 0)
                describe->spaces[d] = (struct file_space){-1, -1};
            describe->op = (struct op){0};
            continue;
        }
        describe->spaces[d] = (struct file_space){-1, -1};
        if (!log_dir_describe(shard, d, dir) || dir->error || dir->handle < 0)
            continue;
        describe->op = (struct op){
            .kind = OP_SPACE, .flow = flow, .handle = dir->handle, .data = &describe->spaces[d]};
        op_start(shard->core.port, &describe->op);
        return STEP_AGAIN;
    }
    return STEP_NEXT;
}

/* ---- the answer ---------------------------------------------------------------------------- */

static bool lies_in(const struct log_dir_item *item, int32_t directory)
{
    return item->base.error == ERROR_NONE && item->directory == directory;
}

/* How many items of the same topic follow from `first` on. */
static int32_t run_of(const struct describe_log_dirs *describe, int32_t first)
{
    int32_t end = first + 1;
    while (end < describe->item_count &&
           uuid_equal(describe->items[end]->base.topic_id, describe->items[first]->base.topic_id))
        end++;
    return end - first;
}

/* The partitions of one topic that lie there. False: budget. */
static bool tell_topic(struct describe_log_dirs *describe, int32_t first, int32_t directory,
                       struct describe_log_dirs_response_describe_log_dirs_result *out)
{
    int32_t run = run_of(describe, first), count = 0;
    for (int32_t i = first; i < first + run; i++)
        count += lies_in(describe->items[i], directory);
    if (count == 0)
        return true;
    struct describe_log_dirs_response_describe_log_dirs_topic *topic =
        &out->topics[out->topics_count++];
    topic->name = describe->items[first]->topic;
    topic->partitions = call_take_messages(
        &describe->call, &describe_log_dirs_response_describe_log_dirs_partition_message, count);
    if (!topic->partitions)
        return false;
    for (int32_t i = first; i < first + run; i++) {
        const struct log_dir_item *item = describe->items[i];
        if (!lies_in(item, directory))
            continue;
        struct describe_log_dirs_response_describe_log_dirs_partition *partition =
            &topic->partitions[topic->partitions_count++];
        partition->partition_index = item->base.index;
        partition->partition_size = item->size_bytes;
    }
    return true;
}

/* At most so many topics lie there: a run that is interrupted counts twice. */
static int32_t count_topics(const struct describe_log_dirs *describe, int32_t directory)
{
    int32_t count = 0;
    struct uuid last = {{0}};
    for (int32_t i = 0; i < describe->item_count; i++) {
        const struct log_dir_item *item = describe->items[i];
        if (!lies_in(item, directory) || uuid_equal(item->base.topic_id, last))
            continue;
        last = item->base.topic_id;
        count++;
    }
    return count;
}

static bool tell_directory(struct describe_log_dirs *describe, int32_t directory,
                           struct describe_log_dirs_response_describe_log_dirs_result *out)
{
    const struct log_dir *dir = &describe->dirs[directory];
    size_t size = strlen(dir->root) + strlen(dir->path) + 1;
    char *path = call_take(&describe->call, size, 1);
    out->topics = call_take_messages(&describe->call,
                                     &describe_log_dirs_response_describe_log_dirs_topic_message,
                                     count_topics(describe, directory));
    if (!path || !out->topics)
        return false;
    snprintf(path, size, "%s%s", dir->root, dir->path);
    out->log_dir = string_of(path);
    out->error_code = (int16_t)error_for_wire(dir->error);
    out->total_bytes = describe->spaces[directory].total_bytes;
    out->usable_bytes = describe->spaces[directory].free_bytes;
    for (int32_t i = 0; dir->error == ERROR_NONE && i < describe->item_count;
         i += run_of(describe, i))
        if (!tell_topic(describe, i, directory, out))
            return false;
    return true;
}

static bool tell(struct describe_log_dirs *describe)
{
    struct describe_log_dirs_response *out = describe->call.out;
    int32_t count = describe->call.shard->broker->directory_count;
    out->results = call_take_messages(
        &describe->call, &describe_log_dirs_response_describe_log_dirs_result_message, count);
    if (!out->results)
        return false;
    for (int32_t d = 0; d < count; d++) {
        struct log_dir dir;
        if (!log_dir_describe(describe->call.shard, d, &dir))
            continue;
        if (!tell_directory(describe, d, &out->results[out->results_count++]))
            return false;
    }
    return true;
}

static enum step describe_reply(struct flow *flow)
{
    struct describe_log_dirs *describe = (struct describe_log_dirs *)flow;
    map_done(&describe->asked);
    if (describe->checked && tell(describe))
        call_reply(&describe->call, NULL);
    else
        call_refuse(&describe->call, error_text(ERROR_NO_MEMORY));
    return STEP_NEXT;
}

const struct flow_kind describe_log_dirs_kind = {
    "describe-log-dirs",
    {{"check", describe_check}, {"space", describe_space}, {"reply", describe_reply}}};
