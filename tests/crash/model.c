#include "crash/model.h"
#include "base/check.h"
#include "base/memory.h"
#include "crash/operations.h"
#include "crash/shares.h"
#include "protocol/batch.h"
#include "storage/log_state.h"
#include <stdio.h>

enum { EVENTS_MAX = 300000, VALUE_BYTES_MAX = 3000, BATCHES_AT_ONCE = 4 };

/* All there is to know about a log. */
struct model_log {
    const struct sent *batches; /* of the oracle: what was sent */
    int32_t count;
    int64_t start, durable_end, end;
};

struct model {
    struct rig *rig;
    struct script script;
    struct model_log logs[SCRIPT_SLOTS];
    struct flow flow;
    struct waiter waiter;
    struct log_read read;
    bool reading, ended;
};

static struct rig_settings settings_of(uint64_t seed)
{
    struct rig_settings settings = rig_settings_random(seed);
    settings.slots = SCRIPT_SLOTS;
    settings.batch_most = VALUE_BYTES_MAX;
    for (int kind = 0; kind < OP_KIND_COUNT; kind++)
        settings.world.latency[kind] = (struct world_range){100, 2000};
    settings.world.slow_once_in = 0;
    return settings;
}

/* ---- the model follows ---- */

static void follow(struct model *model)
{
    const struct oracle *oracle = model->rig->oracle;
    for (int i = 0; i < SCRIPT_SLOTS; i++) {
        const struct generation *of = &oracle->generations[i][oracle->now[i].generation];
        const struct log *log = model->rig->workers[i].log;
        model->logs[i] = (struct model_log){.batches = of->batches, .count = of->count};
        if (of->count > 0)
            model->logs[i].end = of->batches[of->count - 1].end_offset;
        model->logs[i].durable_end = oracle->now[i].acknowledged_end;
        model->logs[i].start = oracle->now[i].start_asked;
        if (log->state == LOG_OPEN && log->log_start != model->logs[i].start)
            rig_fail(model->rig, "slot %d begins at %lld, the model at %lld", i,
                     (long long)log->log_start, (long long)model->logs[i].start);
        if (log->state == LOG_OPEN && log->appended_end != model->logs[i].end)
            rig_fail(model->rig, "slot %d ends at %lld, the model at %lld", i,
                     (long long)log->appended_end, (long long)model->logs[i].end);
    }
}

/* After a start: a prefix of what was, with all that was durable. */
static void check_survivors(struct model *model, const struct model_log before[SCRIPT_SLOTS])
{
    for (int i = 0; i < SCRIPT_SLOTS && !model->rig->failure[0]; i++) {
        int64_t end = model->logs[i].end;
        if (end < before[i].durable_end || end > before[i].end)
            rig_fail(model->rig, "slot %d ends at %lld after a start, before it at %lld of %lld", i,
                     (long long)end, (long long)before[i].durable_end, (long long)before[i].end);
    }
}

/* ---- reads ---- */

static int32_t batch_holding(const struct model_log *log, int64_t offset)
{
    int32_t at = 0;
    while (at < log->count && log->batches[at].end_offset <= offset)
        at++;
    return at;
}

/* Compares the bytes that were read with the model's batches from `at` on; those that were read. */
static int32_t match(struct model *model, const struct model_log *log, int32_t at)
{
    const struct log_read *read = &model->read;
    int32_t first = at;
    for (int i = 0; i < read->parts_count; i++) {
        struct bytes part = read->parts[i];
        while (part.size > 0) {
            bool right = at < log->count && log->batches[at].end_offset <= read->end_offset &&
                         (int32_t)log->batches[at].size <= part.size &&
                         memcmp(log->batches[at].bytes, part.data, log->batches[at].size) == 0;
            if (!right) {
                rig_fail(model->rig, "a read at %lld finds other bytes behind %d batches",
                         (long long)read->offset, at - first);
                return at - first;
            }
            part.data += log->batches[at].size;
            part.size -= (int32_t)log->batches[at].size;
            at++;
        }
    }
    return at - first;
}

static void check_read(struct model *model, const struct model_log *log)
{
    const struct log_read *read = &model->read;
    bool outside = read->offset < log->start || read->offset > log->end;
    if (outside != (read->error == ERROR_OFFSET_OUT_OF_RANGE) || (!outside && read->error)) {
        rig_fail(model->rig, "a read at %lld of %lld to %lld ends with %s", (long long)read->offset,
                 (long long)log->start, (long long)log->end, error_text(read->error));
        return;
    }
    if (outside)
        return;
    int32_t at = batch_holding(log, read->offset);
    int32_t matched = match(model, log, at);
    bool there = at < log->count && log->batches[at].end_offset <= read->end_offset;
    if (there && matched == 0 && read->at_least_one)
        rig_fail(model->rig, "a read at %lld finds nothing", (long long)read->offset);
    if (read->size > read->max_bytes && (matched > 1 || !read->at_least_one))
        rig_fail(model->rig, "a read at %lld gives %d bytes, at most %d were wanted",
                 (long long)read->offset, read->size, read->max_bytes);
}

static enum step read_step(struct flow *flow)
{
    struct model *model = CONTAINER_OF(flow, struct model, flow);
    enum error error = log_open(model->read.log, &model->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    if (error) {
        rig_fail(model->rig, "open: %s", error_text(error));
        return STEP_FAIL;
    }
    model->reading = true;
    return log_read_step(&model->read, flow) ? STEP_NEXT : STEP_AGAIN;
}

static enum step read_ends(struct flow *flow)
{
    CONTAINER_OF(flow, struct model, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind read_flow = {"model read", {{"read", read_step}, {"end", read_ends}}};

static bool read_ended(void *argument)
{
    return ((const struct model *)argument)->ended;
}

/* Offsets where something changes, and any other. */
static int64_t offset_of(const struct model_log *log, uint32_t number)
{
    uint32_t rest = number / 8;
    const struct sent *batch = log->count ? &log->batches[rest % (uint32_t)log->count] : NULL;
    switch (number % 8) {
    case 0:
        return log->start - (int64_t)(rest % 2);
    case 1:
        return log->end + (int64_t)(rest % 2);
    case 2:
        return log->durable_end;
    case 3:
        return batch ? batch->base_offset : 0;
    case 4:
        return batch ? batch->end_offset - 1 : 0;
    default:
        return log->start + (int64_t)(rest % (uint64_t)(log->end - log->start + 1));
    }
}

static void do_read(struct model *model, const struct model_operation *operation)
{
    struct rig *rig = model->rig;
    follow(model);
    const struct model_log log = model->logs[operation->slot];
    uint32_t limit = operation->b % 4, bits = operation->b / 4 % 18, rest = operation->b / 128;
    model->read = (struct log_read){.log = worker_log(rig, (int32_t)operation->slot),
                                    .offset = offset_of(&log, operation->a),
                                    .max_bytes = (int32_t)(rest % (1u << bits)),
                                    .at_least_one = rest % 5 != 0};
    model->read.end_offset = limit == 0   ? log.end
                             : limit == 1 ? max_i64(0, min_i64(offset_of(&log, rest), log.end))
                                          : log.durable_end;
    model->reading = model->ended = false;
    model->waiter = (struct waiter){.flow = NULL};
    struct core *core = model->read.log->store->core;
    flow_start(&model->flow, &read_flow, core);
    world_notice(rig->world, core);
    if (!world_run(rig->world, (struct world_stop){read_ended, model, EVENTS_MAX, 0}))
        rig_fail(rig, "a read at %lld does not end", (long long)model->read.offset);
    else if (!rig->failure[0])
        check_read(model, &log);
    if (model->reading)
        log_read_done(&model->read);
}

/* ---- the other operations ---- */

static void do_append(struct model *model, const struct model_operation *operation)
{
    uint32_t bits = operation->a % 12;
    uint32_t value_bytes = 1 + operation->a / 16 % (VALUE_BYTES_MAX >> (11 - bits));
    script_append(&model->script, (int32_t)operation->slot, value_bytes,
                  1 + (int32_t)(operation->b % BATCHES_AT_ONCE));
}

static void do_follow(struct model *model, const struct model_operation *operation)
{
    uint32_t bits = operation->a % 12;
    uint32_t value_bytes = 1 + operation->a / 16 % (VALUE_BYTES_MAX >> (11 - bits));
    script_follow(&model->script, (int32_t)operation->slot, value_bytes,
                  1 + (int32_t)(operation->b % BATCHES_AT_ONCE));
}

static void do_flush(struct model *model, const struct model_operation *operation)
{
    script_do(&model->script, OPERATION_flush);
}

static void do_drain(struct model *model, const struct model_operation *operation)
{
    script_do(&model->script, OPERATION_drain);
}

static void do_checkpoint(struct model *model, const struct model_operation *operation)
{
    script_do(&model->script, OPERATION_checkpoint);
}

static void do_lap(struct model *model, const struct model_operation *operation)
{
    script_lap(&model->script, (int32_t)operation->slot);
}

static void do_truncate(struct model *model, const struct model_operation *operation)
{
    follow(model);
    int64_t offset = offset_of(&model->logs[operation->slot], operation->a);
    script_truncate(&model->script, (int32_t)operation->slot, max_i64(offset, 0));
    follow(model);
}

static void do_delete(struct model *model, const struct model_operation *operation)
{
    follow(model);
    const struct model_log *log = &model->logs[operation->slot];
    int64_t readable = log->durable_end - log->start;
    if (readable > 0)
        script_start_at(&model->script, (int32_t)operation->slot,
                        log->start + (int64_t)(operation->a % (uint64_t)(readable + 1)));
}

static void do_remove(struct model *model, const struct model_operation *operation)
{
    script_delete(&model->script, (int32_t)operation->slot);
}

static void start_again(struct model *model)
{
    struct model_log before[SCRIPT_SLOTS];
    memcpy(before, model->logs, sizeof before);
    rig_start(model->rig);
    if (model->rig->failure[0])
        return;
    follow(model);
    check_survivors(model, before);
}

static void do_stop(struct model *model, const struct model_operation *operation)
{
    script_do(&model->script, OPERATION_flush);
    follow(model);
    rig_stop(model->rig);
    start_again(model);
}

static void do_kill(struct model *model, const struct model_operation *operation)
{
    follow(model);
    rig_crash(model->rig, false);
    start_again(model);
}

static void do_power(struct model *model, const struct model_operation *operation)
{
    follow(model);
    rig_crash(model->rig, true);
    start_again(model);
}

static void (*const actions[MODEL_OPERATION_COUNT])(struct model *,
                                                    const struct model_operation *) = {
#define MODEL_OPERATION(name, weight, numbers) do_##name,
#include "crash/model_operations.def"
#undef MODEL_OPERATION
};

/* ---- scripts ---- */

void model_run(const struct model_script *script, char *failure, size_t size)
{
    struct rig_settings settings = settings_of(script->seed);
    struct oracle oracle;
    struct rig *rig = memory_zeroed(sizeof *rig);
    struct model *model = memory_zeroed(sizeof *model);
    oracle_init(&oracle, script->seed, settings.slots, settings.batch_most);
    rig_init(rig, &settings, &oracle);
    model->rig = model->script.rig = rig;
    rig_start(rig);
    int at = 0;
    for (; at < script->count && !rig->failure[0]; at++)
        actions[script->operations[at].kind](model, &script->operations[at]);
    snprintf(failure, size, "%s", "");
    if (rig->failure[0])
        snprintf(failure, size, "operation %d: %s", at, rig->failure);
    rig_done(rig);
    oracle_done(&oracle);
    memory_free(model);
    memory_free(rig);
}

struct apart {
    const struct model_script *script;
    char failure[800];
};

static void run_apart(void *element)
{
    struct apart *apart = element;
    model_run(apart->script, apart->failure, sizeof apart->failure);
}

void model_run_apart(const struct model_script *script, char *failure, size_t size)
{
    struct apart *apart = shares_take(sizeof *apart);
    check(apart);
    apart->script = script;
    int status[SHARES];
    shares_run(apart, sizeof *apart, 1, run_apart, status);
    snprintf(failure, size, "%s", apart->failure);
    if (status[0] != 0)
        snprintf(failure, size, "the process has ended with status %x", (unsigned)status[0]);
    shares_release(apart, sizeof *apart);
}
