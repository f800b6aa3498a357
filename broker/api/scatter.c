#include "api/scatter.h"
#include "base/check.h"

_Static_assert(offsetof(struct scatter_part, flow) == 0, "part_of rests on it");

bool scatter_init(struct scatter *scatter, struct call *call, size_t part_size)
{
    check(part_size >= sizeof(struct scatter_part));
    size_t cores = (size_t)call->shard->broker->core_count;
    *scatter = (struct scatter){.call = call, .part_size = part_size};
    scatter->parts = call_take(call, cores, sizeof *scatter->parts);
    return scatter->parts != NULL;
}

bool scatter_add(struct scatter *scatter, int32_t core, struct scatter_item *item)
{
    struct broker *broker = scatter->call->shard->broker;
    check(core >= 0 && core < broker->core_count);
    struct scatter_part *part = scatter->parts[core];
    if (!part) {
        part = call_take(scatter->call, 1, scatter->part_size);
        if (!part)
            return false;
        part->call = scatter->call;
        part->shard = &broker->shards[core];
        list_init(&part->waiter.link);
        scatter->parts[core] = part;
    }
    item->next = NULL;
    if (part->last)
        part->last->next = item;
    else
        part->first = part->at = item;
    part->last = item;
    return true;
}

struct scatter_part *scatter_next(const struct scatter *scatter, int32_t *position)
{
    int32_t cores = scatter->parts ? scatter->call->shard->broker->core_count : 0;
    while (*position < cores) {
        struct scatter_part *part = scatter->parts[(*position)++];
        if (part)
            return part;
    }
    return NULL;
}

void scatter_start(struct scatter_part *part, const struct flow_kind *kind)
{
    part->at = part->first;
    flow_hold(&part->call->flow);
    mail_start(&part->mail, &part->call->shard->core, &part->shard->core, &part->flow, kind);
}

void scatter_end(struct scatter_part *part)
{
    mail_release(&part->mail, &part->shard->core, &part->call->shard->core, &part->call->flow);
}

enum step scatter_open(struct scatter_part *part)
{
    for (; part->at; part->at = part->at->next) {
        struct scatter_item *item = part->at;
        if (item->error != ERROR_NONE)
            continue;
        if (!item->partition) {
            item->partition = partition_find(part->shard, item->topic_id, item->index);
            if (!item->partition) {
                item->error = ERROR_NOT_LEADER_OR_FOLLOWER;
                continue;
            }
            partition_reference(item->partition);
        }
        item->error = partition_open(item->partition, &part->waiter, &part->flow);
        if (item->error == ERROR_WOULD_WAIT) {
            item->error = ERROR_NONE;
            return STEP_AGAIN;
        }
    }
    part->at = part->first;
    return STEP_NEXT;
}

void scatter_release(struct scatter_part *part)
{
    for (struct scatter_item *item = part->first; item; item = item->next) {
        if (item->partition)
            partition_release(item->partition);
        item->partition = NULL;
    }
}
