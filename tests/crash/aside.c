#include "crash/aside.h"
#include "crash/scripted.h"
#include "base/check.h"
#include "base/memory.h"
#include "protocol/batch.h"
#include "storage/aside.h"
#include "storage/journal_format.h"
#include "storage/log_state.h"
#include "storage/segment.h"
#include <stdio.h>

struct state {
    struct aside_run *run;
    struct rig *rig;
    struct script *script;
    int64_t first, end; /* of slot 0: offsets that only the journal holds */
    uint64_t digest;    /* of its files after the damage, but for the one that was set aside */
};

static struct disk *disk_of(struct state *state)
{
    return state->rig->world->machines[0]->disk;
}

static void change(struct state *state, struct disk_change change)
{
    check(disk_execute(disk_of(state), &change) >= 0);
}

static uint64_t hash_file(struct disk *disk, struct inode *inode, uint64_t hash)
{
    uint8_t bytes[512];
    for (int64_t at = 0, got; (got = disk_read(disk, inode, at, bytes, sizeof bytes)) > 0;
         at += got)
        for (int64_t i = 0; i < got; i++)
            hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

/* Of the names and bytes of slot 0's folder. *ret_aside: the file that was set aside, or null. */
static uint64_t look(struct disk *disk, struct inode **ret_aside)
{
    struct inode *folder = disk_find(disk, "data/t0-0");
    uint64_t sum = 0;
    *ret_aside = NULL;
    for (struct list *node = folder ? folder->entries.next : NULL; node && node != &folder->entries;
         node = node->next) {
        const struct entry *entry = CONTAINER_OF(node, struct entry, link);
        int64_t base;
        if (segment_name_parse(entry->name, ASIDE_SUFFIX, &base))
            *ret_aside = entry->inode;
        else if (!strstr(entry->name, ".tmp"))
            sum += hash_file(disk, entry->inode, strlen(entry->name));
    }
    return sum;
}

static void damage(struct state *state)
{
    struct disk *disk = disk_of(state);
    struct inode *folder = disk_find(disk, "data/t0-0"), *newest = NULL;
    int64_t base, last = -1;
    for (struct list *node = folder->entries.next; node != &folder->entries; node = node->next) {
        const struct entry *entry = CONTAINER_OF(node, struct entry, link);
        if (segment_name_parse(entry->name, ".log", &base) && base > last) {
            last = base;
            newest = entry->inode;
        }
    }
    uint8_t byte = 0x5a;
    struct iovec vector = {&byte, 1};
    struct disk_change write = {
        .kind = OP_WRITE, .size = 1, .vectors = &vector, .vector_count = 1, .offset = 16};
    switch (state->run->damage) {
    case ASIDE_CUT:
        change(state, (struct disk_change){.kind = OP_TRUNCATE, .inode = newest->id, .size = 100});
        break;
    case ASIDE_FLIPPED: /* the magic of its first batch */
        write.inode = newest->id;
        change(state, write);
        break;
    case ASIDE_OWNER:
        write.inode = disk_find(disk, "data/t0-0/partition.metadata")->id;
        change(state, write);
        break;
    default:
        while (!list_is_empty(&folder->entries)) {
            char path[128];
            snprintf(path, sizeof path, "data/t0-0/%s",
                     CONTAINER_OF(folder->entries.next, struct entry, link)->name);
            change(state, (struct disk_change){.kind = OP_REMOVE, .path = path});
        }
        change(state, (struct disk_change){.kind = OP_REMOVE, .path = "data/t0-0"});
    }
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    disk_crash(disk, &choice); /* durable */
}

/* Two logs with records in segments, and newer ones that only the journal holds. */
static void prepare(struct state *state)
{
    struct rig *rig = state->rig;
    script_begin(state->script, rig);
    script_do(state->script, OPERATION_append_to_two);
    script_do(state->script, OPERATION_checkpoint);
    state->first = rig->failure[0] ? 0 : rig->workers[0].log->durable_end;
    script_do(state->script, OPERATION_append_to_two);
    script_do(state->script, OPERATION_append);
    script_do(state->script, OPERATION_flush);
    if (rig->failure[0])
        return;
    state->end = rig->workers[0].log->durable_end;
    rig_crash(rig, false);
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    disk_crash(disk_of(state), &choice);
    damage(state);
    struct inode *aside;
    state->digest = look(disk_of(state), &aside);
}

/* Everything that was acknowledged lies in the file, to the byte. */
static void look_at_aside(struct state *state, struct disk *disk)
{
    struct rig *rig = state->rig;
    struct inode *inode;
    uint64_t digest = look(disk, &inode);
    if (digest != state->digest)
        rig_fail(rig, "a file of the log that was set aside has changed");
    if (!inode || rig->failure[0]) {
        rig_fail(rig, "nothing was set aside");
        return;
    }
    uint8_t *file = memory_zeroed((size_t)inode->size + 1);
    (void)disk_read(disk, inode, 0, file, (size_t)inode->size);
    struct aside aside = {0};
    struct reader reader;
    struct journal_entry entry;
    int64_t next = state->first;
    if (aside_decode((struct bytes){file, (int32_t)inode->size}, &aside))
        rig_fail(rig, "what was set aside can't be read");
    reader_init(&reader, aside.entries.data, (size_t)aside.entries.size);
    while (!rig->failure[0] && entry_decode(&reader, &entry)) {
        if (entry.kind != ENTRY_APPEND)
            continue;
        const struct sent *sent = oracle_batch_at(rig->oracle, 0, rig->promises[0].generation,
                                                  (int64_t)load_be64(entry.batches.data));
        if (!sent || sent->base_offset != next || !oracle_matches(sent, entry.batches.data))
            rig_fail(rig, "what was set aside is wrong at %lld", (long long)next);
        next = sent ? sent->end_offset : next;
    }
    if (next != state->end)
        rig_fail(rig, "what was set aside ends at %lld, not %lld", (long long)next,
                 (long long)state->end);
    memory_free(file);
}

/* The journal says nothing of it any more: now it is there for good. */
static void look_without_power(struct state *state)
{
    struct disk *disk = disk_clone(disk_of(state));
    struct disk_choice choice = disk_choice_of(CHOICE_OLD, 0);
    disk_crash(disk, &choice);
    look_at_aside(state, disk);
    disk_destroy(disk);
}

/* Starts, crashes in the midst of setting aside. */
static void crash_a_start(struct rig *rig, int crash_at)
{
    world_start(rig->world, 0);
    rig->resumes = rig->settings.starts == STARTS_RESUME;
    if (rig_recover(rig)) {
        rig_open(rig);
        for (int i = 0; i < rig->settings.cores; i++)
            checkpoint_request(&rig->cores[i].store, true);
        world_run(rig->world, (struct world_stop){.events = (uint64_t)crash_at});
    } else {
        rig_fail(rig, "a start refused: %s", rig->refusal);
    }
    rig_crash(rig, crash_at % 50 == 0);
}

static struct rig_settings settings_of(enum rig_starts starts)
{
    struct rig_settings settings = script_settings(1, 0);
    settings.starts = starts;
    settings.log.segment_bytes = 1 << 20; /* no roll: the journal goes on in the damaged file */
    settings.log.index_bytes = 1 << 16;
    settings.log.segment_ms = INT64_MAX / 2;
    return settings;
}

void aside_run(struct aside_run *run)
{
    struct rig_settings settings = settings_of(run->starts);
    struct scripted *scripted = scripted_create(&settings);
    struct rig *rig = &scripted->rig;
    struct state state = {.run = run, .rig = rig, .script = &scripted->script};
    prepare(&state);
    rig->offline = 1;
    if (run->crash_at && !rig->failure[0])
        crash_a_start(rig, run->crash_at);
    for (int life = 0; life < 2; life++) {
        rig_start(rig);
        script_append(state.script, 1, 400, 3);
        script_do(state.script, OPERATION_checkpoint);
        if (!rig->failure[0] && rig->workers[0].log->state != LOG_FAILED)
            rig_fail(rig, "the damaged log is not offline");
        /* A replay does not read what lies before: the segment has it all, and can't be opened. */
        bool joins = run->damage == ASIDE_FLIPPED && run->starts == STARTS_CLASSIC;
        if (!rig->failure[0] && !joins)
            look_without_power(&state);
        rig_stop(rig);
        if (!rig->failure[0] && !joins)
            look_at_aside(&state, disk_of(&state));
    }
    snprintf(run->failure, sizeof run->failure, "%s", rig->failure);
    scripted_destroy(scripted);
}

/* ---- partition.metadata -------------------------------------------------------------------- */

static const char owner_path[] = "data/t0-0/partition.metadata";

static void lose_owner(struct state *state, enum owner_damage damage)
{
    struct inode *inode = disk_find(disk_of(state), owner_path);
    if (!inode) {
        rig_fail(state->rig, "there is no %s", owner_path);
        return;
    }
    uint8_t zeros[64] = {0};
    struct iovec vector = {zeros, (size_t)inode->size};
    struct disk_change cut = {
        .kind = OP_TRUNCATE, .inode = inode->id, .size = damage == OWNER_CUT ? 30 : 0};
    if (damage == OWNER_MISSING)
        change(state, (struct disk_change){.kind = OP_REMOVE, .path = owner_path});
    else if (damage == OWNER_ZERO)
        change(state, (struct disk_change){.kind = OP_WRITE,
                                           .inode = inode->id,
                                           .size = vector.iov_len,
                                           .vectors = &vector,
                                           .vector_count = 1});
    else
        change(state, cut);
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    disk_crash(disk_of(state), &choice); /* durable */
}

static void lose_power(struct rig *rig)
{
    rig_crash(rig, false);
    struct disk_choice choice = disk_choice_of(CHOICE_OLD, 0);
    disk_crash(rig->world->machines[0]->disk, &choice);
}

void owner_run(struct owner_run *run)
{
    static const enum operation operations[] = {OPERATION_append_to_two, OPERATION_append,
                                                OPERATION_flush, OPERATION_drain};
    struct rig_settings settings = settings_of(run->starts);
    struct scripted *scripted = scripted_create(&settings);
    struct rig *rig = &scripted->rig;
    struct state state = {.rig = rig, .script = &scripted->script};
    script_begin(state.script, rig);
    bool all = run->journal == JOURNAL_HOLDS_ALL;
    script_do(state.script, all ? OPERATION_delete_topic : OPERATION_checkpoint);
    for (int i = 0; i < ARRAY_COUNT(operations); i++)
        script_do(state.script, operations[i]);
    if (run->journal == JOURNAL_HOLDS_NOTHING)
        script_do(state.script, OPERATION_checkpoint);
    if (!rig->failure[0]) {
        rig_crash(rig, false);
        lose_owner(&state, run->damage);
        rig->unowned = 1;
    }
    if (run->crash_at && !rig->failure[0])
        crash_a_start(rig, run->crash_at);
    for (int life = 0; life < 2 && !rig->failure[0]; life++) {
        rig_start(rig);
        script_do(state.script, OPERATION_checkpoint);
        rig->unowned = 0; /* it is there again, durably */
        if (!rig->failure[0] && life == 0)
            lose_power(rig);
    }
    rig_stop(rig);
    snprintf(run->failure, sizeof run->failure, "%s", rig->failure);
    scripted_destroy(scripted);
}
