#include "cluster/machine.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "cluster/catalogue.h"
#include "cluster/metadata_log.h"
#include "cluster/partition.h"
#include "cluster/snapshots.h"
#include <stdio.h>

/*   origin's core            core 0                                   the other cores       */
/*   machine_start -- mail -> turn -> decide -> open -> append (the next one's turn)          */
/*                            await (committed) -> apply  --- mail --> apply                   */
/*                            settle -> answer  <-------- mail ------                          */
/*   (hold released) <- mail -                                                                */

/* One core's part of applying a request's records. */
struct application {
    struct mail mail;
    struct flow flow;
    struct machine_request *request;
    struct shard *shard;
};

static enum step machine_turn(struct flow *flow);
static enum step machine_decide(struct flow *flow);
static enum step machine_open(struct flow *flow);
static enum step machine_append(struct flow *flow);
static enum step machine_await(struct flow *flow);
static enum step machine_apply(struct flow *flow);
static enum step machine_settle(struct flow *flow);
static enum step machine_answer(struct flow *flow);
static enum step application_apply(struct flow *flow);

static const struct flow_kind machine_flow = {"machine",
                                              {{"turn", machine_turn},
                                               {"decide", machine_decide},
                                               {"open", machine_open},
                                               {"append", machine_append},
                                               {"await", machine_await},
                                               {"apply", machine_apply},
                                               {"settle", machine_settle},
                                               {"answer", machine_answer}}};

static const struct flow_kind application_flow = {"apply", {{"apply", application_apply}}};

static struct machine_request *request_of(struct flow *flow)
{
    return CONTAINER_OF(flow, struct machine_request, flow);
}

void machine_start(struct machine_request *request, struct shard *shard, struct flow *origin)
{
    request->origin = origin;
    request->origin_shard = shard;
    request->error = ERROR_NONE;
    request->waiter = (struct waiter){0};
    request->has_turn = false;
    request->number = 0;
    list_init(&request->under_way);
    flow_hold(origin);
    mail_start(&request->mail, &shard->core, &shard->broker->shards[0].core, &request->flow,
               &machine_flow);
}

static struct broker *broker_of(struct machine_request *request)
{
    return request->origin_shard->broker;
}

static enum step fail(struct machine_request *request, enum error error)
{
    request->error = error;
    return STEP_FAIL;
}

/* ---- the turn ------------------------------------------------------------------------------ */

void machine_init(struct broker *broker, uint64_t seed)
{
    struct machine_state *machine = &broker->machine;
    image_init(&machine->decided, broker->core_count, seed);
    list_init(&machine->queue);
    list_init(&machine->under_way);
    list_init(&machine->to_apply);
    list_init(&machine->to_settle);
}

void machine_done(struct broker *broker)
{
    image_done(&broker->machine.decided);
}

static bool take_turn(struct machine_state *machine, struct waiter *waiter, struct flow *flow)
{
    if (machine->busy && machine->holder != flow) {
        waiter_park(waiter, &machine->queue, flow);
        return false;
    }
    machine->busy = true;
    machine->holder = flow;
    return true;
}

/* To the one that has waited longest: who comes meanwhile is behind all of them. */
void machine_give_turn(struct broker *broker)
{
    struct machine_state *machine = &broker->machine;
    machine->busy = !list_is_empty(&machine->queue);
    machine->holder =
        machine->busy ? CONTAINER_OF(machine->queue.next, struct waiter, link)->flow : NULL;
    (void)waiters_wake_first(&machine->queue); /* false: nobody waits */
}

bool machine_take_turn(struct broker *broker, struct waiter *waiter, struct flow *flow)
{
    struct machine_state *machine = &broker->machine;
    if (!take_turn(machine, waiter, flow))
        return false;
    if (machine->applied == machine->taken || machine->failed)
        return true;
    waiter_park_until(waiter, &machine->to_apply, flow, (int64_t)machine->taken);
    return false;
}

bool machine_is_at_rest(const struct broker *broker)
{
    const struct machine_state *machine = &broker->machine;
    return !machine->busy && (machine->failed || machine->applied == machine->taken);
}

static enum step machine_turn(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    struct machine_state *machine = &broker_of(request)->machine;
    request->has_turn = take_turn(machine, &request->waiter, flow);
    return request->has_turn ? STEP_NEXT : STEP_AGAIN;
}

static void give_turn(struct machine_request *request)
{
    if (request->has_turn)
        machine_give_turn(broker_of(request));
    request->has_turn = false;
}

/* ---- decided, and taken by the log ---------------------------------------------------------- */

static enum step machine_decide(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    struct broker *broker = broker_of(request);
    record_list_init(&request->records, request->arena);
    request->batch = request->first = BYTES_NULL;
    request->handle(request, MUTANT(decided_on_committed_only) ? &broker->shards[0].image
                                                               : &broker->machine.decided);
    if (request->records.overflowed)
        return fail(request, ERROR_NO_MEMORY);
    if (broker->machine.failed)
        return fail(request, ERROR_KAFKA_STORAGE_ERROR);
    request->number = broker->machine.taken;
    return STEP_NEXT;
}

static enum step machine_open(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    if (request->records.count == 0)
        return STEP_NEXT;
    enum error error = partition_open(broker_of(request)->metadata, &request->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    return error ? fail(request, error) : STEP_NEXT;
}

/* The log has taken the records: the next one is decided on an image that has them. */
static void note_taken(struct machine_request *request)
{
    struct broker *broker = broker_of(request);
    struct machine_state *machine = &broker->machine;
    for (const struct metadata_record *record = request->records.first; record;
         record = record->next) {
        enum error error = image_apply(&machine->decided, record->message->key, record->value);
        check(error == ERROR_NONE || MUTANT(decided_on_committed_only));
    }
    if (machine->taken > machine->applied)
        REACHED("metadata decided on records that are not committed");
    request->number = ++machine->taken;
    list_push(&machine->under_way, &request->under_way);
    if (MUTANT(snapshot_of_uncommitted))
        snapshots_applied(broker, request->batch.size, request->batch_ms);
}

/* What goes into the log: the records as one batch, behind the one that is to be first. */
static enum error encode(struct machine_request *request)
{
    struct bytes first = request->first, records;
    enum error error =
        metadata_log_encode(&request->records, request->batch_ms, request->arena, &records);
    if (error || first.size <= 0) {
        request->batch = error ? BYTES_NULL : records;
        return error;
    }
    uint8_t *both = arena_take(request->arena, (size_t)first.size + (size_t)records.size);
    if (!both)
        return ERROR_NO_MEMORY;
    memcpy(both, first.data, (size_t)first.size);
    memcpy(both + first.size, records.data, (size_t)records.size);
    request->batch = (struct bytes){both, first.size + records.size};
    return ERROR_NONE;
}

static enum step machine_append(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    struct broker *broker = broker_of(request);
    enum error error = ERROR_NONE;
    if (request->records.count == 0) {
        give_turn(request);
        return STEP_NEXT;
    }
    if (!request->batch.data) {
        request->batch_ms = broker->shards[0].core.now.wall_ms;
        error = encode(request);
    }
    struct log_append_result appended;
    if (!error)
        error =
            partition_append(broker->metadata, request->batch, &appended, &request->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    if (error)
        return fail(request, error);
    request->end_offset = appended.end_offset;
    note_taken(request);
    give_turn(request);
    return STEP_NEXT;
}

/* ---- committed, applied --------------------------------------------------------------------- */

static enum step machine_await(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    if (request->records.count == 0 || MUTANT(metadata_applied_before_flush))
        return STEP_NEXT;
    enum error error =
        partition_await(broker_of(request)->metadata, request->end_offset, &request->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    return error ? fail(request, error) : STEP_NEXT;
}

static void apply_records(struct shard *shard, const struct record_list *records)
{
    for (const struct metadata_record *record = records->first; record; record = record->next) {
        enum error error = catalogue_apply(shard, record->message, record->value);
        /* Decided on an image that had what this one has: it must apply. */
        check(error == ERROR_NONE || MUTANT(decided_on_committed_only));
    }
}

static enum step application_apply(struct flow *flow)
{
    struct application *application = CONTAINER_OF(flow, struct application, flow);
    struct machine_request *request = application->request;
    apply_records(application->shard, &request->records);
    mail_release(&application->mail, &application->shard->core, &broker_of(request)->shards[0].core,
                 &request->flow);
    return STEP_NEXT;
}

/* In the order of the log: who is committed may have been woken before those in front of it. */
static enum step machine_apply(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    struct broker *broker = broker_of(request);
    struct machine_state *machine = &broker->machine;
    if (request->records.count == 0)
        return STEP_NEXT;
    if (machine->failed)
        return fail(request, ERROR_KAFKA_STORAGE_ERROR);
    if (machine->applied + 1 < request->number) {
        waiter_park_until(&request->waiter, &machine->to_apply, flow, (int64_t)request->number - 1);
        return STEP_AGAIN;
    }
    apply_records(&broker->shards[0], &request->records);
    if (!MUTANT(snapshot_of_uncommitted))
        snapshots_applied(broker, request->batch.size, request->batch_ms);
    machine->applied = request->number;
    waiters_wake_until(&machine->to_apply, (int64_t)machine->applied);
    int others = broker->core_count - 1;
    if (others > 0)
        request->applications = memory_zeroed((size_t)others * sizeof(struct application));
    for (int i = 0; i < others; i++) {
        struct application *application = &request->applications[i];
        application->request = request;
        application->shard = &broker->shards[i + 1];
        flow_hold(flow);
        mail_start(&application->mail, &broker->shards[0].core, &application->shard->core,
                   &application->flow, &application_flow);
    }
    return STEP_NEXT;
}

/* A refusal rests on what was taken before it. */
static enum step machine_settle(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    struct machine_state *machine = &broker_of(request)->machine;
    if (request->records.count > 0 || machine->settled >= request->number ||
        MUTANT(refusal_before_commit))
        return STEP_NEXT;
    if (machine->failed)
        return fail(request, ERROR_KAFKA_STORAGE_ERROR);
    REACHED("a refusal that rests on records not committed");
    waiter_park_until(&request->waiter, &machine->to_settle, flow, (int64_t)request->number);
    return STEP_AGAIN;
}

/* All before the oldest that is under way are settled. */
static void note_settled(struct machine_request *request)
{
    struct machine_state *machine = &broker_of(request)->machine;
    list_remove(&request->under_way);
    machine->failed = machine->failed || request->error != ERROR_NONE;
    if (machine->failed) { /* nothing follows: everybody looks again */
        waiters_wake(&machine->to_apply);
        waiters_wake(&machine->to_settle);
        return;
    }
    struct list *oldest = machine->under_way.next;
    machine->settled = list_is_empty(&machine->under_way)
                           ? machine->taken
                           : CONTAINER_OF(oldest, struct machine_request, under_way)->number - 1;
    waiters_wake_until(&machine->to_settle, (int64_t)machine->settled);
}

static enum step machine_answer(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    struct broker *broker = broker_of(request);
    memory_free(request->applications);
    request->applications = NULL;
    if (!list_is_empty(&request->under_way))
        note_settled(request);
    give_turn(request);
    mail_release(&request->mail, &broker->shards[0].core, &request->origin_shard->core,
                 request->origin);
    return STEP_NEXT;
}
