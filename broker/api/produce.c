/* Produce.
 *
 *   connection's core                       partitions' cores
 *   check: acks, topics, batches
 *   scatter  ----------- mail ----------->  open -> append -> await (unless acks=0) -> answer
 *   (frame given back) <---- copied ------          |
 *   reply    <---------- mail ------------ <--------+
 *
 *  1. Batches are validated on the connection's core, while their bytes are hot; the other core
 * only copies them into its journal.
 *  2. The frame is borrowed until every part has copied its batches (or given up on them).
 *  3. acks 1 and -1 are the same to a single replica: both wait until the records are durable and
 *     below the high watermark.
 *  4. A batch whose codec is not the topic's (compression.type) is recompressed into a buffer, held
 *     as long as the frame.
 *  5. A batch that takes long to judge (produce.inline.bytes) is judged by a helper thread, one of
 *     a request at a time; the connection's next request waits, other connections don't.
 *  6. A batch that its producer sends again is answered with the offset of the first time, and as
 *     late: when that is durable (storage/producer_state.h).
 *  7. What waits past timeout_ms is answered REQUEST_TIMED_OUT; it may still become durable. */
#include "api/judge.h"
#include "api/route.h"
#include "api/scatter.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "net/connection.h"

enum { PARTITION_BYTES = 64 }; /* what a partition without records counts for in a step */

struct produce_item {
    struct scatter_item base;
    struct bytes batches;
    struct produce_response_partition_produce_response *out;
    struct log_append_result result;
    bool appended; /* or was before, by a request that was sent again */
};

/* A batch with a helper thread. */
struct judging {
    struct judgement judgement;
    struct op op;
    bool is_away;
};

struct produce_part {
    struct scatter_part base;
    struct lane *lane; /* of the connection, to this core */
    uint64_t number;   /* in it */
    struct mail copied_mail;
    struct flow copied; /* on the connection's core */
    struct deadline deadline;
};

struct produce {
    struct call call;
    struct scatter scatter;
    int32_t topic_at, partition_at; /* what is to be judged next */
    size_t spent_bytes;             /* read and made in this step */
    struct judging *judging;        /* with a helper thread; null before the first */
    int32_t uncopied;               /* parts that still read from the frame */
    struct list recoded;            /* of buffers: batches that were recompressed */
};
const uint16_t produce_call_size = sizeof(struct produce);

/* -- on the partitions' core --------------------------------------------------------------- */

/* Requests of one connection append in the order in which they came (max.in.flight of clients rests
 * on it), whatever an earlier one has to wait for. */
static enum step part_turn(struct flow *flow)
{
    struct produce_part *part = (struct produce_part *)flow;
    if (part->lane->turn == part->number)
        return STEP_NEXT;
    REACHED("a later request waits for its turn");
    waiter_park_until(&part->base.waiter, &part->lane->waiters, flow, (int64_t)part->number);
    return STEP_AGAIN;
}

static enum step part_open(struct flow *flow)
{
    struct produce_part *part = (struct produce_part *)flow;
    const struct produce_request *in = part->base.call->in;
    if (!part->deadline.owner)
        deadline_init(&part->deadline, &part->base.shard->api->deadlines, in->timeout_ms);
    return scatter_open(&part->base);
}

static enum step part_append(struct flow *flow)
{
    struct produce_part *part = (struct produce_part *)flow;
    const struct produce_request *in = part->base.call->in;
    for (struct scatter_item **at = &part->base.at; *at; *at = (*at)->next) {
        struct produce_item *item = (struct produce_item *)*at;
        if (item->base.error != ERROR_NONE)
            continue;
        enum error error = ERROR_NONE;
        if (in->acks == -1 && !replica_has_min_insync(&item->base.partition->replica))
            error = ERROR_NOT_ENOUGH_REPLICAS;
        else if (part->deadline.passed)
            error = ERROR_REQUEST_TIMED_OUT;
        else
            error = partition_append(item->base.partition, item->batches, &item->result,
                                     &part->base.waiter, flow);
        if (error == ERROR_WOULD_WAIT) {
            deadline_start(&part->deadline, &part->base.waiter);
            return STEP_AGAIN;
        }
        item->appended = error == ERROR_NONE || error == ERROR_DUPLICATE_SEQUENCE_NUMBER;
        item->base.error = item->appended ? ERROR_NONE : error;
    }
    part->base.at = part->base.first;
    return STEP_NEXT;
}

static void drop_recoded(struct produce *produce)
{
    for (struct list *node; (node = list_pop(&produce->recoded));)
        buffer_release(CONTAINER_OF(node, struct buffer, link));
}

static enum step copied_done(struct flow *flow)
{
    struct produce_part *part = CONTAINER_OF(flow, struct produce_part, copied);
    struct produce *produce = (struct produce *)part->base.call;
    if (--produce->uncopied == 0 || MUTANT(budget_given_back_early)) {
        produce->call.request->client_id = STRING_NULL;
        request_release_frame(produce->call.request);
        drop_recoded(produce);
    }
    return STEP_NEXT;
}

static const struct flow_kind copied_kind = {"produce-copied", {{"copied", copied_done}}};

static enum step part_copied(struct flow *flow)
{
    struct produce_part *part = (struct produce_part *)flow;
    part->lane->turn++;
    waiters_wake_until(&part->lane->waiters, (int64_t)part->lane->turn);
    mail_start(&part->copied_mail, &part->base.shard->core, &part->base.call->shard->core,
               &part->copied, &copied_kind);
    return STEP_NEXT;
}

static enum step part_await(struct flow *flow)
{
    struct produce_part *part = (struct produce_part *)flow;
    const struct produce_request *in = part->base.call->in;
    for (struct scatter_item **at = &part->base.at; *at && in->acks != 0; *at = (*at)->next) {
        struct produce_item *item = (struct produce_item *)*at;
        if (!item->appended ||
            (item->result.is_duplicate && MUTANT(duplicate_answered_before_durable)))
            continue;
        enum error error = partition_await(item->base.partition, item->result.end_offset,
                                           &part->base.waiter, flow);
        if (error == ERROR_WOULD_WAIT && part->deadline.passed) {
            waiter_cancel(&part->base.waiter);
            error = ERROR_REQUEST_TIMED_OUT;
        }
        if (error == ERROR_WOULD_WAIT) {
            deadline_start(&part->deadline, &part->base.waiter);
            return STEP_AGAIN;
        }
        item->base.error = error;
    }
    return STEP_NEXT;
}

static enum step part_answer(struct flow *flow)
{
    struct produce_part *part = (struct produce_part *)flow;
    struct metrics *metrics = &part->base.shard->metrics;
    deadline_done(&part->deadline);
    for (struct scatter_item *at = part->base.first; at; at = at->next) {
        struct produce_item *item = (struct produce_item *)at;
        bool is_new = item->appended && !item->result.is_duplicate;
        metrics->produce_batches += is_new;
        metrics->produce_bytes += is_new ? (uint64_t)item->batches.size : 0;
        metrics->produce_duplicates += item->appended && !is_new;
    }
    scatter_release(&part->base);
    scatter_end(&part->base);
    return STEP_NEXT;
}

static const struct flow_kind part_kind = {"produce-part",
                                           {
                                               {"turn", part_turn},
                                               {"open", part_open},
                                               {"append", part_append},
                                               {"copied", part_copied},
                                               {"await", part_await},
                                               {"answer", part_answer},
                                           }};

/* -- on the connection's core -------------------------------------------------------------- */

static struct string text_of(const char *text)
{
    return text ? string_of(text) : STRING_NULL;
}

static void refuse_records(struct call *call, const struct batch_report *report,
                           struct produce_response_partition_produce_response *out)
{
    out->error_message = text_of(report->text);
    int32_t count = report->records_count;
    out->record_errors =
        call_take_messages(call, &produce_response_batch_index_and_error_message_message, count);
    out->record_errors_count = out->record_errors ? count : 0;
    for (int32_t i = 0; i < out->record_errors_count; i++) {
        out->record_errors[i].batch_index = report->record_errors[i];
        out->record_errors[i].batch_index_error_message = text_of(report->text);
    }
}

static void rules_of(const struct call *call, const struct topic_settings *settings,
                     struct batch_rules *rules)
{
    *rules = (struct batch_rules){
        .now_ms = call->shard->core.now.wall_ms,
        .before_max_ms = settings->message_timestamp_before_max_ms,
        .after_max_ms = settings->message_timestamp_after_max_ms,
        .size_max_bytes = settings->max_message_bytes,
        .segment_max_bytes = settings->segment_bytes,
        .record_max_bytes = settings->max_decompressed_message_bytes,
        .produce_version = call->version,
        .append_time = settings->message_timestamp_type == TIMESTAMP_LOG_APPEND_TIME,
        .keys_required = settings->cleanup_policy & CLEANUP_COMPACT,
    };
}

/* What is the same for all partitions of a topic in a request. */
struct produce_topic {
    const struct image_topic *topic; /* null: there is none, as `error` says */
    enum error error;
    struct topic_settings settings;
    struct batch_rules rules;
};

/* The recompressed batch in a buffer that lives as long as the frame. */
static struct bytes keep_recoded(struct produce *produce, struct bytes recoded)
{
    struct shard *shard = produce->call.shard;
    struct buffer *buffer = buffers_take_always(&shard->core.buffers, (size_t)recoded.size);
    memcpy(buffer->data, recoded.data, (size_t)recoded.size);
    list_push(&produce->recoded, &buffer->link);
    REACHED("recompressed");
    return (struct bytes){buffer->data, recoded.size};
}

/* Judges at once, if that is short. False: it is not, or the budget for that was too small. */
static bool judge_at_once(struct produce *produce, struct judgement *judgement)
{
    struct shard *shard = produce->call.shard;
    struct arena *scratch = &shard->api->scratch;
    size_t budget, whole_budget = scratch->budget_bytes;
    if (!judgement_is_short(judgement, shard->broker->settings->produce_inline_bytes, &budget))
        return false;
    scratch->budget_bytes = budget;
    bool is_judged = judge(judgement, scratch);
    scratch->budget_bytes = whole_budget;
    if (is_judged && judgement->stored.data != judgement->batches.data)
        judgement->stored = keep_recoded(produce, judgement->stored);
    produce->spent_bytes += scratch->used_bytes;
    arena_reset(scratch, SCRATCH_KEPT_BYTES);
    return is_judged;
}

/* Hands it to a helper thread. False: budget. */
static bool judge_away(struct produce *produce, const struct judgement *judgement)
{
    struct judging *judging = produce->judging;
    if (!judging)
        judging = produce->judging = call_take(&produce->call, 1, sizeof *judging);
    if (!judging)
        return false;
    REACHED("a batch is judged by a helper thread");
    judging->judgement = *judgement;
    judging->is_away = true;
    judging->op = (struct op){.kind = OP_WORK,
                              .flow = &produce->call.flow,
                              .work = judge_apart,
                              .data = &judging->judgement};
    op_start(produce->call.shard->core.port, &judging->op);
    return true;
}

/* It is back: its outcome, with what was recompressed in a buffer. */
static void take_back(struct produce *produce, struct judgement *ret_judgement)
{
    struct judging *judging = produce->judging;
    struct judgement *judgement = &judging->judgement;
    judging->is_away = false;
    if (judging->op.result < 0) /* no thread was to be had: so this one does it */
        judge_apart(judgement);
    *ret_judgement = *judgement;
    if (judgement->stored.data != judgement->batches.data) {
        ret_judgement->stored = keep_recoded(produce, judgement->stored);
        memory_free((void *)judgement->stored.data);
    }
}

/* One partition of the request: into its core's part, or an error of its own. AGAIN: a helper
 * thread has its batch, and releases the flow. FAIL: budget. */
static enum step add_partition(struct produce *produce, const struct produce_topic *to,
                               const struct produce_request_partition_produce_data *in,
                               struct produce_response_partition_produce_response *out)
{
    struct call *call = &produce->call;
    struct judgement judgement = {.error = to->error};
    bool is_back = produce->judging && produce->judging->is_away;
    int32_t core = -1;
    if (is_back)
        take_back(produce, &judgement);
    if (to->error)
        judgement.error = to->error;
    else if (!judgement.error)
        core = route_partition(call, to->topic, in->index, &judgement.error);
    if (core >= 0 && !is_back) {
        judgement_init(&judgement, in->records.whole, &to->rules, &to->settings);
        if (!judge_at_once(produce, &judgement))
            return judge_away(produce, &judgement) ? STEP_AGAIN : STEP_FAIL;
    }
    out->index = in->index;
    out->base_offset = -1;
    out->error_code = (int16_t)error_for_wire(judgement.error);
    if (judgement.report.text)
        refuse_records(call, &judgement.report, out);
    if (judgement.error)
        return STEP_NEXT;
    if (to->rules.append_time)
        out->log_append_time_ms = judgement.report.max_timestamp;
    struct produce_item *item =
        scatter_add(&produce->scatter, core, to->topic->id, in->index, sizeof *item);
    if (!item)
        return STEP_FAIL;
    item->batches = judgement.stored;
    item->out = out;
    return STEP_NEXT;
}

/* What the request's topic is now: it is looked up again after every wait. */
static void find_topic(const struct produce *produce,
                       const struct produce_request_topic_produce_data *in,
                       struct produce_topic *ret_topic)
{
    const struct call *call = &produce->call;
    const struct produce_request *request = call->in;
    *ret_topic = (struct produce_topic){0};
    if (request->acks < -1 || request->acks > 1)
        ret_topic->error = ERROR_INVALID_REQUIRED_ACKS;
    else
        ret_topic->topic = route_topic((struct call *)call, call->version >= 13, in->topic_id,
                                       in->name, &ret_topic->error);
    if (!ret_topic->topic)
        return;
    image_topic_settings(ret_topic->topic, call->shard->broker->settings, &ret_topic->settings);
    rules_of(call, &ret_topic->settings, &ret_topic->rules);
}

static bool begin_topic(struct call *call, const struct produce_request_topic_produce_data *in,
                        struct produce_response_topic_produce_response *out)
{
    out->name = call_copy_string(call, in->name); /* the frame is gone when this is encoded */
    out->topic_id = in->topic_id;
    out->partition_responses = call_take_messages(
        call, &produce_response_partition_produce_response_message, in->partition_data_count);
    out->partition_responses_count = out->partition_responses ? in->partition_data_count : 0;
    return out->partition_responses;
}

/* Judges what is left of one topic. NEXT: all of it is done. */
static enum step check_topic(struct produce *produce)
{
    struct call *call = &produce->call;
    const struct produce_request *request = call->in;
    const struct produce_request_topic_produce_data *in = &request->topic_data[produce->topic_at];
    struct produce_response *response = call->out;
    struct produce_response_topic_produce_response *out = &response->responses[produce->topic_at];
    size_t most_bytes = (size_t)call->shard->broker->settings->produce_inline_bytes;
    struct produce_topic topic;
    find_topic(produce, in, &topic);
    if (!out->partition_responses && !begin_topic(call, in, out))
        return STEP_FAIL;
    while (produce->partition_at < in->partition_data_count) {
        int32_t at = produce->partition_at;
        const struct produce_request_partition_produce_data *data = &in->partition_data[at];
        if (produce->spent_bytes > most_bytes)
            return STEP_AGAIN;
        enum step step = add_partition(produce, &topic, data, &out->partition_responses[at]);
        if (step != STEP_NEXT)
            return step;
        produce->spent_bytes += (size_t)max_i64(data->records.whole.size, 0) + PARTITION_BYTES;
        produce->partition_at++;
    }
    return STEP_NEXT;
}

static enum step produce_check(struct flow *flow)
{
    struct produce *produce = (struct produce *)flow;
    const struct produce_request *in = produce->call.in;
    struct produce_response *out = produce->call.out;
    if (!out->responses) {
        list_init(&produce->recoded);
        if (!scatter_init(&produce->scatter, &produce->call, sizeof(struct produce_part)))
            return STEP_FAIL;
        out->responses = call_take_messages(
            &produce->call, &produce_response_topic_produce_response_message, in->topic_data_count);
        if (!out->responses)
            return STEP_FAIL;
    }
    produce->spent_bytes = 0;
    for (; produce->topic_at < in->topic_data_count; produce->topic_at++) {
        enum step step = check_topic(produce);
        if (step != STEP_NEXT)
            return step;
        produce->partition_at = 0;
    }
    out->responses_count = in->topic_data_count;
    return STEP_NEXT;
}

static struct lane *lanes_of(struct connection *connection, const struct broker *broker)
{
    if (!connection->lanes) {
        connection->lanes = memory_zeroed((size_t)broker->core_count * sizeof(struct lane));
        for (int i = 0; i < broker->core_count; i++)
            list_init(&connection->lanes[i].waiters);
    }
    return connection->lanes;
}

static enum step produce_scatter(struct flow *flow)
{
    struct produce *produce = (struct produce *)flow;
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&produce->scatter, &at));)
        produce->uncopied++;
    struct lane *lanes = lanes_of(produce->call.request->connection, produce->call.shard->broker);
    for (int32_t at = 0; (part = scatter_next(&produce->scatter, &at));) {
        struct produce_part *own = (struct produce_part *)part;
        own->lane = &lanes[part->shard->core.id];
        own->number = own->lane->sent++;
        scatter_start(part, &part_kind);
    }
    request_next(produce->call.request);
    return STEP_NEXT;
}

/* Writes what the parts found into the answer. */
static void gather_results(struct produce *produce, bool *ret_failed)
{
    struct scatter_part *part;
    for (int32_t at = 0; (part = scatter_next(&produce->scatter, &at));) {
        for (struct scatter_item *base = part->first; base; base = base->next) {
            struct produce_item *item = (struct produce_item *)base;
            item->out->error_code = (int16_t)error_for_wire(base->error);
            if (base->error != ERROR_NONE)
                continue;
            item->out->base_offset = item->result.base_offset;
            item->out->log_start_offset = item->result.log_start_offset;
            if (item->result.is_duplicate) /* as Kafka does, whatever the topic's timestamps */
                item->out->log_append_time_ms = item->result.timestamp_ms;
        }
    }
    const struct produce_response *out = produce->call.out;
    for (int32_t i = 0; i < out->responses_count; i++)
        for (int32_t j = 0; j < out->responses[i].partition_responses_count; j++)
            *ret_failed |= out->responses[i].partition_responses[j].error_code != ERROR_NONE;
}

static enum step produce_reply(struct flow *flow)
{
    struct produce *produce = (struct produce *)flow;
    const struct produce_request *in = produce->call.in;
    const struct produce_response *out = produce->call.out;
    drop_recoded(produce); /* where no part was ever started */
    if (out->responses_count != in->topic_data_count) {
        call_refuse(&produce->call, error_text(ERROR_NO_MEMORY));
        return STEP_NEXT;
    }
    bool failed = false;
    gather_results(produce, &failed);
    /* As Kafka: who asked for no answer learns of a failure by a closed connection. */
    if (in->acks != 0)
        call_reply(&produce->call, NULL);
    else if (failed)
        call_refuse(&produce->call, "a partition failed and acks=0 has no other way to say so");
    else
        call_reply_nothing(&produce->call);
    return STEP_NEXT;
}

const struct flow_kind produce_kind = {"produce",
                                       {
                                           {"check", produce_check},
                                           {"scatter", produce_scatter},
                                           {"reply", produce_reply},
                                       }};
