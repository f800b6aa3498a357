#include "storage/handles.h"
#include "base/check.h"
#include "storage/log_state.h"
#include "storage/store.h"

static struct openings *openings_of(const struct segment *segment)
{
    return &segment->log->store->core->openings;
}

/* Those in use are as good as used just now. */
static int32_t close_one(struct openings *openings)
{
    struct list used;
    list_init(&used);
    int32_t handle = -1;
    for (struct list *node; handle < 0 && (node = list_pop(&openings->recent));) {
        struct segment *segment = CONTAINER_OF(node, struct segment, recent);
        list_push(&used, node);
        if (segment->users > 0)
            continue;
        int32_t *place = segment->handle >= 0 ? &segment->handle : &segment->read_handle;
        handle = handle_take(segment, place);
        check(handle >= 0);
    }
    list_splice(&openings->recent, &used);
    return handle;
}

void handles_init(struct core *core)
{
    core->openings.close_one = close_one;
}

void handle_keep(struct segment *segment, int32_t *place, int32_t handle)
{
    check(*place < 0 && handle >= 0);
    *place = handle;
    openings_of(segment)->kept++;
    handle_touch(segment);
}

int32_t handle_take(struct segment *segment, int32_t *place)
{
    int32_t handle = *place;
    if (handle < 0)
        return -1;
    *place = -1;
    openings_of(segment)->kept--;
    if (segment->handle < 0 && segment->read_handle < 0)
        list_remove(&segment->recent);
    return handle;
}

void handle_touch(struct segment *segment)
{
    if (segment->handle < 0 && segment->read_handle < 0)
        return;
    list_remove(&segment->recent);
    list_push(&openings_of(segment)->recent, &segment->recent);
}
