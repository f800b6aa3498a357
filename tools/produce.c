/* `bole produce`: records from lines of the input, or one from each file. */
#include "base/memory.h"
#include "producer.h"
#include "tools/connect.h"
#include "tools/format.h"
#include "tools/progress.h"
#include "tools/records_in.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10 };

static const struct option_row rows[] = {
    OPTION_BROKER,
    {'t', "topic", "TOPIC", "where the records go"},
    {'p', "partition", "N", "only to this partition (default: by key, or spread)"},
    {'k', "key", "KEY", "the key of every record that brings none"},
    {'K', "key-delimiter", "TEXT", "a line is KEY TEXT VALUE; without TEXT in it, a value"},
    {'D', "delimiter", "TEXT", "ends a record of the input (default \\n)"},
    {'H', "header", "NAME=VALUE", "a header of every record; may be given several times"},
    {'z', "compression", "CODEC", "none (default), gzip, snappy, lz4 or zstd"},
    {'a', "acks", "N", "all or -1: every replica in sync (default), 1: the leader, 0: nobody"},
    {'Z', "null", NULL, "an empty value or key is sent as null"},
    {'c', "count", "N", "end after N records"},
    {'l', "lines", "FILE", "read lines from FILE, not from the standard input"},
    {'F', "form", "NAME", "raw: lines (default); msgpack: maps, as consume and dump -F write them"},
    {0},
};

static const struct usage usage = {
    "bole produce", "-t TOPIC [OPTIONS] [FILE...]",
    "Sends each line of the standard input as a record; an empty line is an empty record (kcat\n"
    "leaves those out). With files, each file is one record. TEXT may have \\n \\t \\r \\\\ \\0 "
    "\\xHH.\n"
    "Tells how far it is where stderr is a terminal; ends with 0 once every record is "
    "acknowledged.",
    rows};

struct produce_command {
    struct options options;
    struct client client;
    struct producer producer;
    struct target target;
    struct progress progress;
    const char *key, *input; /* input: what -l names; null: the standard input */
    struct delimiter {
        char text[64];
        size_t size;
    } ends_key, ends_line; /* ends_key: size 0 if lines have no key */
    int16_t acks;
    enum codec codec;
    bool is_null, is_refused, is_msgpack;
    struct text headers;
    int32_t headers_count;
    char **files;
    int file_count;
    int64_t count; /* records that may still be sent; INT64_MAX: all */
};

/* Bytes of the input that are not sent yet. */
struct input {
    struct text held;        /* lines */
    struct records_in *maps; /* -F msgpack */
};

static enum exit_code add_header(struct produce_command *command)
{
    const char *text = command->options.value, *equals = strchr(text, '=');
    if (equals == text)
        return options_wrong(&command->options, "--header takes NAME=VALUE, not '%s'", text);
    struct record_header header = {
        .key = {(const uint8_t *)text, (int32_t)(equals ? (size_t)(equals - text) : strlen(text))},
        .value = BYTES_NULL};
    if (equals)
        header.value = (struct bytes){(const uint8_t *)equals + 1, (int32_t)strlen(equals + 1)};
    struct writer writer;
    writer_init(&writer, NULL, 0);
    record_write_header(&writer, &header);
    size_t size = writer.size;
    uint8_t *raw = memory_zeroed(size);
    writer_init(&writer, raw, size);
    record_write_header(&writer, &header);
    text_add(&command->headers, raw, size);
    memory_free(raw);
    command->headers_count++;
    return EXIT_OK;
}

static enum exit_code parse_acks(struct produce_command *command)
{
    int64_t number = -1;
    struct options *options = &command->options;
    if (strcmp(options->value, "all") != 0 && !number_parse(options->value, -1, 1, &number))
        return options_wrong(options, "-a takes all, -1, 1 or 0, not '%s'", options->value);
    command->acks = (int16_t)number;
    return EXIT_OK;
}

static enum exit_code take_delimiter(struct produce_command *command, struct delimiter *delimiter)
{
    struct options *options = &command->options;
    if (strlen(options->value) > sizeof delimiter->text)
        return options_wrong(options, "%s takes at most %d characters", options->name,
                             (int)sizeof delimiter->text);
    const char *wrong = format_unescape(options->value, delimiter->text, &delimiter->size);
    if (wrong)
        return options_wrong(options, "%s '%s': %s", options->name, options->value, wrong);
    if (delimiter->size == 0)
        return options_wrong(options, "%s needs some text", options->name);
    return EXIT_OK;
}

static enum exit_code take_codec(struct produce_command *command)
{
    if (codec_find(command->options.value, &command->codec))
        return EXIT_OK;
    return options_wrong(&command->options, "-z takes none, gzip, snappy, lz4 or zstd, not '%s'",
                         command->options.value);
}

static enum exit_code take_form(struct produce_command *command)
{
    const char *name = command->options.value;
    command->is_msgpack = strcmp(name, "msgpack") == 0;
    if (command->is_msgpack || strcmp(name, "raw") == 0)
        return EXIT_OK;
    return options_wrong(&command->options, "-F takes raw or msgpack, not '%s'", name);
}

/* Takes one option; EXIT_OK to go on. */
static enum exit_code take(struct produce_command *command, int id)
{
    struct options *options = &command->options;
    enum exit_code code;
    if (target_take(options, id, &command->target, &code))
        return code;
    switch (id) {
    case 'k':
        command->key = options->value;
        return EXIT_OK;
    case 'K':
        return take_delimiter(command, &command->ends_key);
    case 'D':
        return take_delimiter(command, &command->ends_line);
    case 'H':
        return add_header(command);
    case 'z':
        return take_codec(command);
    case 'a':
        return parse_acks(command);
    case 'Z':
        command->is_null = true;
        return EXIT_OK;
    case 'c':
        return options_number(options, 1, INT64_MAX, &command->count) ? EXIT_OK : EXIT_USAGE;
    case 'F':
        return take_form(command);
    case 'l':
        command->input = options->value;
        return EXIT_OK;
    case OPTION_ARGUMENT:
        command->files[command->file_count++] = (char *)options->value;
        return EXIT_OK;
    default:
        return EXIT_USAGE;
    }
}

static int64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static enum exit_code add_record(struct produce_command *command, const struct record *record,
                                 int32_t partition)
{
    if (producer_add(&command->producer, record, partition)) {
        command->is_refused = true;
        return connect_failed(&command->options, &command->client);
    }
    size_t size = (size_t)max_i64(record->key.size, 0) + (size_t)max_i64(record->value.size, 0);
    command->count--;
    progress_add(&command->progress, size, now_ms());
    return EXIT_OK;
}

static enum exit_code send_record(struct produce_command *command, struct bytes key,
                                  struct bytes value)
{
    struct string fixed = string_of(command->key);
    if (command->is_null && key.size == 0)
        key = BYTES_NULL;
    if (command->is_null && value.size == 0)
        value = BYTES_NULL;
    if (key.size < 0)
        key = (struct bytes){(const uint8_t *)fixed.data, fixed.size};
    struct record record = {
        .timestamp = now_ms(),
        .key = key,
        .value = value,
        .headers = {(const uint8_t *)command->headers.data, (int32_t)command->headers.size},
        .headers_count = command->headers_count};
    return add_record(command, &record, command->target.partition);
}

static enum exit_code send_line(struct produce_command *command, const char *line, size_t size)
{
    const struct delimiter *ends_key = &command->ends_key;
    if (size > INT32_MAX / 2) {
        say("produce", "record %" PRIu64 " is longer than a record can be",
            command->progress.records + 1);
        return EXIT_FAILED;
    }
    const char *found = ends_key->size ? memmem(line, size, ends_key->text, ends_key->size) : NULL;
    struct bytes key = BYTES_NULL;
    if (found) {
        key = (struct bytes){(const uint8_t *)line, (int32_t)(found - line)};
        size -= (size_t)(found - line) + ends_key->size;
        line = found + ends_key->size;
    }
    return send_record(command, key, (struct bytes){(const uint8_t *)line, (int32_t)size});
}

/* Sends what is whole in `held`, all of it at the end of the input; keeps the rest. */
static enum exit_code send_lines(struct produce_command *command, struct text *held, bool is_end)
{
    const struct delimiter *ends_line = &command->ends_line;
    size_t at = 0;
    enum exit_code code = EXIT_OK;
    while (!code && at < held->size && command->count > 0) {
        const char *line = held->data + at;
        const char *end = memmem(line, held->size - at, ends_line->text, ends_line->size);
        if (!end && !is_end)
            break;
        size_t size = end ? (size_t)(end - line) : held->size - at;
        code = send_line(command, line, size);
        at += size + (end ? ends_line->size : 0);
    }
    memmove(held->data, held->data + at, held->size - at);
    held->size -= at;
    return code;
}

/* Sends what is whole in what was added; each to the partition that -p or it names. */
static enum exit_code send_maps(struct produce_command *command, struct records_in *in)
{
    struct records_in_record from;
    enum exit_code code = EXIT_OK;
    enum records_in_result result = RECORDS_IN_ONE;
    while (!code && command->count > 0 && (result = records_in_next(in, &from)) == RECORDS_IN_ONE) {
        int32_t named = command->target.partition;
        from.record.timestamp = from.has_timestamp ? from.record.timestamp : now_ms();
        code = add_record(command, &from.record, named >= 0 ? named : from.partition);
    }
    if (result != RECORDS_IN_WRONG)
        return code;
    say("produce", "record %" PRIu64 " of the input is no map of a record",
        command->progress.records + 1);
    return EXIT_FAILED;
}

/* What came of the input; nothing: it has ended. */
static enum exit_code send_piece(struct produce_command *command, struct input *input,
                                 const char *piece, size_t size)
{
    if (!command->is_msgpack) {
        text_add(&input->held, piece, size);
        return send_lines(command, &input->held, size == 0);
    }
    if (!records_in_add(input->maps, piece, size)) {
        say("produce", "%s", error_text(ERROR_NO_MEMORY));
        return EXIT_FAILED;
    }
    enum exit_code code = send_maps(command, input->maps);
    if (code || size > 0 || command->count == 0 || records_in_is_between(input->maps))
        return code;
    say("produce", "the input ends within a record");
    return EXIT_FAILED;
}

static enum exit_code send_input(struct produce_command *command)
{
    const char *name = command->input ? command->input : "the input";
    int file = command->input ? open(command->input, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    struct input input = {.maps = records_in_open()};
    char *piece = memory_aligned(4096, READ_BYTES);
    enum exit_code code = input.maps ? EXIT_OK : EXIT_FAILED;
    for (bool is_end = false; !code && !is_end && command->count > 0;) {
        ssize_t size = file < 0 ? -1 : read(file, piece, READ_BYTES);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0) {
            say("produce", "can't read %s: %s", name, strerror(errno));
            code = EXIT_FAILED;
            break;
        }
        is_end = size == 0;
        code = send_piece(command, &input, piece, (size_t)size);
    }
    records_in_close(input.maps);
    text_done(&input.held);
    memory_free(piece);
    if (command->input && file >= 0)
        close(file);
    return code;
}

static enum exit_code send_file(struct produce_command *command, const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct text held = {0};
    char *piece = memory_aligned(4096, READ_BYTES);
    ssize_t size = -1;
    while (file >= 0 && held.size < INT32_MAX / 2 && (size = read(file, piece, READ_BYTES)) > 0)
        text_add(&held, piece, (size_t)size);
    enum exit_code code = EXIT_FAILED;
    if (file < 0 || size < 0)
        say("produce", "can't read %s: %s", path, strerror(errno));
    else if (size > 0)
        say("produce", "%s is larger than a record can be", path);
    else
        code = send_record(
            command, BYTES_NULL,
            (struct bytes){(const uint8_t *)(held.data ? held.data : ""), (int32_t)held.size});
    if (file >= 0)
        close(file);
    memory_free(piece);
    text_done(&held);
    return code;
}

static enum exit_code run(struct produce_command *command)
{
    enum exit_code code =
        connect_client(&command->options, command->target.broker, &command->client);
    if (code)
        return code;
    struct producer_settings settings = PRODUCER_SETTINGS_DEFAULT;
    settings.acks = command->acks;
    settings.codec = command->codec;
    settings.seed = (uint64_t)now_ms();
    if (producer_open(&command->producer, &command->client, command->target.topic, settings))
        return connect_failed(&command->options, &command->client);
    progress_begin(&command->progress, now_ms());
    if (command->file_count == 0)
        code = send_input(command);
    for (int i = 0; i < command->file_count && !code && command->count > 0; i++)
        code = send_file(command, command->files[i]);
    /* What was read before the input went wrong is sent all the same. */
    if (!command->is_refused && producer_flush(&command->producer))
        code = connect_failed(&command->options, &command->client);
    progress_end(&command->progress, now_ms());
    return code;
}

enum exit_code command_produce(int count, char **arguments)
{
    struct produce_command command = {
        .target = TARGET_NONE, .ends_line = {"\n", 1}, .acks = -1, .count = INT64_MAX};
    options_init(&command.options, &usage, count, arguments);
    command.files = memory_zeroed((size_t)(count + 1) * sizeof *command.files);
    enum exit_code code = EXIT_OK;
    int id = 0;
    while (!code && (id = options_next(&command.options)) != OPTION_END && id != OPTION_HELP)
        code = take(&command, id);
    if (!code && id != OPTION_HELP && !command.target.topic)
        code = options_wrong(&command.options, "-t TOPIC is missing");
    if (!code && id != OPTION_HELP && command.input && command.file_count > 0)
        code = options_wrong(&command.options, "-l reads lines; files beside it are not looked at");
    if (!code && id != OPTION_HELP && command.is_msgpack && command.file_count > 0)
        code = options_wrong(&command.options, "-F msgpack reads the input; no files beside it");
    if (!code && id != OPTION_HELP) {
        code = run(&command);
        producer_close(&command.producer);
        client_close(&command.client);
    }
    text_done(&command.headers);
    memory_free(command.files);
    return code;
}
