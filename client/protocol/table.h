#pragma once
/* TABLE_EACH(macro, x, a, b, c) is macro(x, a) macro(x, b) macro(x, c), for 0 to 20 items: how a
 * row of messages.def walks its fields. */

#define TABLE_EACH(m, x, ...) TABLE_EACH_(m, x, ##__VA_ARGS__)
#define TABLE_EACH_(m, x, ...)                                                                     \
    TABLE_PICK(0, ##__VA_ARGS__, TABLE_MAP_20, TABLE_MAP_19, TABLE_MAP_18, TABLE_MAP_17,           \
               TABLE_MAP_16, TABLE_MAP_15, TABLE_MAP_14, TABLE_MAP_13, TABLE_MAP_12, TABLE_MAP_11, \
               TABLE_MAP_10, TABLE_MAP_9, TABLE_MAP_8, TABLE_MAP_7, TABLE_MAP_6, TABLE_MAP_5,      \
               TABLE_MAP_4, TABLE_MAP_3, TABLE_MAP_2, TABLE_MAP_1, TABLE_MAP_0)                    \
    (m, x, ##__VA_ARGS__)
#define TABLE_PICK(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17,     \
                   _18, _19, _20, _21, name, ...)                                                  \
    name

#define TABLE_MAP_0(m, x)
#define TABLE_MAP_1(m, x, f)       m(x, f)
#define TABLE_MAP_2(m, x, f, ...)  m(x, f) TABLE_MAP_1(m, x, __VA_ARGS__)
#define TABLE_MAP_3(m, x, f, ...)  m(x, f) TABLE_MAP_2(m, x, __VA_ARGS__)
#define TABLE_MAP_4(m, x, f, ...)  m(x, f) TABLE_MAP_3(m, x, __VA_ARGS__)
#define TABLE_MAP_5(m, x, f, ...)  m(x, f) TABLE_MAP_4(m, x, __VA_ARGS__)
#define TABLE_MAP_6(m, x, f, ...)  m(x, f) TABLE_MAP_5(m, x, __VA_ARGS__)
#define TABLE_MAP_7(m, x, f, ...)  m(x, f) TABLE_MAP_6(m, x, __VA_ARGS__)
#define TABLE_MAP_8(m, x, f, ...)  m(x, f) TABLE_MAP_7(m, x, __VA_ARGS__)
#define TABLE_MAP_9(m, x, f, ...)  m(x, f) TABLE_MAP_8(m, x, __VA_ARGS__)
#define TABLE_MAP_10(m, x, f, ...) m(x, f) TABLE_MAP_9(m, x, __VA_ARGS__)
#define TABLE_MAP_11(m, x, f, ...) m(x, f) TABLE_MAP_10(m, x, __VA_ARGS__)
#define TABLE_MAP_12(m, x, f, ...) m(x, f) TABLE_MAP_11(m, x, __VA_ARGS__)
#define TABLE_MAP_13(m, x, f, ...) m(x, f) TABLE_MAP_12(m, x, __VA_ARGS__)
#define TABLE_MAP_14(m, x, f, ...) m(x, f) TABLE_MAP_13(m, x, __VA_ARGS__)
#define TABLE_MAP_15(m, x, f, ...) m(x, f) TABLE_MAP_14(m, x, __VA_ARGS__)
#define TABLE_MAP_16(m, x, f, ...) m(x, f) TABLE_MAP_15(m, x, __VA_ARGS__)
#define TABLE_MAP_17(m, x, f, ...) m(x, f) TABLE_MAP_16(m, x, __VA_ARGS__)
#define TABLE_MAP_18(m, x, f, ...) m(x, f) TABLE_MAP_17(m, x, __VA_ARGS__)
#define TABLE_MAP_19(m, x, f, ...) m(x, f) TABLE_MAP_18(m, x, __VA_ARGS__)
#define TABLE_MAP_20(m, x, f, ...) m(x, f) TABLE_MAP_19(m, x, __VA_ARGS__)
