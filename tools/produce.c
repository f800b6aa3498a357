/* `bole produce`: records from lines of the input, or one from each file. */
#include "base/memory.h"
#include "producer.h"
#include "tools/connect.h"
#include "tools/format.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10, FILES_MAX = 1 << 20 };

static const struct option_row rows[] = {
    OPTION_BROKER,
    {'t', "topic", "TOPIC", "where the records go"},
    {'p', "partition", "N", "only to this partition (default: by key, or spread)"},
    {'k', "key", "KEY", "the key of every record"},
    {'K', "key-delimiter", "TEXT", "each line is KEY TEXT VALUE"},
    {'H', "header", "NAME=VALUE", "a header of every record; may be given several times"},
    {'z', "compression", "CODEC", "none (default), gzip, snappy, lz4 or zstd"},
    {'a', "acks", "N", "all or -1: every replica in sync (default), 1: the leader, 0: nobody"},
    {'Z', "null", NULL, "an empty key or value is sent as null"},
    {0},
};

static const struct usage usage = {
    "bole produce", "-t TOPIC [OPTIONS] [FILE...]",
    "Sends each line of the standard input as a record; an empty line is an empty record. With\n"
    "files, each file is one record. Ends with 0 once every record is acknowledged.",
    rows};

struct produce_command {
    struct options options;
    struct client client;
    struct producer producer;
    const char *broker, *topic, *key, *delimiter;
    int32_t partition;
    int16_t acks;
    enum codec codec;
    bool is_null, is_refused;
    struct text headers;
    int32_t headers_count;
    char **files;
    int file_count;
    int64_t line; /* the last one read, for messages */
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
    if (strcmp(options->value, "all") != 0 && !options_number(options, -1, 1, &number))
        return EXIT_USAGE;
    command->acks = (int16_t)number;
    return EXIT_OK;
}

/* Takes one option; EXIT_OK to go on. */
static enum exit_code take(struct produce_command *command, int id)
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
    case 'k':
        command->key = options->value;
        return EXIT_OK;
    case 'K':
        command->delimiter = options->value;
        return *options->value ? EXIT_OK : options_wrong(options, "-K needs some text");
    case 'H':
        return add_header(command);
    case 'z':
        for (int codec = 0; codec < CODECS_END; codec++)
            if (strcmp(options->value, codec_name((enum codec)codec)) == 0) {
                command->codec = (enum codec)codec;
                return EXIT_OK;
            }
        return options_wrong(options, "-z takes none, gzip, snappy, lz4 or zstd, not '%s'",
                             options->value);
    case 'a':
        return parse_acks(command);
    case 'Z':
        command->is_null = true;
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

static enum exit_code send_record(struct produce_command *command, struct bytes key,
                                  struct bytes value)
{
    if (value.size == 0 && command->is_null)
        value = BYTES_NULL;
    if (key.size == 0 && command->is_null)
        key = BYTES_NULL;
    struct record record = {
        .timestamp = now_ms(),
        .key = key,
        .value = value,
        .headers = {(const uint8_t *)command->headers.data, (int32_t)command->headers.size},
        .headers_count = command->headers_count};
    if (!producer_add(&command->producer, &record, command->partition))
        return EXIT_OK;
    command->is_refused = true;
    return connect_failed(&command->options, &command->client);
}

static struct bytes fixed_key(const struct produce_command *command)
{
    struct string key = string_of(command->key);
    return (struct bytes){(const uint8_t *)key.data, key.size};
}

static enum exit_code send_line(struct produce_command *command, const char *line, size_t size)
{
    struct bytes key = fixed_key(command), value = {(const uint8_t *)line, (int32_t)size};
    command->line++;
    if (size > INT32_MAX / 2) {
        say("produce", "line %lld is longer than a record can be", (long long)command->line);
        return EXIT_FAILED;
    }
    if (command->delimiter) {
        size_t width = strlen(command->delimiter);
        const char *found = memmem(line, size, command->delimiter, width);
        if (!found) {
            say("produce", "line %lld has no '%s' between key and value", (long long)command->line,
                command->delimiter);
            return EXIT_FAILED;
        }
        key = (struct bytes){(const uint8_t *)line, (int32_t)(found - line)};
        value = (struct bytes){(const uint8_t *)found + width,
                               (int32_t)(size - width - (size_t)(found - line))};
    }
    return send_record(command, key, value);
}

/* Sends what is whole in `held`, all of it at the end of the input; keeps the rest. */
static enum exit_code send_lines(struct produce_command *command, struct text *held, bool is_end)
{
    size_t at = 0;
    enum exit_code code = EXIT_OK;
    while (!code && at < held->size) {
        const char *line = held->data + at;
        const char *end = memchr(line, '\n', held->size - at);
        if (!end && !is_end)
            break;
        size_t size = end ? (size_t)(end - line) : held->size - at;
        code = send_line(command, line, size);
        at += size + (end ? 1 : 0);
    }
    memmove(held->data, held->data + at, held->size - at);
    held->size -= at;
    return code;
}

static enum exit_code send_input(struct produce_command *command)
{
    struct text held = {0};
    char *piece = memory_aligned(4096, READ_BYTES);
    enum exit_code code = EXIT_OK;
    for (bool is_end = false; !code && !is_end;) {
        ssize_t size = read(0, piece, READ_BYTES);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0) {
            say("produce", "can't read the input: %s", strerror(errno));
            code = EXIT_FAILED;
            break;
        }
        is_end = size == 0;
        text_add(&held, piece, (size_t)size);
        code = send_lines(command, &held, is_end);
    }
    text_done(&held);
    memory_free(piece);
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
            command, fixed_key(command),
            (struct bytes){(const uint8_t *)(held.data ? held.data : ""), (int32_t)held.size});
    if (file >= 0)
        close(file);
    memory_free(piece);
    text_done(&held);
    return code;
}

static enum exit_code run(struct produce_command *command)
{
    enum exit_code code = connect_client(&command->options, command->broker, &command->client);
    if (code)
        return code;
    struct producer_settings settings = PRODUCER_SETTINGS_DEFAULT;
    settings.acks = command->acks;
    settings.codec = command->codec;
    settings.seed = (uint64_t)now_ms();
    if (producer_open(&command->producer, &command->client, command->topic, settings))
        return connect_failed(&command->options, &command->client);
    if (command->file_count == 0)
        code = send_input(command);
    for (int i = 0; i < command->file_count && !code; i++)
        code = send_file(command, command->files[i]);
    /* What was read before the input went wrong is sent all the same. */
    if (!command->is_refused && producer_flush(&command->producer))
        code = connect_failed(&command->options, &command->client);
    return code;
}

enum exit_code command_produce(int count, char **arguments)
{
    struct produce_command command = {.partition = -1, .acks = -1};
    options_init(&command.options, &usage, count, arguments);
    command.files = memory_zeroed((size_t)(count + 1) * sizeof *command.files);
    enum exit_code code = EXIT_OK;
    int id = 0;
    while (!code && (id = options_next(&command.options)) != OPTION_END && id != OPTION_HELP)
        code = take(&command, id);
    if (!code && id != OPTION_HELP && !command.topic)
        code = options_wrong(&command.options, "-t TOPIC is missing");
    if (!code && id != OPTION_HELP && command.key && command.delimiter)
        code = options_wrong(&command.options, "-k and -K exclude each other");
    if (!code && id != OPTION_HELP) {
        code = run(&command);
        producer_close(&command.producer);
        client_close(&command.client);
    }
    text_done(&command.headers);
    memory_free(command.files);
    return code;
}
