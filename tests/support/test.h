#pragma once
/* Our layer over CUnit. TEST(suite, name) { ... } registers itself; a program is its test files and
 * support/main.c. Arguments of the program: names of suites or suite.name to run only those. A
 * failed expectation prints "segment.c:12 - log.end: got 40, want 41" and the test goes on. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct test {
    const char *suite, *name;
    void (*run)(void);
    struct test *next;
};

void test_register(struct test *test);

/* One expectation: counts it, and prints `file:line - text` when it failed. Returns `passed`. */
bool test_expect(bool passed, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define TEST(suite_, name_)                                                                        \
    static void test_##suite_##_##name_(void);                                                     \
    __attribute__((constructor)) static void register_##suite_##_##name_(void)                     \
    {                                                                                              \
        static struct test test = {#suite_, #name_, test_##suite_##_##name_, 0};                   \
        test_register(&test);                                                                      \
    }                                                                                              \
    static void test_##suite_##_##name_(void)

/* Integers (and enums, pointers cast to intptr_t). */
#define EQ(got_, want_)                                                                            \
    do {                                                                                           \
        long long got__ = (long long)(got_), want__ = (long long)(want_);                          \
        test_expect(got__ == want__, __FILE__, __LINE__, "%s: got %lld, want %lld", #got_, got__,  \
                    want__);                                                                       \
    } while (0)

#define TRUE_(condition) test_expect((condition), __FILE__, __LINE__, "%s: is false", #condition)

/* Zero-terminated text. */
#define EQ_TEXT(got_, want_)                                                                       \
    do {                                                                                           \
        const char *got__ = (got_), *want__ = (want_);                                             \
        test_expect(strcmp(got__, want__) == 0, __FILE__, __LINE__, "%s: got\n%s\nwant\n%s",       \
                    #got_, got__, want__);                                                         \
    } while (0)

/* Bytes of equal length. */
#define EQ_BYTES(got_, want_, size_)                                                               \
    test_expect(memcmp((got_), (want_), (size_)) == 0, __FILE__, __LINE__, "%s: differs from %s",  \
                #got_, #want_)
