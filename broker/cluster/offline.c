#include "cluster/offline.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "cluster/machine.h"
#include "cluster/partition.h"
#include "cluster/registration.h"
#include "protocol/messages.h"
#include "storage/log_state.h"
#include "storage/store.h"

/* Of a directory, on core 0. */
struct offline {
    struct broker *broker;
    bool failed;
    bool has_arena;
    struct flow flow;
    struct machine_request request;
    struct arena arena;
};

bool offline_is(const struct broker *broker, int directory)
{
    return broker->offline && broker->offline[directory].failed;
}

/* ---- the registration without it ----------------------------------------------------------- */

static void decide_change(struct machine_request *request, const struct image *image)
{
    struct offline *offline = CONTAINER_OF(request, struct offline, request);
    const struct broker *broker = offline->broker;
    const struct image_broker *registered = image_broker(image, broker->node_id);
    struct broker_registration_change_record *record =
        record_list_add(&request->records, &broker_registration_change_record_message);
    if (!record)
        return;
    record->broker_id = broker->node_id;
    record->broker_epoch = registered ? registered->epoch : -1;
    record->log_dirs = registration_directories(broker, request->arena, &record->log_dirs_count);
    request->records.overflowed |= !record->log_dirs;
}

static enum step change_start(struct flow *flow)
{
    struct offline *offline = CONTAINER_OF(flow, struct offline, flow);
    offline->request = (struct machine_request){.handle = decide_change, .arena = &offline->arena};
    machine_start(&offline->request, &offline->broker->shards[0], flow);
    return STEP_NEXT;
}

static enum step change_end(struct flow *flow)
{
    struct offline *offline = CONTAINER_OF(flow, struct offline, flow);
    struct core *core = flow->core;
    if (offline->request.error) /* new partitions may still be placed there, and are refused */
        event_write(&core->events, &core->now, EVENT_WARN, "directory_not_unregistered",
                    "error=\"%s\"", error_text(offline->request.error));
    arena_done(&offline->arena);
    offline->has_arena = false;
    return STEP_NEXT;
}

static const struct flow_kind change_kind = {"directory-offline",
                                             {{"change", change_start}, {"end", change_end}}};

static void change_registration(struct broker *broker, int directory)
{
    struct offline *offline = &broker->offline[directory];
    if (broker->metadata->log->store->stopping)
        return; /* the next start registers what it finds */
    arena_init(&offline->arena, 1 << 20);
    offline->has_arena = true;
    flow_start(&offline->flow, &change_kind, &broker->shards[0].core);
}

/* ---- one that was fenced on some core ------------------------------------------------------ */

static enum step down_fence(struct flow *flow)
{
    struct fencing *fencing = CONTAINER_OF(flow, struct fencing, down_flow);
    fencing->told = true;
    store_fence(fencing->shard->stores[fencing->directory], ERROR_KAFKA_STORAGE_ERROR,
                "the directory has failed on another core");
    return STEP_NEXT;
}

static const struct flow_kind down_kind = {"directory-fence", {{"fence", down_fence}}};

static void fence_everywhere(struct broker *broker, int directory)
{
    for (int i = 0; i < broker->core_count; i++) {
        struct fencing *fencing = &broker->shards[i].fencings[directory];
        mail_start(&fencing->down, &broker->shards[0].core, &broker->shards[i].core,
                   &fencing->down_flow, &down_kind);
    }
}

/* Is there a directory left for partitions? */
static bool any_left(const struct broker *broker)
{
    for (int d = 0; d < broker->directory_count; d++) {
        const struct directory *directory = &broker->directories[d];
        if (directory->holds_partitions && !directory->absent && !broker->offline[d].failed)
            return true;
    }
    return false;
}

/* On core 0; several cores may come with the same. */
static enum step up_note(struct flow *flow)
{
    struct fencing *fencing = CONTAINER_OF(flow, struct fencing, up_flow);
    struct broker *broker = fencing->shard->broker;
    struct core *core = flow->core;
    int directory = fencing->directory;
    if (broker->offline[directory].failed)
        return STEP_NEXT;
    broker->offline[directory].failed = true;
    if (!any_left(broker)) {
        if (broker->fenced)
            broker->fenced(broker, &broker->shards[0]);
        return STEP_NEXT;
    }
    REACHED("a directory fenced alone");
    event_write(&core->events, &core->now, EVENT_ERROR, "directory_offline",
                "directory=%s effect=\"its partitions answer KAFKA_STORAGE_ERROR, all others are "
                "served\" remedy=\"mend or replace the disk, then start again\"",
                broker->directories[directory].path);
    for (int d = 0; d < broker->directory_count; d++)
        if (d == directory || (MUTANT(fence_all_directories) && !broker->offline[d].failed))
            fence_everywhere(broker, d);
    change_registration(broker, directory);
    return STEP_NEXT;
}

static const struct flow_kind up_kind = {"directory-fenced", {{"note", up_note}}};

/* A store of this core was fenced. */
static void on_fence(void *core_owner)
{
    struct shard *shard = core_owner;
    struct broker *broker = shard->broker;
    for (int d = 0; d < broker->directory_count; d++) {
        struct fencing *fencing = &shard->fencings[d];
        if (!shard->stores[d]->fenced || fencing->told)
            continue;
        fencing->told = true;
        if (d != broker->metadata_directory)
            mail_start(&fencing->up, &shard->core, &broker->shards[0].core, &fencing->up_flow,
                       &up_kind);
        else if (broker->fenced)
            broker->fenced(broker, shard);
    }
}

/* ---- open and close ------------------------------------------------------------------------ */

static void open_shard(struct broker *broker, struct shard *shard)
{
    shard->fencings = memory_zeroed((size_t)broker->directory_count * sizeof *shard->fencings);
    for (int d = 0; d < broker->directory_count; d++) {
        shard->fencings[d].shard = shard;
        shard->fencings[d].directory = d;
        shard->fencings[d].told = broker->directories[d].absent;
        shard->stores[d]->on_fence = on_fence;
    }
}

void offline_open(struct broker *broker)
{
    broker->offline = memory_zeroed((size_t)broker->directory_count * sizeof *broker->offline);
    for (int d = 0; d < broker->directory_count; d++)
        broker->offline[d].broker = broker;
    for (int i = 0; i < broker->core_count; i++)
        open_shard(broker, &broker->shards[i]);
}

void offline_close(struct broker *broker)
{
    for (int i = 0; i < broker->core_count; i++)
        memory_free(broker->shards[i].fencings);
    for (int d = 0; broker->offline && d < broker->directory_count; d++)
        if (broker->offline[d].has_arena)
            arena_done(&broker->offline[d].arena);
    memory_free(broker->offline);
    broker->offline = NULL;
}
