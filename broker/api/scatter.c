#include "api/scatter.h"
#include "base/check.h"
#include "base/mutant.h"

_Static_assert(offsetof(struct scatter_part, flow) == 0, "part_of rests on it");

bool scatter_init(struct scatter *scatter, struct call *call, size_t part_size)
{
    check(part_size >= sizeof(struct scatter_part));
    size_t cores = (size_t)call->shard->broker->core_count;
    *scatter = (struct scatter){.call = call, .part_size = part_size};
    scatter->parts = call_take(call, cores, sizeof *scatter->parts);
    return scatter->parts != NULL;
}

void *scatter_add(struct scatter *scatter, int32_t core, struct uuid topic_id, int32_t index,
                  size_t item_size)
{
    struct broker *broker = scatter->call->shard->broker;
    check(core >= 0 && core < broker->core_count);
    struct scatter_part *part = scatter->parts[core];
    if (!part) {
        part = call_take(scatter->call, 1, scatter->part_size);
        if (!part)
            return NULL;
        part->call = scatter->call;
        part->shard = &broker->shards[core];
        list_init(&part->waiter.link);
        scatter->parts[core] = part;
    }
    check(item_size >= sizeof(struct scatter_item));
    struct scatter_item *item = call_take(scatter->call, 1, item_size);
    if (!item)
        return NULL;
    item->topic_id = topic_id;
    item->index = index;
    if (part->last)
        part->last->next = item;
    else
        part->first = part->at = item;
    part->last = item;
    return item;
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

static void post(struct scatter_part *part)
{
    mail_start(&part->mail, &part->call->shard->core, &part->shard->core, &part->flow, part->kind);
}

static struct credit *credit_of(struct scatter_part *part)
{
    return &part->call->shard->api->credits[part->shard->core.id];
}

void scatter_start_uncounted(struct scatter_part *part, const struct flow_kind *kind)
{
    part->at = part->first;
    part->kind = kind;
    part->credited = false;
    flow_hold(&part->call->flow);
    post(part);
}

void scatter_start(struct scatter_part *part, const struct flow_kind *kind)
{
    if (part->shard == part->call->shard) {
        scatter_start_uncounted(part, kind);
        return;
    }
    part->at = part->first;
    part->kind = kind;
    part->credited = true;
    list_init(&part->line);
    flow_hold(&part->call->flow);
    if (credit_take(credit_of(part), &part->line))
        post(part);
}

/* On the call's core: the credit goes on to the first in line. */
static enum step back_give(struct flow *flow)
{
    struct scatter_part *part = CONTAINER_OF(flow, struct scatter_part, back);
    bool keeps = MUTANT(credit_leaked) && request_is_abandoned(part->call->request);
    struct list *next = keeps ? NULL : credit_give(credit_of(part));
    if (next)
        post(CONTAINER_OF(next, struct scatter_part, line));
    flow_release(&part->call->flow);
    return STEP_NEXT;
}

static const struct flow_kind back_kind = {"scatter-back", {{"give", back_give}}};

void scatter_end(struct scatter_part *part)
{
    struct core *from = &part->shard->core, *to = &part->call->shard->core;
    if (part->credited)
        mail_start(&part->mail, from, to, &part->back, &back_kind);
    else
        mail_release(&part->mail, from, to, &part->call->flow);
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
