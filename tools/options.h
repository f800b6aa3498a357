#pragma once
/* Command lines from a table of rows: the same table parses, and prints the help. Options and plain
 * arguments may be mixed; `--` ends the options; -xVALUE, -x VALUE, --name=VALUE, --name VALUE. */
#include "tools/command.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct option_row {
    int id;               /* the letter of the short option, or 256 and up when there is none */
    const char *name;     /* the long option without dashes, or null */
    const char *argument; /* what the help calls its value; null: the option takes none */
    const char *help;
};

struct usage {
    const char *command;           /* "bole produce" */
    const char *synopsis;          /* what follows the command in the usage line */
    const char *text;              /* sentences printed before the options */
    const struct option_row *rows; /* ends with a row of id 0; -h is there without one */
};

enum {
    OPTION_END = -1,      /* nothing is left */
    OPTION_ARGUMENT = -2, /* `value` is a plain argument */
    OPTION_WRONG = -3,    /* said on stderr what is wrong: end with EXIT_USAGE */
    OPTION_HELP = -4,     /* help was printed to stdout: end with EXIT_OK */
};

struct options {
    const struct usage *usage;
    char **arguments;
    int count, position;
    bool only_plain;   /* after "--" */
    const char *rest;  /* the rest of a cluster of short options, or null */
    const char *value; /* of the option or argument just returned; null if it takes none */
    char name[64];     /* of the option just returned, as the user may write it, for messages */
};

void options_init(struct options *options, const struct usage *usage, int count, char **arguments);

/* The id of the next option, or one of the values above. */
int options_next(struct options *options);

/* Takes the value as a whole number in [low, high]; k, M and G (powers of 1024) may follow. False
 * after a message on stderr. */
bool options_number(struct options *options, int64_t low, int64_t high, int64_t *ret_number);

/* Says on stderr what is wrong with the command line, and where to read more; EXIT_USAGE. */
enum exit_code options_wrong(const struct options *options, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The whole text as a number with an optional k, M or G; false if it is none or out of range. */
bool number_parse(const char *text, int64_t low, int64_t high, int64_t *ret_number);
