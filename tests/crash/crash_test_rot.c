/* Rot: random bits of random directories, and every bit of small ones. BOLE_ROT_BITS=all: of zero
 * bytes, too, not only one; few: only some, in small files one in eight. */
#include "crash/rot.h"
#include "crash/rot_bits.h"
#include "crash/shares.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

TEST(rot, is_refused_or_harmless)
{
    int refused = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rot rot = {.flips = 40};
        rot_run(&rot, seed);
        EQ_TEXT(rot.failure, "");
        EQ(rot.told_file, rot.refused);
        refused += rot.refused;
    }
    TRUE_(refused > 10);
}

static void run_share(void *bits)
{
    rot_bits_run(bits);
}

static void run(const char *name, enum rot_directory directory, enum rig_starts starts)
{
    const char *much = getenv("BOLE_ROT_BITS");
    struct rot_bits *shares = shares_take(SHARES * sizeof *shares);
    if (!TRUE_(shares))
        return;
    int status[SHARES], count = getenv("BOLE_ROT") ? 1 : SHARES;
    for (int i = 0; i < count; i++)
        shares[i] = (struct rot_bits){.directory = directory,
                                      .starts = (int)starts,
                                      .all = much && strcmp(much, "all") == 0,
                                      .step = much && strcmp(much, "few") == 0 ? 32 : 1,
                                      .small_step = much && strcmp(much, "few") == 0 ? 8 : 1,
                                      .share = i,
                                      .shares = count};
    shares_run(shares, sizeof *shares, count, run_share, status);
    struct rot_bits sum = {.bits = 0};
    for (int i = 0; i < count; i++) {
        test_expect(status[i] == 0, __FILE__, __LINE__, "ended with status %x; repeat it with %s",
                    (unsigned)status[i], shares[i].now);
        EQ_TEXT(shares[i].failure, "");
        sum.bits += shares[i].bits;
        sum.refused += shares[i].refused;
        sum.told += shares[i].told;
        sum.harmless += shares[i].harmless;
        sum.torn += shares[i].torn;
        sum.untold += shares[i].untold;
    }
    printf("%s: %llu bits, %llu refused, %llu told, %llu harmless, %llu torn, %llu untold\n", name,
           (unsigned long long)sum.bits, (unsigned long long)sum.refused,
           (unsigned long long)sum.told, (unsigned long long)sum.harmless,
           (unsigned long long)sum.torn, (unsigned long long)sum.untold);
    if (!getenv("BOLE_ROT"))
        TRUE_(sum.refused + sum.told > 0 && sum.harmless > 0);
    shares_release(shares, SHARES * sizeof *shares);
}

TEST(rot, of_each_bit_after_a_kill_resumed)
{
    run("killed, resumed", ROT_KILLED, STARTS_RESUME);
}

TEST(rot, of_each_bit_after_a_kill_replayed)
{
    run("killed, replayed", ROT_KILLED, STARTS_CLASSIC);
}

TEST(rot, of_each_bit_after_a_clean_stop)
{
    run("stopped", ROT_STOPPED, STARTS_RESUME);
}
