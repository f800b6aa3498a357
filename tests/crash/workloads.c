#include "crash/workloads.h"
#include "base/check.h"
#include "base/memory.h"
#include "crash/image_digest.h"
#include "crash/image_set.h"
#include <stdio.h>
#include <stdlib.h>

/* What is left of a recording by a crash, and the kind of start on it. */
struct crash {
    uint32_t cut;
    int kind;
    uint64_t number;
    int start; /* enum rig_starts */
};

/* One image, of a crash and perhaps of one in its recovery; or, with parts 0, a workload. */
struct wish {
    bool wished;
    int recording, parts;
    struct crash crash[2];
};

struct walk {
    struct workloads *workloads;
    struct oracle *oracle; /* of the workload that is looked at */
    struct promise promises[SLOTS_MAX];
    enum operation operations[WORKLOAD_OPERATIONS_MAX];
    int count;
    int recording;
    uint32_t cut;
    struct disk_recording *records;
    struct random random;
    struct image_set seen;      /* images with their promises */
    struct image_set recovered; /* the same of disks after a recovery */
    struct image_set stopped;   /* ... and after a clean stop, by the kind of start */
    struct wish wish;
};

/* ---- the words that repeat an image ---- */

static bool read_names(struct walk *walk, const char *text, size_t size)
{
    while (size > 0) {
        size_t end = 0;
        while (end < size && text[end] != ',')
            end++;
        enum operation operation = operation_of(text, end);
        if (operation == OPERATION_COUNT || walk->count == WORKLOAD_OPERATIONS_MAX)
            return false;
        walk->operations[walk->count++] = operation;
        text += end + (end < size);
        size -= end + (end < size);
    }
    return walk->count > 0;
}

static void note_now(struct walk *walk, const struct crash *crash, const struct crash *second)
{
    char *now = walk->workloads->now;
    size_t size = sizeof walk->workloads->now;
    int at = snprintf(now, size, "BOLE_WORKLOAD=%d:", walk->workloads->variant);
    for (int i = 0; i < walk->count; i++)
        at += snprintf(now + at, size - (size_t)at, "%s%s", i ? "," : "",
                       operation_name(walk->operations[i]));
    if (crash)
        at += snprintf(now + at, size - (size_t)at, ":%d:%u:%d:%llu:%d", walk->recording,
                       crash->cut, crash->kind, (unsigned long long)crash->number, crash->start);
    if (second)
        snprintf(now + at, size - (size_t)at, ":%u:%d:%llu:%d", second->cut, second->kind,
                 (unsigned long long)second->number, second->start);
}

static void fail(struct walk *walk, const char *what)
{
    struct workloads *workloads = walk->workloads;
    if (!workloads->failure[0])
        snprintf(workloads->failure, sizeof workloads->failure, "%s\n  repeat it with %s", what,
                 workloads->now);
}

static void read_wish(struct walk *walk)
{
    const char *text = getenv("BOLE_WORKLOAD");
    if (!text)
        return;
    struct wish *wish = &walk->wish;
    struct crash *crash = wish->crash;
    unsigned long long number[2] = {0, 0};
    walk->workloads->variant = text[0] - '0';
    bool varies = text[0] >= '0' && text[0] < '0' + SCRIPT_VARIANTS && text[1] == ':';
    text += varies ? 2 : 0;
    size_t names = strcspn(text, ":");
    int read = sscanf(text + names, ":%d:%u:%d:%llu:%d:%u:%d:%llu:%d", &wish->recording,
                      &crash[0].cut, &crash[0].kind, &number[0], &crash[0].start, &crash[1].cut,
                      &crash[1].kind, &number[1], &crash[1].start);
    wish->wished = varies && read_names(walk, text, names);
    wish->parts = read >= 9 ? 2 : read >= 5 ? 1 : 0;
    crash[0].number = number[0];
    crash[1].number = number[1];
    if (!wish->wished)
        fail(walk, "BOLE_WORKLOAD names no workload");
}

/* ---- one image ---- */

static void init_image(struct walk *walk, struct rig *rig, struct disk *disk, int start)
{
    struct rig_settings settings = script_settings(walk->workloads->seed, walk->workloads->variant);
    settings.starts = (enum rig_starts)start;
    rig_init_image(rig, &settings, walk->oracle, disk, walk->promises);
}

static uint64_t digest_of(const struct promise promises[SLOTS_MAX], struct disk *disk)
{
    return image_digest_mix(oracle_digest(promises, SCRIPT_SLOTS), image_digest(disk));
}

/* After a start and a clean stop: a start of the other kind finds just this. Many images lead to
 * the same disk, byte by byte; one start on it shows it for all of them. */
static void start_again(struct walk *walk, struct rig *rig)
{
    uint64_t all = digest_of(rig->promises, rig->world->machines[0]->disk);
    if (!image_set_add(&walk->stopped, image_digest_mix(all, (uint64_t)rig->settings.starts)))
        return;
    uint64_t digest = rig_digest(rig);
    rig->settings.starts = rig->settings.starts == STARTS_CLASSIC ? STARTS_RESUME : STARTS_CLASSIC;
    rig_start(rig);
    if (!rig->failure[0] && rig_digest(rig) != digest)
        rig_fail(rig, "a start after a clean stop has changed something");
}

/* Starts on `disk` (taken), reads everything, stops, starts again. */
static void start_on(struct walk *walk, struct disk *disk, int start)
{
    struct rig *rig = memory_zeroed(sizeof *rig);
    init_image(walk, rig, disk, start);
    rig->recovered = &walk->recovered;
    rig_start(rig);
    walk->workloads->known += rig->known;
    if (!rig->known)
        rig_stop(rig);
    rig->recovered = NULL;
    if (!rig->failure[0] && !rig->known)
        start_again(walk, rig);
    if (rig->failure[0])
        fail(walk, rig->failure);
    rig_done(rig);
    memory_free(rig);
}

/* Records the start on an image (`disk` is taken) and crashes it in turn. */
static void crash_recovery(struct walk *walk, struct disk *disk, const struct crash *crash)
{
    struct workloads *workloads = walk->workloads;
    struct rig *rig = memory_zeroed(sizeof *rig);
    init_image(walk, rig, disk, crash->start);
    world_record_start(rig->world, 0);
    rig_start(rig);
    if (rig->resumes) /* its recovery ends when all is drained */
        rig_stop(rig);
    if (rig->failure[0])
        fail(walk, rig->failure);
    struct disk_recording *recording = world_record_stop(rig->world, 0);
    rig_done(rig);
    memory_free(rig);
    bool wished = walk->wish.parts == 2;
    uint32_t step = wished ? 1 : 1 + recording->count / workloads->recovery_cuts;
    uint32_t first = wished ? 0 : (uint32_t)random_below(&walk->random, step);
    for (uint32_t cut = first; cut <= recording->count && !workloads->failure[0]; cut += step) {
        struct crash second = {cut, CHOICE_RANDOM, random_next(&walk->random) >> 32,
                               random_below(&walk->random, 2) ? STARTS_RESUME : STARTS_CLASSIC};
        if (wished && cut != walk->wish.crash[1].cut)
            continue;
        if (wished)
            second = walk->wish.crash[1];
        note_now(walk, crash, &second);
        struct disk_choice choice =
            disk_choice_of((enum disk_choice_kind)second.kind, second.number);
        start_on(walk, disk_image_at(recording, cut, &choice), second.start);
        workloads->recovery_images++;
    }
    disk_recording_destroy(recording);
}

static void look_at_start(struct walk *walk, const struct disk *disk, struct crash crash)
{
    struct workloads *workloads = walk->workloads;
    if (workloads->failure[0])
        return;
    note_now(walk, &crash, NULL);
    workloads->images++;
    bool twice = walk->wish.parts ? walk->wish.parts == 2
                                  : random_once_in(&walk->random, workloads->recoveries);
    if (walk->wish.parts < 2)
        start_on(walk, disk_clone(disk), crash.start);
    if (twice && !workloads->failure[0])
        crash_recovery(walk, disk_clone(disk), &crash);
}

/* How many units there were to choose from. */
static uint32_t look_at_choice(struct walk *walk, int kind, uint64_t number)
{
    struct workloads *workloads = walk->workloads;
    struct disk_choice choice = disk_choice_of((enum disk_choice_kind)kind, number);
    struct disk *disk = disk_image_at(walk->records, walk->cut, &choice);
    uint64_t digest = digest_of(walk->promises, disk);
    if (workloads->failure[0] || !image_set_add(&walk->seen, digest)) {
        workloads->same++;
        disk_destroy(disk);
        return choice.units;
    }
    struct crash crash = {walk->cut, kind, number, digest & 1 ? STARTS_RESUME : STARTS_CLASSIC};
    bool both = random_once_in(&walk->random, workloads->both_once_in);
    look_at_start(walk, disk, crash);
    crash.start = crash.start == STARTS_RESUME ? STARTS_CLASSIC : STARTS_RESUME;
    if (both)
        look_at_start(walk, disk, crash);
    disk_destroy(disk);
    return choice.units;
}

static void look_at_cut(struct walk *walk)
{
    const struct workloads *workloads = walk->workloads;
    walk->workloads->cuts++;
    uint32_t units = look_at_choice(walk, CHOICE_OLD, 0);
    if (units > 0)
        look_at_choice(walk, CHOICE_NEW, 0);
    if (units < 2)
        return;
    if (units <= (uint32_t)workloads->subset_units) {
        for (uint64_t bits = 1; bits + 1 < 1u << units; bits++)
            look_at_choice(walk, CHOICE_BITS, bits);
        return;
    }
    uint32_t single =
        units < (uint32_t)workloads->single_units ? units : (uint32_t)workloads->single_units;
    for (uint32_t i = 0; i < single; i++) {
        look_at_choice(walk, CHOICE_ONE_OLD, (i + walk->cut) % units);
        look_at_choice(walk, CHOICE_ONE_NEW, (i + walk->cut) % units);
    }
    for (int i = 0; i < workloads->draws; i++)
        look_at_choice(walk, CHOICE_RANDOM, random_next(&walk->random) >> 32);
}

/* ---- one workload ---- */

static void promises_at(struct walk *walk, const struct script_recording *of, uint32_t cut)
{
    int64_t mark = disk_mark_at(of->recording, cut);
    oracle_at(walk->oracle, mark < 0 ? of->events : mark, walk->promises);
}

static void look_at_recording(struct walk *walk, const struct script_recording *of)
{
    const struct workloads *workloads = walk->workloads;
    walk->records = of->recording;
    if (walk->wish.parts) {
        promises_at(walk, of, walk->wish.crash[0].cut);
        struct crash crash = walk->wish.crash[0];
        struct disk_choice choice = disk_choice_of((enum disk_choice_kind)crash.kind, crash.number);
        struct disk *disk = disk_image_at(of->recording, crash.cut, &choice);
        look_at_start(walk, disk, crash);
        disk_destroy(disk);
        return;
    }
    for (uint32_t i = of->from; i <= of->recording->count && !workloads->failure[0]; i++) {
        if (workloads->images_most && workloads->images >= workloads->images_most)
            return;
        walk->cut = i;
        promises_at(walk, of, i);
        look_at_cut(walk);
    }
}

static void look_at_workload(struct walk *walk)
{
    struct workloads *workloads = walk->workloads;
    struct rig_settings settings = script_settings(workloads->seed, workloads->variant);
    settings.starts = STARTS_RESUME;
    struct oracle oracle;
    struct script script;
    struct rig *rig = memory_zeroed(sizeof *rig);
    walk->oracle = &oracle;
    note_now(walk, NULL, NULL);
    workloads->workloads++;
    uint64_t choices = workloads->seed << 4 | (uint64_t)workloads->variant;
    for (int i = 0; i < walk->count; i++)
        choices = choices << 8 | (uint64_t)(walk->operations[i] + 1);
    random_seed(&walk->random, choices);
    oracle_init(&oracle, workloads->seed, settings.slots, settings.batch_most);
    oracle_begin(&oracle);
    rig_init(rig, &settings, &oracle);
    script_begin(&script, rig);
    script_record(&script);
    for (int i = 0; i < walk->count; i++) {
        if (i + 1 == walk->count)
            script_last(&script);
        script_do(&script, walk->operations[i]);
    }
    script_end(&script);
    if (rig->failure[0])
        fail(walk, rig->failure);
    rig_done(rig);
    memory_free(rig);
    for (walk->recording = 0; walk->recording < script.recording_count; walk->recording++) {
        const struct script_recording *of = &script.recordings[walk->recording];
        bool meant = !walk->wish.parts || walk->recording == walk->wish.recording;
        if (of->recording && meant && !workloads->failure[0])
            look_at_recording(walk, of);
    }
    script_done(&script);
    oracle_done(&oracle);
}

/* Whatever two of the three operations are, one in `sample` of those there are for the third makes
 * a sum that is taken. */
static bool is_sampled(const struct walk *walk)
{
    int sum = 0;
    for (int i = 0; i < walk->count; i++)
        sum += (int)walk->operations[i];
    return walk->count < 3 || walk->workloads->sample == 0 || sum % walk->workloads->sample == 0;
}

/* Workloads come in order of length. */
static void look_at_length(struct walk *walk, int length, int *index)
{
    const struct workloads *workloads = walk->workloads;
    int count = 1;
    for (int i = 0; i < length; i++)
        count *= OPERATION_COUNT;
    for (int i = 0; i < count && !workloads->failure[0]; i++) {
        if (workloads->images_most && workloads->images >= workloads->images_most)
            return;
        int rest = i;
        walk->count = length;
        for (int j = length - 1; j >= 0; j--, rest /= OPERATION_COUNT)
            walk->operations[j] = (enum operation)(rest % OPERATION_COUNT);
        if (is_sampled(walk) && (*index)++ % workloads->shares == workloads->share)
            look_at_workload(walk);
    }
}

void workloads_run(struct workloads *workloads)
{
    check(workloads->operations <= WORKLOAD_OPERATIONS_MAX && workloads->shares > 0);
    check(workloads->sample <= OPERATION_COUNT); /* else there would be pairs that don't meet */
    struct walk walk = {.workloads = workloads};
    image_set_init(&walk.seen);
    image_set_init(&walk.recovered);
    image_set_init(&walk.stopped);
    read_wish(&walk);
    int index = 0;
    if (walk.wish.wished)
        look_at_workload(&walk);
    else if (!workloads->failure[0])
        for (int length = 1; length <= workloads->operations && !workloads->failure[0]; length++)
            look_at_length(&walk, length, &index);
    image_set_done(&walk.seen);
    image_set_done(&walk.recovered);
    image_set_done(&walk.stopped);
}
