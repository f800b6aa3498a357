#include "tools/options.h"
#include "support/test.h"
#include <fcntl.h>
#include <unistd.h>

static const struct option_row rows[] = {
    {'b', "broker", "HOST:PORT", "where"},
    {'e', NULL, NULL, "end"},
    {'q', "quiet", NULL, "quiet"},
    {256, "rate", "N", "rate"},
    {0},
};
static const struct usage usage = {"bole test", "", "", rows};

/* Parses `words` into a line "b=x e arg=y", so that a case is one line. */
static void parse(char **words, char *to, size_t size)
{
    int count = 0;
    while (words[count])
        count++;
    struct options options;
    options_init(&options, &usage, count, words);
    size_t used = 0;
    to[0] = 0;
    for (;;) {
        int id = options_next(&options);
        if (id == OPTION_END)
            return;
        const char *value = options.value ? options.value : "-";
        if (id == OPTION_ARGUMENT)
            used += (size_t)snprintf(to + used, size - used, "[%s]", value);
        else if (id == OPTION_WRONG)
            used += (size_t)snprintf(to + used, size - used, "wrong");
        else
            used += (size_t)snprintf(to + used, size - used, "%d=%s ", id, value);
        if (id == OPTION_WRONG)
            return;
    }
}

TEST(options, are_taken_in_every_form)
{
    static const struct {
        const char *words[8];
        const char *want;
    } cases[] = {
        {{"-b", "x"}, "98=x "},           {{"-bx"}, "98=x "},
        {{"--broker", "x"}, "98=x "},     {{"--broker=x"}, "98=x "},
        {{"--broker="}, "98= "},          {{"-eq"}, "101=- 113=- "},
        {{"-eqbx"}, "101=- 113=- 98=x "}, {{"a", "-e", "b"}, "[a]101=- [b]"},
        {{"--", "-e"}, "[-e]"},           {{"-"}, "[-]"},
        {{"--rate", "-5"}, "256=-5 "},    {{"--quiet"}, "113=- "},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        char got[200];
        parse((char **)cases[i].words, got, sizeof got);
        EQ_TEXT(got, cases[i].want);
    }
}

TEST(options, wrong_ones_are_refused)
{
    static const struct {
        const char *words[4];
    } cases[] = {{{"-x"}},       {{"--none"}},    {{"-b"}},
                 {{"--broker"}}, {{"--quiet=1"}}, {{"--rat", "1"}}};
    fflush(stderr);
    int kept = dup(2), nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, 2);
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        char got[200];
        parse((char **)cases[i].words, got, sizeof got);
        EQ_TEXT(got, "wrong");
    }
    dup2(kept, 2);
    close(kept);
    close(nowhere);
}

TEST(options, numbers_have_units_and_bounds)
{
    static const struct {
        const char *text;
        int64_t low, high, want; /* want -99: refused */
    } cases[] = {
        {"0", 0, 10, 0},
        {"10", 0, 10, 10},
        {"11", 0, 10, -99},
        {"-1", -1, 10, -1},
        {"-2", -1, 10, -99},
        {"16k", 0, 1 << 20, 16384},
        {"2M", 0, 1 << 30, 2 << 20},
        {"1G", 0, 1ll << 40, 1 << 30},
        {"1K", 0, 1 << 30, -99},
        {"", 0, 10, -99},
        {"x", 0, 10, -99},
        {"1x", 0, 10, -99},
        {"9223372036854775807", 0, INT64_MAX, INT64_MAX},
        {"9223372036854775808", 0, INT64_MAX, -99},
        {"9223372036854775807k", 0, INT64_MAX, -99},
        {" 1", 0, 10, -99},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        int64_t got = -99;
        bool taken = number_parse(cases[i].text, cases[i].low, cases[i].high, &got);
        EQ(got, cases[i].want);
        EQ(taken, cases[i].want != -99);
    }
}
