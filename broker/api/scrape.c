#include "api/scrape.h"
#include "api/api.h"
#include "base/check.h"
#include "base/memory.h"
#include "storage/cleaner.h"
#include "storage/scrub.h"
#include <stdio.h>

enum { RETRY_NS = 100000000 }; /* after an accept that failed by the machine's fault */

/* -- the request --------------------------------------------------------------------------- */

static bool has_end_of_head(const char *text, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++)
        if (text[i] == '\n' &&
            (text[i + 1] == '\n' || (i + 2 < size && text[i + 1] == '\r' && text[i + 2] == '\n')))
            return true;
    return false;
}

enum scrape_verdict scrape_judge(const char *text, size_t size)
{
    static const char path[] = "/metrics";
    if (!has_end_of_head(text, size))
        return size == SCRAPE_REQUEST_BYTES ? SCRAPE_BAD : SCRAPE_MORE;
    const char *line_end = memchr(text, '\n', size);
    const char *space = memchr(text, ' ', (size_t)(line_end - text));
    if (!space || space == text)
        return SCRAPE_BAD;
    if (space - text != 3 || memcmp(text, "GET", 3) != 0)
        return SCRAPE_NOT_ALLOWED;
    size_t left = (size_t)(line_end - space - 1);
    if (left <= sizeof path - 1 || memcmp(space + 1, path, sizeof path - 1) != 0)
        return SCRAPE_NOT_FOUND;
    char after = space[sizeof path];
    return after == ' ' || after == '?' || after == '\r' ? SCRAPE_METRICS : SCRAPE_NOT_FOUND;
}

/* -- the numbers --------------------------------------------------------------------------- */

static void read_cleaner(const struct cleaner_counters *counters, struct metrics *ret_metrics)
{
    ret_metrics->compactions += counters->passes;
    ret_metrics->compactions_failed += counters->failed_passes;
    ret_metrics->compaction_read_bytes += counters->read_bytes;
    ret_metrics->compaction_written_bytes += counters->written_bytes;
    ret_metrics->compaction_dropped_records += counters->dropped_records;
    ret_metrics->dirty_permille =
        max_i64(ret_metrics->dirty_permille, (int64_t)(counters->dirty_ratio_max * 1000));
}

static void read_scrub(const struct scrub_counters *counters, struct metrics *ret_metrics)
{
    ret_metrics->scrub_rounds += counters->rounds;
    ret_metrics->scrub_segments += counters->segments;
    ret_metrics->scrub_bytes += counters->read_bytes;
}

/* Adds those of one directory. */
static void read_store(const struct store *store, struct metrics *ret_metrics)
{
    const struct store_counters *stored = &store->counters;
    ret_metrics->directories_offline += store->fenced != ERROR_NONE;
    ret_metrics->journal_writes += stored->journal_writes;
    ret_metrics->journal_bytes += stored->journal_bytes;
    ret_metrics->journal_full_waits += stored->journal_full_waits;
    ret_metrics->disk_full += store->space.full;
    ret_metrics->disk_full_refusals += stored->full_refusals;
    ret_metrics->drain_writes += stored->drain_writes;
    ret_metrics->drain_bytes += stored->drain_bytes;
    ret_metrics->segment_flushes += stored->segment_flushes;
    ret_metrics->rolls += stored->rolls;
    ret_metrics->rot_found += stored->rot_found;
    if (store->scrub)
        read_scrub(&store->scrub->counters, ret_metrics);
    if (store->cleaner)
        read_cleaner(&store->cleaner->counters, ret_metrics);
}

void scrape_read(const struct shard *shard, struct metrics *ret_metrics)
{
    *ret_metrics = shard->metrics;
    ret_metrics->connections_open = shard->net->connection_count;
    ret_metrics->connections_accepted = shard->net->accepted;
    ret_metrics->request_bytes = shard->net->received_bytes;
    ret_metrics->response_bytes = shard->net->sent_bytes;
    for (int d = 0; d < shard->broker->directory_count; d++)
        read_store(shard->stores[d], ret_metrics);
}

static const char *name_of_api(int key)
{
    const struct api *api = api_find((int16_t)key);
    return api ? api->name : NULL;
}

static void render(struct scrape *scrape, enum scrape_verdict verdict)
{
    static const char *const statuses[] = {
        [SCRAPE_MORE] = "400 Bad Request",    [SCRAPE_METRICS] = "200 OK",
        [SCRAPE_NOT_FOUND] = "404 Not Found", [SCRAPE_NOT_ALLOWED] = "405 Method Not Allowed",
        [SCRAPE_BAD] = "400 Bad Request",
    };
    struct metrics *sum = memory_zeroed(sizeof *sum);
    struct writer writer;
    writer_init(&writer, NULL, 0);
    if (verdict == SCRAPE_METRICS) {
        for (int i = 0; i < scrape->broker->core_count; i++)
            metrics_add(sum, &scrape->parts[i].metrics);
        metrics_render(sum, name_of_api, &writer);
    }
    char head[256];
    int head_size = snprintf(head, sizeof head,
                             "HTTP/1.0 %s\r\nContent-Type: text/plain; version=0.0.4; "
                             "charset=utf-8\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                             statuses[verdict], writer.size);
    scrape->answer_size = (size_t)head_size + writer.size;
    scrape->answer_sent = 0;
    scrape->answer = memory_zeroed(scrape->answer_size);
    writer_init(&writer, scrape->answer, scrape->answer_size);
    write_raw(&writer, head, (size_t)head_size);
    if (verdict == SCRAPE_METRICS)
        metrics_render(sum, name_of_api, &writer);
    check(writer.error == ERROR_NONE && writer.size == scrape->answer_size);
    memory_free(sum);
}

/* -- the exchange -------------------------------------------------------------------------- */

static void operate(struct scrape *scrape, struct op op)
{
    scrape->op = op;
    scrape->op.flow = &scrape->flow;
    scrape->in_operation = true;
    op_start(scrape->core->port, &scrape->op);
}

static void interrupt(struct scrape *scrape)
{
    if (scrape->in_operation && scrape->op.running)
        scrape->core->port->operations->cancel(scrape->core->port, &scrape->op);
}

static void on_late(struct deadline *deadline)
{
    struct scrape *scrape = CONTAINER_OF(deadline, struct scrape, deadline);
    scrape->late = true;
    interrupt(scrape);
}

static enum step scrape_accept(struct flow *flow)
{
    struct scrape *scrape = CONTAINER_OF(flow, struct scrape, flow);
    if (scrape->stopping)
        return STEP_FAIL;
    operate(scrape,
            (struct op){.kind = OP_ACCEPT, .handle = scrape->listener, .address = &scrape->peer});
    return STEP_NEXT;
}

static enum step scrape_begin(struct flow *flow)
{
    struct scrape *scrape = CONTAINER_OF(flow, struct scrape, flow);
    scrape->in_operation = false;
    if (scrape->op.result < 0) {
        enum error error = op_error(scrape->op.result);
        if (!scrape->stopping && error != ERROR_CANCELLED && error != ERROR_CONNECTION_RESET)
            timer_start(&scrape->retry, scrape->core, flow,
                        scrape->core->now.monotonic_ns + RETRY_NS);
        return STEP_FAIL;
    }
    scrape->handle = (int32_t)scrape->op.result;
    scrape->late = false;
    scrape->request_size = 0;
    deadline_init(&scrape->deadline, scrape->deadlines, SCRAPE_MS);
    scrape->deadline.wake = on_late;
    deadline_start(&scrape->deadline, NULL);
    return STEP_NEXT;
}

static bool is_over(const struct scrape *scrape)
{
    return scrape->stopping || scrape->late;
}

static enum step scrape_receive(struct flow *flow)
{
    struct scrape *scrape = CONTAINER_OF(flow, struct scrape, flow);
    bool arrived = scrape->in_operation;
    scrape->in_operation = false;
    if (is_over(scrape) || (arrived && scrape->op.result <= 0))
        return STEP_FAIL;
    if (arrived)
        scrape->request_size += (size_t)scrape->op.result;
    if (scrape_judge(scrape->request, scrape->request_size) != SCRAPE_MORE)
        return STEP_NEXT;
    operate(scrape, (struct op){.kind = OP_RECEIVE,
                                .handle = scrape->handle,
                                .data = scrape->request + scrape->request_size,
                                .size = SCRAPE_REQUEST_BYTES - scrape->request_size});
    return STEP_AGAIN;
}

static enum step part_read(struct flow *flow)
{
    struct scrape_part *part = CONTAINER_OF(flow, struct scrape_part, flow);
    scrape_read(part->shard, &part->metrics);
    mail_release(&part->mail, &part->shard->core, part->scrape->core, &part->scrape->flow);
    return STEP_NEXT;
}

static const struct flow_kind part_kind = {"scrape-part", {{"read", part_read}}};

static enum step scrape_collect(struct flow *flow)
{
    struct scrape *scrape = CONTAINER_OF(flow, struct scrape, flow);
    if (scrape_judge(scrape->request, scrape->request_size) != SCRAPE_METRICS)
        return STEP_NEXT;
    for (int i = 0; i < scrape->broker->core_count; i++) {
        struct scrape_part *part = &scrape->parts[i];
        flow_hold(flow);
        mail_start(&part->mail, scrape->core, &part->shard->core, &part->flow, &part_kind);
    }
    return STEP_NEXT;
}

static enum step scrape_send(struct flow *flow)
{
    struct scrape *scrape = CONTAINER_OF(flow, struct scrape, flow);
    bool sent = scrape->in_operation;
    scrape->in_operation = false;
    if (is_over(scrape) || (sent && scrape->op.result <= 0))
        return STEP_FAIL;
    if (!scrape->answer)
        render(scrape, scrape_judge(scrape->request, scrape->request_size));
    if (sent)
        scrape->answer_sent += (size_t)scrape->op.result;
    if (scrape->answer_sent == scrape->answer_size)
        return STEP_NEXT;
    scrape->vector = (struct iovec){scrape->answer + scrape->answer_sent,
                                    scrape->answer_size - scrape->answer_sent};
    operate(scrape, (struct op){.kind = OP_SEND,
                                .handle = scrape->handle,
                                .vectors = &scrape->vector,
                                .vector_count = 1});
    return STEP_AGAIN;
}

static enum step scrape_shut(struct flow *flow);

static const struct flow_kind scrape_kind = {"scrape",
                                             {
                                                 {"accept", scrape_accept},
                                                 {"begin", scrape_begin},
                                                 {"receive", scrape_receive},
                                                 {"collect", scrape_collect},
                                                 {"send", scrape_send},
                                                 {"shut", scrape_shut},
                                             }};

static enum step end_done(struct flow *flow)
{
    struct scrape *scrape = CONTAINER_OF(flow, struct scrape, flow);
    scrape->listener = -1;
    scrape->stopped(scrape->broker);
    return STEP_NEXT;
}

static enum step end_close(struct flow *flow)
{
    struct scrape *scrape = CONTAINER_OF(flow, struct scrape, flow);
    operate(scrape, (struct op){.kind = OP_CLOSE, .handle = scrape->listener});
    return STEP_NEXT;
}

static const struct flow_kind end_kind = {"scrape-end", {{"close", end_close}, {"done", end_done}}};

/* Closes the connection, if there is one, and begins anew, or ends. */
static enum step scrape_shut(struct flow *flow)
{
    struct scrape *scrape = CONTAINER_OF(flow, struct scrape, flow);
    memory_free(scrape->answer);
    scrape->answer = NULL;
    scrape->in_operation = false; /* a close is not interrupted */
    if (scrape->handle >= 0) {
        deadline_done(&scrape->deadline);
        scrape->op = (struct op){.kind = OP_CLOSE, .flow = flow, .handle = scrape->handle};
        scrape->handle = -1;
        op_start(scrape->core->port, &scrape->op);
        return STEP_AGAIN;
    }
    flow_start(flow, scrape->stopping ? &end_kind : &scrape_kind, scrape->core);
    return STEP_NEXT;
}

/* -- set-up -------------------------------------------------------------------------------- */

enum error scrape_open(struct scrape *scrape, struct broker *broker, struct address *address)
{
    struct shard *home = &broker->shards[0];
    *scrape = (struct scrape){.broker = broker,
                              .core = &home->core,
                              .deadlines = &home->api->deadlines,
                              .retry = TIMER_INIT,
                              .listener = -1,
                              .handle = -1};
    scrape->op = (struct op){.kind = OP_LISTEN, .address = address};
    int64_t result = port_call(home->core.port, &scrape->op);
    if (result < 0)
        return op_error(result);
    scrape->listener = (int32_t)result;
    scrape->parts = memory_zeroed((size_t)broker->core_count * sizeof *scrape->parts);
    for (int i = 0; i < broker->core_count; i++) {
        scrape->parts[i].scrape = scrape;
        scrape->parts[i].shard = &broker->shards[i];
    }
    flow_start(&scrape->flow, &scrape_kind, scrape->core);
    return ERROR_NONE;
}

void scrape_stop(struct scrape *scrape, void (*stopped)(struct broker *broker))
{
    check(scrape->listener >= 0 && !scrape->stopping);
    scrape->stopping = true;
    scrape->stopped = stopped;
    timer_cancel(&scrape->retry, scrape->core);
    interrupt(scrape);
}

void scrape_close(struct scrape *scrape)
{
    if (scrape->listener >= 0)
        list_remove(&scrape->flow.link); /* of a broker that never ran */
    memory_free(scrape->parts);
    scrape->parts = NULL;
}
