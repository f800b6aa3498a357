/* The globals of builds with BOLE_MUTANTS: which mutant is on, and who counts the marks. */
#include "base/mutant.h"
#include "base/reached.h"

#if BOLE_MUTANTS
enum mutant mutant_active;
void (*reached_hook)(const char *name);
#else
_Static_assert(MUTANT(none) == 0, "mutants are constants in release");
#endif
