/* The expectations of test code that a target uses: here each is a check. */
#include "support/test.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void test_register(struct test *test)
{
}

bool test_expect(bool passed, const char *file, int line, const char *format, ...)
{
    if (passed)
        return true;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d - ", file, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}
