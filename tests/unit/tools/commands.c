#include "tools/command.h"
#include "support/test.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

typedef enum exit_code command_run(int count, char **arguments);

static const struct {
    command_run *run;
    const char *words[8];
    enum exit_code want;
} cases[] = {
    {command_topic, {NULL}, EXIT_USAGE},
    {command_topic, {"create", NULL}, EXIT_USAGE},
    {command_topic, {"make", "t", NULL}, EXIT_USAGE},
    {command_topic, {"list", "t", NULL}, EXIT_USAGE},
    {command_topic, {"create", "t", "u", NULL}, EXIT_USAGE},
    {command_topic, {"create", "t", "--config", "x", NULL}, EXIT_USAGE},
    {command_topic, {"create", "t", "--partitions", "0", NULL}, EXIT_USAGE},
    {command_topic, {"list", "-b", "host:port", NULL}, EXIT_USAGE},
    {command_topic, {"list", "-b", "127.0.0.1:1", NULL}, EXIT_FAILED},
    {command_topic, {"-h", NULL}, EXIT_OK},
    {command_produce, {NULL}, EXIT_USAGE},
    {command_topic, {"list", "-p", "3", NULL}, EXIT_USAGE},
    {command_topic, {"alter", "t", NULL}, EXIT_USAGE},
    {command_topic, {"alter", "t", "-d", "a=b", NULL}, EXIT_USAGE},
    {command_produce, {"-t", "t", "-K", "\\q", NULL}, EXIT_USAGE},
    {command_produce, {"-t", "t", "-p", "-2", NULL}, EXIT_USAGE},
    {command_produce, {"-t", "t", "-l", "a", "b", NULL}, EXIT_USAGE},
    {command_produce, {"-t", "t", "-z", "brotli", NULL}, EXIT_USAGE},
    {command_produce, {"-t", "t", "-a", "2", NULL}, EXIT_USAGE},
    {command_produce, {"-t", "t", "-K", "", NULL}, EXIT_USAGE},
    {command_produce, {"-t", "t", "-H", "=x", NULL}, EXIT_USAGE},
    {command_produce, {"-t", "t", "-b", "127.0.0.1:1", NULL}, EXIT_FAILED},
    {command_produce, {"--help", NULL}, EXIT_OK},
    {command_consume, {NULL}, EXIT_USAGE},
    {command_consume, {"-t", "t", "-o", "middle", NULL}, EXIT_USAGE},
    {command_consume, {"-t", "t", "-o", "s@", NULL}, EXIT_USAGE},
    {command_consume, {"-t", "t", "-o", "e@x", NULL}, EXIT_USAGE},
    {command_consume, {"-t", "t", "-F", "json", "-K", ":", NULL}, EXIT_USAGE},
    {command_consume, {"-t", "t", "-o", "-0", NULL}, EXIT_USAGE},
    {command_consume, {"-t", "t", "-f", "%q", NULL}, EXIT_USAGE},
    {command_consume, {"-t", "t", "-c", "0", NULL}, EXIT_USAGE},
    {command_consume, {"-t", "t", "-F", "xml", NULL}, EXIT_USAGE},
    {command_consume, {"-t", "t", "-F", "json", "-f", "%s", NULL}, EXIT_USAGE},
    {command_consume, {"t", NULL}, EXIT_USAGE},
    {command_consume, {"-t", "t", "-b", "127.0.0.1:1", NULL}, EXIT_FAILED},
    {command_consume, {"-h", NULL}, EXIT_OK},
    {command_dump, {NULL}, EXIT_USAGE},
    {command_dump, {"--all", "x", NULL}, EXIT_USAGE},
    {command_dump, {"--verify", "no-such-file.log", NULL}, EXIT_FAILED},
    {command_dump, {"-h", NULL}, EXIT_OK},
    {command_bench, {NULL}, EXIT_USAGE},
    {command_bench, {"fast", NULL}, EXIT_USAGE},
    {command_bench, {"produce", "--acks", "0", NULL}, EXIT_USAGE},
    {command_bench, {"tiny", "--kind", "fetch", NULL}, EXIT_USAGE},
    {command_bench, {"produce", "--rate", "0", NULL}, EXIT_USAGE},
    {command_bench, {"produce", "--partitions", "4096", "--batch-bytes", "256k", NULL}, EXIT_USAGE},
    {command_bench, {"produce", "-b", "127.0.0.1:1", NULL}, EXIT_FAILED},
    {command_bench, {"-h", NULL}, EXIT_OK},
    {command_floor, {"--pin", "x", NULL}, EXIT_USAGE},
    {command_floor, {"extra", NULL}, EXIT_USAGE},
    {command_floor, {"--only", "no such measurement", NULL}, EXIT_FAILED},
    {command_floor, {"-h", NULL}, EXIT_OK},
};

/* What each case gave, with both outputs thrown away meanwhile. */
TEST(commands, end_with_the_code_that_their_help_promises)
{
    enum exit_code got[sizeof cases / sizeof *cases];
    fflush(NULL);
    int kept[2] = {dup(1), dup(2)}, nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, 1);
    dup2(nowhere, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int count = 0;
        while (cases[i].words[count])
            count++;
        got[i] = cases[i].run(count, (char **)cases[i].words);
    }
    fflush(NULL);
    dup2(kept[0], 1);
    dup2(kept[1], 2);
    close(kept[0]);
    close(kept[1]);
    close(nowhere);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        test_expect(got[i] == cases[i].want, __FILE__, __LINE__, "case %zu (%s): got %d, want %d",
                    i, cases[i].words[0] ? cases[i].words[0] : "", got[i], cases[i].want);
}
