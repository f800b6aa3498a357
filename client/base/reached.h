#pragma once
/* Marks of rare places: REACHED("ring wraps") tells the simulator that a run came through here, so
 * that a campaign can show that all were hit. Nothing outside builds with BOLE_MUTANTS. */
#if BOLE_MUTANTS
extern void (*reached_hook)(const char *name); /* null: nobody counts */
#define REACHED(name) (reached_hook ? reached_hook(name) : (void)0)
#else
#define REACHED(name) ((void)0)
#endif
