/* Every workload of up to three operations, cut everywhere. BOLE_WORKLOADS=all: with every choice
 * that crash could leave, within reason; else so many as fit a check. */
#include "crash/workloads.h"
#include "support/test.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES = 2, IMAGES_LEAST = 20000 };

static struct workloads settings_of(int share)
{
    const char *much = getenv("BOLE_WORKLOADS");
    struct workloads workloads = {.seed = 1,
                                  .operations = 3,
                                  .subset_units = 2,
                                  .single_units = 1,
                                  .draws = 1,
                                  .both_once_in = 16,
                                  .recoveries = 100,
                                  .recovery_cuts = 12,
                                  .share = share,
                                  .shares = PROCESSES};
    if (much && strcmp(much, "all") == 0) {
        workloads.subset_units = 6;
        workloads.single_units = 64;
        workloads.draws = 16;
        workloads.both_once_in = 1;
        workloads.recoveries = 20;
        workloads.recovery_cuts = 100;
    }
    return workloads;
}

/* A share in a process of its own; what it finds lies in memory that is shared. */
static pid_t start(struct workloads *workloads)
{
    fflush(stdout);
    pid_t child = fork();
    if (child != 0)
        return child;
    signal(SIGABRT, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    workloads_run(workloads);
    _exit(0);
}

TEST(workloads, of_three_operations_at_every_cut)
{
    struct workloads *shares = mmap(NULL, PROCESSES * sizeof *shares, PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!TRUE_(shares != MAP_FAILED))
        return;
    bool one = getenv("BOLE_WORKLOAD") != NULL; /* only that */
    pid_t children[PROCESSES];
    int count = one ? 1 : PROCESSES;
    for (int i = 0; i < count; i++) {
        shares[i] = settings_of(i);
        children[i] = start(&shares[i]);
    }
    uint64_t workloads = 0, images = 0, recoveries = 0, same = 0;
    for (int i = 0; i < count; i++) {
        int status = 0;
        bool ended = children[i] > 0 && waitpid(children[i], &status, 0) == children[i] &&
                     WIFEXITED(status) && WEXITSTATUS(status) == 0;
        test_expect(ended, __FILE__, __LINE__, "ended with status %x; repeat it with %s", status,
                    shares[i].now);
        EQ_TEXT(shares[i].failure, "");
        workloads += shares[i].workloads;
        images += shares[i].images;
        recoveries += shares[i].recovery_images;
        same += shares[i].same;
    }
    printf("%llu workloads, %llu images, %llu of crashes in recovery, %llu seen before\n",
           (unsigned long long)workloads, (unsigned long long)images,
           (unsigned long long)recoveries, (unsigned long long)same);
    if (!one)
        TRUE_(images + recoveries >= IMAGES_LEAST);
    munmap(shares, PROCESSES * sizeof *shares);
}
