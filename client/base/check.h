#pragma once
/* Checks of arguments and invariants. They stay in release builds. Never on input: input gets an
 * error. A failed check prints file, line and expression to stderr and aborts. */

__attribute__((noreturn, cold)) void check_failed(const char *file, int line, const char *what);

#define check(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            check_failed(__FILE_NAME__, __LINE__, #condition);                                     \
    } while (0)

#ifndef __FILE_NAME__
#define __FILE_NAME__ __FILE__
#endif

/* The struct that embeds `member` at `pointer`. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)((char *)(1 ? (pointer) : &((type *)0)->member) - __builtin_offsetof(type, member)))

#define ARRAY_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
