/* Runs every TEST of the program, or those named on the command line, and ends with
 * "N passed, N failed". */
#include "support/test.h"
#include <CUnit/Automated.h>
#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>
#include <stdio.h>

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

static void print_failed(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failed)
{
    if (failed)
        printf("FAILED %s.%s\n", suite->pName, test->pName);
}

int main(int count, char **arguments)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
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
    CU_set_test_complete_handler(print_failed);
    CU_run_all_tests();
    unsigned failed = CU_get_number_of_tests_failed();
    printf("%u passed, %u failed\n", (unsigned)added - failed, failed);
    CU_cleanup_registry();
    return failed || !added ? 1 : 0;
}
