#include "storage/sidecar.h"
#include "base/check.h"
#include "base/memory.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"

_Static_assert((int)SIDECAR_HEADS == (int)BATCH_CRC_AT, "heads: what lies before a batch's CRC");
_Static_assert((int)SIDECAR_HEADS + (int)SIDECAR_NAMES == (int)BATCH_ATTRIBUTES_AT,
               "names: that CRC");

struct sidecar *sidecar_new(int64_t base_offset)
{
    struct sidecar *sidecar = memory_zeroed(sizeof *sidecar);
    sidecar->base_offset = sidecar->first_offset = sidecar->end_offset = base_offset;
    return sidecar;
}

void sidecar_free(struct sidecar *sidecar)
{
    if (!sidecar)
        return;
    memory_free(sidecar->runs);
    memory_free(sidecar);
}

static struct sidecar_run *begin_run(struct sidecar *sidecar)
{
    if (sidecar->run_count == sidecar->run_capacity) {
        sidecar->run_capacity = sidecar->run_capacity ? 2 * sidecar->run_capacity : 2;
        sidecar->runs = memory_resized(sidecar->runs,
                                       (size_t)sidecar->run_capacity * sizeof(struct sidecar_run));
    }
    struct sidecar_run *run = &sidecar->runs[sidecar->run_count++];
    *run = (struct sidecar_run){.position = (uint32_t)sidecar->size};
    return run;
}

void sidecar_note(struct sidecar *sidecar, const uint8_t *batch)
{
    struct sidecar_run *run =
        sidecar->run_count ? &sidecar->runs[sidecar->run_count - 1] : begin_run(sidecar);
    if (sidecar->size - run->position >= SIDECAR_RUN_BYTES)
        run = begin_run(sidecar);
    run->heads = crc32c(run->heads, batch, SIDECAR_HEADS);
    run->names = crc32c(run->names, batch + SIDECAR_HEADS, SIDECAR_NAMES);
    int64_t base_offset = (int64_t)load_be64(batch);
    if (sidecar->size == 0)
        sidecar->first_offset = base_offset;
    sidecar->end_offset = base_offset + (int32_t)load_be32(batch + BATCH_LAST_OFFSET_DELTA_AT) + 1;
    sidecar->size += batch_size_at(batch);
}

bool sidecar_fits(const struct sidecar *sidecar, int64_t base_offset, int64_t log_size,
                  int64_t end_most)
{
    return sidecar->base_offset == base_offset && sidecar->size == log_size &&
           sidecar->end_offset <= end_most;
}

struct sidecar_cache sidecar_cache_of(struct bytes file)
{
    size_t size = file.size > 0 ? (size_t)file.size : 0;
    return (struct sidecar_cache){true, (int64_t)size, crc32c(0, file.data, size)};
}

bool sidecar_cache_agrees(const struct sidecar_cache *cache, struct bytes file)
{
    struct sidecar_cache now = sidecar_cache_of(file);
    return !cache->there || (cache->size == now.size && cache->crc == now.crc);
}

int32_t sidecar_run_at(const struct sidecar *sidecar, int64_t position)
{
    check(position >= 0 && position < sidecar->size && sidecar->run_count > 0);
    int32_t low = 0, high = sidecar->run_count;
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        if (sidecar->runs[middle].position <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int64_t sidecar_run_end(const struct sidecar *sidecar, int32_t run)
{
    return run + 1 < sidecar->run_count ? sidecar->runs[run + 1].position : sidecar->size;
}

static enum sidecar_verdict rot(struct sidecar_fault *fault, int64_t position, const char *what)
{
    *fault = (struct sidecar_fault){position, what, false};
    return SIDECAR_ROT;
}

static enum sidecar_verdict wants_more(struct sidecar_fault *fault, int64_t end)
{
    *fault = (struct sidecar_fault){end, NULL, false};
    return SIDECAR_SHORT;
}

/* The run's batches are not those that were noted: are they whole ones? */
static enum sidecar_verdict judge_batches(const struct sidecar *sidecar, int32_t run,
                                          struct bytes data, int64_t from,
                                          struct sidecar_fault *fault)
{
    int64_t have = from + data.size, end = sidecar_run_end(sidecar, run);
    for (int64_t at = sidecar->runs[run].position; at < end;) {
        if (at + BATCH_RECORDS_AT > sidecar->size)
            return rot(fault, at, "bytes are left after the last whole batch");
        if (at + BATCH_RECORDS_AT > have)
            return wants_more(fault, at + BATCH_RECORDS_AT);
        const uint8_t *batch = data.data + (at - from);
        int64_t size = batch_size_at(batch);
        if (size < BATCH_RECORDS_AT || size > sidecar->size - at)
            return rot(fault, at, "a batch's length reaches beyond the end");
        if (batch[BATCH_MAGIC_AT] != 2)
            return rot(fault, at, "a batch's magic is not 2");
        if (at + size > have)
            return wants_more(fault, at + size);
        if (crc32c(0, batch + BATCH_ATTRIBUTES_AT, (size_t)size - BATCH_ATTRIBUTES_AT) !=
            load_be32(batch + BATCH_CRC_AT))
            return rot(fault, at, "a batch's CRC does not match");
        at += size;
    }
    return SIDECAR_OTHER;
}

enum sidecar_verdict sidecar_judge(const struct sidecar *sidecar, int32_t run, struct bytes data,
                                   int64_t from, struct sidecar_fault *ret_fault)
{
    int64_t begin = sidecar->runs[run].position, end = sidecar_run_end(sidecar, run);
    int64_t have = from + data.size, at = begin;
    uint32_t heads = 0, names = 0;
    check(begin >= from);
    while (at < end && end - at >= BATCH_RECORDS_AT) {
        if (at + BATCH_RECORDS_AT > have)
            return wants_more(ret_fault, at + BATCH_RECORDS_AT);
        const uint8_t *batch = data.data + (at - from);
        heads = crc32c(heads, batch, SIDECAR_HEADS);
        names = crc32c(names, batch + SIDECAR_HEADS, SIDECAR_NAMES);
        int64_t size = batch_size_at(batch);
        if (size < BATCH_RECORDS_AT || size > end - at)
            break;
        at += size;
    }
    bool same = at == end && names == sidecar->runs[run].names;
    if (same && heads == sidecar->runs[run].heads)
        return SIDECAR_AGREES;
    if (!same)
        return judge_batches(sidecar, run, data, from, ret_fault);
    (void)rot(ret_fault, begin, "a batch's base offset or leader epoch is not what it was");
    ret_fault->heads = true;
    return SIDECAR_ROT;
}

enum sidecar_verdict sidecar_compare(const struct sidecar *known, const struct sidecar *now,
                                     struct sidecar_fault *ret_fault)
{
    int32_t differs = -1;
    if (known->run_count != now->run_count || known->size != now->size)
        return SIDECAR_OTHER;
    for (int32_t i = 0; i < known->run_count; i++) {
        const struct sidecar_run *left = &known->runs[i], *right = &now->runs[i];
        if (left->position != right->position || left->names != right->names)
            return SIDECAR_OTHER;
        if (left->heads != right->heads && differs < 0)
            differs = i;
    }
    if (differs < 0)
        return SIDECAR_AGREES;
    (void)rot(ret_fault, known->runs[differs].position,
              "a batch's base offset or leader epoch is not what it was");
    ret_fault->heads = true;
    return SIDECAR_ROT;
}

/* The run's `heads`, were bit `bit` of the batch at `flipped` another. */
static uint32_t heads_with(const struct sidecar *sidecar, int32_t run, struct bytes data,
                           int64_t from, int64_t flipped, int bit)
{
    int64_t end = sidecar_run_end(sidecar, run);
    uint32_t heads = 0;
    for (int64_t at = sidecar->runs[run].position; at < end;) {
        const uint8_t *batch = data.data + (at - from);
        uint8_t head[SIDECAR_HEADS];
        memcpy(head, batch, sizeof head);
        if (at == flipped)
            head[bit / 8] ^= (uint8_t)(1 << bit % 8);
        heads = crc32c(heads, head, sizeof head);
        at += batch_size_at(batch);
    }
    return heads;
}

bool sidecar_find_bit(const struct sidecar *sidecar, int32_t run, struct bytes data, int64_t from,
                      struct sidecar_fault *ret_fault)
{
    int64_t end = sidecar_run_end(sidecar, run);
    for (int64_t at = sidecar->runs[run].position; at < end;) {
        for (int bit = 0; bit < 8 * SIDECAR_HEADS; bit++) {
            if (heads_with(sidecar, run, data, from, at, bit) != sidecar->runs[run].heads)
                continue;
            int byte = bit / 8;
            *ret_fault = (struct sidecar_fault){
                at,
                byte < BATCH_LENGTH_AT         ? "a bit of its base offset is flipped"
                : byte < BATCH_LEADER_EPOCH_AT ? "a bit of its length is flipped"
                : byte < BATCH_MAGIC_AT        ? "a bit of its leader epoch is flipped"
                                               : "a bit of its magic is flipped",
                true};
            return true;
        }
        at += batch_size_at(data.data + (at - from));
    }
    return false;
}
