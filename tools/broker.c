/* `bole broker`: settings, a port and a thread per core (core_threads.h), one line when it is
 * ready, and an end in order.
 *
 *   main thread (core 0)                         threads of cores 1...
 *   start threads ------------------------->     open own port
 *   broker_open, some of it ---------------->    beside them
 *   listen, print "ready"; run ------------->    run
 *   (a signal: stop listening, close connections, stop every core)
 *   wait  <---------------------------------     stopped
 *   broker_close, end threads -------------->    close own port
 *
 * A ring may be used by the thread that opened it only; what happens on one thread (the end, most
 * of the start) therefore asks port 0 alone. Signals are taken by a thread of their own with
 * sigwait, which sends mail to core 0: nothing happens in a handler. */
#include "api/serve.h"
#include "base/check.h"
#include "base/memory.h"
#include "config/describe.h"
#include "config/listeners.h"
#include "config/settings.h"
#include "tools/core_threads.h"
#include "tools/options.h"
#include "tools/start_said.h"
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

enum {
    OPEN_FILES_MOST = 8192,
    LARGE_BYTES = 256 << 10,
    /* where 0 asks for a share: */
    BUFFERS_BYTES_LEAST = 16 << 20,   /* of a core */
    JOURNAL_CROWDED_MOST = 512 << 20, /* of one */
};

struct runner {
    struct broker broker; /* first: runner_of */
    struct settings settings;
    struct sentence sentence;
    int core_count;
    struct core_threads threads;
    char why[600];
    char folder[4096]; /* that it was started in */
    pthread_t signals;
    struct flow signal_flow;
    struct mail signal_mail;
    struct flow fence_flow;
    struct mail fence_mail;
    atomic_bool fenced, warned;
    bool describes; /* prints the settings, and no more */
};

enum {
    OPTION_DATA = 256,
    OPTION_LISTEN,
    OPTION_CORES,
    OPTION_METRICS,
    OPTION_DESCRIBE_CONFIG,
};

static const struct option_row rows[] = {
    {'c', "config", "FILE", "read settings from a properties file (server.properties)"},
    {'X', NULL, "KEY=VALUE", "one setting; after the file, the last one wins"},
    {OPTION_DATA, "data", "DIR", "the same as -X log.dirs=DIR"},
    {OPTION_LISTEN, "listen", "HOST:PORT", "the same as -X listeners=PLAINTEXT://HOST:PORT"},
    {OPTION_CORES, "cores", "N", "the same as -X cores=N; 0: as many as this process may use"},
    {OPTION_METRICS, "metrics", "HOST:PORT", "the same as -X metrics.listener=HOST:PORT"},
    {OPTION_DESCRIBE_CONFIG, "describe-config", NULL,
     "print every setting with type, default, range and what it does, and end"},
    {0},
};

static const struct usage usage = {
    "bole broker",
    "[-c FILE] [-X KEY=VALUE]... [--data DIR] [--listen HOST:PORT] [--cores N] "
    "[--metrics HOST:PORT]",
    "Runs a broker until SIGTERM or SIGINT. Prints one line, `ready HOST:PORT in N ms`, when it "
    "can\n"
    "acknowledge records.\n",
    rows,
};

/* -- settings ------------------------------------------------------------------------------ */

static enum error load_file(struct runner *runner, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return sentence_say(&runner->sentence, ERROR_NOT_FOUND, "can't open %s", path);
    char *text = NULL;
    size_t size = 0, got;
    do {
        text = memory_resized(text, size + 65536);
        got = fread(text + size, 1, 65536, file);
        size += got;
    } while (got > 0 && size < (16u << 20));
    fclose(file);
    enum error error = settings_load(&runner->settings, text, size, &runner->sentence);
    memory_free(text);
    return error;
}

static enum error set(struct runner *runner, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum error set(struct runner *runner, const char *name, const char *format, ...)
{
    char value[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    return settings_set(&runner->settings, string_of(name), string_of(value), &runner->sentence);
}

/* Two passes: the file first, wherever -c stands, then what the command line says. */
static enum exit_code read_options(struct runner *runner, int count, char **arguments)
{
    for (int pass = 0; pass < 2; pass++) {
        struct options options;
        options_init(&options, &usage, count, arguments);
        for (int id; (id = options_next(&options)) != OPTION_END;) {
            enum error error = ERROR_NONE;
            if (id == OPTION_HELP)
                return EXIT_OK;
            if (id == OPTION_WRONG)
                return EXIT_USAGE;
            if (id == OPTION_ARGUMENT)
                return options_wrong(&options, "what is '%s' for?", options.value);
            if (pass == 0 && id == 'c')
                error = load_file(runner, options.value);
            else if (pass == 1 && id == 'X')
                error = settings_set_pair(&runner->settings, options.value, &runner->sentence);
            else if (pass == 1 && id == OPTION_DATA)
                error = set(runner, "log.dirs", "%s", options.value);
            else if (pass == 1 && id == OPTION_LISTEN)
                error = set(runner, "listeners", "PLAINTEXT://%s", options.value);
            else if (pass == 1 && id == OPTION_CORES)
                error = set(runner, "cores", "%s", options.value);
            else if (pass == 1 && id == OPTION_METRICS)
                error = set(runner, "metrics.listener", "%s", options.value);
            else if (id == OPTION_DESCRIBE_CONFIG)
                runner->describes = true;
            if (error != ERROR_NONE)
                return options_wrong(&options, "%s", runner->sentence.text);
        }
    }
    if (settings_check(&runner->settings, &runner->sentence) != ERROR_NONE) {
        say("broker", "%s", runner->sentence.text);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

static bool asks_for_help(int count, char **arguments)
{
    for (int i = 0; i < count; i++)
        if (strcmp(arguments[i], "-h") == 0 || strcmp(arguments[i], "--help") == 0)
            return true;
    return false;
}

/* The smaller of the CPUs this process may use and its cgroup's quota, rounded up. */
static int usable_cores(void)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    long long quota = 0, period = 0;
    if (file && fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0 &&
        (quota + period - 1) / period < count)
        count = (int)((quota + period - 1) / period);
    if (file)
        fclose(file);
    return count < 1 ? 1 : count > BROKER_CORES_MAX ? BROKER_CORES_MAX : count;
}

/* What all cores' buffers may take, and what all crowded journals: an eighth of the cgroup's
 * memory.max or of the machine's. */
static int64_t usable_share_bytes(void)
{
    int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "r");
    long long limit = 0;
    if (file && fscanf(file, "%lld", &limit) == 1 && limit > 0 && limit < bytes)
        bytes = limit;
    if (file)
        fclose(file);
    return bytes / 8;
}

/* What 0 means in the settings is decided here, where the system may be asked. */
static void settle_budget(struct runner *runner)
{
    struct settings *settings = &runner->settings;
    int64_t bytes = usable_share_bytes() / runner->core_count;
    if (settings->memory_buffers_bytes <= 0)
        settings->memory_buffers_bytes = max_i64(bytes, BUFFERS_BYTES_LEAST);
    if (settings->journal_crowded_bytes <= 0)
        settings->journal_crowded_bytes =
            min_i64(bytes / settings_log_dirs_count(settings), JOURNAL_CROWDED_MOST);
}

static void print_settings(void)
{
    struct writer writer;
    writer_init(&writer, NULL, 0);
    settings_describe(&writer);
    size_t size = writer.size;
    uint8_t *text = memory_zeroed(size);
    writer_init(&writer, text, size);
    settings_describe(&writer);
    fwrite(text, 1, size, stdout);
    memory_free(text);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        say("broker", "the limit of descriptors stays as it is");
}

/* Where it is not set: how many segments may be kept open. The other half is for connections and
 * for files that are open for a moment only. */
static void settle_open_files(struct settings *settings)
{
    struct rlimit limit;
    if (settings->log_open_files > 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    settings->log_open_files =
        (int32_t)(limit.rlim_cur / 2 < OPEN_FILES_MOST ? limit.rlim_cur / 2 : OPEN_FILES_MOST);
}

/* -- ports and events ---------------------------------------------------------------------- */

static void write_line(void *owner, const char *line, size_t size)
{
    ssize_t written = write(STDERR_FILENO, line, size);
    (void)written; /* there is nowhere left to say so */
}

/* Opens the port that the settings ask for, on the calling thread. */
static enum error open_port(void *context, struct port **ret_port, char *why, size_t size)
{
    struct runner *runner = context;
    static const struct port_options options = {
        .queue_depth = 256, .pool_buffer_size = 16384, .pool_buffer_count = 64};
    int32_t wanted = runner->settings.reactor_port;
    enum error error = ERROR_NOT_SUPPORTED;
    if (wanted != REACTOR_PORT_EPOLL)
        error = uring_open(&options, ret_port, why, size);
    if (error == ERROR_NONE || wanted == REACTOR_PORT_URING)
        return error;
    if (wanted == REACTOR_PORT_AUTO && !atomic_exchange(&runner->warned, true))
        say("broker", "io_uring can't be used: %s; going on with epoll", why);
    return epoll_open(&options, ret_port, why, size);
}

/* -- the end ------------------------------------------------------------------------------- */

static enum step signal_stop(struct flow *flow)
{
    struct runner *runner = CONTAINER_OF(flow, struct runner, signal_flow);
    api_stop(&runner->broker);
    return STEP_NEXT;
}

static enum step fence_stop(struct flow *flow)
{
    struct runner *runner = CONTAINER_OF(flow, struct runner, fence_flow);
    api_stop(&runner->broker);
    return STEP_NEXT;
}

static const struct flow_kind fenced_kind = {"fenced", {{"stop", fence_stop}}};

static const struct flow_kind signal_kind = {"signal", {{"stop", signal_stop}}};

/* A broker that can't write any more ends, in order as far as it can, and says why (the event
 * before). On the thread of the fenced core. */
static void on_fenced(struct broker *broker, struct shard *shard)
{
    struct runner *runner = CONTAINER_OF(broker, struct runner, broker);
    if (atomic_exchange(&runner->fenced, true))
        return;
    mail_start(&runner->fence_mail, &shard->core, &broker->shards[0].core, &runner->fence_flow,
               &fenced_kind);
}

static void wanted_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

/* Takes the first signal; a second one ends the process as it would without us. */
static void *signals_main(void *argument)
{
    struct runner *runner = argument;
    sigset_t set;
    wanted_signals(&set);
    int number;
    if (sigwait(&set, &number) != 0)
        return NULL;
    mail_start(&runner->signal_mail, NULL, &runner->broker.shards[0].core, &runner->signal_flow,
               &signal_kind);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    for (;;)
        pause();
}

/* Ends the thread of signals: it may still be about to wake core 0, whose memory goes next. From
 * here on any signal ends the process. */
static void end_signals(struct runner *runner)
{
    sigset_t set;
    wanted_signals(&set);
    pthread_cancel(runner->signals); /* in sigwait or pause, or before its next one */
    pthread_join(runner->signals, NULL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* For telling the absolute paths of log directories. Null: it is not known. */
static const char *working_folder(struct runner *runner)
{
    if (!getcwd(runner->folder, sizeof runner->folder - 1))
        return NULL;
    size_t size = strlen(runner->folder);
    if (runner->folder[size - 1] != '/')
        memcpy(runner->folder + size, "/", 2);
    return runner->folder;
}

/* -- listening ----------------------------------------------------------------------------- */

static struct address address_of(const struct sockaddr *from)
{
    struct address address = {.family = from->sa_family == AF_INET ? 4 : 6};
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)from;
        memcpy(address.bytes + 12, &four->sin_addr, 4);
        address.port = ntohs(four->sin_port);
    } else {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)from;
        memcpy(address.bytes, &six->sin6_addr, 16);
        address.port = ntohs(six->sin6_port);
    }
    return address;
}

/* A listening address by its host's name or number; "" is every address, IPv6 and IPv4. */
static bool resolve(const char *host, uint16_t port, struct address *ret_address)
{
    char service[8];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(*host ? host : "::", service, &hints, &found);
    if (failed && !*host)
        failed = getaddrinfo("0.0.0.0", service, &hints, &found);
    if (failed) {
        say("broker", "can't find the address of %s: %s", host, gai_strerror(failed));
        return false;
    }
    *ret_address = address_of(found->ai_addr);
    freeaddrinfo(found);
    return true;
}

static bool listen_at(struct runner *runner, const char *host, uint16_t port,
                      enum error (*listen)(struct broker *, struct address *), char *ret_text)
{
    struct address address;
    if (!resolve(host, port, &address))
        return false;
    enum error error = listen(&runner->broker, &address);
    if (error != ERROR_NONE && !*host) { /* a machine without IPv6 */
        address = (struct address){.family = 4, .port = port};
        error = listen(&runner->broker, &address);
    }
    address_format(&address, ret_text);
    if (error != ERROR_NONE)
        say("broker", "can't listen at %s: %s", ret_text, error_text(error));
    return error == ERROR_NONE;
}

static bool listen_for_metrics(struct runner *runner)
{
    char host[LISTENER_HOST_BYTES], text[ADDRESS_TEXT_BYTES];
    uint16_t port;
    const char *listener = runner->settings.metrics_listener;
    if (!listener || endpoint_parse(string_of(listener), host, &port) != ERROR_NONE)
        return true; /* what can't be parsed was refused by settings_check */
    if (!listen_at(runner, host, port, api_serve_metrics, text))
        return false;
    say("broker", "metrics at http://%s/metrics", text);
    return true;
}

static bool listen_everywhere(struct runner *runner, char *ret_text)
{
    struct listeners listeners;
    if (listeners_parse(&runner->settings, &listeners, &runner->sentence) != ERROR_NONE) {
        say("broker", "%s", runner->sentence.text);
        return false;
    }
    char text[ADDRESS_TEXT_BYTES];
    bool first = true;
    for (int i = 0; i < listeners.count; i++) {
        if (listeners.items[i].is_controller)
            continue;
        const struct listener *listener = &listeners.items[i];
        if (!listen_at(runner, listener->host, listener->port, api_listen, first ? ret_text : text))
            return false;
        first = false;
    }
    return listen_for_metrics(runner);
}

/* -- the run ------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static enum exit_code run(struct runner *runner, int64_t started_ms)
{
    struct broker *broker = &runner->broker;
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint64_t)now_ms() ^ (uint64_t)getpid() << 32;
    struct broker_start start = {.settings = &runner->settings,
                                 .ports = runner->threads.ports,
                                 .core_count = runner->core_count,
                                 .seed = seed,
                                 .crew = &runner->threads.crew,
                                 .write = write_line};
    if (broker_open(broker, &start, runner->why, sizeof runner->why) != ERROR_NONE) {
        start_say_sentences(broker);
        memory_free(broker->sentences);
        say("broker", "%s", runner->why);
        return EXIT_FAILED;
    }
    broker->stopped = broker_stop_cores; /* once the last connection is gone */
    broker->fenced = on_fenced;
    broker->root = working_folder(runner);
    start_say(broker);
    for (int i = 0; i < runner->core_count; i++) {
        broker->shards[i].core.events.write = write_line;
        runner->threads.cores[i] = &broker->shards[i].core;
    }
    start_note_metadata(broker);
    api_open(broker);
    char address[ADDRESS_TEXT_BYTES] = "";
    bool takes_signals = pthread_create(&runner->signals, NULL, signals_main, runner) == 0;
    bool serves = takes_signals && listen_everywhere(runner, address);
    if (serves) {
        printf("ready %s in %lld ms\n", address, (long long)(now_ms() - started_ms));
        fflush(stdout);
    } else {
        api_stop(broker); /* flows are under way already: it ends in order */
    }
    core_threads_run(&runner->threads);
    core_run(&broker->shards[0].core);
    core_threads_await(&runner->threads);
    if (takes_signals)
        end_signals(runner);
    api_close(broker);
    broker_close(broker);
    if (atomic_load(&runner->fenced)) {
        say("broker", "ended: the data directory can't be written (the event above says why)");
        return EXIT_FAILED;
    }
    return serves ? EXIT_OK : EXIT_FAILED;
}

enum exit_code command_broker(int count, char **arguments)
{
    int64_t started_ms = now_ms();
    struct runner *runner = memory_zeroed(sizeof *runner);
    settings_init(&runner->settings);
    enum exit_code code = read_options(runner, count, arguments);
    if (code == EXIT_OK && runner->describes) {
        print_settings();
    } else if (code == EXIT_OK && !asks_for_help(count, arguments)) {
        sigset_t set;
        wanted_signals(&set);
        pthread_sigmask(SIG_BLOCK, &set, NULL); /* threads inherit it */
        memory_give_back_from(LARGE_BYTES);
        raise_descriptor_limit();
        settle_open_files(&runner->settings);
        runner->core_count = runner->settings.cores > 0 ? runner->settings.cores : usable_cores();
        settle_budget(runner);
        code = EXIT_FAILED;
        if (core_threads_start(&runner->threads, runner->core_count, open_port, runner))
            code = run(runner, started_ms);
        else
            say("broker", "%s", runner->threads.why);
        core_threads_end(&runner->threads);
    }
    settings_done(&runner->settings);
    memory_free(runner);
    return code;
}
