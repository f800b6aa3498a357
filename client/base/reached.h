#pragma once
/* Marks of rare places that the simulator must have reached: REACHED("roll during a flush");
 * Nothing at all unless the build has BOLE_MUTANTS. With it, each mark is listed in the section
 * reached_marks of the program, so that those never hit are known too (tests/sim/reached.h). */

#if BOLE_MUTANTS
struct reached_mark {
    const char *name, *file;
    int line;
};

/* Called at each hit, if not null; an exempted mutable global, in builds with BOLE_MUTANTS only. */
extern void (*reached_hook)(const struct reached_mark *mark);

#define REACHED(name_)                                                                             \
    do {                                                                                           \
        static const struct reached_mark reached_mark_ = {name_, __FILE__, __LINE__};              \
        static const struct reached_mark *const reached_place_                                     \
            __attribute__((section("reached_marks"), used)) = &reached_mark_;                      \
        if (reached_hook)                                                                          \
            reached_hook(reached_place_);                                                          \
    } while (0)
#else
#define REACHED(name_)                                                                             \
    do {                                                                                           \
    } while (0)
#endif
