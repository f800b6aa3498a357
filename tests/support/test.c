#include "support/test.h"
#include <CUnit/CUnit.h>
#include <stdarg.h>
#include <stdio.h>

static struct test *tests;

void test_register(struct test *test)
{
    test->next = tests;
    tests = test;
}

struct test *test_all(void);
struct test *test_all(void)
{
    return tests;
}

bool test_expect(bool passed, const char *file, int line, const char *format, ...)
{
    if (!passed) {
        const char *slash = strrchr(file, '/');
        printf("\n%s:%d - ", slash ? slash + 1 : file, line);
        va_list arguments;
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        printf("\n");
    }
    return CU_assertImplementation(passed, (unsigned)line, "expectation", file, "", CU_FALSE);
}
