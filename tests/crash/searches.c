#include "crash/searches.h"
#include "crash/rig.h"
#include "protocol/batch.h"
#include "storage/log_state.h"

struct found {
    int64_t offset, timestamp_ms;
    int32_t leader_epoch;
};

/* What the look-up must find, record by record. */
static struct found walk(struct worker *worker)
{
    struct rig *rig = worker->rig;
    const struct log_search *search = &worker->search;
    struct found found = {-1, -1, -1};
    const struct log *log = worker->log;
    for (int64_t offset = log->log_start; offset < search->end_offset;) {
        const struct sent *sent = oracle_batch_of(rig->oracle, worker->slot,
                                                  rig->promises[worker->slot].generation, offset);
        struct batch batch;
        struct batch_iterator iterator;
        struct record record;
        if (!sent || batch_view(sent->bytes, sent->size, &batch) != ERROR_NONE ||
            batch_iterate(&batch, NULL, &iterator) != ERROR_NONE)
            return found;
        while (batch_next(&iterator, &record)) {
            bool readable = record.offset >= log->log_start;
            bool wanted = search->largest ? record.timestamp > found.timestamp_ms
                                          : record.timestamp >= search->timestamp_ms;
            if (!readable)
                continue;
            if (wanted)
                found = (struct found){record.offset, record.timestamp, batch.leader_epoch};
            if (wanted && !search->largest)
                return found;
        }
        offset = sent->end_offset;
    }
    return found;
}

void search_begin(struct worker *worker)
{
    struct rig *rig = worker->rig;
    struct random *random = &worker->random;
    int64_t most = (int64_t)rig->oracle->next_sequence + 20;
    worker->search =
        (struct log_search){.log = worker->log,
                            .largest = worker->searches == 1 || random_once_in(random, 4),
                            .timestamp_ms = FIRST_TIMESTAMP_MS - 60 +
                                            (int64_t)random_below(random, (uint64_t)most + 60),
                            .end_offset = worker->log->durable_end};
    worker->searching = true;
    worker->log->holders++;
}

bool search_goes_on(struct worker *worker)
{
    struct log_search *search = &worker->search;
    struct rig *rig = worker->rig;
    if (!log_search_step(search, &worker->flow))
        return true;
    log_search_done(search);
    worker->searching = false;
    search->log->holders--;
    waiters_wake(&search->log->idle_waiters);
    rig->searches++;
    if (rig->damaged || rig_is_fenced(rig) || rig->stopping)
        return false; /* rot in a batch is no fault of the look-up */
    struct found found = walk(worker);
    rig->told |= search->error && rig->faulty;
    if (search->error && rig->faulty)
        return false;
    if (search->error)
        rig_fail(rig, "slot %d: search of %lld: %s", worker->slot, (long long)search->timestamp_ms,
                 error_text(search->error));
    else if (found.offset != search->offset || found.timestamp_ms != search->found_ms ||
             found.leader_epoch != search->leader_epoch)
        rig_fail(rig,
                 "slot %d: search of %lld%s below %lld: found %lld (%lld, epoch %d), not %lld "
                 "(%lld, epoch %d)",
                 worker->slot, (long long)search->timestamp_ms, search->largest ? " (largest)" : "",
                 (long long)search->end_offset, (long long)search->offset,
                 (long long)search->found_ms, search->leader_epoch, (long long)found.offset,
                 (long long)found.timestamp_ms, found.leader_epoch);
    return false;
}
