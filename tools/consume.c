/* `bole consume`: prints the records of a topic. */
#include "consumer.h"
#include "tools/connect.h"
#include "tools/format.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { OUTPUT_BYTES = 256 << 10 };

static const struct option_row rows[] = {
    OPTION_BROKER,
    {'t', "topic", "TOPIC", "what to read"},
    {'p', "partition", "N", "only this partition (default: all)"},
    {'o', "offset", "WHERE", "beginning (default), end, N, -N (N before the end), s@MS (a time)"},
    {'c', "count", "N", "end after N records"},
    {'e', "exit", NULL, "end when all there is has been read"},
    {'f', "format", "FORMAT", "%s value %S its size %k key %K its size %o offset %p partition"},
    {'F', "form", "NAME", "raw: values (default); json: an object a line; msgpack: a map a record"},
    {'D', "delimiter", "TEXT", "printed after each record when there is no -f (default \\n)"},
    {0},
};

static const struct usage usage = {
    "bole consume", "-t TOPIC [OPTIONS]",
    "Prints the values of a topic's records, one a line; with -f as it says: further\n"
    "%t topic, %T timestamp in ms, %h headers, %%, and \\n \\t \\r \\\\ \\0 \\xHH.",
    rows};

struct consume_command {
    struct options options;
    struct client client;
    struct consumer consumer;
    const char *broker, *topic;
    int32_t partition;
    struct consumer_start start;
    int64_t count; /* INT64_MAX: no end */
    bool is_exit;
    void (*write_record)(const struct format_record *record, struct text *text); /* null: -f */
    bool is_formatted; /* -f or -D was given */
    struct format format;
};

static bool parse_start(const char *text, struct consumer_start *start)
{
    int64_t number;
    if (strcmp(text, "beginning") == 0)
        *start = (struct consumer_start){.from = CONSUMER_BEGINNING};
    else if (strcmp(text, "end") == 0)
        *start = (struct consumer_start){.from = CONSUMER_END};
    else if (strncmp(text, "s@", 2) == 0 && number_parse(text + 2, 0, INT64_MAX, &number))
        *start = (struct consumer_start){.from = CONSUMER_TIME, .value = number};
    else if (text[0] == '-' && number_parse(text + 1, 1, INT64_MAX, &number))
        *start = (struct consumer_start){.from = CONSUMER_BACK, .value = number};
    else if (text[0] != '-' && number_parse(text, 0, INT64_MAX, &number))
        *start = (struct consumer_start){.from = CONSUMER_OFFSET, .value = number};
    else
        return false;
    return true;
}

static enum exit_code take_format(struct consume_command *command, const char *text)
{
    const char *wrong = format_parse(&command->format, text);
    if (wrong)
        return options_wrong(&command->options, "the format '%s' is wrong: %s", text, wrong);
    return EXIT_OK;
}

/* -D TEXT is -f %sTEXT, with percent signs as they are. */
static enum exit_code take_delimiter(struct consume_command *command)
{
    char text[256] = "%s";
    size_t size = 2;
    for (const char *from = command->options.value; *from; from++) {
        if (size + 3 > sizeof text)
            return options_wrong(&command->options, "-D is too long");
        if (*from == '%')
            text[size++] = '%';
        text[size++] = *from;
        text[size] = 0;
    }
    return take_format(command, text);
}

static enum exit_code take_form(struct consume_command *command)
{
    const char *name = command->options.value;
    if (strcmp(name, "raw") == 0)
        command->write_record = NULL;
    else if (strcmp(name, "json") == 0)
        command->write_record = format_write_json;
    else if (strcmp(name, "msgpack") == 0)
        command->write_record = format_write_msgpack;
    else
        return options_wrong(&command->options, "-F takes raw, json or msgpack, not '%s'", name);
    return EXIT_OK;
}

static enum exit_code take(struct consume_command *command, int id)
{
    struct options *options = &command->options;
    int64_t number;
    switch (id) {
    case 'b':
        command->broker = options->value;
        return EXIT_OK;
    case 't':
        command->topic = options->value;
        return EXIT_OK;
    case 'p':
        if (!options_number(options, 0, INT32_MAX, &number))
            return EXIT_USAGE;
        command->partition = (int32_t)number;
        return EXIT_OK;
    case 'o':
        if (!parse_start(options->value, &command->start))
            return options_wrong(options, "-o takes beginning, end, N, -N or s@MS, not '%s'",
                                 options->value);
        return EXIT_OK;
    case 'c':
        return options_number(options, 1, INT64_MAX, &command->count) ? EXIT_OK : EXIT_USAGE;
    case 'e':
        command->is_exit = true;
        return EXIT_OK;
    case 'F':
        return take_form(command);
    case 'f':
        command->is_formatted = true;
        return take_format(command, options->value);
    case 'D':
        command->is_formatted = true;
        return take_delimiter(command);
    case OPTION_ARGUMENT:
        return options_wrong(options, "'%s' is not an option; a topic is named with -t",
                             options->value);
    default:
        return EXIT_USAGE;
    }
}

static enum exit_code print(struct text *text)
{
    size_t at = 0;
    while (at < text->size) {
        ssize_t size = write(1, text->data + at, text->size - at);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0) {
            say("consume", "can't write the output: %s", strerror(errno));
            return EXIT_FAILED;
        }
        at += (size_t)size;
    }
    text->size = 0;
    return EXIT_OK;
}

/* Prints until the count, the end or an error. The output is written when it is large, and whenever
 * the next record would have to be waited for. */
static enum exit_code read_records(struct consume_command *command, struct text *text)
{
    struct string topic = string_of(command->topic);
    enum exit_code code = EXIT_OK;
    while (!code && command->count > 0) {
        if (command->is_exit && consumer_is_at_end(&command->consumer))
            break;
        struct record record;
        int32_t partition;
        enum consumer_event event = consumer_next(&command->consumer, &record, &partition);
        if (event == CONSUMER_RECORD) {
            struct format_record from = {&record, topic, partition};
            if (command->write_record)
                command->write_record(&from, text);
            else
                format_write(&command->format, &from, text);
            command->count--;
        }
        bool is_idle = consumer_is_at_end(&command->consumer) || event == CONSUMER_IDLE;
        if (text->size >= OUTPUT_BYTES || is_idle)
            code = print(text);
        if (event == CONSUMER_FAILED) {
            print(text);
            return connect_failed(&command->options, &command->client);
        }
    }
    return code ? code : print(text);
}

static enum exit_code run(struct consume_command *command)
{
    enum exit_code code = connect_client(&command->options, command->broker, &command->client);
    if (code)
        return code;
    struct consumer_settings settings = CONSUMER_SETTINGS_DEFAULT;
    struct text text = {0};
    if (consumer_open(&command->consumer, &command->client, command->topic, command->partition,
                      settings) ||
        consumer_start(&command->consumer, command->start))
        code = connect_failed(&command->options, &command->client);
    else
        code = read_records(command, &text);
    text_done(&text);
    consumer_close(&command->consumer);
    return code;
}

enum exit_code command_consume(int count, char **arguments)
{
    struct consume_command command = {.partition = -1, .count = INT64_MAX};
    options_init(&command.options, &usage, count, arguments);
    enum exit_code code = take_format(&command, "%s\\n");
    int id = 0;
    while (!code && (id = options_next(&command.options)) != OPTION_END && id != OPTION_HELP)
        code = take(&command, id);
    if (code || id == OPTION_HELP)
        return code;
    if (!command.topic)
        return options_wrong(&command.options, "-t TOPIC is missing");
    if (command.write_record && command.is_formatted)
        return options_wrong(&command.options, "-f and -D go with -F raw only");
    code = run(&command);
    client_close(&command.client);
    return code;
}
