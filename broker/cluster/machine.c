#include "cluster/machine.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "cluster/catalogue.h"
#include "cluster/metadata_log.h"
#include "cluster/partition.h"
#include "cluster/snapshots.h"
#include <stdio.h>

/*   origin's core            core 0                                   the other cores       */
/*   machine_start -- mail -> turn -> decide -> open -> append                                */
/*                            await (committed) -> apply  --- mail --> apply                   */
/*                            answer            <-------- mail ------                          */
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
static enum step machine_answer(struct flow *flow);
static enum step application_apply(struct flow *flow);

static const struct flow_kind machine_flow = {"machine",
                                              {{"turn", machine_turn},
                                               {"decide", machine_decide},
                                               {"open", machine_open},
                                               {"append", machine_append},
                                               {"await", machine_await},
                                               {"apply", machine_apply},
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

bool machine_take_turn(struct broker *broker, struct waiter *waiter, struct flow *flow)
{
    if (broker->machine_busy) {
        waiter_park(waiter, &broker->shards[0].machine_queue, flow);
        return false;
    }
    broker->machine_busy = true;
    return true;
}

void machine_give_turn(struct broker *broker)
{
    broker->machine_busy = false;
    waiters_wake_first(&broker->shards[0].machine_queue);
}

/* One at a time: the next is decided on an image that has this one's records. */
static enum step machine_turn(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    request->has_turn = machine_take_turn(broker_of(request), &request->waiter, flow);
    return request->has_turn ? STEP_NEXT : STEP_AGAIN;
}

static enum step machine_decide(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    struct shard *shard = &broker_of(request)->shards[0];
    record_list_init(&request->records, request->arena);
    request->batch = BYTES_NULL;
    request->handle(request, &shard->image);
    if (request->records.overflowed)
        return fail(request, ERROR_NO_MEMORY);
    return request->records.count == 0 ? STEP_FAIL : STEP_NEXT;
}

static enum step machine_open(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    enum error error = partition_open(broker_of(request)->metadata, &request->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    return error ? fail(request, error) : STEP_NEXT;
}

static enum step machine_append(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    struct broker *broker = broker_of(request);
    enum error error = ERROR_NONE;
    if (!request->batch.data) {
        request->batch_ms = broker->shards[0].core.now.wall_ms;
        error = metadata_log_encode(&request->records, request->batch_ms, request->arena,
                                    &request->batch);
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
    if (MUTANT(snapshot_of_uncommitted))
        snapshots_applied(broker, request->batch.size, request->batch_ms);
    return STEP_NEXT;
}

static enum step machine_await(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    if (MUTANT(metadata_applied_before_flush))
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
        check(error == ERROR_NONE); /* decided on this very image: it must apply */
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

static enum step machine_apply(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    struct broker *broker = broker_of(request);
    apply_records(&broker->shards[0], &request->records);
    if (!MUTANT(snapshot_of_uncommitted))
        snapshots_applied(broker, request->batch.size, request->batch_ms);
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

static enum step machine_answer(struct flow *flow)
{
    struct machine_request *request = request_of(flow);
    struct broker *broker = broker_of(request);
    memory_free(request->applications);
    request->applications = NULL;
    if (request->has_turn)
        machine_give_turn(broker);
    mail_release(&request->mail, &broker->shards[0].core, &request->origin_shard->core,
                 request->origin);
    return STEP_NEXT;
}
