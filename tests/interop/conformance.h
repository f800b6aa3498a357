#pragma once
/* The rows of the matrix of conformance.c: one for each API that the broker advertises. */
#include "interop/wire.h"

enum { INCOMPLETE = -2 }; /* an answer without what it must hold */

struct conformance_row {
    int16_t key, served_from; /* advertised from an older one on, perhaps */
    void (*fill)(struct wire *wire, int16_t version, void *request);
    int (*error_of)(const void *response);
};

/* How an enum is put out of its range, and what that must lead to. */
struct conformance_spoiling {
    int16_t key, since, until; /* versions; none are left out but by `spoil` null */
    void (*spoil)(struct wire *wire, void *request);
    enum error want;
};

extern const struct conformance_row conformance_rows[];
extern const int conformance_rows_count;
extern const struct conformance_spoiling conformance_spoilings[];
extern const int conformance_spoilings_count;
