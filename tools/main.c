/* `bole`: dispatch to a subcommand. */
#include "tools/command.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct command {
    const char *name, *help;
    enum exit_code (*run)(int count, char **arguments);
};

static const struct command commands[] = {
#define COMMAND(name, help) {#name, help, command_##name},
#include "tools/commands.def"
#undef COMMAND
};

static void print_help(FILE *to)
{
    fprintf(to, "usage: bole COMMAND [ARGUMENTS]\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(to, "  %-8s  %s\n", commands[i].name, commands[i].help);
    fprintf(to, "\nbole COMMAND -h explains a command.\n"
                "Exit codes: 0 done, 1 something failed, 2 the command line is wrong.\n");
}

static enum exit_code run(int count, char **arguments)
{
    if (count < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *name = arguments[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return EXIT_OK;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(count - 2, arguments + 2);
    fprintf(stderr, "bole: there is no command '%s'; 'bole -h' lists them\n", name);
    return EXIT_USAGE;
}

/* What was printed must have arrived: a full disk is a failure, whatever the command thought. */
int main(int count, char **arguments)
{
    enum exit_code code = run(count, arguments);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return (int)code;
    fprintf(stderr, "bole: can't write the output: %s\n", strerror(errno));
    return code ? (int)code : EXIT_FAILED;
}
