/* Runs every TEST of the program, or those named on the command line, and ends with
 * "N passed, N failed". A crash or a time-out (SIGTERM)
 * names the test it happened in.
 *
 * With --kills NAME (in a build with BOLE_MUTANTS) that fault is switched on, and the tests that
 * are named must notice it: "1 passed" says that one of them failed. */
#include "base/mutant.h"
#include "support/test.h"
#include <CUnit/Automated.h>
#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

struct test *test_all(void);

static bool is_wanted(const struct test *test, int count, char **names)
{
    char full[256];
    snprintf(full, sizeof full, "%s.%s", test->suite, test->name);
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], test->suite) == 0 || strcmp(names[i], full) == 0)
            return true;
    return count == 0;
}

static char running[256];
static const char *program;

static void remember(const CU_pTest test, const CU_pSuite suite)
{
    snprintf(running, sizeof running, "\nENDED in %s.%s\n", suite->pName, test->pName);
}

/* Says which test it was, and lets the signal do what it does. */
static void on_crash(int signal)
{
    ssize_t ignored = write(STDOUT_FILENO, running, strlen(running));
    (void)ignored; /* there is nobody left to tell */
    raise(signal);
}

static void print_failed(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failed)
{
    if (!failed)
        return;
    printf("FAILED %s.%s\n", suite->pName, test->pName);
    printf("repeat it with: ");
    for (char **at = environ; *at; at++)
        if (strncmp(*at, "BOLE", 4) == 0)
            printf("%s ", *at);
    printf("%s %s.%s\n", program, suite->pName, test->pName);
}

/* How a run with a mutant ends: to fail is to pass. */
static int end_kill(const char *name, unsigned failed)
{
    printf("%s: %s\n%d passed, %d failed\n", name, failed ? "killed" : "SURVIVED", failed > 0,
           failed == 0);
    CU_cleanup_registry();
    return failed == 0;
}

int main(int count, char **arguments)
{
    const char *mutant = NULL;
    if (count > 3 && strcmp(arguments[1], "--kills") == 0) {
        mutant = arguments[2];
        arguments += 2;
        count -= 2;
        if (mutant_find(mutant) == MUTANT_NONE || !mutant_activate(mutant_find(mutant)))
            return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    program = arguments[0];
    struct sigaction crash = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND};
    sigaction(SIGABRT, &crash, NULL);
    sigaction(SIGTERM, &crash, NULL);
#ifndef SANITIZED /* whose own handlers show the stack */
    sigaction(SIGSEGV, &crash, NULL);
    sigaction(SIGBUS, &crash, NULL);
    sigaction(SIGFPE, &crash, NULL);
#endif
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    int added = 0;
    for (struct test *test = test_all(); test; test = test->next) {
        if (!is_wanted(test, count - 1, arguments + 1))
            continue;
        CU_pSuite suite = CU_get_suite(test->suite);
        if (!suite)
            suite = CU_add_suite(test->suite, NULL, NULL);
        if (!suite || !CU_add_test(suite, test->name, test->run))
            return 2;
        added++;
    }
    CU_set_test_start_handler(remember);
    CU_set_test_complete_handler(print_failed);
    CU_run_all_tests();
    unsigned failed = CU_get_number_of_tests_failed();
    if (mutant && added)
        return end_kill(mutant, failed);
    printf("%u passed, %u failed\n", (unsigned)added - failed, failed);
    CU_cleanup_registry();
    return failed || !added ? 1 : 0;
}
