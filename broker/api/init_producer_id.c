/* InitProducerId, of producers that are only idempotent: a new id, whatever they had (Kafka's
 * TransactionCoordinator.handleInitProducerId without a transactional id).
 *
 *   check: an id of this core's block is left -------------------------------> answer
 *          none: a block from the metadata log (logic/producer_ids.h) -> ... -> answer
 *
 * A crash loses what is left of a block, and no id is given twice. Of a transactional id nobody
 * here is the coordinator. */
#include "api/api.h"
#include "base/check.h"
#include "cluster/machine.h"
#include "logic/producer_ids.h"

struct init_producer_id {
    struct call call;
    struct machine_request machine;
    int64_t first; /* of the block that was asked for */
    enum error error;
    bool asked;
};
const uint16_t init_producer_id_call_size = sizeof(struct init_producer_id);

static void decide(struct machine_request *machine, const struct image *image)
{
    struct init_producer_id *init = CONTAINER_OF(machine, struct init_producer_id, machine);
    init->error = producer_ids_handle(image, init->call.shard->broker->node_id, &machine->records,
                                      &init->first);
}

static enum error check_request(const struct init_producer_id_request *in)
{
    if (in->transactional_id.size == 0)
        return ERROR_INVALID_REQUEST;
    if ((in->producer_id == -1) != (in->producer_epoch == -1))
        return ERROR_INVALID_REQUEST;
    return in->transactional_id.size > 0 ? ERROR_NOT_COORDINATOR : ERROR_NONE;
}

static enum step init_producer_id_check(struct flow *flow)
{
    struct init_producer_id *init = (struct init_producer_id *)flow;
    const struct shard *shard = init->call.shard;
    init->error = check_request(init->call.in);
    if (init->error == ERROR_NONE && shard->producer_id_next == shard->producer_id_end) {
        init->asked = true;
        init->machine.handle = decide;
        init->machine.arena = &init->call.request->arena;
        machine_start(&init->machine, init->call.shard, flow);
    }
    request_next(init->call.request);
    return STEP_NEXT;
}

/* From the block that came, or from the core's. */
static int64_t take_id(struct init_producer_id *init)
{
    struct shard *shard = init->call.shard;
    if (shard->producer_id_next == shard->producer_id_end) {
        shard->producer_id_next = init->first;
        shard->producer_id_end = init->first + PRODUCER_IDS_BLOCK;
    }
    return shard->producer_id_next++;
}

static enum step init_producer_id_answer(struct flow *flow)
{
    struct init_producer_id *init = (struct init_producer_id *)flow;
    struct init_producer_id_response *out = init->call.out;
    enum error error = init->error;
    if (init->asked && error == ERROR_NONE && init->machine.error != ERROR_NONE)
        error = ERROR_COORDINATOR_NOT_AVAILABLE; /* the client asks again */
    out->error_code = (int16_t)error_for_wire(error);
    out->producer_epoch = -1;
    if (error == ERROR_NONE) {
        out->producer_id = take_id(init);
        out->producer_epoch = 0;
    }
    call_reply(&init->call, NULL);
    return STEP_NEXT;
}

const struct flow_kind init_producer_id_kind = {
    "init-producer-id", {{"check", init_producer_id_check}, {"answer", init_producer_id_answer}}};
