#include "storage/log_prove.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "protocol/batch.h"
#include "storage/log_state.h"
#include "storage/sidecar.h"
#include "storage/store.h"
#include <stdio.h>

/* What the reads of `segment` are proved by; or null. */
static const struct sidecar *sidecar_of(const struct segment *segment)
{
    const struct sidecar *sidecar = segment->sidecar;
    bool whole = segment->sealed && sidecar && sidecar->size == segment->size && sidecar->size > 0;
    return whole ? sidecar : NULL;
}

void log_prove_begin(struct log_read *read)
{
    const struct sidecar *sidecar = sidecar_of(read->segment);
    read->proving = sidecar && read->position < sidecar->size;
    if (read->proving)
        read->position = sidecar->runs[sidecar_run_at(sidecar, read->position)].position;
    read->proved = read->position;
}

void log_tell_rot(struct segment *segment, const char *suffix, const struct sidecar_fault *fault)
{
    struct log *log = segment->log;
    struct core *core = log->store->core;
    if (segment->rot_told)
        return;
    segment->rot_told = true;
    log->store->counters.rot_found++;
    event_write(&core->events, &core->now, EVENT_ERROR, "rot",
                "file=%s/%020lld%s position=%lld reason=\"%s\" do=\"put a copy of the file in its "
                "place while the broker is stopped, or delete the records up to there\"",
                log->folder, (long long)segment->base_offset, suffix, (long long)fault->position,
                fault->what);
}

/* It is of another file with this name and size: as good as none. */
static void drop_stale(struct segment *segment)
{
    struct core *core = segment->log->store->core;
    REACHED("sidecar of other batches");
    event_write(&core->events, &core->now, EVENT_WARN, "sidecar_ignored",
                "file=%s/%020lld.sidecar reason=\"it is of other batches\"", segment->log->folder,
                (long long)segment->base_offset);
    sidecar_free(segment->sidecar);
    segment->sidecar = NULL;
    segment->sidecar_known = true;
}

/* The headers of a run lie before it: its last batch begins within SIDECAR_RUN_BYTES. */
static int64_t heads_end(const struct sidecar *sidecar, int32_t run)
{
    return min_i64(sidecar_run_end(sidecar, run),
                   (int64_t)sidecar->runs[run].position + SIDECAR_RUN_BYTES + BATCH_RECORDS_AT);
}

int64_t log_prove_reach(const struct log_read *read, int64_t position)
{
    const struct sidecar *sidecar = read->proving ? sidecar_of(read->segment) : NULL;
    return sidecar ? heads_end(sidecar, sidecar_run_at(sidecar, position)) : 0;
}

enum log_proof log_prove(struct log_read *read, struct bytes data, int64_t from, int64_t end,
                         int64_t *ret_needed)
{
    const struct sidecar *sidecar = sidecar_of(read->segment);
    struct sidecar_fault fault = {0};
    read->proving = read->proving && sidecar;
    while (read->proving && read->proved < end) {
        int32_t run = sidecar_run_at(sidecar, read->proved);
        switch (sidecar_judge(sidecar, run, data, from, &fault)) {
        case SIDECAR_AGREES:
            read->proved = sidecar_run_end(sidecar, run);
            break;
        case SIDECAR_SHORT:
            *ret_needed = max_i64(fault.position, heads_end(sidecar, run));
            return LOG_UNPROVED;
        case SIDECAR_OTHER:
            if (!MUTANT(stale_sidecar_believed)) {
                drop_stale(read->segment);
                read->proving = false;
                return LOG_PROVED;
            }
            fault = (struct sidecar_fault){.position = read->proved, .what = "others"};
            /* fall through */
        case SIDECAR_ROT:
            REACHED("rot found by a sidecar");
            log_tell_rot(read->segment, ".log", &fault);
            return LOG_DISPROVED;
        }
    }
    return LOG_PROVED;
}
