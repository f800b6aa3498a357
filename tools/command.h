#pragma once
/* What every subcommand of `bole` shares: its entry, its exit codes, and how it speaks. Data goes
 * to stdout, everything else to stderr. */

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1, /* something went wrong while running */
    EXIT_USAGE = 2,  /* the command line was wrong; nothing was done */
};

/* The entry of each subcommand of commands.def: `count` arguments after its name. */
#define COMMAND(name, help) enum exit_code command_##name(int count, char **arguments);
#include "tools/commands.def"
#undef COMMAND

/* Prints "bole NAME: message" and a line end to stderr. */
void say(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
