#include "crash/names.h"
#include "base/check.h"
#include "base/memory.h"
#include "crash/image_digest.h"
#include <stdio.h>

enum { REST_NS = 1000000000 };

struct walk {
    struct names_run *run;
    struct rig_settings settings;
    struct oracle oracle;
    struct promise promises[SLOTS_MAX];
    struct image_set seen;
};

/* Starts on `disk` (taken), reads all, stops, and starts in the other way. */
static void start_on(struct walk *walk, struct disk *disk, enum rig_starts starts, const char *what)
{
    struct rig *rig = memory_zeroed(sizeof *rig);
    struct rig_settings settings = walk->settings;
    settings.starts = starts;
    rig_init_image(rig, &settings, &walk->oracle, disk, walk->promises);
    rig_start(rig);
    rig_stop(rig);
    rig->settings.starts = starts == STARTS_CLASSIC ? STARTS_RESUME : STARTS_CLASSIC;
    rig_start(rig);
    if (rig->failure[0] && !walk->run->failure[0])
        snprintf(walk->run->failure, sizeof walk->run->failure, "%s: %s, starts %d: %s",
                 walk->run->name, what, starts, rig->failure);
    rig_done(rig);
    memory_free(rig);
}

/* How many unflushed changes of names there were. */
static uint32_t look_at_image(struct walk *walk, struct disk_recording *recording, uint32_t cut,
                              enum disk_choice_kind kind, uint64_t number)
{
    struct disk_choice choice = disk_choice_of(kind, number);
    struct disk *disk = disk_image_at(recording, cut, &choice);
    uint64_t digest = image_digest(disk);
    for (int i = 0; i < SCRIPT_SLOTS; i++) {
        digest = image_digest_mix(digest, (uint64_t)walk->promises[i].generation);
        digest = image_digest_mix(digest, (uint64_t)walk->promises[i].acknowledged_end);
        digest = image_digest_mix(digest, (uint64_t)walk->promises[i].start);
    }
    if (choice.names > number && image_set_add(&walk->seen, digest)) {
        char what[80];
        snprintf(what, sizeof what, "cut %u, kind %d, name %llu of %u", cut, kind,
                 (unsigned long long)number, choice.names);
        walk->run->images++;
        start_on(walk, disk_clone(disk), digest & 1 ? STARTS_RESUME : STARTS_CLASSIC, what);
    }
    disk_destroy(disk);
    return choice.names;
}

static void look_at_recording(struct walk *walk, const struct script_recording *of)
{
    static const enum disk_choice_kind kinds[] = {CHOICE_FOLDER_LOST, CHOICE_LINKS_LOST,
                                                  CHOICE_CHANGE_LOST, CHOICE_NAME_LOST,
                                                  CHOICE_CHANGE_KEPT};
    struct names_run *run = walk->run;
    uint32_t from = of->from == UINT32_MAX ? 0 : of->from; /* the last operation's beginning */
    for (uint32_t cut = from; cut <= of->recording->count; cut++) {
        bool changes =
            cut == of->recording->count || of->recording->records[cut].kind == RECORD_COMPLETE;
        if (!changes)
            continue; /* nothing has ended since the cut before the next end */
        int64_t mark = disk_mark_at(of->recording, cut);
        oracle_at(&walk->oracle, mark < 0 ? of->events : mark, walk->promises);
        run->cuts++;
        uint32_t names = 1;
        for (int i = 0; i < ARRAY_COUNT(kinds); i++)
            for (uint64_t number = 0; number < names && !run->failure[0]; number++)
                names = look_at_image(walk, of->recording, cut, kinds[i], number);
    }
}

void names_at_cut(struct disk_recording *recording, uint32_t cut, struct image_set *seen,
                  bool (*look)(void *context, struct disk *disk, const char *what), void *context)
{
    static const enum disk_choice_kind kinds[] = {CHOICE_FOLDER_LOST, CHOICE_CHANGE_LOST,
                                                  CHOICE_CHANGE_KEPT};
    uint64_t names = 1;
    for (int i = 0; i < ARRAY_COUNT(kinds); i++)
        for (uint64_t number = 0; number < names; number++) {
            struct disk_choice choice = disk_choice_of(kinds[i], number);
            struct disk *disk = disk_image_at(recording, cut, &choice);
            names = choice.names;
            char what[80];
            snprintf(what, sizeof what, "cut %u, kind %d, name %d", cut, kinds[i], (int)number);
            if (names == 0 || !image_set_add(seen, image_digest(disk)))
                disk_destroy(disk);
            else if (!look(context, disk, what))
                return;
        }
}

static bool never(void *argument)
{
    (void)argument;
    return false;
}

void names_run(struct names_run *run)
{
    struct walk walk = {.run = run, .settings = script_settings(1, run->variant)};
    struct script script;
    struct rig *rig = memory_zeroed(sizeof *rig);
    walk.settings.starts = STARTS_RESUME;
    if (run->journal_bytes > 0)
        walk.settings.store.journal_initial_bytes = walk.settings.store.journal_bytes =
            run->journal_bytes;
    image_set_init(&walk.seen);
    oracle_init(&walk.oracle, 1, walk.settings.slots, walk.settings.batch_most);
    oracle_begin(&walk.oracle);
    rig_init(rig, &walk.settings, &walk.oracle);
    script_begin(&script, rig);
    if (run->prepare)
        run->prepare(&script, rig);
    if (!rig->failure[0]) /* nothing may be in flight */
        (void)world_run(rig->world, (struct world_stop){never, NULL, 300000, REST_NS});
    script_record(&script);
    run->body(&script, rig);
    script_end(&script);
    snprintf(run->failure, sizeof run->failure, "%s", rig->failure);
    rig_done(rig);
    memory_free(rig);
    for (int i = 0; i < script.recording_count && !run->failure[0]; i++)
        look_at_recording(&walk, &script.recordings[i]);
    script_done(&script);
    oracle_done(&walk.oracle);
    image_set_done(&walk.seen);
}
