/* test_sim: runs seeds of the whole broker in the simulator. See usage. */
#include "base/check.h"
#include "base/mutant.h"
#include "sim/broker_sim.h"
#include "sim/machine_memory.h"
#include "sim/reached.h"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: test_sim [--seed N] [--count N] [--events N] [--once] [--verbose] [--marks] [--known]\n"
    "       test_sim --mutants [--seed N] [--count N] [--events N] [--only NAME]\n"
    "Simulates the whole broker under seeded faults: seeds N, N + 1, ...; each is run twice, "
    "which\n"
    "must give the same trace, or with --once once. --marks fails if a rare place was never "
    "reached.\n"
    "--known runs those of seeds.def first.\n"
    "--mutants (in a build with BOLE_MUTANTS): each fault of tests/mutants.def is run over the "
    "seeds\n"
    "until one notices it.\n";

struct options {
    uint64_t seed, count, events;
    bool once, verbose, marks, mutants, known;
    const char *only;
};

static const struct {
    uint64_t seed, events;
    const char *found;
} known_seeds[] = {
#define KNOWN_SEED(seed, events, found) {seed, events, found},
#include "sim/seeds.def"
#undef KNOWN_SEED
};

/* What a campaign must have reached. */
static const char *const wanted_marks[] = {
    "roll during a flush",
    "ring wraps",
    "ring full",
    "a kept descriptor closed for another",
    "pool empty",
    "late completion",
    "recovery crashed",
    "ENOBUFS met",
    "mail to a busy core",
    "pool of journal memory empty",
    "a batch is judged by a helper thread",
    "read from the page cache",
    "read from the disk",
    "read of a file waits for the disk",
    "read of a file waits for others' copies",
    "nobody can tell what the page cache has",
    "session evicted",
    "session answered with what changed only",
    "budget wait",
    "session partition forgotten",
    "let through alone",
    "a small frame past the budget",
    "credit wait",
    "recompressed",
    "gzip decompressed",
    "snappy decompressed",
    "lz4 decompressed",
    "zstd decompressed",
    "a request of an old version",
    "read past the budget",
    "partitions created under produce",
    "a duplicate of an appended batch",
    "a directory fenced alone",
    "partitions of an absent directory",
    "records deleted by a client",
    "a read below the log start",
    "log starts saved",
    "segments below the log start have gone",
    "a bit flipped in a closed segment",
    "a bit flipped beside a closed segment",
    "a bit flipped in a snapshot of producers",
    "segments compacted",
    "swap finished at open",
    "read during a compaction's swap",
    "a compacted log read from its start to its end",
    "the wall clock stepped by hours",
    "a steady clock for long",
    "records gone by size in the simulator",
    "records gone by age in the simulator",
};

/* Not killed here but by the crash tests of storage, which see every cut; by a unit test, which has
 * a batch that grows a thousandfold; or by the scene of a slow disk. */
static const enum mutant left_to_others[] = {MUTANT_recreated_topic_sees_old_files,
                                             MUTANT_folder_loses_its_name_first,
                                             MUTANT_folder_cleared_without_name,
                                             MUTANT_orphan_stays,
                                             MUTANT_resume_forgets_live_blocks,
                                             MUTANT_snapshot_ahead_of_log_believed,
                                             MUTANT_snapshot_forgets_kept,
                                             MUTANT_time_index_not_monotonic,
                                             MUTANT_index_entry_believed,
                                             MUTANT_forget_epoch_cache,
                                             MUTANT_decompress_unbounded,
                                             MUTANT_decided_on_committed_only,
                                             MUTANT_close_dirty_handle,
                                             MUTANT_reopen_forgets_ends,
                                             MUTANT_refusal_before_commit,
                                             MUTANT_compact_past_high_watermark,
                                             MUTANT_drop_last_sequence,
                                             MUTANT_stale_sidecar_believed,
                                             MUTANT_scrub_skips_headers,
                                             MUTANT_cut_before_journal,
                                             MUTANT_truncate_keeps_epochs,
                                             MUTANT_truncate_keeps_producers,
                                             MUTANT_full_disk_fences,
                                             MUTANT_retry_failed_flush,
                                             MUTANT_skip_fsync_of_folder,
                                             MUTANT_skip_fsync_of_directory,
                                             MUTANT_skip_fsync_of_journal,
                                             MUTANT_skip_fsync_of_replayed_folder,
                                             MUTANT_skip_fsync_of_swap,
                                             MUTANT_skip_fsync_before_swap,
                                             MUTANT_skip_fsync_behind_swap,
                                             MUTANT_skip_fsync_of_retirement,
                                             MUTANT_skip_fsync_before_snapshots_go,
                                             MUTANT_folder_of_a_later_topic_cleared,
                                             MUTANT_last_write_believed,
                                             MUTANT_snapshot_not_flushed,
                                             MUTANT_skip_fsync_of_txn_index,
                                             MUTANT_skip_fsync_of_named_folder,
                                             MUTANT_skip_fsync_of_cleared_folder,
                                             MUTANT_skip_fsync_of_removed_folder,
                                             MUTANT_skip_fsync_of_clean_mark,
                                             MUTANT_skip_fsync_of_lone_caches,
                                             MUTANT_skip_fsync_of_removed_snapshot,
                                             MUTANT_skip_fsync_of_kafkas_starts,
                                             MUTANT_skip_fsync_of_gathered_starts,
                                             MUTANT_skip_fsync_of_cleaning,
                                             MUTANT_skip_fsync_before_kafka_cut,
                                             MUTANT_skip_fsync_of_kafka_log,
                                             MUTANT_skip_fsync_before_pruning,
                                             MUTANT_skip_fsync_of_aside,
                                             MUTANT_skip_fsync_of_replayed_aside,
                                             MUTANT_skip_fsync_of_all_replayed,
                                             MUTANT_skip_fsync_of_snapshot,
                                             MUTANT_skip_fsync_of_parent,
                                             MUTANT_skip_fsync_of_small_files,
                                             MUTANT_skip_fsync_before_retirement,
                                             MUTANT_no_back_pressure,
                                             MUTANT_small_requests_wait_for_room,
                                             MUTANT_set_aside_cuts};

/* For on_crash, which has no argument of ours. */
static uint64_t current_seed, current_events;

static void on_crash(int signal)
{
    char text[128];
    int size = snprintf(text, sizeof text,
                        "\nseed %llu crashed; repeat: test_sim --seed %llu "
                        "--events %llu --verbose\n",
                        (unsigned long long)current_seed, (unsigned long long)current_seed,
                        (unsigned long long)current_events);
    ssize_t ignored = write(STDOUT_FILENO, text, (size_t)size);
    (void)ignored; /* there is nobody left to tell */
    raise(signal);
}

#if BOLE_MUTANTS
/* What counts marks takes memory, which is no machine's. */
static void (*count_mark)(const struct reached_mark *mark);

static void on_mark(const struct reached_mark *mark)
{
    int before = machine_memory_enter(MEMORY_NOBODY);
    count_mark(mark);
    machine_memory_enter(before);
}
#endif

static void count_marks(void)
{
    reached_begin();
#if BOLE_MUTANTS
    count_mark = reached_hook;
    reached_hook = on_mark;
#endif
}

static uint64_t missing_marks(void)
{
    uint64_t missing = 0;
    for (int i = 0; BOLE_MUTANTS && i < ARRAY_COUNT(wanted_marks); i++)
        if (reached_count(wanted_marks[i]) == 0) {
            printf("FAILED: never reached: %s\n", wanted_marks[i]);
            missing++;
        }
    return missing;
}

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool run_seed(const struct options *options, uint64_t seed, struct sim_result *ret)
{
    current_seed = seed;
    current_events = options->events;
    *ret = sim_run(seed, options->events, options->verbose);
    if (!ret->failed && !options->once) {
        struct sim_result again = sim_run(seed, options->events, false);
        if (again.hash != ret->hash) {
            snprintf(ret->message, sizeof ret->message,
                     "the second run differs: %llx after %llu events, %llx after %llu",
                     (unsigned long long)ret->hash, (unsigned long long)ret->events,
                     (unsigned long long)again.hash, (unsigned long long)again.events);
            ret->failed = true;
        }
    }
    if (ret->failed)
        printf("FAILED seed %llu event %llu: %s\n    repeat: test_sim --seed %llu --events %llu "
               "--once --verbose\n",
               (unsigned long long)seed, (unsigned long long)ret->failed_event, ret->message,
               (unsigned long long)seed, (unsigned long long)options->events);
    return !ret->failed;
}

/* ---- mutants ---- */

enum { MUTANT_LIMIT_S = 20 };

/* In a process of its own, since a mutant may crash it or run for ever. True: it was noticed. */
static bool is_noticed(const struct options *options, enum mutant mutant, uint64_t seed,
                       char *ret_how, size_t how_size)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        alarm(MUTANT_LIMIT_S);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        mutant_activate(mutant);
        struct sim_result result = sim_run(seed, options->events, false);
        if (result.failed)
            printf("event %llu: %s", (unsigned long long)result.failed_event, result.message);
        fflush(stdout);
        _exit(result.failed);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t got; (got = read(ends[0], ret_how + used, how_size - 1 - used)) > 0;)
        used += (size_t)got;
    ret_how[used] = 0;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status) && used == 0)
        snprintf(ret_how, how_size, "ended by signal %d", WTERMSIG(status));
    ret_how[strcspn(ret_how, "\n")] = 0;
    return WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) != 0);
}

static bool is_left(enum mutant mutant)
{
    for (int i = 0; i < ARRAY_COUNT(left_to_others); i++)
        if (left_to_others[i] == mutant)
            return true;
    return false;
}

static int run_mutants(const struct options *options)
{
    int killed = 0, survived = 0;
    if (!mutant_activate(MUTANT_NONE + 1)) {
        printf("no mutants: built without BOLE_MUTANTS\n0 passed, 1 failed\n");
        return 1;
    }
    mutant_activate(MUTANT_NONE);
    for (int mutant = MUTANT_NONE + 1; mutant < MUTANT_COUNT; mutant++) {
        char how[400] = "", other[400];
        const char *name = mutant_name((enum mutant)mutant);
        if (is_left((enum mutant)mutant) || (options->only && strcmp(options->only, name) != 0))
            continue;
        bool noticed = false;
        uint64_t i;
        for (i = 0; i < options->count && !noticed; i++)
            noticed =
                is_noticed(options, (enum mutant)mutant, options->seed + i, how, sizeof how - 1) &&
                /* a seed that fails without it says nothing about it */
                !is_noticed(options, MUTANT_NONE, options->seed + i, other, sizeof other - 1);
        killed += noticed;
        survived += !noticed;
        printf("%-32s %s %llu %s\n", name, noticed ? "killed by seed" : "SURVIVED seeds to",
               (unsigned long long)(options->seed + i - 1), how);
    }
    printf("%d passed, %d failed\n", killed, survived);
    return survived > 0;
}

static bool read_options(int count, char **arguments, struct options *ret)
{
    static const struct option known[] = {{"seed", 1, NULL, 's'},    {"count", 1, NULL, 'c'},
                                          {"events", 1, NULL, 'e'},  {"once", 0, NULL, 'o'},
                                          {"verbose", 0, NULL, 'v'}, {"marks", 0, NULL, 'm'},
                                          {"mutants", 0, NULL, 'M'}, {"known", 0, NULL, 'k'},
                                          {"only", 1, NULL, 'O'},    {0}};
    *ret = (struct options){.seed = 1, .count = 1, .events = 100000};
    for (int option; (option = getopt_long(count, arguments, "", known, NULL)) >= 0;) {
        if (option == 's')
            ret->seed = strtoull(optarg, NULL, 10);
        else if (option == 'c')
            ret->count = strtoull(optarg, NULL, 10);
        else if (option == 'e')
            ret->events = strtoull(optarg, NULL, 10);
        else if (option == 'o')
            ret->once = true;
        else if (option == 'v')
            ret->verbose = true;
        else if (option == 'm')
            ret->marks = true;
        else if (option == 'k')
            ret->known = true;
        else if (option == 'M')
            ret->mutants = true;
        else if (option == 'O')
            ret->only = optarg;
        else
            return false;
    }
    return optind == count;
}

int main(int count, char **arguments)
{
    struct options options;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!read_options(count, arguments, &options)) {
        fputs(usage, stderr);
        return 2;
    }
    if (options.mutants)
        return run_mutants(&options);
    struct sigaction crash = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND};
    sigaction(SIGABRT, &crash, NULL);
    sigaction(SIGSEGV, &crash, NULL);
    sigaction(SIGTERM, &crash, NULL);
    struct sim_result sum = {0};
    uint64_t failed = 0;
    double begun = seconds();
    count_marks();
    uint64_t known = options.known ? (uint64_t)ARRAY_COUNT(known_seeds) : 0;
    uint64_t total = known + options.count;
    for (uint64_t i = 0; i < total; i++) {
        struct sim_result result;
        struct options these = options;
        if (i < known)
            these.events = known_seeds[i].events;
        failed +=
            !run_seed(&these, i < known ? known_seeds[i].seed : options.seed + i - known, &result);
        sum.events += result.events * (options.once ? 1 : 2);
        sum.records += result.records;
        sum.acknowledged += result.acknowledged;
        sum.read += result.read;
        sum.crashes += result.crashes;
        sum.kills += result.kills;
        sum.stops += result.stops;
        sum.failed_boots += result.failed_boots;
        sum.fences += result.fences;
        sum.losses += result.losses;
    }
    double took = seconds() - begun;
    reached_report(options.marks ? stdout : NULL);
    failed += options.marks ? missing_marks() : 0;
    reached_end();
    printf("%llu records sent, %llu acknowledged, %llu read; %llu crashes, %llu kills, %llu stops, "
           "%llu failed starts, %llu fenced, %llu connections lost\n"
           "%llu events in %.1f s, %.0f events/s\n%llu passed, %llu failed\n",
           (unsigned long long)sum.records, (unsigned long long)sum.acknowledged,
           (unsigned long long)sum.read, (unsigned long long)sum.crashes,
           (unsigned long long)sum.kills, (unsigned long long)sum.stops,
           (unsigned long long)sum.failed_boots, (unsigned long long)sum.fences,
           (unsigned long long)sum.losses, (unsigned long long)sum.events, took,
           (double)sum.events / took, (unsigned long long)(failed < total ? total - failed : 0),
           (unsigned long long)failed);
    return failed > 0;
}
