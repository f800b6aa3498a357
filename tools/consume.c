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
    {'o', "offset", "WHERE",
     "beginning (default), end, N, -N (N before the end), s@MS (a time); e@MS: until then"},
    {'c', "count", "N", "end after N records"},
    {'e', "exit", NULL, "end when all there is has been read"},
    {'f', "format", "FORMAT", "%s value %S its size %k key %K its size %o offset %p partition"},
    {'F', "form", "NAME", "raw: values (default); json: an object a line; msgpack: a map a record"},
    {'K', "key-delimiter", "TEXT",
     "prints the key and TEXT before each value, when there is no -f"},
    {'D', "delimiter", "TEXT", "printed after each record when there is no -f (default \\n)"},
    {'Z', "null", NULL, "prints a null key or value as NULL"},
    {0},
};

static const struct usage usage = {
    "bole consume", "-t TOPIC [OPTIONS]",
    "Prints the values of a topic's records, one a line; with -f as it says: further\n"
    "%t topic, %T timestamp in ms, %h headers, %R the value's size as 4 bytes, %%, and\n"
    "\\n \\t \\r \\\\ \\0 \\xHH. -o may be given twice, to say where to begin and where to end.",
    rows};

struct consume_command {
    struct options options;
    struct client client;
    struct consumer consumer;
    struct target target;
    struct consumer_start start;
    int64_t stop_ms; /* a partition ends before its first record so young; INT64_MAX: never */
    int64_t count;   /* INT64_MAX: no end */
    bool is_exit, is_null;
    void (*write_record)(const struct format_record *record, struct text *text); /* null: -f */
    const char *text, *key_delimiter, *delimiter; /* of -f, -K and -D; null: not given */
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

/* Appends to a format: a token as it is, or text, whose percent signs stand for themselves. False:
 * no room. */
static bool add(char *to, size_t *size, const char *from, bool is_token)
{
    for (; *from; from++) {
        if (*size + 3 > FORMAT_TEXT_BYTES)
            return false;
        if (*from == '%' && !is_token)
            to[(*size)++] = '%';
        to[(*size)++] = *from;
    }
    to[*size] = 0;
    return true;
}

/* -f, or what -K and -D make: %kKEY-DELIMITER%sDELIMITER. */
static enum exit_code build_format(struct consume_command *command)
{
    char built[FORMAT_TEXT_BYTES] = "";
    size_t size = 0;
    const char *text = command->text, *key = command->key_delimiter;
    const char *delimiter = command->delimiter ? command->delimiter : "\\n";
    bool has_room = !key || (add(built, &size, "%k", true) && add(built, &size, key, false));
    if (!has_room || !add(built, &size, "%s", true) || !add(built, &size, delimiter, false))
        return options_wrong(&command->options, "-K and -D are too long");
    if (!text)
        text = built;
    const char *wrong = format_parse(&command->format, text);
    if (wrong)
        return options_wrong(&command->options, "the format '%s' is wrong: %s", text, wrong);
    command->format.names_null = command->is_null;
    return EXIT_OK;
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

static enum exit_code take_offset(struct consume_command *command)
{
    const char *text = command->options.value;
    if (strncmp(text, "e@", 2) == 0 && number_parse(text + 2, 0, INT64_MAX, &command->stop_ms))
        return EXIT_OK;
    if (parse_start(text, &command->start))
        return EXIT_OK;
    return options_wrong(&command->options,
                         "-o takes beginning, end, N, -N, s@MS or e@MS, not '%s'", text);
}

static enum exit_code take(struct consume_command *command, int id)
{
    struct options *options = &command->options;
    enum exit_code code;
    if (target_take(options, id, &command->target, &code))
        return code;
    switch (id) {
    case 'o':
        return take_offset(command);
    case 'c':
        return options_number(options, 1, INT64_MAX, &command->count) ? EXIT_OK : EXIT_USAGE;
    case 'e':
        command->is_exit = true;
        return EXIT_OK;
    case 'F':
        return take_form(command);
    case 'f':
        command->text = options->value;
        return EXIT_OK;
    case 'K':
        command->key_delimiter = options->value;
        return EXIT_OK;
    case 'D':
        command->delimiter = options->value;
        return EXIT_OK;
    case 'Z':
        command->is_null = true;
        return EXIT_OK;
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

static void take_record(struct consume_command *command, const struct record *record,
                        int32_t partition, struct text *text)
{
    if (record->timestamp >= command->stop_ms) {
        consumer_stop(&command->consumer, partition);
        return;
    }
    struct format_record from = {record, string_of(command->target.topic), partition};
    if (command->write_record)
        command->write_record(&from, text);
    else
        format_write(&command->format, &from, text);
    command->count--;
}

/* Prints until the count, the end or an error. The output is written when it is large, and whenever
 * the next record would have to be waited for. */
static enum exit_code read_records(struct consume_command *command, struct text *text)
{
    enum exit_code code = EXIT_OK;
    while (!code && command->count > 0 && !consumer_is_stopped(&command->consumer)) {
        if (command->is_exit && consumer_is_at_end(&command->consumer))
            break;
        struct record record;
        int32_t partition;
        enum consumer_event event = consumer_next(&command->consumer, &record, &partition);
        if (event == CONSUMER_RECORD)
            take_record(command, &record, partition, text);
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
    enum exit_code code =
        connect_client(&command->options, command->target.broker, &command->client);
    if (code)
        return code;
    struct consumer_settings settings = CONSUMER_SETTINGS_DEFAULT;
    struct text text = {0};
    if (consumer_open(&command->consumer, &command->client, command->target.topic,
                      command->target.partition, settings) ||
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
    struct consume_command command = {
        .target = TARGET_NONE, .stop_ms = INT64_MAX, .count = INT64_MAX};
    options_init(&command.options, &usage, count, arguments);
    enum exit_code code = EXIT_OK;
    int id = 0;
    while (!code && (id = options_next(&command.options)) != OPTION_END && id != OPTION_HELP)
        code = take(&command, id);
    if (code || id == OPTION_HELP)
        return code;
    if (!command.target.topic)
        return options_wrong(&command.options, "-t TOPIC is missing");
    if (command.write_record && (command.text || command.key_delimiter || command.delimiter))
        return options_wrong(&command.options, "-f, -K and -D go with -F raw only");
    code = build_format(&command);
    if (!code)
        code = run(&command);
    client_close(&command.client);
    return code;
}
