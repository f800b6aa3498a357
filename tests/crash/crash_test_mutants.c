/* In a build with BOLE_MUTANTS: every mutant of the storage layer must die, and every mark of it be
 * reached. BOLE_MUTANT=name tries one only. */
#include "base/memory.h"
#include "base/mutant.h"
#include "crash/aside.h"
#include "crash/caches.h"
#include "crash/faults.h"
#include "crash/images.h"
#include "crash/keyed_runs.h"
#include "crash/lives.h"
#include "crash/model.h"
#include "crash/rot.h"
#include "crash/scrubs.h"
#include "crash/workloads.h"
#include "sim/reached.h"
#include "support/test.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if BOLE_MUTANTS
static const char *const mutants[] = {
    "answer_before_flush",
    "answer_arrivals_of_a_running_flush",
    "flush_before_all_completions",
    "lap_freed_before_segments_flushed",
    "close_dirty_handle",
    "skip_fsync_of_folder",
    "skip_fsync_of_directory",
    "second_write_in_flight_on_a_block",
    "reuse_buffer_before_completion",
    "keep_stale_bytes",
    "cut_too_little",
    "cut_too_much",
    "recreated_topic_sees_old_files",
    "replay_twice_appends_twice",
    "resume_forgets_live_blocks",
    "answer_duplicate_with_new_offset",
    "forget_producers_at_open",
    "snapshot_ahead_of_log_believed",
    "index_entry_believed",
    "forget_epoch_cache",
    "cut_before_journal",
    "truncate_keeps_epochs",
    "start_forgotten_at_checkpoint",
};

static const char *const compaction_mutants[] = {
    "lose_tombstone_early",
    "compact_past_high_watermark",
    "drop_last_sequence",
    "swap_before_flush",
};

static const char *const fault_mutants[] = {
    "full_disk_fences",
    "retry_failed_flush",
    "set_aside_cuts",
};

static const char *const sidecar_mutants[] = {
    "stale_sidecar_believed",
    "scrub_skips_headers",
};

enum { HUNT_SEEDS = 60, FIRST_SEEDS = 30, HUNT_S = 100, KILLED = 17, FAILURE_BYTES = 800 };

/* Short scripts, and many: in a long one much of what has to come together is chance, and chance
 * does not shrink. */
enum { SCRIPTS = 400, SCRIPT_OPERATIONS = 100, RUNS_TO_SHRINK = 300 };

/* Workloads of up to so many operations, cut everywhere. */
static bool hunt_in_workloads(const char *name, int operations)
{
    for (int variant = 0; variant < SCRIPT_VARIANTS; variant++) {
        struct workloads workloads = {.seed = 1,
                                      .variant = variant,
                                      .operations = operations,
                                      .subset_units = 2,
                                      .single_units = 2,
                                      .draws = 1,
                                      .shares = 1};
        workloads_run(&workloads);
        if (workloads.failure[0]) {
            printf("%s: killed by image %llu: %s\n", name, (unsigned long long)workloads.images,
                   workloads.failure);
            return true;
        }
    }
    return false;
}

/* Runs with the active mutant until something is wrong; says what, and with which seed. */
static bool hunt(const char *name, uint64_t *ret_seed)
{
    if (hunt_in_workloads(name, 1))
        return true;
    for (uint64_t seed = 1; seed <= HUNT_SEEDS; seed++) {
        *ret_seed = seed;
        if (seed == FIRST_SEEDS && hunt_in_workloads(name, 2)) /* many: after what is quick */
            return true;
        char failure[800];
        for (int kind = LIVES_CRASHES; kind <= LIVES_REMOVALS; kind += 2) {
            lives_run((enum lives_kind)kind, seed, 6, failure, sizeof failure);
            if (failure[0]) {
                printf("%s: killed by lives of seed %llu: %s\n", name, (unsigned long long)seed,
                       failure);
                return true;
            }
        }
        struct rig_settings settings = rig_settings_random(seed);
        if (seed % 2)
            settings.remove_once_in = 25;
        struct images images = {
            .seed = seed, .lives = 2, .events = 700, .cut_step = 25, .choices = 2};
        images_run(&images, &settings);
        if (images.failure[0]) {
            printf("%s: killed by an image: %s\n", name, images.failure);
            return true;
        }
        caches_run(seed, 25, failure, sizeof failure);
        if (failure[0]) {
            printf("%s: killed by a damaged cache: %s\n", name, failure);
            return true;
        }
    }
    printf("%s: SURVIVED %d seeds\n", name, HUNT_SEEDS);
    return false;
}

/* The same for the mutants of compaction. */
static bool hunt_compaction(const char *name, uint64_t *ret_seed)
{
    for (uint64_t seed = 1; seed <= HUNT_SEEDS; seed++) {
        *ret_seed = seed;
        struct keyed *keyed = memory_zeroed(sizeof *keyed);
        struct keyed_cuts cuts = {.keyed = memory_zeroed(sizeof *cuts.keyed)};
        keyed_lives(seed, true, keyed);
        keyed_images(seed, 25, &cuts);
        const char *failure = keyed->failure[0] ? keyed->failure : cuts.keyed->failure;
        bool killed = failure[0];
        if (killed)
            printf("%s: killed by %s: %s\n", name, keyed->failure[0] ? "lives" : "an image",
                   failure);
        keyed_done(keyed);
        keyed_done(cuts.keyed);
        memory_free(keyed);
        memory_free(cuts.keyed);
        if (killed)
            return true;
    }
    printf("%s: SURVIVED %d seeds\n", name, HUNT_SEEDS);
    return false;
}

/* Of those that break what a bad disk calls for. */
static bool hunt_faults(const char *name, uint64_t *ret_seed)
{
    struct faults faults = {0};
    for (int starts = STARTS_CLASSIC; starts <= STARTS_RESUME; starts++) {
        struct aside_run run = {.damage = ASIDE_CUT, .starts = (enum rig_starts)starts};
        aside_run(&run);
        if (run.failure[0]) {
            printf("%s: killed by a damaged segment: %s\n", name, run.failure);
            return true;
        }
    }
    for (uint64_t number = 1; number < 800; number++)
        for (int variant = 0; variant < SCRIPT_VARIANTS; variant++) {
            *ret_seed = number;
            faults = (struct faults){.seed = 1,
                                     .variant = variant,
                                     .starts = STARTS_RESUME,
                                     .kind = number % 2 ? FAULT_ERROR : FAULT_FULL_ONCE,
                                     .number = number,
                                     .power_lost = true};
            faults_run(&faults);
            if (faults.failure[0]) {
                printf("%s: killed by the failure of operation %llu: %s\n", name,
                       (unsigned long long)number, faults.failure);
                return true;
            }
        }
    printf("%s: SURVIVED\n", name);
    return false;
}

/* The same for those of sidecars and of the scrub. */
static bool hunt_sidecars(const char *name, uint64_t *ret_seed)
{
    for (uint64_t seed = 1; seed <= HUNT_SEEDS; seed++) {
        *ret_seed = seed;
        char failure[800];
        struct scrubs scrubs = {.flips = 25};
        caches_run(seed, 25, failure, sizeof failure);
        scrubs_run(&scrubs, seed);
        if (failure[0] || scrubs.failure[0]) {
            printf("%s: killed by %s%s\n", name, failure, scrubs.failure);
            return true;
        }
    }
    printf("%s: SURVIVED %d seeds\n", name, HUNT_SEEDS);
    return false;
}

/* In a process of its own: a check that fails kills a mutant too. */
static bool dies(const char *name, bool (*hunt_it)(const char *name, uint64_t *ret_seed))
{
    uint64_t *seed =
        mmap(NULL, sizeof *seed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seed == MAP_FAILED)
        return false;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        /* of processor time: what else the machine does is no mutant's luck */
        setrlimit(RLIMIT_CPU, &(struct rlimit){.rlim_cur = HUNT_S, .rlim_max = HUNT_S + 10});
        mutant_activate(mutant_find(name));
        bool killed = hunt_it(name, seed);
        fflush(stdout);
        _exit(killed ? KILLED : 0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGXCPU) {
        printf("%s: killed in seed %llu by signal %d\n", name, (unsigned long long)*seed,
               WTERMSIG(status));
        return true;
    }
    munmap(seed, sizeof *seed);
    return WIFEXITED(status) && WEXITSTATUS(status) == KILLED;
}

TEST(mutants, of_the_storage_layer_die)
{
    const char *only = getenv("BOLE_MUTANT");
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++)
        if (!only || strcmp(only, mutants[i]) == 0)
            test_expect(dies(mutants[i], hunt), __FILE__, __LINE__, "%s has survived", mutants[i]);
}

TEST(mutants, of_sidecars_die)
{
    const char *only = getenv("BOLE_MUTANT");
    for (size_t i = 0; i < sizeof sidecar_mutants / sizeof sidecar_mutants[0]; i++)
        if (!only || strcmp(only, sidecar_mutants[i]) == 0)
            test_expect(dies(sidecar_mutants[i], hunt_sidecars), __FILE__, __LINE__,
                        "%s has survived", sidecar_mutants[i]);
}

TEST(mutants, of_compaction_die)
{
    const char *only = getenv("BOLE_MUTANT");
    for (size_t i = 0; i < sizeof compaction_mutants / sizeof compaction_mutants[0]; i++)
        if (!only || strcmp(only, compaction_mutants[i]) == 0)
            test_expect(dies(compaction_mutants[i], hunt_compaction), __FILE__, __LINE__,
                        "%s has survived", compaction_mutants[i]);
}

TEST(mutants, of_what_a_bad_disk_calls_for_die)
{
    const char *only = getenv("BOLE_MUTANT");
    for (size_t i = 0; i < sizeof fault_mutants / sizeof fault_mutants[0]; i++)
        if (!only || strcmp(only, fault_mutants[i]) == 0)
            test_expect(dies(fault_mutants[i], hunt_faults), __FILE__, __LINE__, "%s has survived",
                        fault_mutants[i]);
}

/* One that fails without the mutant, too, says nothing about it. */
static bool script_kills(const struct model_script *script, void *mutant)
{
    char failure[FAILURE_BYTES];
    mutant_activate(*(const enum mutant *)mutant);
    model_run_apart(script, failure, sizeof failure);
    mutant_activate(MUTANT_NONE);
    if (!failure[0])
        return false;
    model_run_apart(script, failure, sizeof failure);
    return !failure[0];
}

/* Random operations find them, too, and a script that does becomes short. */
TEST(mutants, fail_in_the_model_and_shrink)
{
    static const char *const some[] = {"answer_before_flush", "cut_too_much",
                                       "recreated_topic_sees_old_files"};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        enum mutant mutant = mutant_find(some[i]);
        bool killed = false;
        for (uint64_t seed = 1; seed <= SCRIPTS && !killed; seed++) {
            struct model_script script = model_script_random(seed, SCRIPT_OPERATIONS);
            killed = script_kills(&script, &mutant);
            if (killed) {
                model_shrink(&script, RUNS_TO_SHRINK, script_kills, &mutant);
                printf("%s: seed %llu, %d operations\n", some[i], (unsigned long long)seed,
                       script.count);
                TRUE_(script.count <= 20);
            }
            model_script_done(&script);
        }
        test_expect(killed, __FILE__, __LINE__, "%s has survived the model", some[i]);
    }
}

TEST(mutants, without_one_nothing_fails)
{
    TRUE_(!hunt_in_workloads("no mutant", 1));
    for (uint64_t seed = 1; seed <= 5; seed++) {
        char failure[800];
        lives_run(LIVES_REMOVALS, seed, 6, failure, sizeof failure);
        EQ_TEXT(failure, "");
    }
}

TEST(reached, marks_of_the_storage_layer)
{
    static const char *const marks[] = {"ring wraps",
                                        "ring full",
                                        "journal grown",
                                        "ring crowded",
                                        "torn end met",
                                        "a kept descriptor closed for another",
                                        "an idle log closed",
                                        "a segment opened again to be flushed",
                                        "roll during a flush",
                                        "arrivals during a flush",
                                        "short journal write",
                                        "short drain write",
                                        "folder of an earlier topic",
                                        "folder of a deleted topic",
                                        "pool of journal memory empty",
                                        "read from a file",
                                        "index not believed",
                                        "disk full",
                                        "disk has room again",
                                        "an operation put off on a full disk",
                                        "swap finished at open",
                                        "read during a compaction's swap",
                                        "a duplicate of an appended batch",
                                        "a snapshot of producers was written",
                                        "snapshot of producers removed",
                                        "snapshot of producers not believed",
                                        "time index not believed",
                                        "leader epochs made anew",
                                        "indexes of a closed segment made anew",
                                        "sidecar written",
                                        "sidecar of other batches",
                                        "index not what its sidecar says",
                                        "rot found by a sidecar",
                                        "rot found by a scrub",
                                        "compaction met rot in a header",
                                        "sidecar made by a scrub",
                                        "index made anew for a scrub"};
    reached_begin();
    for (uint64_t seed = 1; seed <= 60; seed++) {
        char failure[800];
        lives_run(seed % 2 ? LIVES_CRASHES : LIVES_REMOVALS, seed, 6, failure, sizeof failure);
        EQ_TEXT(failure, "");
    }
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct rot rot = {.flips = 20};
        rot_run(&rot, seed);
        EQ_TEXT(rot.failure, "");
    }
    /* a few seeds only meet an index that is whole by itself, and names no batch */
    for (uint64_t seed = 1;
         seed <= 60 || (seed <= 600 && !reached_count("time index not believed")); seed++) {
        char failure[800];
        caches_run(seed, 25, failure, sizeof failure);
        EQ_TEXT(failure, "");
        struct scrubs scrubs = {.flips = 25};
        scrubs_run(&scrubs, seed);
        EQ_TEXT(scrubs.failure, "");
    }
    for (uint64_t seed = 1; seed <= 15; seed++) {
        struct keyed *keyed = memory_zeroed(sizeof *keyed);
        struct keyed_cuts cuts = {.keyed = memory_zeroed(sizeof *cuts.keyed)};
        keyed_lives(seed, true, keyed);
        keyed_images(seed, 25, &cuts);
        EQ_TEXT(keyed->failure, "");
        EQ_TEXT(cuts.keyed->failure, "");
        keyed_done(keyed);
        keyed_done(cuts.keyed);
        memory_free(keyed);
        memory_free(cuts.keyed);
    }
    for (uint64_t number = 5; number < 300; number += 40) {
        struct faults faults = {
            .seed = 1, .starts = STARTS_RESUME, .kind = FAULT_FULL_WHILE, .number = number};
        faults_run(&faults);
        EQ_TEXT(faults.failure, "");
    }
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        test_expect(reached_count(marks[i]) > 0, __FILE__, __LINE__, "never reached: %s", marks[i]);
    reached_end();
}
#endif
