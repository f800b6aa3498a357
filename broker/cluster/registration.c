#include "cluster/registration.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/machine.h"
#include "cluster/offline.h"
#include "cluster/partition.h"
#include "cluster/whereabouts.h"
#include "config/listeners.h"
#include "logic/leaders.h"
#include "protocol/messages.h"
#include "storage/log_state.h"
#include "storage/store.h"

enum { AT_ONCE = 500 /* records of one request */, CONTROLLER_PORT = 9093 };

struct registration {
    struct flow flow;
    struct machine_request request;
    struct arena arena;
    struct broker *broker;
    void (*decide)(struct machine_request *request, const struct image *image);
    bool ended, wrote;
};

struct uuid *registration_directories(const struct broker *broker, struct arena *arena,
                                      int32_t *ret_count)
{
    struct uuid *ids = arena_take(arena, (size_t)broker->directory_count * sizeof *ids);
    *ret_count = 0;
    for (int d = 0; ids && d < broker->directory_count; d++) {
        const struct directory *directory = &broker->directories[d];
        if (!directory->absent && directory->holds_partitions && !offline_is(broker, d))
            ids[(*ret_count)++] = directory->id;
    }
    return ids;
}

/* In the arena; those of settings that are refused are none: whoever listens will say so. */
static const struct listeners *listeners_of(const struct broker *broker, struct arena *arena)
{
    static const struct listeners none = {.count = 0};
    struct sentence sentence;
    struct listeners *listeners = arena_take(arena, sizeof *listeners);
    bool right = listeners && listeners_parse(broker->settings, listeners, &sentence) == ERROR_NONE;
    return right ? listeners : &none;
}

/* Where this node's controller would be asked: as the settings say, where they do. A Kafka node
 * that leads puts its own in (KIP-853), so that this need only be well formed. */
static enum error found(struct broker *broker, const struct listeners *listeners,
                        struct arena *arena, struct bytes *ret_batch)
{
    struct quorum_founder founder = {.node_id = broker->node_id,
                                     .directory_id =
                                         broker->directories[broker->metadata_directory].id,
                                     .listener = STRING("CONTROLLER"),
                                     .host = STRING("localhost"),
                                     .port = CONTROLLER_PORT};
    for (int i = 0; i < listeners->count; i++) {
        const struct listener *listener = &listeners->items[i];
        if (!listener->is_controller)
            continue;
        founder.listener = string_of(listener->name);
        founder.host = listener->host[0] ? string_of(listener->host) : founder.host;
        founder.port = listener->port ? listener->port : founder.port;
        break;
    }
    return quorum_found(&broker->quorum, &founder, broker->shards[0].core.now.wall_ms, arena,
                        ret_batch);
}

/* What clients are told to connect to, where advertised.listeners says it; of a listener for every
 * address they are told the one by which they came (api/endpoints.h). */
static void write_endpoints(struct register_broker_record *record,
                            const struct listeners *listeners, struct record_list *records)
{
    struct register_broker_record_broker_endpoint *to =
        arena_take(records->arena, LISTENERS_MAX * sizeof *to);
    if (!to) {
        records->overflowed = true;
        return;
    }
    record->end_points = to;
    for (int i = 0; i < listeners->count; i++) {
        const struct listener *listener = &listeners->items[i];
        if (listener->is_controller)
            continue;
        const char *host = listener->advertised_host[0] ? listener->advertised_host
                           : listener->host[0]          ? listener->host
                                                        : "localhost";
        message_set_defaults(&register_broker_record_broker_endpoint_message, to);
        to->name = string_of(listener->name);
        to->host = string_of(host);
        to->port = listener->advertised_port ? listener->advertised_port : listener->port;
        to++;
        record->end_points_count++;
    }
}

/* What a Kafka controller had begun when it died (metadata_transaction.h). */
static void abort_transaction(struct record_list *records)
{
    struct abort_transaction_record *record =
        record_list_add(records, &abort_transaction_record_message);
    if (record)
        record->reason = STRING("its controller is gone");
}

/* A first start founds the log and writes the level of metadata; every start registers this
 * incarnation. */
static void decide_registration(struct machine_request *request, const struct image *image)
{
    struct registration *registration = CONTAINER_OF(request, struct registration, request);
    struct broker *broker = registration->broker;
    const struct listeners *listeners = listeners_of(broker, request->arena);
    if (!broker->quorum.is_founded &&
        found(broker, listeners, request->arena, &request->first) != ERROR_NONE)
        request->records.overflowed = true;
    if (broker->metadata_unended)
        abort_transaction(&request->records);
    if (image_feature_level(image, STRING("metadata.version")) == 0) {
        struct feature_level_record *feature =
            record_list_add(&request->records, &feature_level_record_message);
        if (feature) {
            feature->name = STRING("metadata.version");
            feature->feature_level = METADATA_VERSION;
        }
    }
    struct register_broker_record *record =
        record_list_add(&request->records, &register_broker_record_message);
    if (!record)
        return;
    const struct image_broker *before = image_broker(image, broker->node_id);
    record->broker_id = broker->node_id;
    record->broker_epoch = before ? before->epoch + 1 : 1;
    store_be64(record->incarnation_id.bytes, broker->incarnation);
    store_be64(record->incarnation_id.bytes + 8, (uint64_t)record->broker_epoch);
    record->rack = STRING_NULL;
    record->fenced = false;
    write_endpoints(record, listeners, &request->records);
    record->log_dirs = registration_directories(broker, request->arena, &record->log_dirs_count);
    request->records.overflowed |= !record->log_dirs;
}

/* Partitions that a Kafka node has left without a leader when it stopped: this one leads again
 * those in whose ISR it is. */
static void decide_leaders(struct machine_request *request, const struct image *image)
{
    struct registration *registration = CONTAINER_OF(request, struct registration, request);
    leaders_elect(image, registration->broker->node_id, AT_ONCE, &request->records);
    registration->wrote = request->records.count > 0;
}

/* A start has looked where partitions lie: what the metadata do not say yet. */
static void decide_whereabouts(struct machine_request *request, const struct image *image)
{
    struct registration *registration = CONTAINER_OF(request, struct registration, request);
    whereabouts_write(registration->broker, image, AT_ONCE, &request->records);
    registration->wrote = request->records.count > 0;
}

static enum step register_start(struct flow *flow)
{
    struct registration *registration = CONTAINER_OF(flow, struct registration, flow);
    registration->request =
        (struct machine_request){.handle = registration->decide, .arena = &registration->arena};
    machine_start(&registration->request, &registration->broker->shards[0], flow);
    return STEP_NEXT;
}

static enum step register_end(struct flow *flow)
{
    struct registration *registration = CONTAINER_OF(flow, struct registration, flow);
    registration->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind register_flow = {"register",
                                               {{"start", register_start}, {"end", register_end}}};

/* Turns all cores on this thread, which share one port now. */
static void turn(struct broker *broker, struct port *port,
                 bool (*is_over)(const struct broker *, const void *), const void *context)
{
    while (!is_over(broker, context)) {
        bool busy = false;
        for (int i = 0; i < broker->core_count; i++) {
            core_turn(&broker->shards[i].core, false);
            busy = busy || core_has_work(&broker->shards[i].core);
        }
        for (int i = 0; i < broker->core_count; i++)
            busy = busy || core_has_work(&broker->shards[i].core);
        if (!busy && !is_over(broker, context))
            port->operations->wait(port, INT64_MAX);
    }
}

static bool has_ended(const struct broker *broker, const void *context)
{
    return ((const struct registration *)context)->ended;
}

/* Until the request has ended. */
static enum error run(struct registration *registration, struct port *port)
{
    struct broker *broker = registration->broker;
    registration->ended = registration->wrote = false;
    arena_init(&registration->arena, 4u << 20);
    flow_start(&registration->flow, &register_flow, &broker->shards[0].core);
    turn(broker, port, has_ended, registration);
    arena_done(&registration->arena);
    return registration->request.error;
}

/* Until nothing is left to write. */
static enum error run_all(struct registration *registration, struct port *port,
                          void (*decide)(struct machine_request *, const struct image *))
{
    enum error error;
    registration->decide = decide;
    do {
        error = run(registration, port);
    } while (!error && registration->wrote);
    return error;
}

/* ---- after a failure ----------------------------------------------------------------------- */

/* Ends what is under way on a core, so that all can be closed. */
struct unwinding {
    struct flow flow;
    struct waiter waiter;
    struct shard *shard;
    bool ended;
};

static enum step unwind_stores(struct flow *flow)
{
    struct unwinding *unwinding = CONTAINER_OF(flow, struct unwinding, flow);
    const struct shard *shard = unwinding->shard;
    for (int d = 0; d <= shard->broker->directory_count; d++)
        if (!store_rest(shard->stores[d], &unwinding->waiter, flow))
            return STEP_AGAIN;
    return STEP_NEXT;
}

static enum step unwind_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct unwinding, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind unwind_flow = {"unwind",
                                             {{"stores", unwind_stores}, {"end", unwind_end}}};

/* Reads of logs, by whoever follows the metadata, end by themselves. */
static bool is_at_rest(const struct broker *broker, const void *context)
{
    const struct unwinding *unwindings = context;
    for (int i = 0; i < broker->core_count; i++) {
        const struct shard *shard = &broker->shards[i];
        uint32_t position = 0;
        for (const struct partition *partition;
             (partition = map_next(&shard->partitions, &position));)
            if (log_is_in_use(partition->log))
                return false;
        for (int d = 0; d <= broker->directory_count; d++)
            if (store_is_at_work(shard->stores[d]))
                return false;
        if (!unwindings[i].ended || core_has_work(&broker->shards[i].core))
            return false;
    }
    return true;
}

static void unwind(struct broker *broker, struct port *port)
{
    struct unwinding *all = memory_zeroed((size_t)broker->core_count * sizeof *all);
    for (int i = 0; i < broker->core_count; i++) {
        all[i].shard = &broker->shards[i];
        flow_start(&all[i].flow, &unwind_flow, &broker->shards[i].core);
    }
    turn(broker, port, is_at_rest, all);
    memory_free(all);
}

enum error registration_run(struct broker *broker, struct port *port)
{
    struct registration registration = {.broker = broker, .decide = decide_registration};
    enum error error = run(&registration, port);
    if (!error)
        error = run_all(&registration, port, decide_whereabouts);
    if (!error)
        error = run_all(&registration, port, decide_leaders);
    if (error)
        unwind(broker, port);
    return error;
}

/* ---- the stop ------------------------------------------------------------------------------ */

struct leaving {
    struct machine_request request;
    struct arena arena;
    struct broker *broker;
};

static void decide_leave(struct machine_request *request, const struct image *image)
{
    const struct broker *broker = CONTAINER_OF(request, struct leaving, request)->broker;
    const struct image_broker *self = image_broker(image, broker->node_id);
    if (!self || self->is_fenced)
        return;
    struct broker_registration_change_record *record =
        record_list_add(&request->records, &broker_registration_change_record_message);
    if (!record)
        return;
    record->broker_id = self->id;
    record->broker_epoch = self->epoch;
    record->fenced = 1;
}

void registration_leave(struct broker *broker, struct flow *flow)
{
    struct leaving *leaving = memory_zeroed(sizeof *leaving);
    leaving->broker = broker;
    arena_init(&leaving->arena, 1 << 20);
    leaving->request = (struct machine_request){.handle = decide_leave, .arena = &leaving->arena};
    broker->leaving = leaving;
    machine_start(&leaving->request, &broker->shards[0], flow);
}

void registration_close(struct broker *broker)
{
    if (!broker->leaving)
        return;
    arena_done(&broker->leaving->arena);
    memory_free(broker->leaving);
    broker->leaving = NULL;
}
