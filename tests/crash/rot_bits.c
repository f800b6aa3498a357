#include "crash/rot_bits.h"
#include "crash/damage.h"
#include "crash/rot.h"
#include "base/check.h"
#include "base/memory.h"
#include "crash/model_producers.h"
#include "protocol/batch.h"
#include "storage/log_state.h"
#include <stdio.h>
#include <stdlib.h>

/* SEED: of a directory with an index of transactions beside a closed segment. */
enum { FILES_MAX = 64, EVENTS_MAX = 200000, SEED = 11 };

struct rot_file {
    char path[128];
    uint32_t inode;
    int64_t size;
};

/* Where in the journal the last write lies. */
struct last_write {
    int64_t from, to;
    int64_t begin; /* the offset of what it held, in the first log */
};

struct directory {
    struct rot_bits *bits;
    struct oracle oracle;
    struct disk *disk;
    struct rot_file files[FILES_MAX];
    int count;
    struct last_write last;
};

/* ---- the reader ---- */

enum verdict { RIGHT, TOLD, TORN, WRONG };

/* Reads a log at the beginning of each of its batches, the last one first. */
struct look_up {
    struct flow flow;
    struct waiter waiter;
    struct worker *worker;
    const struct generation *batches;
    int32_t at; /* of the batch being read */
    struct log_read read;
    bool reading, ended;
    int64_t least_end; /* the log must end there at least */
    enum verdict verdict;
    char what[200];
};

static void judge(struct look_up *look, enum verdict verdict, const char *what, int64_t offset)
{
    if (verdict <= look->verdict)
        return;
    look->verdict = verdict;
    snprintf(look->what, sizeof look->what, "slot %d, offset %lld: %s", look->worker->slot,
             (long long)offset, what);
}

static void judge_read(struct look_up *look)
{
    const struct log_read *read = &look->read;
    const struct sent *sent = &look->batches->batches[look->at];
    struct bytes part = read->parts_count > 0 ? read->parts[0] : (struct bytes){NULL, 0};
    struct batch batch;
    if (read->error)
        judge(look, TOLD, "the read ends with an error", read->offset);
    else if (part.size == 0)
        judge(look, WRONG, "nothing is read", read->offset);
    else if (part.size >= (int32_t)sent->size && memcmp(part.data, sent->bytes, sent->size) == 0)
        return;
    else if (batch_view(part.data, (size_t)part.size, &batch) != ERROR_NONE ||
             batch_check_crc(&batch) != ERROR_NONE)
        judge(look, TOLD, "a client sees that it is damaged", read->offset);
    else
        judge(look, WRONG, "a wrong batch", read->offset);
}

static enum step look_step(struct flow *flow)
{
    struct look_up *look = CONTAINER_OF(flow, struct look_up, flow);
    struct log *log = look->worker->log;
    if (look->reading) {
        if (!log_read_step(&look->read, flow))
            return STEP_AGAIN;
        judge_read(look);
        log_read_done(&look->read);
        look->reading = false;
        look->at--;
    }
    enum error error = log_open(log, &look->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    if (error) {
        judge(look, TOLD, "the log is not opened", 0);
        return STEP_FAIL;
    }
    int64_t end = log->durable_end;
    char why[200];
    const struct rig *rig = look->worker->rig;
    if (!model_matches(rig->oracle, look->worker->slot,
                       rig->promises[look->worker->slot].generation, log, why, sizeof why))
        judge(look, WRONG, why, end);
    if (end < look->least_end)
        judge(look, WRONG, "the log ends too early", end);
    else if (end < look->worker->rig->promises[look->worker->slot].acknowledged_end)
        judge(look, TORN, "the last write is cut", end);
    while (look->at >= 0 && look->batches->batches[look->at].end_offset > end)
        look->at--;
    if (look->at < 0)
        return STEP_FAIL;
    look->read = (struct log_read){.log = log,
                                   .offset = look->batches->batches[look->at].base_offset,
                                   .end_offset = end,
                                   .max_bytes = 1,
                                   .at_least_one = true};
    look->reading = true;
    return STEP_AGAIN;
}

static enum step look_ends(struct flow *flow)
{
    CONTAINER_OF(flow, struct look_up, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind look_flow = {"look up", {{"look", look_step}, {"end", look_ends}}};

static bool looks_ended(void *argument)
{
    const struct look_up *looks = argument;
    bool ended = true;
    for (int i = 0; i < SCRIPT_SLOTS; i++)
        ended = ended && looks[i].ended;
    return ended;
}

/* The worst of what the logs of an open store show. */
static enum verdict look_at_logs(struct directory *directory, struct rig *rig, bool in_last,
                                 char what[200])
{
    struct look_up looks[SCRIPT_SLOTS];
    for (int i = 0; i < SCRIPT_SLOTS; i++) {
        const struct promise *promise = &rig->promises[i];
        looks[i] = (struct look_up){.worker = &rig->workers[i]};
        looks[i].batches = &rig->oracle->generations[i][promise->generation];
        looks[i].at = looks[i].batches->count - 1;
        looks[i].least_end = in_last && i == 0 ? directory->last.begin : promise->acknowledged_end;
        struct log *log = worker_log(rig, i);
        flow_start(&looks[i].flow, &look_flow, log->store->core);
    }
    if (!world_run(rig->world, (struct world_stop){looks_ended, looks, EVENTS_MAX, 0}))
        rig_fail(rig, "reading does not end");
    enum verdict worst = RIGHT;
    for (int i = 0; i < SCRIPT_SLOTS; i++) {
        if (looks[i].verdict > worst) {
            worst = looks[i].verdict;
            snprintf(what, 200, "%s", looks[i].what);
        }
        if (looks[i].reading)
            log_read_done(&looks[i].read);
    }
    return worst;
}

/* ---- bits ---- */

static bool is_journal(const struct rot_file *file)
{
    return strstr(file->path, "journal-") != NULL;
}

static uint8_t byte_at(struct directory *directory, const struct rot_file *file, int64_t place)
{
    uint8_t byte;
    struct inode *inode = directory->disk->inodes[file->inode];
    check(disk_read(directory->disk, inode, place, &byte, 1) == 1);
    return byte;
}

static struct disk *flipped(struct directory *directory, const struct rot_file *file, int64_t bit)
{
    struct disk *disk = disk_clone(directory->disk);
    damage_flip(disk, disk->inodes[file->inode], bit);
    return disk;
}

static struct rig_settings settings_of(const struct rot_bits *bits)
{
    struct rig_settings settings = script_settings(SEED, 0);
    settings.starts = (enum rig_starts)bits->starts;
    settings.store.journal_initial_bytes = settings.store.journal_bytes = 24576;
    settings.store.journal_block_bytes = 2048;
    settings.log.segment_bytes = 1200;
    return settings;
}

static void look_at_bit(struct directory *directory, const struct rot_file *file, int64_t bit)
{
    struct rot_bits *bits = directory->bits;
    int64_t place = bit / 8;
    bool in_last = is_journal(file) && place >= directory->last.from && place < directory->last.to;
    snprintf(bits->now, sizeof bits->now, "BOLE_ROT=%d:%s:%lld:%d", bits->directory, file->path,
             (long long)bit, bits->starts);
    bits->bits++;
    struct rig *rig = memory_zeroed(sizeof *rig);
    struct rig_settings settings = settings_of(bits);
    rig_init_image(rig, &settings, &directory->oracle, flipped(directory, file, bit),
                   directory->oracle.now);
    rig->damaged = true;
    rig->resumes = settings.starts == STARTS_RESUME;
    char what[200] = "";
    enum verdict verdict = RIGHT;
    if (!rig_recover(rig)) {
        bits->refused++;
        if (!strstr(rig->refusal, "data/"))
            rig_fail(rig, "no file is named in: %s", rig->refusal);
    } else {
        rig_open(rig);
        verdict = rig_is_fenced(rig) ? TOLD : look_at_logs(directory, rig, in_last, what);
        bits->told += verdict == TOLD;
        bits->torn += verdict == TORN;
        bits->harmless += verdict == RIGHT;
    }
    bool untold =
        verdict == WRONG &&
        rot_is_untold(directory->disk, directory->disk->inodes[file->inode], file->path, place);
    bits->untold += untold;
    if (verdict == WRONG && !untold)
        rig_fail(rig, "%s", what);
    if (verdict == TORN && !in_last)
        rig_fail(rig, "%s, by a bit outside of it", what);
    if (rig->failure[0] && !bits->failure[0])
        snprintf(bits->failure, sizeof bits->failure, "%s\n  repeat it with %s", rig->failure,
                 bits->now);
    rig_done(rig);
    memory_free(rig);
}

/* ---- the directory ---- */

static void collect(struct directory *directory, struct inode *folder, const char *path)
{
    for (struct list *node = folder->entries.next; node != &folder->entries; node = node->next) {
        const struct entry *entry = CONTAINER_OF(node, struct entry, link);
        char name[400];
        snprintf(name, sizeof name, "%s/%s", path, entry->name);
        if (entry->inode->is_directory) {
            collect(directory, entry->inode, name);
        } else if (entry->inode->size > 0) {
            check(directory->count < FILES_MAX);
            struct rot_file *file = &directory->files[directory->count++];
            *file = (struct rot_file){.inode = entry->inode->id, .size = entry->inode->size};
            snprintf(file->path, sizeof file->path, "%s", name);
        }
    }
}

static void append_alone(struct directory *directory, struct script *script)
{
    const struct log *log = script->rig->workers[0].log;
    directory->last.begin = log->appended_end;
    script_do(script, OPERATION_append);
    script_do(script, OPERATION_flush);
    directory->last.to = log->store->journal.head;
}

/* Segments that were rolled and drained, records in the journal and in a segment, records in the
 * journal only, and a last write of its own. */
static void make_directory(struct directory *directory)
{
    struct rig *rig = memory_zeroed(sizeof *rig);
    struct rig_settings settings = settings_of(directory->bits);
    oracle_init(&directory->oracle, SEED, settings.slots, settings.batch_most);
    rig_init(rig, &settings, &directory->oracle);
    struct script script = {.rig = rig};
    rig_start(rig);
    for (int i = 0; i < 5; i++)
        script_do(&script, OPERATION_append_to_two);
    script_do(&script, OPERATION_checkpoint);
    for (int i = 0; i < 2; i++)
        script_do(&script, OPERATION_append_to_two);
    script_do(&script, OPERATION_flush);
    script_do(&script, OPERATION_drain);
    append_alone(directory, &script);
    directory->last.from = directory->last.to;
    append_alone(directory, &script);
    if (directory->bits->directory == ROT_STOPPED) {
        rig_stop(rig);
        directory->last = (struct last_write){0, 0, 0};
    } else if (!rig->failure[0]) {
        rig_crash(rig, false);
    }
    snprintf(directory->bits->failure, sizeof directory->bits->failure, "%s", rig->failure);
    directory->disk = disk_clone(rig->world->machines[0]->disk);
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    disk_crash(directory->disk, &choice);
    collect(directory, disk_find(directory->disk, "data"), "data");
    rig_done(rig);
    memory_free(rig);
}

static bool is_wanted(struct directory *directory, const struct rot_file *file, int64_t bit)
{
    const char *wish = getenv("BOLE_ROT");
    if (wish) {
        char all[200];
        snprintf(all, sizeof all, "%d:%s:%lld:%d", directory->bits->directory, file->path,
                 (long long)bit, directory->bits->starts);
        return strcmp(all, wish) == 0;
    }
    return directory->bits->all || byte_at(directory, file, bit / 8) != 0 || bit / 8 % 8 == bit % 8;
}

void rot_bits_run(struct rot_bits *bits)
{
    struct directory *directory = memory_zeroed(sizeof *directory);
    directory->bits = bits;
    make_directory(directory);
    int64_t number = 0;
    for (int i = 0; i < directory->count; i++) {
        const struct rot_file *file = &directory->files[i];
        int64_t step =
            is_journal(file) || strstr(file->path, ".log") ? bits->step : bits->small_step;
        for (int64_t bit = 0; bit < 8 * file->size && !bits->failure[0]; bit++)
            if (is_wanted(directory, file, bit) && number++ % (bits->shares * step) == bits->share)
                look_at_bit(directory, file, bit);
    }
    disk_destroy(directory->disk);
    oracle_done(&directory->oracle);
    memory_free(directory);
}
