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
 *  5. What waits past timeout_ms is answered REQUEST_TIMED_OUT; it may still become durable. */
#include "api/route.h"
#include "api/scatter.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/reached.h"
#include "net/connection.h"
#include "protocol/batch.h"

struct produce_item {
    struct scatter_item base;
    struct bytes batches;
    struct produce_response_partition_produce_response *out;
    struct log_append_result result;
    bool appended;
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
    int32_t uncopied;    /* parts that still read from the frame */
    struct list recoded; /* of buffers: batches that were recompressed */
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
        item->base.error = error;
        item->appended = error == ERROR_NONE;
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
    if (--produce->uncopied == 0) {
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
        if (!item->appended)
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
        metrics->produce_batches += item->appended;
        metrics->produce_bytes += item->appended ? (uint64_t)item->batches.size : 0;
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

/* Judges what one partition was sent; fills in the errors of the answer. */
static enum error check_records(struct call *call, struct records records,
                                const struct batch_rules *rules,
                                struct produce_response_partition_produce_response *out)
{
    struct batch_report report;
    struct batch batch;
    if (records.whole.size <= 0) {
        out->error_message = STRING("there are no records");
        return ERROR_INVALID_RECORD;
    }
    if (batch_view(records.whole.data, (size_t)records.whole.size, &batch) == ERROR_NONE &&
        batch.producer_id >= 0) {
        out->error_message = STRING("idempotent and transactional producers are not supported by "
                                    "this version");
        return ERROR_INVALID_RECORD;
    }
    struct arena *scratch = &call->shard->api->scratch;
    enum error error = batch_validate(records.whole, rules, scratch, &report);
    arena_reset(scratch, SCRATCH_KEPT_BYTES);
    if (error == ERROR_NO_MEMORY) {
        error = ERROR_MESSAGE_TOO_LARGE;
        report.text = "the batch is too large when decompressed";
    }
    if (error != ERROR_NONE) {
        refuse_records(call, &report, out);
        return error;
    }
    /* The frame is this request's own memory: the leader's timestamp goes into it in place. */
    batch_stamp((void *)records.whole.data, (size_t)records.whole.size, rules->append_time,
                report.max_timestamp);
    if (rules->append_time)
        out->log_append_time_ms = report.max_timestamp;
    return ERROR_NONE;
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
    };
}

/* What is the same for all partitions of a topic in a request. */
struct produce_topic {
    const struct image_topic *topic; /* null: there is none */
    struct topic_settings settings;
    struct batch_rules rules;
};

/* The codec that a topic wants, unless it keeps the producer's, and its level. */
static enum codec wanted_codec(const struct topic_settings *settings, int *ret_level)
{
    *ret_level = 0;
    switch ((enum compression_type)settings->compression_type) {
    case COMPRESSION_GZIP:
        *ret_level = settings->compression_gzip_level;
        return CODEC_GZIP;
    case COMPRESSION_SNAPPY:
        return CODEC_SNAPPY;
    case COMPRESSION_LZ4:
        *ret_level = settings->compression_lz4_level;
        return CODEC_LZ4;
    case COMPRESSION_ZSTD:
        *ret_level = settings->compression_zstd_level;
        return CODEC_ZSTD;
    default:
        return CODEC_NONE;
    }
}

/* Gives a valid batch the topic's codec: as it is if it has it, else a copy in a buffer that lives
 * as long as the frame. Its size counts anew, as in Kafka. */
static enum error recode(struct produce *produce, const struct produce_topic *topic,
                         struct bytes *batches)
{
    struct shard *shard = produce->call.shard;
    struct arena *scratch = &shard->api->scratch;
    int level;
    enum codec codec = wanted_codec(&topic->settings, &level);
    struct batch batch;
    enum error error = batch_view(batches->data, (size_t)batches->size, &batch);
    check(error == ERROR_NONE);
    if (topic->settings.compression_type == COMPRESSION_PRODUCER ||
        (batch.attributes & BATCH_CODEC_MASK) == (int)codec)
        return ERROR_NONE;
    struct bytes recoded;
    error = batch_recode(&batch, codec, level, scratch, &recoded);
    if (error == ERROR_NONE && recoded.size > topic->rules.size_max_bytes)
        error = ERROR_MESSAGE_TOO_LARGE;
    if (error == ERROR_NONE && recoded.size > topic->rules.segment_max_bytes)
        error = ERROR_RECORD_LIST_TOO_LARGE;
    if (error == ERROR_NONE) {
        struct buffer *buffer = buffers_take_always(&shard->core.buffers, (size_t)recoded.size);
        memcpy(buffer->data, recoded.data, (size_t)recoded.size);
        list_push(&produce->recoded, &buffer->link);
        *batches = (struct bytes){buffer->data, recoded.size};
    }
    arena_reset(scratch, SCRATCH_KEPT_BYTES);
    return error == ERROR_NO_MEMORY ? ERROR_MESSAGE_TOO_LARGE : error;
}

/* One partition of the request: into its core's part, or an error of its own. False: budget. */
static bool add_partition(struct produce *produce, const struct produce_topic *to,
                          const struct produce_request_partition_produce_data *in,
                          struct produce_response_partition_produce_response *out)
{
    const struct image_topic *topic = to->topic;
    struct bytes batches = in->records.whole;
    struct call *call = &produce->call;
    enum error error = ERROR_NONE;
    out->index = in->index;
    out->base_offset = -1;
    int32_t core = topic ? route_partition(call, topic, in->index, &error) : -1;
    if (core >= 0)
        error = check_records(call, in->records, &to->rules, out);
    if (core >= 0 && error == ERROR_NONE)
        error = recode(produce, to, &batches);
    if (error != ERROR_NONE || core < 0) {
        if (out->error_code == ERROR_NONE)
            out->error_code = (int16_t)error_for_wire(error);
        return true;
    }
    struct produce_item *item = call_take(call, 1, sizeof *item);
    if (!item)
        return false;
    item->base.topic_id = topic->id;
    item->base.index = in->index;
    item->batches = batches;
    item->out = out;
    return scatter_add(&produce->scatter, core, &item->base);
}

static bool add_topic(struct produce *produce, const struct produce_request_topic_produce_data *in,
                      struct produce_response_topic_produce_response *out)
{
    struct call *call = &produce->call;
    const struct produce_request *request = call->in;
    enum error error = ERROR_NONE;
    struct produce_topic topic = {0};
    if (request->acks < -1 || request->acks > 1)
        error = ERROR_INVALID_REQUIRED_ACKS;
    else
        topic.topic = route_topic(call, call->version >= 13, in->topic_id, in->name, &error);
    if (topic.topic) {
        image_topic_settings(topic.topic, call->shard->broker->settings, &topic.settings);
        rules_of(call, &topic.settings, &topic.rules);
    }
    out->name = call_copy_string(call, in->name); /* the frame is gone when this is encoded */
    out->topic_id = in->topic_id;
    out->partition_responses = call_take_messages(
        call, &produce_response_partition_produce_response_message, in->partition_data_count);
    if (!out->partition_responses)
        return false;
    out->partition_responses_count = in->partition_data_count;
    for (int32_t i = 0; i < in->partition_data_count; i++) {
        out->partition_responses[i].error_code = (int16_t)error;
        if (!add_partition(produce, &topic, &in->partition_data[i], &out->partition_responses[i]))
            return false;
    }
    return true;
}

static enum step produce_check(struct flow *flow)
{
    struct produce *produce = (struct produce *)flow;
    const struct produce_request *in = produce->call.in;
    struct produce_response *out = produce->call.out;
    list_init(&produce->recoded);
    if (!scatter_init(&produce->scatter, &produce->call, sizeof(struct produce_part)))
        return STEP_FAIL;
    out->responses = call_take_messages(
        &produce->call, &produce_response_topic_produce_response_message, in->topic_data_count);
    if (!out->responses)
        return STEP_FAIL;
    for (int32_t i = 0; i < in->topic_data_count; i++)
        if (!add_topic(produce, &in->topic_data[i], &out->responses[i]))
            return STEP_FAIL;
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
