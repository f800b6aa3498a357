#include "sim/reached.h"
#include "base/map.h"
#include "base/memory.h"

#if BOLE_MUTANTS
struct hits {
    const char *name;
    uint64_t count;
};

/* The section's bounds, given by the linker; weak, since a program may have no mark. */
extern const struct reached_mark *const __start_reached_marks[] __attribute__((weak));
extern const struct reached_mark *const __stop_reached_marks[] __attribute__((weak));

/* The hook has no argument of ours, so the counts are the program's: tests run one at a time. */
static struct map hits_by_name;

static void count_hit(const struct reached_mark *mark)
{
    struct hits *hits = map_get(&hits_by_name, mark->name, strlen(mark->name));
    if (!hits) {
        hits = memory_zeroed(sizeof *hits);
        hits->name = mark->name;
        map_put(&hits_by_name, hits->name, strlen(hits->name), hits);
    }
    hits->count++;
}

void reached_begin(void)
{
    reached_end();
    map_init(&hits_by_name, 1);
    reached_hook = count_hit;
}

uint64_t reached_count(const char *name)
{
    const struct hits *hits = map_get(&hits_by_name, name, strlen(name));
    return hits ? hits->count : 0;
}

int reached_report(FILE *out)
{
    int missing = 0;
    for (int pass = 0; pass < 2; pass++)
        for (const struct reached_mark *const *mark = __start_reached_marks;
             mark < __stop_reached_marks; mark++) {
            uint64_t count = reached_count((*mark)->name);
            if ((count == 0) != (pass == 1))
                continue;
            missing += count == 0;
            if (out)
                fprintf(out, "%10llu  %s (%s:%d)\n", (unsigned long long)count, (*mark)->name,
                        (*mark)->file, (*mark)->line);
        }
    return missing;
}

void reached_end(void)
{
    reached_hook = NULL;
    uint32_t position = 0;
    for (struct hits *hits; (hits = map_next(&hits_by_name, &position));)
        memory_free(hits);
    map_done(&hits_by_name);
}
#else
void reached_begin(void)
{
}

uint64_t reached_count(const char *name)
{
    return 0;
}

int reached_report(FILE *out)
{
    if (out)
        fprintf(out, "no marks: built without BOLE_MUTANTS\n");
    return 0;
}

void reached_end(void)
{
}
#endif
