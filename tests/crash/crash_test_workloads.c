/* Every workload of up to two operations, cut everywhere, and of those of three as many as fit a
 * check: each two operations meet once in each two of the three places. BOLE_WORKLOADS=all: all of
 * three, with every choice that a crash could leave, within reason; few: of one operation only. */
#include "crash/shares.h"
#include "crash/workloads.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

enum { IMAGES_LEAST = 20000 };

static bool wants(const char *how_many)
{
    const char *much = getenv("BOLE_WORKLOADS");
    return much && strcmp(much, how_many) == 0;
}

static struct workloads settings_of(int variant, int operations)
{
    struct workloads workloads = {.seed = 1,
                                  .variant = variant,
                                  .operations = wants("few") ? 1 : operations,
                                  .sample = OPERATION_COUNT,
                                  .subset_units = 2,
                                  .single_units = 1,
                                  .draws = 1,
                                  .both_once_in = 16,
                                  .recoveries = 100,
                                  .recovery_cuts = 12,
                                  .shares = SHARES};
    if (wants("all")) {
        workloads.operations = WORKLOAD_OPERATIONS_MAX;
        workloads.sample = 0;
        workloads.subset_units = 6;
        workloads.single_units = 64;
        workloads.draws = 16;
        workloads.both_once_in = 1;
        workloads.recovery_cuts = 100;
    }
    return workloads;
}

static void run_share(void *workloads)
{
    workloads_run(workloads);
}

/* The number of images. */
static uint64_t run(const char *name, const struct workloads *settings)
{
    struct workloads *shares = shares_take(SHARES * sizeof *shares);
    if (!TRUE_(shares))
        return 0;
    int count = getenv("BOLE_WORKLOAD") ? 1 : SHARES, status[SHARES];
    for (int i = 0; i < count; i++) {
        shares[i] = *settings;
        shares[i].share = i;
    }
    shares_run(shares, sizeof *shares, count, run_share, status);
    uint64_t workloads = 0, cuts = 0, images = 0, same = 0, recoveries = 0, known = 0;
    for (int i = 0; i < count; i++) {
        test_expect(status[i] == 0, __FILE__, __LINE__, "ended with status %x; repeat it with %s",
                    (unsigned)status[i], shares[i].now);
        EQ_TEXT(shares[i].failure, "");
        workloads += shares[i].workloads;
        cuts += shares[i].cuts;
        images += shares[i].images;
        same += shares[i].same;
        known += shares[i].known;
        recoveries += shares[i].recovery_images;
    }
    printf("%s: %llu workloads, %llu cuts, %llu images, %llu more that equal one of them, %llu of "
           "crashes in recovery, %llu recovered to the same\n",
           name, (unsigned long long)workloads, (unsigned long long)cuts,
           (unsigned long long)images, (unsigned long long)same, (unsigned long long)recoveries,
           (unsigned long long)known);
    shares_release(shares, SHARES * sizeof *shares);
    return images + recoveries;
}

/* A wish is fulfilled once, by the first test. */
TEST(workloads, of_three_operations_at_every_cut)
{
    struct workloads settings = settings_of(0, 3);
    uint64_t images = run("three operations", &settings);
    if (!getenv("BOLE_WORKLOAD") && !wants("few"))
        TRUE_(images >= IMAGES_LEAST);
}

TEST(workloads, on_two_cores)
{
    struct workloads settings = settings_of(1, 2);
    if (!getenv("BOLE_WORKLOAD"))
        (void)run("two cores", &settings);
}

TEST(workloads, on_a_disk_that_keeps_names_in_order)
{
    struct workloads settings = settings_of(2, 2);
    if (!getenv("BOLE_WORKLOAD"))
        (void)run("names in order", &settings);
}

TEST(workloads, with_short_writes)
{
    struct workloads settings = settings_of(3, 2);
    if (!getenv("BOLE_WORKLOAD"))
        (void)run("short writes", &settings);
}
