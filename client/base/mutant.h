#pragma once
/* Mutants: faults on purpose, to see whether the tests notice. `if (MUTANT(skip_fsync_of_folder))`
 * is constant 0 unless the build has BOLE_MUTANTS; with it, it is true while that one is active.
 * The names are the rows of tests/mutants.def; a name that is in no row does not compile in any
 * build. */
#include <stdbool.h>

enum mutant {
    MUTANT_NONE,
#define MUTANT_ROW(name, text) MUTANT_##name,
#include "tests/mutants.def"
#undef MUTANT_ROW
    MUTANT_COUNT
};

#if BOLE_MUTANTS
/* The active one; an exempted mutable global, in builds with BOLE_MUTANTS only. */
extern enum mutant mutant_active;
#define MUTANT(name) __builtin_expect(mutant_active == MUTANT_##name, 0)
#else
#define MUTANT(name) (0 * MUTANT_##name)
#endif

/* "skip_fsync_of_folder"; "NONE" for MUTANT_NONE. Static memory. */
const char *mutant_name(enum mutant mutant);

/* What it breaks, as a sentence. Static memory. */
const char *mutant_text(enum mutant mutant);

/* MUTANT_NONE for a name that is in no row. */
enum mutant mutant_find(const char *name);

/* Makes `mutant` the active one. False where the build has none compiled in. */
bool mutant_activate(enum mutant mutant);
