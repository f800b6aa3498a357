#include "base/mutant.h"
#include "base/check.h"
#include <string.h>

static const struct {
    const char *name, *text;
} rows[MUTANT_COUNT] = {
    {"NONE", "nothing"},
#define MUTANT_ROW(name, text) {#name, text},
#include "tests/mutants.def"
#undef MUTANT_ROW
};

#if BOLE_MUTANTS
enum mutant mutant_active;
#endif

const char *mutant_name(enum mutant mutant)
{
    check(mutant >= MUTANT_NONE && mutant < MUTANT_COUNT);
    return rows[mutant].name;
}

const char *mutant_text(enum mutant mutant)
{
    check(mutant >= MUTANT_NONE && mutant < MUTANT_COUNT);
    return rows[mutant].text;
}

enum mutant mutant_find(const char *name)
{
    for (int i = 1; i < MUTANT_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0)
            return (enum mutant)i;
    return MUTANT_NONE;
}

bool mutant_activate(enum mutant mutant)
{
    check(mutant >= MUTANT_NONE && mutant < MUTANT_COUNT);
#if BOLE_MUTANTS
    mutant_active = mutant;
    return true;
#else
    return mutant == MUTANT_NONE;
#endif
}
