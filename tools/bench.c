/* `bole bench`: options, the topic, and the run. */
#include "tools/bench.h"
#include "base/memory.h"
#include "tools/connect.h"
#include <string.h>

enum { REQUEST_BYTES_MAX = 100 << 20 }; /* Kafka's socket.request.max.bytes */
enum { REQUESTS_MS_MAX = 600000 };      /* --requests gives up after ten minutes */

static const struct option_row rows[] = {
    OPTION_BROKER,
    {256, "partitions", "N", "of the topic, created if missing (default 16; tiny: 1)"},
    {257, "per-request", "N", "partitions in each request (default all)"},
    {258, "batch-bytes", "N",
     "of each batch, header included (default 16k; tiny: 100, partitions: 200)"},
    {259, "record-bytes", "N", "of each record's value (default 1000)"},
    {260, "connections", "N", "(default 1; idle: 1000)"},
    {261, "in-flight", "N", "requests on each connection (default 4; tiny: 64; with a rate: 1000)"},
    {262, "rate", "N|max", "requests/s due, of all connections together (default max)"},
    {263, "seconds", "N", "measured (default 5)"},
    {264, "warmup", "N", "seconds before (default 1)"},
    {272, "codec", "CODEC",
     "of the batches: none (default), gzip, snappy, lz4, zstd; then the values are words, and "
     "sizes\n"
     "                               in results are those after compression"},
    {271, "requests", "N", "ends after so many, counted from the first, instead of by time"},
    {265, "acks", "N", "-1 every replica in sync (default), 1 the leader"},
    {266, "kind", "KIND", "of tiny: produce (default), apiversions or metadata"},
    {267, "topic", "NAME", "(default bench-PARTITIONS)"},
    {268, "config", "KEY=VALUE", "a setting of the topic if it is created; several times"},
    {269, "pid", "PID", "of the broker: its CPU, memory and written bytes"},
    {270, "json", NULL, "print one JSON object"},
    {0},
};

static const struct usage usage = {
    "bole bench", "produce|tiny|partitions|idle|floor [OPTIONS]",
    "Replays requests that were built once, over many connections, on one thread.\n"
    "produce     batches to all partitions\n"
    "tiny        the smallest requests, pipelined\n"
    "partitions  small batches over very many partitions\n"
    "idle        opens connections and holds them\n"
    "floor       what this machine can do (bole floor -h)\n"
    "With --rate a latency counts from when the request was due. Only one broker is driven: all\n"
    "partitions of the topic must have the same leader.",
    rows};

static const struct bench_settings defaults[] = {
    {.kind = "produce", .partitions = 16, .batch_bytes = 16 << 10, .connections = 1},
    {.kind = "tiny", .partitions = 1, .batch_bytes = 100, .connections = 1, .in_flight = 64},
    {.kind = "partitions", .partitions = 1000, .batch_bytes = 200, .connections = 1},
    {.kind = "idle", .partitions = 1, .batch_bytes = 100, .connections = 1000},
};

static bool add_config(struct options *options, struct bench_settings *settings)
{
    const char *text = options->value, *equals = strchr(text, '=');
    if (!equals || equals == text || settings->configs_count == BENCH_CONFIGS_MAX) {
        options_wrong(options, "--config takes KEY=VALUE, not '%s', at most %d times", text,
                      BENCH_CONFIGS_MAX);
        return false;
    }
    settings->configs[settings->configs_count++] = (struct admin_config){
        .name = {text, (int32_t)(equals - text)}, .value = string_of(equals + 1)};
    return true;
}

static bool take_kind(struct options *options, struct bench_settings *settings)
{
    if (strcmp(options->value, "produce") == 0)
        settings->request = BENCH_PRODUCE;
    else if (strcmp(options->value, "apiversions") == 0)
        settings->request = BENCH_API_VERSIONS;
    else if (strcmp(options->value, "metadata") == 0)
        settings->request = BENCH_METADATA;
    else {
        options_wrong(options, "--kind is produce, apiversions or metadata, not '%s'",
                      options->value);
        return false;
    }
    return true;
}

static bool take_seconds(struct options *options, int64_t low, int64_t *ret_ms)
{
    int64_t seconds;
    if (!options_number(options, low, 1000000, &seconds))
        return false;
    *ret_ms = seconds * 1000;
    return true;
}

/* Takes one option; false after a message. */
static bool take(struct options *options, struct bench_settings *settings, int id)
{
    switch (id) {
    case 'b':
        settings->broker = options->value;
        return true;
    case 256:
        return options_number(options, 1, 1000000, &settings->partitions);
    case 257:
        return options_number(options, 1, 1000000, &settings->per_request);
    case 258:
        return options_number(options, 80, 64 << 20, &settings->batch_bytes);
    case 259:
        return options_number(options, 1, 64 << 20, &settings->record_bytes);
    case 260:
        return options_number(options, 1, 1000000, &settings->connections);
    case 261:
        return options_number(options, 1, 1000000, &settings->in_flight);
    case 262:
        if (strcmp(options->value, "max") == 0) {
            settings->plan.rate = 0;
            return true;
        }
        return options_number(options, 1, 100000000, &settings->plan.rate);
    case 263:
        return take_seconds(options, 1, &settings->plan.measure_ms);
    case 264:
        return take_seconds(options, 0, &settings->plan.warmup_ms);
    case 265:
        if (!options_number(options, -1, 1, &settings->acks))
            return false;
        if (settings->acks == 0)
            options_wrong(options, "--acks 0 has no answers, so nothing could be measured");
        return settings->acks != 0;
    case 266:
        return take_kind(options, settings);
    case 267:
        settings->topic = options->value;
        return true;
    case 268:
        return add_config(options, settings);
    case 269:
        return options_number(options, 1, INT32_MAX, &settings->pid);
    case 270:
        settings->is_json = true;
        return true;
    case 272:
        if (!codec_find(options->value, &settings->codec))
            options_wrong(options, "--codec is none, gzip, snappy, lz4 or zstd, not '%s'",
                          options->value);
        return codec_find(options->value, &settings->codec);
    case 271:
        return options_number(options, 1, INT32_MAX, &settings->requests);
    case OPTION_ARGUMENT:
        options_wrong(options, "'%s' is not an option", options->value);
        return false;
    default:
        return false;
    }
}

/* Finds the topic, or creates it. NULL after a message. */
static const struct metadata_topic *find_topic(const struct options *options,
                                               const struct bench_settings *settings,
                                               struct client *client, struct bench_result *result)
{
    enum error error = client_refresh(client, settings->topic, false);
    const struct metadata_topic *topic =
        metadata_topic_named(&client->metadata, string_of(settings->topic));
    result->create_ms = -1;
    if (!error && (!topic || topic->error == ERROR_UNKNOWN_TOPIC_OR_PARTITION)) {
        int64_t start_ms = driver_now_ms();
        error =
            admin_create(client, &(struct admin_topic){.name = settings->topic,
                                                       .partitions = (int32_t)settings->partitions,
                                                       .replication = -1,
                                                       .configs = settings->configs,
                                                       .configs_count = settings->configs_count});
        result->create_ms = driver_now_ms() - start_ms;
    }
    if (!error)
        error = client_topic(client, settings->topic, false, &topic);
    if (!error && topic->partition_count != settings->partitions)
        error =
            client_fail(client, ERROR_INVALID_PARTITIONS,
                        "topic '%s' has %d partitions, not %lld; name another with --topic, "
                        "or delete it",
                        settings->topic, topic->partition_count, (long long)settings->partitions);
    for (int32_t i = 1; !error && i < topic->partition_count; i++)
        if (topic->partitions[i].leader != topic->partitions[0].leader)
            error =
                client_fail(client, ERROR_NOT_SUPPORTED,
                            "the partitions of '%s' are led by several brokers", settings->topic);
    if (!error)
        return topic;
    connect_failed(options, client);
    return NULL;
}

/* The version of the requests: the smallest of ApiVersions, else the newest common one. */
static int16_t version_of(const struct bench_settings *settings, const struct driver *driver)
{
    switch (settings->request) {
    case BENCH_API_VERSIONS:
        return 0;
    case BENCH_METADATA:
        return session_version(&driver->session, API_METADATA);
    default:
        return session_version(&driver->session, API_PRODUCE);
    }
}

static bool run_load(const struct options *options, const struct bench_settings *settings,
                     struct client *client, struct bench_result *result)
{
    const struct metadata_topic *topic = NULL;
    int32_t node = CLIENT_BOOTSTRAP;
    struct host_port address = client->settings.bootstrap;
    if (settings->request == BENCH_PRODUCE) {
        topic = find_topic(options, settings, client, result);
        if (!topic)
            return false;
        node = topic->partitions[0].leader;
        address = metadata_node_of(&client->metadata, node)->address;
    }
    struct driver *driver;
    if (client_driver(client, node, &driver)) {
        connect_failed(options, client);
        return false;
    }
    int16_t version = version_of(settings, driver);
    if (version < 0) {
        say("bench", "the broker and this client have no version of the request in common");
        return false;
    }
    struct bench_frames frames;
    bench_frames_build(&frames, settings, topic, version);
    bool is_well = bench_generate(settings, &address, &frames, result);
    bench_frames_done(&frames);
    return is_well;
}

static enum exit_code run(const struct options *options, struct bench_settings *settings)
{
    struct client client;
    enum exit_code code = connect_client(options, settings->broker, &client);
    struct bench_result *result = memory_zeroed(sizeof *result);
    result->create_ms = -1;
    result->before = bench_process_look(settings->pid);
    if (!code && settings->pid && !result->before.is_known) {
        say("bench", "there is no process %lld", (long long)settings->pid);
        code = EXIT_FAILED;
    }
    if (!code) {
        bool is_idle = strcmp(settings->kind, "idle") == 0;
        bool is_well = is_idle ? bench_idle(settings, &client.settings.bootstrap, result)
                               : run_load(options, settings, &client, result);
        if (is_well)
            bench_print(settings, result);
        code = is_well ? EXIT_OK : EXIT_FAILED;
    }
    memory_free(result);
    client_close(&client);
    return code;
}

/* Fills in what depends on other options. */
static void complete(struct bench_settings *settings, char *topic, size_t capacity)
{
    if (settings->requests)
        settings->plan = (struct schedule_plan){.measure_ms = REQUESTS_MS_MAX};
    if (settings->in_flight == 0)
        settings->in_flight = settings->plan.rate ? 1000 : 4;
    if (!settings->topic) {
        snprintf(topic, capacity, "bench-%lld", (long long)settings->partitions);
        settings->topic = topic;
    }
}

enum exit_code command_bench(int count, char **arguments)
{
    struct options options;
    const char *kind = count ? arguments[0] : "";
    if (strcmp(kind, "floor") == 0)
        return command_floor(count - 1, arguments + 1);
    const struct bench_settings *found = NULL;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (strcmp(kind, defaults[i].kind) == 0)
            found = &defaults[i];
    options_init(&options, &usage, count - (found != NULL), arguments + (found != NULL));
    struct bench_settings settings = found ? *found : (struct bench_settings){0};
    settings.plan = (struct schedule_plan){.warmup_ms = 1000, .measure_ms = 5000};
    settings.record_bytes = 1000;
    settings.acks = -1;
    int id;
    while ((id = options_next(&options)) != OPTION_END) {
        if (id == OPTION_HELP)
            return EXIT_OK;
        if (!found || !take(&options, &settings, id))
            break;
    }
    if (!found)
        return options_wrong(&options, "what to measure: produce, tiny, partitions, idle, floor?");
    if (id != OPTION_END)
        return EXIT_USAGE;
    int64_t each = settings.per_request && settings.per_request < settings.partitions
                       ? settings.per_request
                       : settings.partitions;
    if (settings.request == BENCH_PRODUCE && each * settings.batch_bytes > REQUEST_BYTES_MAX)
        return options_wrong(&options,
                             "a request of %lld x %lld bytes is more than brokers take; lower "
                             "--per-request",
                             (long long)each, (long long)settings.batch_bytes);
    if (settings.requests && settings.plan.rate)
        return options_wrong(&options, "--requests goes as fast as it can: no --rate with it");
    char topic[64];
    complete(&settings, topic, sizeof topic);
    return run(&options, &settings);
}
