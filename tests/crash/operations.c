#include "crash/operations.h"
#include "base/check.h"
#include "base/memory.h"
#include "crash/model_producers.h"
#include "protocol/batch.h"
#include "storage/log_start.h"
#include "storage/log_state.h"
#include "storage/log_truncate.h"
#include <stdio.h>

enum operation_end { BEGUN, DURABLE, DRAINED, IDLE };

enum {
    EVENTS_MAX = 300000,
    VALUE_SMALL = 400,
    VALUE_ROLL = 3600, /* more than what is left of a segment with anything in it */
    VALUE_LAP = 1900,
    PRELUDE_BATCHES = 9, /* of VALUE_LAP: three quarters of the ring */
};

struct operation_row {
    const char *name;
    enum operation_end end;
    void (*begin)(struct script *script);
};

/* What a variant changes. */
struct variant {
    int cores;
    uint32_t sector_bytes;
    bool names_as_prefix;
    uint32_t flush_all_files;
    uint64_t short_write_once_in;
    int32_t open_files; /* 0: no limit */
};

static const struct variant variants[SCRIPT_VARIANTS] = {
    {1, 512, false, 100, 0, 0},
    {2, 512, false, 100, 0, 1}, /* a journal for each log */
    {1, 4096, true, 0, 0, 1},   /* one flush for all files */
    {1, 512, false, 10, 3, 1},
};

struct rig_settings script_settings(uint64_t seed, int variant)
{
    const struct variant *of = &variants[variant];
    struct world_settings world = world_settings_default();
    world.slow_once_in = 0;
    world.sector_bytes = world.direct_alignment = of->sector_bytes;
    world.names_as_prefix = of->names_as_prefix;
    world.short_write_once_in = of->short_write_once_in;
    return (struct rig_settings){
        .seed = seed,
        .cores = of->cores,
        .slots = SCRIPT_SLOTS,
        .world = world,
        .store = {.directory = "data",
                  .journal_block_bytes = 4096,
                  .journal_initial_bytes = 40960,
                  .journal_bytes = 40960,
                  .drain_bytes = 1 << 20, /* only when asked for */
                  .idle_ns = (int64_t)3600 * 1000000000,
                  .flush_all_files = of->flush_all_files,
                  .drains = 2},
        .log = {.segment_bytes = 4096, .index_interval_bytes = 64, .index_bytes = 256},
        .batch_most = 1000,
        .open_files = of->open_files,
    };
}

/* ---- appends ---- */

static void make_batch(struct append_task *task)
{
    struct oracle *oracle = task->worker->rig->oracle;
    task->sequence = oracle->next_sequence++;
    struct random random;
    random_seed(&random, oracle->seed << 32 | task->sequence);
    uint8_t value[SCRIPT_BATCH_BYTES / 2];
    for (uint32_t at = 0; at < task->value_bytes; at++)
        value[at] = (uint8_t)random_next(&random);
    struct batch_builder builder;
    batch_builder_init(&builder, task->batch, sizeof task->batch);
    for (uint32_t i = 0; i < 2; i++) {
        struct record record = {.timestamp = 1700000000000 + task->sequence,
                                .key = {(const uint8_t *)&task->sequence, sizeof task->sequence},
                                .value = {value, i ? 8 : (int32_t)task->value_bytes}};
        check(batch_builder_add(&builder, &record) == ERROR_NONE);
    }
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    task->batch_size = (int32_t)builder.size_bytes;
    if (task->value_bytes >= VALUE_LAP)
        return; /* its size is what matters, and a marker in its place would be small */
    struct bytes made = {task->batch, task->batch_size};
    struct bytes next = model_next_batch(oracle, task->worker->slot, &random, made);
    check(next.size <= (int32_t)sizeof task->batch);
    memcpy(task->batch, next.data, (size_t)next.size);
    task->batch_size = next.size;
    memory_free((void *)(uintptr_t)next.data);
}

static enum step append_step(struct flow *flow)
{
    struct append_task *task = CONTAINER_OF(flow, struct append_task, flow);
    struct rig *rig = task->worker->rig;
    struct log *log = task->worker->log;
    enum error error = log_open(log, &task->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    if (task->left == 0 || (task->laps && log->store->journal.lap != task->lap))
        return STEP_NEXT;
    if (task->batch_size == 0)
        make_batch(task);
    struct bytes batch = {task->batch, task->batch_size};
    struct log_append_result result = {0};
    if (!error && task->follows) {
        batch_assign(task->batch, log->appended_end, rig->oracle->leader_epoch);
        error = log_append_follower(log, batch, &result);
    } else if (!error) {
        error = log_append(log, batch, rig->oracle->leader_epoch, &result);
    }
    if (error == ERROR_WOULD_WAIT) {
        waiter_park(&task->waiter, log_room(log), flow);
        return STEP_AGAIN;
    }
    if (error && log->store->space.full && !log->store->fenced) {
        rig->refusals++;
        timer_start(&task->timer, flow->core, flow, flow->core->now.monotonic_ns + FULL_PAUSE_NS);
        return STEP_AGAIN;
    }
    if (error && rig->faulty) {
        rig->told = true;
        return STEP_FAIL;
    }
    if (error) {
        rig_fail(rig, "slot %d: append: %s", task->worker->slot, error_text(error));
        return STEP_FAIL;
    }
    oracle_sent(rig->oracle, task->worker->slot,
                (struct sent){.base_offset = result.base_offset,
                              .end_offset = result.end_offset,
                              .size = (uint32_t)batch.size,
                              .sequence = task->sequence},
                batch.data);
    rig->appended += (uint64_t)batch.size;
    task->batch_size = 0;
    task->left--;
    return STEP_AGAIN;
}

static enum step append_ends(struct flow *flow)
{
    CONTAINER_OF(flow, struct append_task, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind append_flow = {"append",
                                             {{"append", append_step}, {"end", append_ends}}};

static void begin_append(struct script *script, int32_t slot, uint32_t value_bytes, int32_t count)
{
    struct append_task *task = &script->tasks[slot];
    *task = (struct append_task){.worker = &script->rig->workers[slot],
                                 .value_bytes = value_bytes,
                                 .left = count,
                                 .timer = TIMER_INIT};
    struct log *log = worker_log(script->rig, slot);
    flow_start(&task->flow, &append_flow, log->store->core);
    world_notice(script->rig->world, log->store->core);
}

static void begin_lap(struct script *script, int32_t slot)
{
    begin_append(script, slot, VALUE_LAP, INT32_MAX);
    struct append_task *task = &script->tasks[slot];
    task->laps = true;
    task->lap = task->worker->log->store->journal.lap;
}

/* ---- truncation ---- */

static enum step truncate_step(struct flow *flow)
{
    struct truncate_task *task = CONTAINER_OF(flow, struct truncate_task, flow);
    struct worker *worker = task->worker;
    enum error error = log_open(worker->log, &task->waiter, flow);
    if (!error)
        error = log_truncate(worker->log, task->offset, &task->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    if (error) {
        rig_fail(worker->rig, "slot %d: truncation: %s", worker->slot, error_text(error));
        return STEP_FAIL;
    }
    if (worker->log->appended_end != task->end)
        rig_fail(worker->rig, "slot %d: cut off at %lld it ends at %lld, not %lld", worker->slot,
                 (long long)task->offset, (long long)worker->log->appended_end,
                 (long long)task->end);
    worker->rig->index_gap_bytes = INDEX_GAP_BYTES; /* the log was opened again */
    world_record_mark(worker->rig->world, 0,
                      oracle_truncated(worker->rig->oracle, worker->slot, task->end));
    worker->rig->promises[worker->slot] = worker->rig->oracle->now[worker->slot];
    return STEP_NEXT;
}

static enum step truncate_ends(struct flow *flow)
{
    struct truncate_task *task = CONTAINER_OF(flow, struct truncate_task, flow);
    task->worker->cuts = false;
    task->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind truncate_flow = {
    "truncate", {{"truncate", truncate_step}, {"end", truncate_ends}}};

/* Nothing is cut that is committed, and the log start is at most that: then nothing goes. */
static int64_t end_left(const struct rig *rig, int32_t slot, int64_t offset)
{
    const struct promise *now = &rig->oracle->now[slot];
    const struct generation *of = &rig->oracle->generations[slot][now->generation];
    int32_t kept = of->count;
    while (kept > 0 && of->batches[kept - 1].end_offset > offset)
        kept--;
    int64_t end = kept ? of->batches[kept - 1].end_offset : 0;
    int64_t least = max_i64(now->start_asked, rig->workers[slot].committed_end);
    return end >= least ? offset : of->count ? of->batches[of->count - 1].end_offset : offset;
}

static void begin_truncate(struct script *script, int32_t slot, int64_t offset)
{
    struct rig *rig = script->rig;
    offset = end_left(rig, slot, offset);
    struct truncate_task *task = &script->cuts[slot];
    struct log *log = worker_log(rig, slot);
    *task = (struct truncate_task){.worker = &rig->workers[slot], .offset = offset};
    world_record_mark(rig->world, 0, oracle_truncate(rig->oracle, slot, offset, &task->end));
    rig->promises[slot] = rig->oracle->now[slot];
    task->worker->cuts = true;
    task->worker->cut_end = task->end;
    flow_start(&task->flow, &truncate_flow, log->store->core);
    world_notice(rig->world, log->store->core);
}

/* ---- what the rows do ---- */

static void do_append(struct script *script)
{
    begin_append(script, 0, VALUE_SMALL, 1);
}

static void do_follow(struct script *script)
{
    begin_append(script, 0, VALUE_SMALL, 1);
    script->tasks[0].follows = true;
}

static void do_append_to_two(struct script *script)
{
    begin_append(script, 0, VALUE_SMALL, 1);
    begin_append(script, 1, VALUE_SMALL, 1);
}

static void do_roll(struct script *script)
{
    begin_append(script, 0, VALUE_ROLL, 1);
}

static void do_flush(struct script *script)
{
    (void)script; /* its end is all that there is to it */
}

static void do_drain(struct script *script)
{
    for (int i = 0; i < SCRIPT_SLOTS; i++)
        drain_request(worker_log(script->rig, i));
    for (int i = 0; i < script->rig->settings.cores; i++)
        world_notice(script->rig->world, &script->rig->cores[i].core);
}

static enum step start_step(struct flow *flow)
{
    struct append_task *task = CONTAINER_OF(flow, struct append_task, flow);
    struct log *log = task->worker->log;
    enum error error = log_open(log, &task->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    const struct segment *active = log_active(log);
    bool all = task->rolls && !log->cut && log->durable_end == log->appended_end;
    if (!error && all && log->state == LOG_OPEN && active && active->size > 0)
        log_roll(log);
    if (task->rolls)
        task->offset = log->durable_end;
    int64_t half = log->log_start + (log->durable_end - log->log_start) / 2;
    if (!error)
        error = log_start_at(log, task->offset >= 0 ? task->offset : half);
    if (error == ERROR_WOULD_WAIT) {
        waiter_park(&task->waiter, log_room(log), flow);
        return STEP_AGAIN;
    }
    if (error)
        rig_fail(task->worker->rig, "slot %d: log start: %s", task->worker->slot,
                 error_text(error));
    return STEP_NEXT;
}

static const struct flow_kind start_flow = {"start", {{"start", start_step}, {"end", append_ends}}};

/* `offset` -1: in the middle of what is durable. */
static void begin_start(struct script *script, int32_t slot, int64_t offset)
{
    struct append_task *task = &script->tasks[slot];
    *task = (struct append_task){.worker = &script->rig->workers[slot], .offset = offset};
    struct log *log = worker_log(script->rig, slot);
    flow_start(&task->flow, &start_flow, log->store->core);
    world_notice(script->rig->world, log->store->core);
}

static void do_retention(struct script *script)
{
    begin_start(script, 0, -1);
    script->tasks[0].rolls = true;
}

static void do_delete_records(struct script *script)
{
    begin_start(script, 0, -1);
}

static void do_snapshot(struct script *script)
{
    script_append(script, 0, VALUE_SMALL, 3);
    script_do(script, OPERATION_roll);
    script_do(script, OPERATION_flush);
    do_drain(script);
}

static void do_checkpoint(struct script *script)
{
    for (int i = 0; i < script->rig->settings.cores; i++) {
        checkpoint_request(&script->rig->cores[i].store, true);
        world_notice(script->rig->world, &script->rig->cores[i].core);
    }
}

static void do_idle_close(struct script *script)
{
    for (int i = 0; i < SCRIPT_SLOTS; i++)
        script->rig->workers[i].log->used_ns = -1;
    for (int i = 0; i < script->rig->settings.cores; i++) {
        struct rig_core *core = &script->rig->cores[i];
        core->store.options.log_idle_ns = 1;
        core->store.checkpoint.closes_logs = true;
        timer_cancel(&core->store.checkpoint.idle_timer, &core->core);
        world_notice(script->rig->world, &core->core);
    }
}

static void do_lap(struct script *script)
{
    begin_lap(script, 0);
}

/* At the beginning of the batch in the middle. */
static void do_truncate(struct script *script)
{
    const struct oracle *oracle = script->rig->oracle;
    const struct generation *of = &oracle->generations[0][oracle->now[0].generation];
    int64_t offset = of->count ? of->batches[of->count / 2].base_offset : 0;
    begin_truncate(script, 0, offset);
}

static void begin_delete(struct script *script, int32_t slot)
{
    struct worker *worker = &script->rig->workers[slot];
    struct core *core = worker->log->store->core;
    worker_remove_log(worker);
    world_notice(script->rig->world, core);
}

static void do_delete_topic(struct script *script)
{
    begin_delete(script, 0);
}

static void end_recording(struct script *script)
{
    script->recordings[script->recording_count - 1].recording =
        world_record_stop(script->rig->world, 0);
}

static void do_clean_stop(struct script *script)
{
    rig_stop(script->rig);
    if (script->records) {
        end_recording(script);
        script_record(script);
    }
    rig_start(script->rig);
}

static const struct operation_row rows[OPERATION_COUNT] = {
#define OPERATION(name, end) {#name, end, do_##name},
#include "crash/operations.def"
#undef OPERATION
};

const char *operation_name(enum operation operation)
{
    return rows[operation].name;
}

enum operation operation_of(const char *name, size_t size)
{
    for (int i = 0; i < OPERATION_COUNT; i++)
        if (strlen(rows[i].name) == size && memcmp(rows[i].name, name, size) == 0)
            return (enum operation)i;
    return OPERATION_COUNT;
}

/* ---- ends ---- */

static bool is_over(const struct script *script)
{
    return script->rig->faulty && rig_is_fenced(script->rig);
}

static bool tasks_ended(void *argument)
{
    const struct script *script = argument;
    bool ended = true;
    for (int i = 0; i < SCRIPT_SLOTS; i++)
        ended = ended && (script->tasks[i].ended || !script->tasks[i].worker) &&
                (script->cuts[i].ended || !script->cuts[i].worker);
    return ended || script->rig->failure[0] || is_over(script);
}

static bool is_durable(void *argument)
{
    const struct script *script = argument;
    bool durable = tasks_ended(argument);
    for (int i = 0; i < SCRIPT_SLOTS; i++) {
        const struct log *log = script->rig->workers[i].log;
        bool ended = log->durable_end == log->appended_end && log_start_is_durable(log);
        durable = durable && (ended || log->state == LOG_FAILED);
    }
    return durable || script->rig->failure[0] || is_over(script);
}

static bool is_drained(void *argument)
{
    const struct script *script = argument;
    bool drained = true;
    for (int i = 0; i < SCRIPT_SLOTS; i++)
        drained = drained && !script->rig->workers[i].log->draining;
    return drained || is_over(script);
}

static bool is_idle(void *argument)
{
    const struct script *script = argument;
    bool idle = is_durable(argument);
    for (int i = 0; i < script->rig->settings.cores; i++)
        idle = idle && !store_is_at_work(&script->rig->cores[i].store) &&
               !script->rig->cores[i].store.checkpoint.closes_logs;
    return idle || script->rig->failure[0] || is_over(script);
}

static void await(struct script *script, enum operation_end end, const char *name)
{
    static bool (*const ends[])(void *) = {tasks_ended, is_durable, is_drained, is_idle};
    struct rig *rig = script->rig;
    if (rig->failure[0])
        return;
    struct world_stop stop = {ends[end], script, EVENTS_MAX, 0};
    if (!ends[end](script) && !world_run(rig->world, stop))
        rig_fail(rig, "%s does not end", name);
    if (rig->world->violation_count)
        rig_fail(rig, "violation: %s", rig->world->violation);
    script->over = is_over(script);
    if (rig_is_fenced(rig) && !rig->faulty)
        rig_fail(rig, "%s: the store is fenced", name);
}

void script_do(struct script *script, enum operation operation)
{
    if (script->rig->failure[0] || script->over)
        return;
    rows[operation].begin(script);
    await(script, rows[operation].end, rows[operation].name);
}

void script_append(struct script *script, int32_t slot, uint32_t value_bytes, int32_t count)
{
    if (script->rig->failure[0] || script->over)
        return;
    begin_append(script, slot, value_bytes, count);
    await(script, BEGUN, "append");
}

void script_follow(struct script *script, int32_t slot, uint32_t value_bytes, int32_t count)
{
    if (script->rig->failure[0])
        return;
    begin_append(script, slot, value_bytes, count);
    script->tasks[slot].follows = true;
    await(script, BEGUN, "follower's append");
}

void script_truncate(struct script *script, int32_t slot, int64_t offset)
{
    if (script->rig->failure[0])
        return;
    begin_truncate(script, slot, offset);
    await(script, BEGUN, "truncation");
}

void script_lap(struct script *script, int32_t slot)
{
    if (script->rig->failure[0])
        return;
    begin_lap(script, slot);
    await(script, BEGUN, "lap");
}

void script_start_at(struct script *script, int32_t slot, int64_t offset)
{
    if (script->rig->failure[0])
        return;
    begin_start(script, slot, offset);
    await(script, BEGUN, "log start");
}

void script_delete(struct script *script, int32_t slot)
{
    if (!script->rig->failure[0])
        begin_delete(script, slot);
}

void script_begin(struct script *script, struct rig *rig)
{
    *script = (struct script){.rig = rig};
    rig_start(rig);
    if (rig->failure[0])
        return;
    begin_append(script, 0, VALUE_LAP, PRELUDE_BATCHES);
    await(script, IDLE, "prelude");
    script_do(script, OPERATION_checkpoint);
    script_do(script, OPERATION_delete_topic);
    await(script, IDLE, "prelude");
    script_do(script, OPERATION_append_to_two);
    await(script, IDLE, "prelude");
}

void script_record(struct script *script)
{
    if (script->rig->failure[0])
        return;
    check(script->recording_count < SCRIPT_RECORDINGS);
    script->recordings[script->recording_count++] = (struct script_recording){
        .events = script->rig->oracle->event_count, .from = script->last ? 0 : UINT32_MAX};
    script->records = true;
    world_record_start(script->rig->world, 0);
}

void script_last(struct script *script)
{
    if (script->rig->failure[0])
        return;
    script->last = true;
    script->recordings[script->recording_count - 1].from =
        script->rig->world->machines[0]->recording->count;
}

void script_end(struct script *script)
{
    await(script, IDLE, "what is at work");
    if (script->records)
        end_recording(script);
}

void script_done(struct script *script)
{
    for (int i = 0; i < script->recording_count; i++)
        disk_recording_destroy(script->recordings[i].recording);
}
