/* test_sim: runs seeds of the whole broker in the simulator. See usage. */
#include "base/mutant.h"
#include "sim/broker_sim.h"
#include "sim/machine_memory.h"
#include "sim/reached.h"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: test_sim [--seed N] [--count N] [--events N] [--once] [--verbose]\n"
    "Simulates the whole broker under seeded faults: seeds N, N + 1, ...; each is run twice, which\n"
    "must give the same trace, or with --once once.\n";

struct options {
    uint64_t seed, count, events;
    bool once, verbose;
};

/* For on_crash, which has no argument of ours. */
static uint64_t current_seed, current_events;

static void on_crash(int signal)
{
    char text[128];
    int size = snprintf(text, sizeof text, "\nseed %llu crashed; repeat: test_sim --seed %llu "
                        "--events %llu --verbose\n", (unsigned long long)current_seed,
                        (unsigned long long)current_seed, (unsigned long long)current_events);
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
               "--once --verbose\n", (unsigned long long)seed,
               (unsigned long long)ret->failed_event, ret->message, (unsigned long long)seed,
               (unsigned long long)options->events);
    return !ret->failed;
}

static bool read_options(int count, char **arguments, struct options *ret)
{
    static const struct option known[] = {
        {"seed", 1, NULL, 's'}, {"count", 1, NULL, 'c'},   {"events", 1, NULL, 'e'},
        {"once", 0, NULL, 'o'}, {"verbose", 0, NULL, 'v'}, {0}};
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
    struct sigaction crash = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND};
    sigaction(SIGABRT, &crash, NULL);
    sigaction(SIGSEGV, &crash, NULL);
    sigaction(SIGTERM, &crash, NULL);
    struct sim_result sum = {0};
    uint64_t failed = 0;
    double begun = seconds();
    count_marks();
    for (uint64_t i = 0; i < options.count; i++) {
        struct sim_result result;
        failed += !run_seed(&options, options.seed + i, &result);
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
    reached_report(stdout);
    reached_end();
    printf("%llu records sent, %llu acknowledged, %llu read; %llu crashes, %llu kills, %llu stops, "
           "%llu failed starts, %llu fenced, %llu connections lost\n"
           "%llu events in %.1f s, %.0f events/s\n%llu passed, %llu failed\n",
           (unsigned long long)sum.records, (unsigned long long)sum.acknowledged,
           (unsigned long long)sum.read, (unsigned long long)sum.crashes,
           (unsigned long long)sum.kills, (unsigned long long)sum.stops,
           (unsigned long long)sum.failed_boots, (unsigned long long)sum.fences,
           (unsigned long long)sum.losses, (unsigned long long)sum.events, took,
           (double)sum.events / took, (unsigned long long)(options.count - failed),
           (unsigned long long)failed);
    return failed > 0;
}
