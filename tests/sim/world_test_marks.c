/* Marks and mutants, in builds with them and without. */
#include "sim/reached.h"
#include "sim/world_test.h"
#include "base/mutant.h"

static void pass(int which)
{
    if (which == 1)
        REACHED("the first way");
    if (which == 2)
        REACHED("the second way");
}

TEST(world_marks, are_counted_and_missed)
{
    reached_begin();
    int missing = reached_report(NULL);
    pass(1);
    pass(1);
    EQ(reached_count("the first way"), 2 * BOLE_MUTANTS);
    EQ(reached_count("the second way"), 0);
    EQ(missing - reached_report(NULL), BOLE_MUTANTS);
    pass(2);
    EQ(missing - reached_report(NULL), 2 * BOLE_MUTANTS);
    reached_end();
}

TEST(world_marks, a_mutant_is_on_only_while_active)
{
    EQ(MUTANT(cut_too_much), 0);
    EQ(mutant_activate(MUTANT_cut_too_much), BOLE_MUTANTS);
    EQ(MUTANT(cut_too_much), BOLE_MUTANTS);
    EQ(MUTANT(cut_too_little), 0);
    EQ(mutant_activate(MUTANT_NONE), true);
    EQ(MUTANT(cut_too_much), 0);
    EQ_TEXT(mutant_name(MUTANT_cut_too_much), "cut_too_much");
    EQ(mutant_find("skip_fsync_of_folder"), MUTANT_skip_fsync_of_folder);
    EQ(mutant_find("no such"), MUTANT_NONE);
}
