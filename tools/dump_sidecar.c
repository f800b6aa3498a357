/* Sidecars of `bole dump`: printed, and the segment and the indexes beside them judged by them. */
#include "base/memory.h"
#include "protocol/batch.h"
#include "storage/segment.h"
#include "storage/sidecar_format.h"
#include "tools/dump.h"
#include <inttypes.h>

enum { CACHE_BYTES_MOST = 256 << 20 };

struct look {
    struct dump *dump;
    const char *path; /* of the sidecar */
    struct sidecar *sidecar;
    struct dump_file log;
    char log_path[4096];
};

static void print(struct dump *dump, const struct sidecar *sidecar)
{
    dump_event(dump,
               "sidecar base_offset=%" PRId64 " first_offset=%" PRId64 " end_offset=%" PRId64
               " size=%" PRId64 " runs=%" PRId32 "\n",
               sidecar->base_offset, sidecar->first_offset, sidecar->end_offset, sidecar->size,
               sidecar->run_count);
    for (int32_t i = 0; i < sidecar->run_count; i++)
        dump_event(dump, "run position=%" PRIu32 " heads=%08" PRIx32 " names=%08" PRIx32 "\n",
                   sidecar->runs[i].position, sidecar->runs[i].heads, sidecar->runs[i].names);
    for (int i = 0; i < SIDECAR_FILES; i++)
        if (sidecar->files[i].there)
            dump_event(dump, "cache suffix=%s size=%" PRId64 " crc=%08" PRIx32 "\n",
                       segment_caches[i], sidecar->files[i].size, sidecar->files[i].crc);
}

/* The whole file; null after a fault. */
static struct sidecar *read_sidecar(struct dump *dump, const char *path)
{
    struct dump_file file;
    struct sidecar *sidecar = NULL;
    if (dump_file_open(dump, &file, path)) {
        const uint8_t *bytes = file.size > 0 && file.size <= SIDECAR_FILE_MAX
                                   ? dump_file_at(&file, 0, file.size)
                                   : NULL;
        enum error error =
            sidecar_decode((struct bytes){bytes, bytes ? (int32_t)file.size : 0}, &sidecar);
        if (error == ERROR_NEWER_VERSION)
            dump_left(dump, path, -1, "%s: nothing is judged by it", error_text(error));
        else if (error)
            dump_fault(dump, path, -1, "it is damaged (a sidecar is a cache: it is made anew)");
    }
    dump_file_close(&file);
    return sidecar;
}

/* Compares one run with the segment. False: it is of another file. */
static bool look_at_run(struct look *look, int32_t run)
{
    const struct sidecar *sidecar = look->sidecar;
    struct sidecar_fault fault = {0};
    int64_t from = sidecar->runs[run].position;
    int64_t end = min_i64(sidecar->size, from + SIDECAR_RUN_BYTES + BATCH_RECORDS_AT);
    for (;;) {
        const uint8_t *bytes = dump_file_at(&look->log, from, end - from);
        if (!bytes)
            return false;
        struct bytes data = {bytes, (int32_t)(end - from)};
        switch (sidecar_judge(sidecar, run, data, from, &fault)) {
        case SIDECAR_AGREES:
            return true;
        case SIDECAR_OTHER:
            return false;
        case SIDECAR_SHORT:
            end = fault.position;
            continue;
        case SIDECAR_ROT:
            if (fault.heads)
                (void)sidecar_find_bit(sidecar, run, data, from, &fault);
            dump_fault(look->dump, look->log_path, fault.position, "%s, by its sidecar",
                       fault.what);
            return true;
        }
    }
}

/* An index that differs may have been made anew since; what lies in it is judged by itself. */
static void look_at_cache(struct look *look, int file)
{
    char path[4096];
    size_t stem = strlen(look->path) - strlen(SIDECAR_SUFFIX);
    snprintf(path, sizeof path, "%.*s%s", (int)stem, look->path, segment_caches[file]);
    struct dump_file cache;
    bool agrees = false;
    if (dump_file_open(NULL, &cache, path) && cache.size <= CACHE_BYTES_MOST) {
        const uint8_t *bytes = cache.size ? dump_file_at(&cache, 0, cache.size) : NULL;
        agrees = sidecar_cache_agrees(&look->sidecar->files[file],
                                      (struct bytes){bytes, bytes ? (int32_t)cache.size : 0});
    }
    dump_file_close(&cache);
    if (agrees || !look->sidecar->files[file].there)
        return;
    if (file == SIDECAR_TRANSACTIONS)
        dump_fault(look->dump, path, -1,
                   "it is not what its sidecar says (it is a cache: a start replays the log)");
    else
        dump_left(look->dump, path, -1,
                  "it is not what its sidecar says: it, or the sidecar, is made anew");
}

static void look_at_segment(struct look *look)
{
    struct dump *dump = look->dump;
    const struct sidecar *sidecar = look->sidecar;
    bool fits = sidecar_fits(sidecar, sidecar->base_offset, look->log.size, INT64_MAX);
    int64_t faults = dump->file_faults;
    for (int32_t i = 0; i < sidecar->run_count && fits; i++)
        fits = look_at_run(look, i);
    if (!fits && dump->file_faults == faults) {
        dump_left(dump, look->path, -1,
                  "it is of an earlier segment of this name: it is made anew");
        return;
    }
    for (int i = 0; i < SIDECAR_FILES; i++)
        look_at_cache(look, i);
    dump_end(dump, look->path, "runs=%" PRId32 " end_offset=%" PRId64, sidecar->run_count,
             sidecar->end_offset);
}

void dump_sidecar(struct dump *dump, const char *path, int64_t base_offset)
{
    struct look look = {.dump = dump, .path = path};
    dump_begin(dump, path);
    look.sidecar = read_sidecar(dump, path);
    if (!look.sidecar)
        return;
    print(dump, look.sidecar);
    snprintf(look.log_path, sizeof look.log_path, "%.*s.log",
             (int)(strlen(path) - strlen(SIDECAR_SUFFIX)), path);
    if (look.sidecar->base_offset != base_offset)
        dump_fault(dump, path, -1, "it is of the segment at %" PRId64, look.sidecar->base_offset);
    else if (dump_redo_position(dump, base_offset) != INT64_MAX)
        dump_left(dump, path, -1, "the journal holds the end of its segment");
    else if (dump_file_open(NULL, &look.log, look.log_path))
        look_at_segment(&look);
    else
        dump_left(dump, path, -1, "there is no segment of this name");
    dump_file_close(&look.log);
    sidecar_free(look.sidecar);
}
