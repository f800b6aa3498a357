/* The flows of a keyed log: a writer, and a reader from the start to the end. */
#include "base/check.h"
#include "base/memory.h"
#include "crash/keyed_process.h"
#include "storage/log_state.h"

/* A full disk has room again at once here: it is to be noticed after a few looks, one a second. */
static const int64_t full_pause_ns = 50000000, full_most_ns = 60000000000;

/* ---- writing ---- */

void keyed_mark(struct keyed *keyed)
{
    world_record_mark(keyed->world, 0, keyed->durable << 32 | keyed->committed);
}

void keyed_moved(struct log *log, void *context)
{
    struct keyed_process *process = context;
    struct keyed *keyed = process->keyed;
    if (log->state != LOG_OPEN || log->durable_end <= keyed->durable)
        return;
    keyed->durable = log->durable_end;
    if (keyed->settles || random_once_in(&process->random, keyed->settings.commit_once_in))
        keyed->committed = keyed->durable;
    keyed_mark(keyed);
}

int64_t keyed_stable_end(const struct log *log, void *context)
{
    return ((struct keyed_process *)context)->keyed->committed;
}

bool keyed_process_is_fenced(const struct keyed_process *process)
{
    return process->store.fenced != ERROR_NONE;
}

bool keyed_is_fenced(const struct keyed *keyed)
{
    return keyed->process && keyed_process_is_fenced(keyed->process);
}

/* Refused on a full disk: the same batch once more, a little later. */
static void append_later(struct keyed_process *process, struct flow *flow)
{
    int64_t now_ns = flow->core->now.monotonic_ns;
    process->keyed->refusals++;
    if (process->full_since_ns == 0)
        process->full_since_ns = now_ns;
    else if (now_ns - process->full_since_ns > full_most_ns)
        keyed_fail(process->keyed, "append: refused for ever, though there is room");
    timer_start(&process->write_timer, flow->core, flow, now_ns + full_pause_ns);
}

static void append(struct keyed_process *process, struct waiter *waiter, struct flow *flow)
{
    struct keyed *keyed = process->keyed;
    struct log_append_result result;
    if (process->size == 0)
        process->size = keyed_make(keyed, process->batch, process->made, &process->made_count);
    struct bytes batches = {process->batch, (int32_t)process->size};
    enum error error = log_append(process->log, batches, KEYED_EPOCH, &result);
    if (error == ERROR_WOULD_WAIT) {
        process->full_since_ns = 0;
        waiter_park(waiter, log_room(process->log), flow);
        return;
    }
    if (error && process->store.space.full && !keyed_process_is_fenced(process)) {
        append_later(process, flow);
        return;
    }
    if (error) {
        if (!keyed_process_is_fenced(process))
            keyed_fail(keyed, "append: %s", error_text(error));
        return;
    }
    process->full_since_ns = 0;
    check(result.base_offset == keyed->count);
    if (keyed->count + process->made_count > keyed->capacity) {
        keyed->capacity = 2 * keyed->capacity + 1024;
        keyed->records =
            memory_resized(keyed->records, (size_t)keyed->capacity * sizeof keyed->records[0]);
    }
    for (int i = 0; i < process->made_count; i++) {
        process->made[i].appended_ms = flow->core->now.wall_ms;
        process->made[i].batch_base = result.base_offset;
        process->made[i].batch_last = result.end_offset - 1;
        keyed->records[keyed->count++] = process->made[i];
    }
    process->size = 0;
}

static enum step write_step(struct flow *flow)
{
    struct keyed_process *process = CONTAINER_OF(flow, struct keyed_process, write_flow);
    if (process->stopping || process->keyed->failure[0] || keyed_process_is_fenced(process))
        return STEP_FAIL;
    append(process, &process->write_waiter, flow);
    if (process->full_since_ns > 0)
        return STEP_AGAIN;
    if (random_once_in(&process->random, process->keyed->settings.pause_once_in))
        timer_start(&process->write_timer, flow->core, flow,
                    flow->core->now.monotonic_ns +
                        (int64_t)random_below(&process->random, 3000000));
    return STEP_AGAIN;
}

static enum step write_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct keyed_process, write_flow)->writing = false;
    return STEP_NEXT;
}

static const struct flow_kind write_kind = {"writer", {{"write", write_step}, {"end", write_end}}};

void keyed_start_writer(struct keyed_process *process)
{
    process->stopping = false;
    process->writing = true;
    process->write_timer = TIMER_INIT;
    flow_start(&process->write_flow, &write_kind, &process->core);
}

/* ---- reading, from the start to the end, again and again or once ---- */

static enum step read_step(struct flow *flow)
{
    struct keyed_process *process = CONTAINER_OF(flow, struct keyed_process, read_flow);
    struct keyed *keyed = process->keyed;
    struct log *log = process->log;
    struct log_read *read = &process->read;
    if (!process->reading) {
        enum error error = log_open(log, &process->read_waiter, flow);
        if (error == ERROR_WOULD_WAIT)
            return STEP_AGAIN;
        if (error || keyed_process_is_fenced(process)) {
            if (!keyed_process_is_fenced(process))
                keyed_fail(keyed, "open: %s", error_text(error));
            return STEP_FAIL;
        }
        if (process->read_end < 0) {
            process->read_end = log->durable_end;
            keyed_seen_init(&process->seen, keyed, 0);
            if (process->once) {
                if (log->durable_end < keyed->durable)
                    keyed_fail(keyed, "the log ends at %lld, durable was %lld",
                               (long long)log->durable_end, (long long)keyed->durable);
                process->seen.strict = true;
                process->seen.gap_end = keyed->committed;
                process->seen.clean_end = keyed->cleaned_end > 0 ? keyed->cleaned_end : 0;
            }
        }
        if (process->seen.next >= process->read_end || keyed->failure[0]) {
            if (process->once && !keyed->failure[0])
                keyed_seen_end(&process->seen, process->read_end, keyed->committed);
            keyed_note_time(keyed); /* a tombstone may have gone meanwhile */
            if (!process->once && !keyed->failure[0])
                keyed_seen_meanwhile(&process->seen, process->read_end);
            process->read_end = -1;
            keyed->reads++;
            if (process->once || process->stopping || keyed->failure[0])
                return STEP_FAIL;
        }
        if (process->stopping)
            return STEP_FAIL;
        if (process->read_end < 0 && !process->once) {
            timer_start(&process->read_timer, flow->core, flow,
                        flow->core->now.monotonic_ns +
                            (int64_t)random_below(&process->random, 1000000));
            return STEP_AGAIN;
        }
        *read = (struct log_read){.log = log,
                                  .offset = process->seen.next,
                                  .end_offset = log->durable_end,
                                  .max_bytes = 1 << random_below(&process->random, 18),
                                  .at_least_one = true};
        process->reading = true;
    }
    if (!log_read_step(read, flow))
        return STEP_AGAIN;
    process->reading = false;
    int64_t before = process->seen.next;
    if (read->error && keyed_process_is_fenced(process)) {
        log_read_done(read);
        return STEP_FAIL;
    }
    if (read->error && keyed->faulty && keyed->world->machines[0]->fault_met > 0) {
        log_read_done(read); /* once: it is told, and the next one goes well */
        return STEP_AGAIN;
    }
    if (read->error)
        keyed_fail(keyed, "read at %lld: %s", (long long)read->offset, error_text(read->error));
    for (int i = 0; i < read->parts_count; i++)
        keyed_see(&process->seen, read->parts[i]);
    log_read_done(read);
    if (process->seen.next == before)
        keyed_fail(keyed, "nothing is read at %lld, though the end is %lld", (long long)before,
                   (long long)read->end_offset);
    return STEP_AGAIN;
}

static enum step read_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct keyed_process, read_flow)->read_ended = true;
    return STEP_NEXT;
}

static const struct flow_kind read_kind = {"reader", {{"read", read_step}, {"end", read_end}}};

static bool flows_have_ended(void *argument)
{
    const struct keyed_process *process = argument;
    return process->keyed->failure[0] || (process->read_ended && !process->writing);
}

void keyed_start_reader(struct keyed_process *process, bool once)
{
    process->once = once;
    process->read_ended = process->reading = false;
    process->read_end = -1;
    process->read_timer = TIMER_INIT;
    flow_start(&process->read_flow, &read_kind, &process->core);
    world_notice(process->keyed->world, &process->core);
}

void keyed_end_flows(struct keyed *keyed, const char *what)
{
    if (!keyed->failure[0] &&
        !world_run(keyed->world,
                   (struct world_stop){flows_have_ended, keyed->process, KEYED_EVENTS_MAX, 0}))
        keyed_fail(keyed, "%s", what);
    keyed_look_for_violations(keyed);
}
