/* Fetch, with sessions (KIP-227; logic/fetch_session.h).
 *
 *   connection's core                          partitions' cores
 *   check
 *   round: turn ──> read  ----- mail ----->    open -> read
 *              ^     enough?  <------------
 *              |     no: wait ----- mail ----->  watch each partition until one moves
 *              +---- one moved, or the deadline: the others are cancelled
 *   reply (borrows what was read, until sent)
 *   release ----------------- mail ----->      give back
 *   done
 *
 *  1. Data is read only when this request is the next to be answered, so a connection holds the
 * data of one Fetch at most.
 *  2. max_bytes is shared out evenly among the cores that take part; the first batch of each is
 *     returned whatever its size (KIP-74), so that no partition can be starved by its core's share.
 *  3. A partition in error ends the long poll, as in Kafka.
 *  4. Sessions belong to the connection's core. A client that comes back on another core is told
 *     FETCH_SESSION_ID_NOT_FOUND and begins a new one. */
#include "api/route.h"
#include "api/scatter.h"
#include "base/check.h"
#include "base/memory.h"
#include "logic/fetch_session.h"
#include "protocol/batch.h"

enum fetch_round { ROUND_TURN, ROUND_READ, ROUND_WAIT };

struct fetch_item {
    struct scatter_item base;
    const struct fetch_request_fetch_partition *in;
    struct fetch_response_partition_data *out;
    struct log_read read;
    bool reading;
    bool diverged; /* its history leaves ours: no records, at once */
    struct fetch_part *part;
    int64_t seen_watermark; /* at the last read */
    int64_t read_end;       /* that, or the last stable offset (read_committed) */
    struct fetch_response_aborted_transaction *aborted; /* of what was read; null: none */
    int32_t aborted_count;
    struct flow watch;
    struct waiter waiter;
};

struct fetch_part {
    struct scatter_part base;
    int32_t limit, size;       /* bytes: may be read; were read */
    bool failed;               /* a partition is in error */
    bool more;                 /* a read ended before all there is: at the end of a file, say */
    bool woken;                /* the wait is over; on the part's core */
    bool waiting, cancel_sent; /* on the connection's core */
    struct flow ended, cancel;
    struct mail cancel_mail;
};

struct fetch {
    struct call call;
    struct scatter scatter;
    struct fetch_context context;
    struct deadline deadline;
    int32_t part_count;
    enum fetch_round round;
    bool stop; /* waits no more */
    bool checked, failed;
};
const uint16_t fetch_call_size = sizeof(struct fetch);

/* -- on the partitions' core: read --------------------------------------------------------- */

static enum step read_open(struct flow *flow)
{
    struct fetch_part *part = (struct fetch_part *)flow;
    part->size = 0;
    part->more = false;
    return scatter_open(&part->base);
}

static bool is_committed_only(const struct fetch_item *item)
{
    return ((const struct fetch_request *)item->part->base.call->in)->isolation_level == 1;
}

/* Does the fetcher's history, of which it names the last epoch, leave ours before its offset? Then
 * it is told where (KIP-595), and gets no records. */
static enum error check_history(struct fetch_item *item)
{
    struct epoch_entry end =
        partition_end_of_epoch(item->base.partition, item->in->last_fetched_epoch);
    if (end.epoch < 0 || item->in->fetch_offset < item->out->log_start_offset)
        return ERROR_OFFSET_OUT_OF_RANGE;
    item->diverged =
        end.epoch < item->in->last_fetched_epoch || end.start_offset < item->in->fetch_offset;
    if (item->diverged) {
        item->out->diverging_epoch.epoch = end.epoch;
        item->out->diverging_epoch.end_offset = end.start_offset;
    }
    return ERROR_NONE;
}

/* What can be told before reading. Fills in the ends. */
static enum error check_item(struct fetch_item *item)
{
    struct partition *partition = item->base.partition;
    enum error error = route_check_epoch(item->in->current_leader_epoch, partition->leader_epoch);
    if (error != ERROR_NONE)
        return error;
    item->seen_watermark = partition_high_watermark(partition);
    item->out->high_watermark = item->seen_watermark;
    item->out->last_stable_offset = partition_last_stable(partition);
    item->read_end = is_committed_only(item) ? item->out->last_stable_offset : item->seen_watermark;
    item->out->log_start_offset = partition_log_start(partition);
    if (item->in->last_fetched_epoch >= 0) {
        error = check_history(item);
        if (error != ERROR_NONE || item->diverged)
            return error;
    }
    if (item->in->fetch_offset < item->out->log_start_offset ||
        item->in->fetch_offset > partition->replica.appended_end)
        return ERROR_OFFSET_OUT_OF_RANGE;
    return ERROR_NONE;
}

static void begin_read(struct fetch_part *part, struct fetch_item *item)
{
    int32_t left = part->limit - part->size;
    item->read = (struct log_read){
        .log = item->base.partition->log,
        .offset = item->in->fetch_offset,
        .end_offset = item->read_end,
        .max_bytes = item->in->partition_max_bytes < left ? item->in->partition_max_bytes : left,
        .at_least_one = part->size == 0,
    };
    if (item->read.max_bytes < 0)
        item->read.max_bytes = 0;
    list_init(&item->read.waiter.link);
    item->reading = true;
}

/* A reader of committed data is told which of it was aborted: it reads that too, and skips it. */
static void find_aborted(struct fetch_item *item)
{
    const struct partition *partition = item->base.partition;
    const struct log_read *read = &item->read;
    if (!is_committed_only(item) || read->size == 0 || read->error != ERROR_NONE)
        return;
    int64_t end = read->next_offset;
    int32_t count = partition_aborted(partition, read->offset, end, NULL, 0);
    if (count == 0)
        return;
    struct aborted_txn_entry *entries = memory_zeroed((size_t)count * sizeof *entries);
    (void)partition_aborted(partition, read->offset, end, entries, count); /* as many as before */
    item->aborted = memory_zeroed((size_t)count * sizeof *item->aborted);
    item->aborted_count = count;
    for (int32_t i = 0; i < count; i++) {
        item->aborted[i].producer_id = entries[i].producer_id;
        item->aborted[i].first_offset = entries[i].first_offset;
    }
    memory_free(entries);
}

static enum step read_items(struct flow *flow)
{
    struct fetch_part *part = (struct fetch_part *)flow;
    for (; part->base.at; part->base.at = part->base.at->next) {
        struct fetch_item *item = (struct fetch_item *)part->base.at;
        if (!item->reading) {
            if (item->base.error == ERROR_NONE)
                item->base.error = check_item(item);
            if (item->base.error != ERROR_NONE || item->diverged ||
                item->in->fetch_offset >= item->read_end ||
                (part->size > 0 && part->size >= part->limit))
                continue;
            begin_read(part, item);
        }
        if (!log_read_step(&item->read, flow))
            return STEP_AGAIN;
        item->base.error = item->read.error;
        part->size += item->read.error == ERROR_NONE ? item->read.size : 0;
        part->more |= item->read.size > 0 && item->read.next_offset < item->read_end;
        find_aborted(item);
    }
    return STEP_NEXT;
}

static enum step read_end(struct flow *flow)
{
    struct fetch_part *part = (struct fetch_part *)flow;
    part->failed = false;
    for (struct scatter_item *item = part->base.first; item; item = item->next)
        part->failed |= item->error != ERROR_NONE || ((struct fetch_item *)item)->diverged;
    scatter_end(&part->base);
    return STEP_NEXT;
}

static const struct flow_kind read_kind = {
    "fetch-read", {{"open", read_open}, {"read", read_items}, {"end", read_end}}};

static void drop_reads(struct fetch_part *part)
{
    for (struct scatter_item *base = part->base.first; base; base = base->next) {
        struct fetch_item *item = (struct fetch_item *)base;
        if (item->reading)
            log_read_done(&item->read);
        item->reading = false;
        memory_free(item->aborted);
        item->aborted = NULL;
        item->aborted_count = 0;
    }
}

static enum step release_all(struct flow *flow)
{
    struct fetch_part *part = (struct fetch_part *)flow;
    part->base.shard->metrics.fetch_bytes += (uint64_t)part->size;
    drop_reads(part);
    scatter_release(&part->base);
    scatter_end(&part->base);
    return STEP_NEXT;
}

static const struct flow_kind release_kind = {"fetch-release", {{"release", release_all}}};

/* -- on the partitions' core: wait --------------------------------------------------------- */

static void wake_part(struct fetch_part *part)
{
    part->woken = true;
    for (struct scatter_item *base = part->base.first; base; base = base->next)
        waiter_cancel(&((struct fetch_item *)base)->waiter);
}

static enum step watch_park(struct flow *flow)
{
    struct fetch_item *item = CONTAINER_OF(flow, struct fetch_item, watch);
    struct partition *partition = item->base.partition;
    bool moved = partition->deleted || partition_high_watermark(partition) != item->seen_watermark;
    if (!moved && !item->part->woken)
        waiter_park(&item->waiter, &partition->waiters, flow);
    return STEP_NEXT;
}

static enum step watch_woken(struct flow *flow)
{
    struct fetch_item *item = CONTAINER_OF(flow, struct fetch_item, watch);
    wake_part(item->part);
    flow_release(&item->part->base.flow);
    return STEP_NEXT;
}

static const struct flow_kind watch_kind = {"fetch-watch",
                                            {{"park", watch_park}, {"woken", watch_woken}}};

static enum step wait_watch(struct flow *flow)
{
    struct fetch_part *part = (struct fetch_part *)flow;
    drop_reads(part);
    part->woken = false;
    for (struct scatter_item *base = part->base.first; base; base = base->next) {
        struct fetch_item *item = (struct fetch_item *)base;
        flow_hold(flow);
        flow_start(&item->watch, &watch_kind, &part->base.shard->core);
    }
    return STEP_NEXT;
}

static void stop_waiting(struct fetch *fetch);

/* Back on the connection's core: this part waits no more, and so the others need not. */
static enum step wait_over(struct flow *flow)
{
    struct fetch_part *part = CONTAINER_OF(flow, struct fetch_part, ended);
    struct fetch *fetch = (struct fetch *)part->base.call;
    part->waiting = false;
    stop_waiting(fetch);
    flow_release(&fetch->call.flow);
    return STEP_NEXT;
}

static const struct flow_kind over_kind = {"fetch-over", {{"over", wait_over}}};

static enum step wait_end(struct flow *flow)
{
    struct fetch_part *part = (struct fetch_part *)flow;
    mail_start(&part->base.mail, &part->base.shard->core, &part->base.call->shard->core,
               &part->ended, &over_kind);
    return STEP_NEXT;
}

static const struct flow_kind wait_kind = {"fetch-wait",
                                           {{"watch", wait_watch}, {"end", wait_end}}};

static enum step cancel_part(struct flow *flow)
{
    struct fetch_part *part = CONTAINER_OF(flow, struct fetch_part, cancel);
    wake_part(part);
    mail_release(&part->cancel_mail, &part->base.shard->core, &part->base.call->shard->core,
                 &part->base.call->flow);
    return STEP_NEXT;
}

static const struct flow_kind cancel_kind = {"fetch-cancel", {{"cancel", cancel_part}}};

/* -- on the connection's core -------------------------------------------------------------- */

static void stop_waiting(struct fetch *fetch)
{
    struct scatter_part *base;
    for (int32_t at = 0; (base = scatter_next(&fetch->scatter, &at));) {
        struct fetch_part *part = (struct fetch_part *)base;
        if (!part->waiting || part->cancel_sent)
            continue;
        part->cancel_sent = true;
        flow_hold(&fetch->call.flow);
        mail_start(&part->cancel_mail, &fetch->call.shard->core, &base->shard->core, &part->cancel,
                   &cancel_kind);
    }
}

static void on_deadline(struct deadline *deadline)
{
    struct fetch *fetch = CONTAINER_OF(deadline, struct fetch, deadline);
    fetch->stop = true;
    stop_waiting(fetch);
}

static void on_cancel(struct request *request)
{
    struct fetch *fetch = request->data;
    fetch->stop = true;
    stop_waiting(fetch);
}

/* One partition of the request: into its core's part, or an error of its own. False: budget. */
static bool add_partition(struct fetch *fetch, const struct image_topic *topic,
                          const struct fetch_request_fetch_partition *in,
                          struct fetch_response_partition_data *out)
{
    struct call *call = &fetch->call;
    enum error error = (enum error)out->error_code;
    out->partition_index = in->partition;
    out->high_watermark = -1;
    out->records.whole = (struct bytes){(const uint8_t *)"", 0};
    out->aborted_transactions_count = -1;
    int32_t core = error == ERROR_NONE ? route_partition(call, topic, in->partition, &error) : -1;
    if (core < 0) {
        out->error_code = (int16_t)error;
        fetch->failed = true;
        return true;
    }
    struct fetch_item *item =
        scatter_add(&fetch->scatter, core, topic->id, in->partition, sizeof *item);
    if (!item)
        return false;
    item->in = in;
    item->out = out;
    list_init(&item->waiter.link);
    item->part = (struct fetch_part *)fetch->scatter.parts[core];
    return true;
}

static bool add_topic(struct fetch *fetch, const struct fetch_request_fetch_topic *in,
                      struct fetch_response_fetchable_topic_response *out)
{
    struct call *call = &fetch->call;
    const struct fetch_request *request = call->in;
    enum error error = ERROR_NONE;
    int32_t replica_id =
        call->version >= 15 ? request->replica_state.replica_id : request->replica_id;
    const struct image_topic *topic =
        route_topic(call, call->version >= 13, in->topic_id, in->topic, &error);
    if (route_check_isolation(request->isolation_level) != ERROR_NONE)
        error = ERROR_INVALID_REQUEST;
    if (replica_id >= 0) /* CVE-2018-1288: followers only once they can be told from clients */
        error = ERROR_CLUSTER_AUTHORIZATION_FAILED;
    out->topic = in->topic;
    out->topic_id = in->topic_id;
    out->partitions =
        call_take_messages(call, &fetch_response_partition_data_message, in->partitions_count);
    if (!out->partitions)
        return false;
    out->partitions_count = in->partitions_count;
    for (int32_t i = 0; i < in->partitions_count; i++) {
        out->partitions[i].error_code = (int16_t)error;
        if (!add_partition(fetch, topic, &in->partitions[i], &out->partitions[i]))
            return false;
    }
    return true;
}

static void share_limit(struct fetch *fetch)
{
    const struct fetch_request *in = fetch->call.in;
    int32_t most = fetch->call.shard->broker->settings->fetch_max_bytes;
    int32_t limit = in->max_bytes < most ? in->max_bytes : most;
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&fetch->scatter, &at));)
        fetch->part_count++;
    for (int32_t at = 0; (part = scatter_next(&fetch->scatter, &at));)
        ((struct fetch_part *)part)->limit = limit > 0 ? limit / fetch->part_count : 0;
}

/* Sessions age by the monotonic clock: a step of the other one closes none. */
static int64_t session_now_ms(const struct fetch *fetch)
{
    return fetch->call.shard->core.now.monotonic_ns / 1000000;
}

static enum step fetch_check(struct flow *flow)
{
    struct fetch *fetch = (struct fetch *)flow;
    const struct fetch_request *in = fetch->call.in;
    struct fetch_response *out = fetch->call.out;
    deadline_init(&fetch->deadline, &fetch->call.shard->api->deadlines, in->max_wait_ms);
    fetch->deadline.wake = on_deadline;
    fetch->call.request->cancel = on_cancel;
    if (!scatter_init(&fetch->scatter, &fetch->call, sizeof(struct fetch_part)))
        return STEP_FAIL;
    struct fetch_context *context = &fetch->context;
    fetch_session_begin(&fetch->call.shard->api->sessions, in, fetch->call.version,
                        session_now_ms(fetch), &fetch->call.request->arena, context);
    fetch->failed = context->kind == FETCH_ERROR;
    out->responses = call_take_messages(
        &fetch->call, &fetch_response_fetchable_topic_response_message, context->topics_count);
    if (!out->responses)
        return STEP_FAIL;
    for (int32_t i = 0; i < context->topics_count; i++)
        if (!add_topic(fetch, &context->topics[i], &out->responses[i]))
            return STEP_FAIL;
    out->responses_count = context->topics_count;
    share_limit(fetch);
    fetch->checked = true;
    request_next(fetch->call.request);
    return STEP_NEXT;
}

static bool is_enough(const struct fetch *fetch)
{
    const struct fetch_request *in = fetch->call.in;
    int64_t size = 0;
    bool failed = fetch->failed, more = false;
    struct scatter_part *base;
    for (int32_t at = 0; (base = scatter_next(&fetch->scatter, &at));) {
        const struct fetch_part *part = (struct fetch_part *)base;
        size += part->size;
        failed |= part->failed;
        more |= part->more;
    }
    return failed || more || size >= in->min_bytes || in->max_wait_ms <= 0 || fetch->stop ||
           fetch->deadline.passed || fetch->part_count == 0 ||
           request_is_abandoned(fetch->call.request);
}

static void start_parts(struct fetch *fetch, const struct flow_kind *kind)
{
    struct scatter_part *base;
    for (int32_t at = 0; (base = scatter_next(&fetch->scatter, &at));) {
        struct fetch_part *part = (struct fetch_part *)base;
        part->waiting = kind == &wait_kind;
        part->cancel_sent = false;
        if (kind == &read_kind)
            scatter_start(base, kind);
        else
            scatter_start_uncounted(base, kind);
    }
}

static enum step fetch_round(struct flow *flow)
{
    struct fetch *fetch = (struct fetch *)flow;
    if (fetch->round == ROUND_TURN && !request_is_next(fetch->call.request, flow))
        return STEP_AGAIN;
    if (fetch->round == ROUND_READ) {
        if (is_enough(fetch))
            return STEP_NEXT;
        fetch->round = ROUND_WAIT;
        deadline_start(&fetch->deadline, NULL);
        start_parts(fetch, &wait_kind);
    } else {
        fetch->round = ROUND_READ;
        start_parts(fetch, &read_kind);
    }
    return STEP_AGAIN;
}

static enum step fetch_reply(struct flow *flow)
{
    struct fetch *fetch = (struct fetch *)flow;
    const struct fetch_request *in = fetch->call.in;
    deadline_done(&fetch->deadline);
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&fetch->scatter, &at));) {
        for (struct scatter_item *base = part->first; base; base = base->next) {
            struct fetch_item *item = (struct fetch_item *)base;
            item->out->error_code = (int16_t)error_for_wire(base->error);
            item->out->aborted_transactions_count = in->isolation_level ? 0 : -1;
            if (base->error != ERROR_NONE || !item->reading || item->read.size == 0)
                continue;
            item->out->records = (struct records){.whole = {NULL, item->read.size},
                                                  .parts = item->read.parts,
                                                  .parts_count = item->read.parts_count};
            item->out->aborted_transactions = item->aborted;
            if (in->isolation_level)
                item->out->aborted_transactions_count = item->aborted_count;
        }
    }
    struct shard *shard = fetch->call.shard;
    if (!request_is_abandoned(fetch->call.request))
        fetch_session_end(&shard->api->sessions, &fetch->context, session_now_ms(fetch),
                          &shard->random, fetch->call.out);
    call_reply(&fetch->call, flow);
    return STEP_NEXT;
}

static enum step fetch_release(struct flow *flow)
{
    start_parts((struct fetch *)flow, &release_kind);
    return STEP_NEXT;
}

static enum step fetch_done(struct flow *flow)
{
    struct fetch *fetch = (struct fetch *)flow;
    if (fetch->checked)
        request_done(fetch->call.request);
    else
        call_refuse(&fetch->call, error_text(ERROR_NO_MEMORY));
    return STEP_NEXT;
}

const struct flow_kind fetch_kind = {"fetch",
                                     {
                                         {"check", fetch_check},
                                         {"round", fetch_round},
                                         {"reply", fetch_reply},
                                         {"release", fetch_release},
                                         {"done", fetch_done},
                                     }};
