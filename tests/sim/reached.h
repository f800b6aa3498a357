#pragma once
/* Counts the marks of client/base/reached.h by name. In a build without BOLE_MUTANTS there are
 * none: counts are 0 and nothing is missing. */
#include "base/reached.h"
#include <stdint.h>
#include <stdio.h>

/* Counts from 0, from now on. */
void reached_begin(void);

/* Hits of all marks of that name since reached_begin. */
uint64_t reached_count(const char *name);

/* Prints every mark of the program with its hits, those never hit last; returns how many of those
 * there are. `out` null: only counts. */
int reached_report(FILE *out);

/* Stops counting and frees what that took. */
void reached_end(void);
