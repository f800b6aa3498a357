#include "tools/options.h"
#include "base/check.h"
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void say(const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "bole %s: ", name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void options_init(struct options *options, const struct usage *usage, int count, char **arguments)
{
    check(count >= 0 && usage->rows != NULL);
    *options = (struct options){.usage = usage, .arguments = arguments, .count = count};
}

enum exit_code options_wrong(const struct options *options, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", options->usage->command);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n'%s -h' explains the options\n", options->usage->command);
    va_end(arguments);
    return EXIT_USAGE;
}

static void print_help(const struct usage *usage)
{
    printf("usage: %s %s\n\n%s\n\n", usage->command, usage->synopsis, usage->text);
    for (const struct option_row *row = usage->rows; row->id; row++) {
        char left[64];
        int used = 0;
        if (row->id < 256)
            used = snprintf(left, sizeof left, "-%c%s", row->id, row->name ? ", " : "");
        else
            used = snprintf(left, sizeof left, "    ");
        if (row->name)
            used += snprintf(left + used, sizeof left - (size_t)used, "--%s", row->name);
        if (row->argument)
            snprintf(left + used, sizeof left - (size_t)used, " %s", row->argument);
        printf("  %-28s %s\n", left, row->help);
    }
    printf("  %-28s %s\n", "-h, --help", "this text");
}

/* Finishes an option whose row is known: `attached` is a value written in the same word. */
static int take(struct options *options, const struct option_row *row, const char *attached)
{
    options->value = NULL;
    if (!row->argument) {
        if (attached) {
            options_wrong(options, "%s takes no value", options->name);
            return OPTION_WRONG;
        }
        return row->id;
    }
    if (!attached && options->position < options->count)
        attached = options->arguments[options->position++];
    if (!attached) {
        options_wrong(options, "%s needs a value: %s %s", options->name, options->name,
                      row->argument);
        return OPTION_WRONG;
    }
    options->value = attached;
    return row->id;
}

static int next_long(struct options *options, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t size = equals ? (size_t)(equals - word) : strlen(word);
    snprintf(options->name, sizeof options->name, "--%.*s", (int)size, word);
    if (strcmp(options->name, "--help") == 0) {
        print_help(options->usage);
        return OPTION_HELP;
    }
    for (const struct option_row *row = options->usage->rows; row->id; row++)
        if (row->name && strlen(row->name) == size && memcmp(row->name, word, size) == 0)
            return take(options, row, equals ? equals + 1 : NULL);
    options_wrong(options, "there is no option %s", options->name);
    return OPTION_WRONG;
}

static int next_short(struct options *options)
{
    char letter = *options->rest++;
    const char *attached = *options->rest ? options->rest : NULL;
    snprintf(options->name, sizeof options->name, "-%c", letter);
    if (letter == 'h') {
        print_help(options->usage);
        return OPTION_HELP;
    }
    for (const struct option_row *row = options->usage->rows; row->id; row++) {
        if (row->id != letter)
            continue;
        if (row->argument || !attached)
            options->rest = NULL;
        return take(options, row, row->argument ? attached : NULL);
    }
    options_wrong(options, "there is no option %s", options->name);
    return OPTION_WRONG;
}

int options_next(struct options *options)
{
    if (options->rest)
        return next_short(options);
    if (options->position == options->count)
        return OPTION_END;
    const char *word = options->arguments[options->position++];
    if (options->only_plain || word[0] != '-' || word[1] == 0) {
        options->value = word;
        return OPTION_ARGUMENT;
    }
    if (strcmp(word, "--") == 0) {
        options->only_plain = true;
        return options_next(options);
    }
    if (word[1] == '-')
        return next_long(options, word + 2);
    options->rest = word + 1;
    return next_short(options);
}

bool number_parse(const char *text, int64_t low, int64_t high, int64_t *ret_number)
{
    if (!isdigit((unsigned char)text[0]) && text[0] != '-')
        return false;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text)
        return false;
    int shift = *end == 'k' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (shift)
        end++;
    long long scaled;
    if (*end || __builtin_mul_overflow(number, 1ll << shift, &scaled))
        return false;
    if (scaled < low || scaled > high)
        return false;
    *ret_number = scaled;
    return true;
}

bool options_number(struct options *options, int64_t low, int64_t high, int64_t *ret_number)
{
    if (number_parse(options->value, low, high, ret_number))
        return true;
    options_wrong(options, "%s takes a number from %lld to %lld, not '%s'", options->name,
                  (long long)low, (long long)high, options->value);
    return false;
}
