#pragma once
/* Mutants: faults that can be switched on, one at a time, to see that the tests find them
 * (tests/mutants.def). MUTANT(name) is the constant 0 unless the tree is built with BOLE_MUTANTS,
 * whose one mutable global lives in that build only. */
#if BOLE_MUTANTS
enum mutant {
    MUTANT_none,
#define MUTANT_ROW(name, text) MUTANT_##name,
#include "tests/mutants.def"
#undef MUTANT_ROW
    MUTANT_COUNT
};
extern enum mutant mutant_active;
#define MUTANT(name) (mutant_active == MUTANT_##name)
#else
#define MUTANT(name) 0
#endif
