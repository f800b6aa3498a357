#include "crash/images.h"
#include "base/check.h"
#include "base/memory.h"
#include "crash/image_digest.h"
#include "crash/image_set.h"
#include <stdio.h>
#include <stdlib.h>

enum { RECOVERY_CUTS = 40 }; /* of one recovery, about */

/* One crash: the cut of a recording and what of it was kept. */
struct crash {
    uint32_t cut;
    int kind;
    uint64_t number;
};

/* What BOLE_CRASH asks for. */
struct wish {
    uint64_t seed;
    int life, parts; /* parts 0: nothing is asked for; 1: one crash; 2: one in its recovery too */
    struct crash crash[2];
};

struct run {
    struct images *images;
    const struct rig_settings *settings;
    struct oracle *oracle;
    struct disk_recording *recording;
    struct random random;
    struct wish wish;
    int life;
    struct image_set seen;      /* images with their promises */
    struct image_set recovered; /* the same of disks after a recovery */
};

static struct wish read_wish(void)
{
    struct wish wish = {0};
    const char *text = getenv("BOLE_CRASH");
    unsigned long long seed, number[2];
    if (!text)
        return wish;
    int read = sscanf(text, "%llu:%d:%u:%d:%llu:%u:%d:%llu", &seed, &wish.life, &wish.crash[0].cut,
                      &wish.crash[0].kind, &number[0], &wish.crash[1].cut, &wish.crash[1].kind,
                      &number[1]);
    wish.parts = read >= 8 ? 2 : read >= 5 ? 1 : 0;
    wish.seed = wish.parts ? seed : 0;
    for (int i = 0; i < wish.parts; i++)
        wish.crash[i].number = number[i];
    return wish;
}

static void fail(struct run *run, const struct crash *crash, const struct crash *second,
                 const char *what)
{
    char more[64] = "";
    if (second)
        snprintf(more, sizeof more, ":%u:%d:%llu", second->cut, second->kind,
                 (unsigned long long)second->number);
    snprintf(run->images->failure, sizeof run->images->failure,
             "%s\n  repeat it with BOLE_CRASH=%llu:%d:%u:%d:%llu%s", what,
             (unsigned long long)run->images->seed, run->life, crash->cut, crash->kind,
             (unsigned long long)crash->number, more);
}

/* Starts on `disk` (taken), reads everything, stops. */
static void start_on(struct run *run, struct disk *disk, const struct promise *promises,
                     const struct crash *crash, const struct crash *second)
{
    struct rig *rig = memory_zeroed(sizeof *rig);
    rig_init_image(rig, run->settings, run->oracle, disk, promises);
    rig->lives = run->life;
    rig->recovered = &run->recovered;
    rig->recovered_salt = (uint64_t)run->life;
    rig_start(rig);
    if (!rig->known)
        rig_stop(rig);
    if (rig->failure[0])
        fail(run, crash, second, rig->failure);
    rig_done(rig);
    memory_free(rig);
}

/* Records the recovery of an image and crashes it again. */
static void crash_recovery(struct run *run, struct disk *disk, const struct promise *promises,
                           const struct crash *crash)
{
    struct rig *rig = memory_zeroed(sizeof *rig);
    rig_init_image(rig, run->settings, run->oracle, disk, promises);
    world_record_start(rig->world, 0);
    rig->lives = run->life;
    rig_start(rig);
    if (rig->resumes) /* its recovery ends when all is drained */
        rig_stop(rig);
    if (rig->failure[0])
        fail(run, crash, NULL, rig->failure);
    struct disk_recording *recording = world_record_stop(rig->world, 0);
    rig_done(rig);
    memory_free(rig);
    uint32_t step = run->wish.parts ? 1 : 1 + recording->count / RECOVERY_CUTS;
    for (uint32_t cut = 0; cut <= recording->count && !run->images->failure[0]; cut += step) {
        struct crash second = {cut, CHOICE_RANDOM, random_next(&run->random) >> 32};
        if (run->wish.parts == 2) {
            if (cut != run->wish.crash[1].cut)
                continue;
            second = run->wish.crash[1];
        }
        struct disk_choice choice =
            disk_choice_of((enum disk_choice_kind)second.kind, second.number);
        start_on(run, disk_image_at(recording, cut, &choice), promises, crash, &second);
        run->images->recovery_count++;
    }
    disk_recording_destroy(recording);
}

/* The same files with the same promises were looked at before: a start draws nothing of its own. */
static bool is_known(struct run *run, struct disk *disk, const struct promise promises[SLOTS_MAX])
{
    uint64_t digest =
        image_digest_mix(oracle_digest(promises, run->settings->slots), (uint64_t)run->life);
    if (run->wish.parts || image_set_add(&run->seen, image_digest_mix(digest, image_digest(disk))))
        return false;
    run->images->same++;
    return true;
}

static void look_at_image(struct run *run, struct crash crash)
{
    struct promise promises[SLOTS_MAX];
    oracle_at(run->oracle, disk_mark_at(run->recording, crash.cut), promises);
    struct disk_choice choice = disk_choice_of((enum disk_choice_kind)crash.kind, crash.number);
    struct disk *disk = disk_image_at(run->recording, crash.cut, &choice);
    struct images *images = run->images;
    if (is_known(run, disk, promises)) {
        disk_destroy(disk);
        return;
    }
    images->count++;
    bool twice =
        run->wish.parts ? run->wish.parts == 2 : random_once_in(&run->random, images->recoveries);
    if (twice)
        crash_recovery(run, disk_clone(disk), promises, &crash);
    if (run->wish.parts != 2 && !images->failure[0])
        start_on(run, disk, promises, &crash, NULL);
    else
        disk_destroy(disk);
}

static void look_at_cuts(struct run *run)
{
    struct images *images = run->images;
    if (run->wish.parts) {
        if (run->wish.life == run->life)
            look_at_image(run, run->wish.crash[0]);
        return;
    }
    uint32_t step = images->cut_step;
    for (uint32_t cut = (uint32_t)random_below(&run->random, step); cut <= run->recording->count;
         cut += 1 + (uint32_t)random_below(&run->random, 2 * step - 1)) {
        look_at_image(run, (struct crash){cut, CHOICE_OLD, 0});
        if (!images->failure[0])
            look_at_image(run, (struct crash){cut, CHOICE_NEW, 0});
        for (int i = 0; i < images->choices && !images->failure[0]; i++) {
            static const int kinds[] = {CHOICE_RANDOM, CHOICE_RANDOM, CHOICE_ONE_OLD,
                                        CHOICE_ONE_NEW};
            int kind = kinds[random_below(&run->random, ARRAY_COUNT(kinds))];
            uint64_t number = kind == CHOICE_RANDOM ? random_next(&run->random) >> 32
                                                    : random_below(&run->random, 24);
            look_at_image(run, (struct crash){cut, kind, number});
        }
        if (images->failure[0])
            return;
    }
}

void images_run(struct images *images, const struct rig_settings *settings)
{
    struct oracle oracle;
    struct run run = {
        .images = images, .settings = settings, .oracle = &oracle, .wish = read_wish()};
    if (run.wish.parts && run.wish.seed != images->seed)
        return;
    struct rig *rig = memory_zeroed(sizeof *rig);
    oracle_init(&oracle, images->seed, settings->slots, settings->batch_most);
    rig_init(rig, settings, &oracle);
    random_seed(&run.random, images->seed ^ 0x1ac6e);
    image_set_init(&run.seen);
    image_set_init(&run.recovered);
    for (run.life = 1; run.life <= images->lives && !images->failure[0]; run.life++) {
        oracle_begin(&oracle);
        world_record_start(rig->world, 0);
        rig_start(rig);
        rig_work(rig, images->events);
        bool clean = run.life % 3 == 1;
        if (clean)
            rig_stop(rig);
        else if (!rig->failure[0])
            rig_crash(rig, run.life % 3 == 2);
        run.recording = world_record_stop(rig->world, 0);
        if (rig->failure[0])
            snprintf(images->failure, sizeof images->failure, "seed %llu: %s",
                     (unsigned long long)images->seed, rig->failure);
        else
            look_at_cuts(&run);
        disk_recording_destroy(run.recording);
    }
    image_set_done(&run.seen);
    image_set_done(&run.recovered);
    rig_done(rig);
    memory_free(rig);
    oracle_done(&oracle);
}
