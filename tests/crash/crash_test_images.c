/* Every write recorded, every cut point replayed: workloads by name, each with its own settings. */
#include "crash/images.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

/* How much: 1 in a check, more with BOLE_CRASH_TIMES. */
static uint64_t times(void)
{
    const char *text = getenv("BOLE_CRASH_TIMES");
    return text ? strtoull(text, NULL, 10) : 1;
}

static uint64_t seen, seen_recoveries;

/* Runs `adjust` of random settings for a few seeds. */
static void run(const char *name, uint64_t first_seed, void (*adjust)(struct rig_settings *))
{
    uint64_t count = 0, same = 0, recoveries = 0;
    bool passed = true;
    for (uint64_t i = 0; i < 3 * times() && passed; i++) {
        uint64_t seed = first_seed + i;
        struct rig_settings settings = rig_settings_random(seed);
        adjust(&settings);
        struct images images = {.seed = seed,
                                .lives = 3,
                                .events = 700,
                                .cut_step = 15,
                                .choices = 2,
                                .recoveries = 120};
        images_run(&images, &settings);
        count += images.count;
        same += images.same;
        recoveries += images.recovery_count;
        passed =
            test_expect(images.failure[0] == 0, __FILE__, __LINE__, "%s: %s", name, images.failure);
    }
    printf("%s: %llu images, %llu more that equal one of them, %llu of crashes in recovery\n", name,
           (unsigned long long)count, (unsigned long long)same, (unsigned long long)recoveries);
    seen += count + recoveries;
    seen_recoveries += recoveries;
}

static void one_log(struct rig_settings *settings)
{
    settings->slots = settings->cores = 1;
    settings->pause_once_in = 3;
}

static void many_logs(struct rig_settings *settings)
{
    settings->slots = 12;
    settings->batch_most = 300;
}

static void rolls(struct rig_settings *settings)
{
    settings->log.segment_bytes = 4096;
    settings->batch_most = 2000;
}

static void laps(struct rig_settings *settings)
{
    settings->store.journal_initial_bytes = settings->store.journal_bytes = 64 << 10;
    settings->batch_most = 3000;
    settings->pause_once_in = 20;
    settings->read_once_in = 0;
}

static void grows(struct rig_settings *settings)
{
    settings->store.journal_initial_bytes = 64 << 10;
    settings->store.journal_bytes = 256 << 10;
    settings->batch_most = 8000;
    settings->pause_once_in = 20;
    settings->read_once_in = 0;
}

static void idles(struct rig_settings *settings)
{
    settings->store.idle_ns = 1000000;
    settings->pause_once_in = 1;
    settings->batch_most = 500;
}

static void removes(struct rig_settings *settings)
{
    settings->remove_once_in = 25;
    settings->slots = 3;
    settings->batch_most = 1500;
}

TEST(images, of_one_log)
{
    run("one log", 1000, one_log);
}

TEST(images, of_many_logs)
{
    run("many logs", 2000, many_logs);
}

TEST(images, of_rolls)
{
    run("rolls", 3000, rolls);
}

TEST(images, of_laps)
{
    run("laps", 4000, laps);
}

TEST(images, of_growth)
{
    run("growth", 5000, grows);
}

TEST(images, of_checkpoints_when_idle)
{
    run("idle", 6000, idles);
}

TEST(images, of_removed_and_recreated_logs)
{
    run("removed", 7000, removes);
}
