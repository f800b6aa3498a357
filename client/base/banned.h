#pragma once
/* Functions that do not compile here: each has a bounded, checked or re-entrant replacement.
 * Forced in front of every file by CMakeLists.txt (after the system headers that declare them).
 * `bare malloc` is banned outside base/, which defines BASE_ALLOCATES. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef alloca
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gmtime localtime ctime
#pragma GCC poison asctime atoi atol atoll atof gets alloca
#ifndef BASE_ALLOCATES
#pragma GCC poison malloc calloc realloc free strdup strndup
#endif
