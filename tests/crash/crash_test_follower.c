/* A follower's log: batches with offsets of their own and gaps between them, refusals, cuts inside
 * of gaps and batches, and logs that begin anew, over every kind of end of a process. */
#include "base/check.h"
#include "base/memory.h"
#include "crash/rig.h"
#include "protocol/batch.h"
#include "storage/log_start.h"
#include "storage/log_state.h"
#include "storage/log_truncate.h"
#include "support/test.h"
#include <stdio.h>

enum what { FOLLOW, BROKEN, LEAD, CUT, ANEW, START, READ, CHECKPOINT, KILL, POWER, STOP };

static const char *const names[] = {"follow", "broken",     "lead", "cut",   "anew", "start",
                                    "read",   "checkpoint", "kill", "power", "stop"};

/* One step: what is done, what is answered, and the log afterwards. */
struct row {
    enum what what;
    int64_t offset; /* of the batch, of the cut, to be read */
    int32_t count;  /* of records; of a read: the first record's offset */
    enum error error;
    int64_t start, end;
};

struct task {
    struct flow flow;
    struct waiter waiter;
    struct log *log;
    struct row row;
    struct log_read read;
    enum error error;
    int64_t found;
    bool ended, reading;
    uint8_t batch[1024];
    int32_t batch_size;
};

static void make(struct task *task)
{
    struct batch_builder builder;
    batch_builder_init(&builder, task->batch, sizeof task->batch);
    for (int32_t i = 0; i < task->row.count; i++) {
        struct record record = {.timestamp = 1700000000000 + task->row.offset + i,
                                .value = {(const uint8_t *)"value", 5}};
        batch_builder_add(&builder, &record);
    }
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    task->batch_size = (int32_t)builder.size_bytes;
    batch_assign(task->batch, task->row.offset, 3 + (int32_t)(task->row.offset / 50));
    if (task->row.what == BROKEN)
        task->batch[task->batch_size - 1] ^= 1;
}

static enum error act(struct task *task, struct flow *flow)
{
    struct log *log = task->log;
    struct bytes batch = {task->batch, task->batch_size};
    struct log_append_result result;
    enum error error = ERROR_NONE;
    switch (task->row.what) {
    case FOLLOW:
    case BROKEN:
        error = log_append_follower(log, batch, &result);
        break;
    case LEAD:
        error = log_append(log, batch, 9, &result);
        break;
    case CUT:
        return log_truncate(log, task->row.offset, &task->waiter, flow);
    case ANEW:
        return log_restart_at(log, task->row.offset, &task->waiter, flow);
    case START:
        error = log_start_at(log, task->row.offset);
        break;
    default:
        break;
    }
    if (error == ERROR_WOULD_WAIT)
        waiter_park(&task->waiter, log_room(log), flow);
    return error;
}

static enum step task_act(struct flow *flow)
{
    struct task *task = CONTAINER_OF(flow, struct task, flow);
    task->error = log_open(task->log, &task->waiter, flow);
    if (!task->error)
        task->error = act(task, flow);
    return task->error == ERROR_WOULD_WAIT ? STEP_AGAIN : STEP_NEXT;
}

static enum step task_read(struct flow *flow)
{
    struct task *task = CONTAINER_OF(flow, struct task, flow);
    if (task->row.what != READ)
        return STEP_NEXT;
    if (!task->reading)
        task->read = (struct log_read){.log = task->log,
                                       .offset = task->row.offset,
                                       .end_offset = task->log->appended_end,
                                       .max_bytes = 1,
                                       .at_least_one = true};
    task->reading = true;
    if (!log_read_step(&task->read, flow))
        return STEP_AGAIN;
    task->error = task->read.error;
    task->found = task->read.size ? (int64_t)load_be64(task->read.parts[0].data) : -1;
    log_read_done(&task->read);
    return STEP_NEXT;
}

static enum step task_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct task, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind task_kind = {
    "task", {{"act", task_act}, {"read", task_read}, {"end", task_end}}};

static bool has_ended(void *argument)
{
    return ((const struct task *)argument)->ended;
}

static bool is_idle(void *argument)
{
    return !store_is_at_work(&((struct rig *)argument)->cores[0].store);
}

static bool is_durable(void *argument)
{
    const struct rig *rig = argument;
    const struct log *log = rig->workers[0].log;
    return log->durable_end == log->appended_end && !rig->cores[0].store.journal.writing;
}

static void start(struct rig *rig, enum rig_starts starts)
{
    if (!rig->world->machines[0]->running)
        world_start(rig->world, 0);
    rig->lives++;
    rig->resumes = starts == STARTS_RESUME;
    TRUE_(rig_recover(rig));
    EQ_TEXT(rig->refusal, "");
    rig_open(rig);
    (void)worker_log(rig, 0);
}

static void run_row(struct rig *rig, struct task *task, const struct row *row)
{
    struct log *log = worker_log(rig, 0);
    *task = (struct task){.log = log, .row = *row};
    if (row->what <= LEAD)
        make(task);
    flow_start(&task->flow, &task_kind, log->store->core);
    world_notice(rig->world, log->store->core);
    TRUE_(world_run(rig->world, (struct world_stop){has_ended, task, 100000, 0}));
    TRUE_(is_durable(rig) ||
          world_run(rig->world, (struct world_stop){is_durable, rig, 100000, 0}));
}

static void run(const struct row *rows, int count, enum rig_starts starts, uint64_t seed)
{
    struct oracle oracle;
    struct rig *rig = memory_zeroed(sizeof *rig);
    struct task *task = memory_zeroed(sizeof *task);
    struct rig_settings settings = rig_settings_random(seed);
    settings.slots = settings.cores = 1;
    settings.log.segment_bytes = 200; /* a batch or two */
    oracle_init(&oracle, seed, 1, 100);
    rig_init(rig, &settings, &oracle);
    rig->image = true; /* the oracle knows nothing of this log */
    start(rig, starts);
    for (int i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        if (row->what == CHECKPOINT) {
            checkpoint_request(&rig->cores[0].store, true);
            world_notice(rig->world, &rig->cores[0].core);
            TRUE_(world_run(rig->world, (struct world_stop){is_idle, rig, 100000, 0}));
        } else if (row->what == KILL || row->what == POWER) {
            rig_crash(rig, row->what == POWER);
            start(rig, starts);
        } else if (row->what == STOP) {
            rig->workers[0].ended = true;
            rig->damaged = true; /* so that nothing is compared with the oracle */
            rig_stop(rig);
            rig->damaged = false;
            start(rig, starts);
        }
        run_row(rig, task, row);
        const struct log *log = rig->workers[0].log;
        bool right = task->error == row->error && log->log_start == row->start &&
                     log->appended_end == row->end && log->durable_end == row->end &&
                     (row->what != READ || task->found == row->count);
        test_expect(right, __FILE__, __LINE__,
                    "seed %llu, starts %d, row %d, %s %lld: %s, %lld to %lld, found %lld",
                    (unsigned long long)seed, starts, i, names[row->what], (long long)row->offset,
                    error_text(task->error), (long long)log->log_start,
                    (long long)log->appended_end, (long long)task->found);
        EQ_TEXT(rig->failure, "");
        EQ(rig->world->violation_count, 0);
    }
    rig_done(rig);
    oracle_done(&oracle);
    memory_free(task);
    memory_free(rig);
}

static void run_all(const struct row *rows, int count)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        for (int starts = STARTS_CLASSIC; starts <= STARTS_RESUME; starts++)
            run(rows, count, (enum rig_starts)starts, seed);
}

TEST(follower, takes_what_the_leader_has)
{
    static const struct row rows[] = {
        {FOLLOW, 0, 3, ERROR_NONE, 0, 3},
        {FOLLOW, 10, 2, ERROR_NONE, 0, 12},
        {FOLLOW, 11, 1, ERROR_OFFSET_OUT_OF_RANGE, 0, 12},
        {BROKEN, 12, 1, ERROR_CORRUPT_MESSAGE, 0, 12},
        {READ, 0, 0, ERROR_NONE, 0, 12},
        {READ, 5, 10, ERROR_NONE, 0, 12},
        {READ, 11, 10, ERROR_NONE, 0, 12},
        {FOLLOW, 60, 2, ERROR_NONE, 0, 62},
        {KILL, 0, 0, ERROR_NONE, 0, 62},
        {READ, 5, 10, ERROR_NONE, 0, 62},
        {READ, 12, 60, ERROR_NONE, 0, 62},
        {LEAD, 0, 1, ERROR_NONE, 0, 63},
        {CHECKPOINT, 0, 0, ERROR_NONE, 0, 63},
        {POWER, 0, 0, ERROR_NONE, 0, 63},
        {READ, 5, 10, ERROR_NONE, 0, 63},
        {FOLLOW, 70, 1, ERROR_NONE, 0, 71},
        {STOP, 0, 0, ERROR_NONE, 0, 71},
        {READ, 62, 62, ERROR_NONE, 0, 71},
        {READ, 65, 70, ERROR_NONE, 0, 71},
        {READ, 72, -1, ERROR_OFFSET_OUT_OF_RANGE, 0, 71},
    };
    run_all(rows, sizeof rows / sizeof rows[0]);
}

TEST(follower, is_cut_off)
{
    static const struct row rows[] = {
        {FOLLOW, 0, 3, ERROR_NONE, 0, 3},     {FOLLOW, 3, 3, ERROR_NONE, 0, 6},
        {FOLLOW, 6, 3, ERROR_NONE, 0, 9},     {CUT, 9, 0, ERROR_NONE, 0, 9},
        {CUT, 8, 0, ERROR_NONE, 0, 6}, /* the batch goes whole */
        {READ, 6, -1, ERROR_NONE, 0, 6},      {READ, 7, -1, ERROR_OFFSET_OUT_OF_RANGE, 0, 6},
        {KILL, 0, 0, ERROR_NONE, 0, 6},       {FOLLOW, 6, 1, ERROR_NONE, 0, 7},
        {CUT, 3, 0, ERROR_NONE, 0, 3},        {FOLLOW, 3, 1, ERROR_NONE, 0, 4},
        {POWER, 0, 0, ERROR_NONE, 0, 4},      {READ, 3, 3, ERROR_NONE, 0, 4},
        {CHECKPOINT, 0, 0, ERROR_NONE, 0, 4}, {CUT, 1, 0, ERROR_NONE, 0, 0},
        {POWER, 0, 0, ERROR_NONE, 0, 0},      {FOLLOW, 0, 2, ERROR_NONE, 0, 2},
        {STOP, 0, 0, ERROR_NONE, 0, 2},       {READ, 0, 0, ERROR_NONE, 0, 2},
    };
    run_all(rows, sizeof rows / sizeof rows[0]);
}

TEST(follower, begins_anew)
{
    static const struct row rows[] = {
        {ANEW, 40, 0, ERROR_NONE, 40, 40}, /* before there is any file */
        {KILL, 0, 0, ERROR_NONE, 40, 40},
        {FOLLOW, 40, 3, ERROR_NONE, 40, 43},
        {FOLLOW, 43, 3, ERROR_NONE, 40, 46},
        {ANEW, 100, 0, ERROR_NONE, 100, 100},
        {READ, 45, -1, ERROR_OFFSET_OUT_OF_RANGE, 100, 100},
        {POWER, 0, 0, ERROR_NONE, 100, 100},
        {CHECKPOINT, 0, 0, ERROR_NONE, 100, 100},
        {POWER, 0, 0, ERROR_NONE, 100, 100},
        {FOLLOW, 100, 5, ERROR_NONE, 100, 105},
        {KILL, 0, 0, ERROR_NONE, 100, 105},
        {READ, 102, 100, ERROR_NONE, 100, 105},
        {CUT, 99, 0, ERROR_OFFSET_OUT_OF_RANGE, 100, 105}, /* a log start never goes back */
        {ANEW, 99, 0, ERROR_OFFSET_OUT_OF_RANGE, 100, 105},
        {CUT, 104, 0, ERROR_NONE, 100, 100},
        {STOP, 0, 0, ERROR_NONE, 100, 100},
        {FOLLOW, 103, 2, ERROR_NONE, 100, 105},
        {START, 104, 0, ERROR_NONE, 104, 105}, /* inside the batch */
        {CUT, 104, 0, ERROR_NONE, 104, 104},   /* which goes whole */
        {KILL, 0, 0, ERROR_NONE, 104, 104},
        {CHECKPOINT, 0, 0, ERROR_NONE, 104, 104},
        {POWER, 0, 0, ERROR_NONE, 104, 104},
        {FOLLOW, 104, 2, ERROR_NONE, 104, 106},
        {STOP, 0, 0, ERROR_NONE, 104, 106},
        {READ, 104, 104, ERROR_NONE, 104, 106},
    };
    run_all(rows, sizeof rows / sizeof rows[0]);
}
