#include "base/reached.h"

#if BOLE_MUTANTS
void (*reached_hook)(const struct reached_mark *mark);
#endif
