/* A swap of segments that were written by hand: see keyed_runs.h. */
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"
#include "crash/names.h"
#include "crash/keyed_runs.h"
#include "crash/written.h"
#include <stdio.h>

enum { KEYS = 16, SEGMENT = 8, SEGMENTS = 3, RECORDS = SEGMENTS * SEGMENT + 1 };

struct walk {
    struct keyed_swap *swap;
    struct keyed *keyed;
    struct disk_recording *recording;
    struct image_set seen;
};

/* Of each two keys of the first segments the second one's record stays the newest. */
static int32_t key_of(int64_t offset)
{
    return offset < KEYS ? (int32_t)offset : (int32_t)(offset - KEYS) * 2 % KEYS;
}

static void make_log(struct keyed *keyed)
{
    struct disk *disk = keyed->world->machines[0]->disk;
    keyed->capacity = RECORDS;
    keyed->records = memory_zeroed((size_t)keyed->capacity * sizeof keyed->records[0]);
    write_keyed_folder(disk);
    for (int64_t from = 0; from < RECORDS; from += SEGMENT)
        write_keyed_segment(keyed, from, min_i64(from + SEGMENT, RECORDS), key_of);
    keyed->count = keyed->durable = keyed->committed = RECORDS;
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    disk_crash(disk, &choice); /* durable */
    disk->names_as_prefix = false;
}

static struct keyed_settings settings_of(uint64_t seed)
{
    struct keyed_settings settings = keyed_settings_random(seed);
    settings.world = world_settings_default();
    settings.world.names_as_prefix = false;
    settings.keys = KEYS;
    settings.records_most = 1;
    settings.value_most = 50;
    settings.tombstone_once_in = 0;
    settings.store.flush_all_files = 100;
    settings.store.cleaner.map_bytes = 1 << 14;
    settings.store.cleaner.bytes_per_second = 0;
    settings.log.segment_bytes = 1 << 14;
    settings.log.index_bytes = 1 << 12;
    settings.log.min_dirty_ratio = 0;
    return settings;
}

static bool look_at_image(void *context, struct disk *disk, const char *what)
{
    struct walk *walk = context;
    struct keyed *image = memory_zeroed(sizeof *image);
    keyed_init_image(image, walk->keyed, disk, RECORDS, RECORDS);
    keyed_start(image);
    keyed_stop(image);
    if (image->failure[0])
        snprintf(walk->swap->failure, sizeof walk->swap->failure, "%s: %s", what, image->failure);
    keyed_done(image);
    memory_free(image);
    walk->swap->images++;
    return !walk->swap->failure[0];
}

void keyed_swap(struct keyed_swap *swap)
{
    struct keyed_settings settings = settings_of(swap->seed);
    struct walk walk = {.swap = swap, .keyed = memory_zeroed(sizeof *walk.keyed)};
    struct keyed *keyed = walk.keyed;
    image_set_init(&walk.seen);
    keyed_init(keyed, &settings);
    make_log(keyed);
    world_record_start(keyed->world, 0);
    keyed_start(keyed);
    keyed_settle(keyed);
    keyed_stop(keyed);
    walk.recording = world_record_stop(keyed->world, 0);
    if (!keyed->failure[0] && keyed->dropped != SEGMENT)
        keyed_fail(keyed, "%llu records were dropped", (unsigned long long)keyed->dropped);
    snprintf(swap->failure, sizeof swap->failure, "%s", keyed->failure);
    for (uint32_t cut = 0; cut <= walk.recording->count && !swap->failure[0]; cut++)
        if (cut == walk.recording->count || walk.recording->records[cut].kind == RECORD_COMPLETE)
            names_at_cut(walk.recording, cut, &walk.seen, look_at_image, &walk);
    disk_recording_destroy(walk.recording);
    keyed_done(keyed);
    memory_free(keyed);
    image_set_done(&walk.seen);
}
