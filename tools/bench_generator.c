/* The generator: one thread, one epoll, many connections. See bench.h for the invariants.
 *
 * Of a connection: requests become due (the schedule), are admitted into its ring of flights when
 * there is room, are sent in order, and leave the ring when they are answered. */
#include "base/check.h"
#include "base/memory.h"
#include "tools/bench.h"
#include "tools/command.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { FLIGHTS_PER_SEND = 64, RECEIVE_BYTES = 256 << 10, EVENTS = 256 };
enum { ANSWER_BYTES_MAX = 64 << 20, ARENA_BYTES = 64 << 20, ARENA_KEPT_BYTES = 64 << 10 };
#define DRAIN_NS  5000000000ll
#define SETTLE_NS 60000000000ll

struct flight {
    int64_t due_ns;
    int32_t frame, correlation_id;
    uint8_t head[BENCH_HEAD_BYTES];
};

struct connection {
    struct driver driver;
    struct flight *flights;           /* a ring of in_flight */
    int64_t answered, sent, admitted; /* numbers of requests: answered <= sent <= admitted */
    int64_t due;                      /* requests that were due until now, with a rate */
    size_t sent_bytes;                /* of the request `sent` */
    uint8_t *in;
    size_t in_begin, in_end, in_capacity;
    bool is_watched_for_room;
};

struct generator {
    const struct bench_settings *settings;
    const struct bench_frames *frames;
    struct bench_result *result;
    struct schedule schedule;
    struct connection *connections;
    int64_t next_index; /* of the schedule */
    int64_t now_ns;
    int64_t waiting; /* requests that are due or in flight */
    int epoll;
    struct arena arena;
    bool is_measuring, has_measured;
};

static int64_t clock_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static bool lost(const struct connection *connection, const char *what)
{
    char address[HOST_PORT_BYTES];
    say("bench", "%s: %s", host_port_format(&connection->driver.address, address), what);
    return false;
}

/* --- sending ---------------------------------------------------------------------------------- */

static struct flight *flight_of(const struct generator *generator, struct connection *connection,
                                int64_t number)
{
    return &connection->flights[number % generator->settings->in_flight];
}

/* Admits requests that are due while there is room. The number of a connection's request and the
 * connection's place make its index in the schedule, and that chooses the frame. */
static void admit(struct generator *generator, struct connection *connection)
{
    const struct bench_settings *settings = generator->settings;
    bool is_max = settings->plan.rate == 0;
    bool is_over = generator->now_ns >= generator->schedule.end_ns;
    while (connection->admitted - connection->answered < settings->in_flight) {
        if (is_max ? is_over : connection->admitted == connection->due)
            return;
        int64_t place = connection - generator->connections;
        int64_t index = connection->admitted * settings->connections + place;
        if (settings->requests && index >= settings->requests)
            return;
        struct flight *flight = flight_of(generator, connection, connection->admitted);
        flight->due_ns = is_max ? generator->now_ns : schedule_due_ns(&generator->schedule, index);
        flight->frame = (int32_t)(index % generator->frames->count);
        flight->correlation_id = (int32_t)(connection->admitted & INT32_MAX);
        memcpy(flight->head, generator->frames->frames[flight->frame].data, BENCH_HEAD_BYTES);
        store_be32(flight->head + BENCH_CORRELATION_AT, (uint32_t)flight->correlation_id);
        connection->admitted++;
        generator->waiting += is_max;
    }
}

/* Appends what is unsent of one request to the vector; returns the new count. */
static int gather(const struct generator *generator, struct flight *flight, size_t skip,
                  struct iovec *vector, int count)
{
    const struct bench_frame *frame = &generator->frames->frames[flight->frame];
    if (skip < BENCH_HEAD_BYTES) {
        vector[count++] = (struct iovec){flight->head + skip, BENCH_HEAD_BYTES - skip};
        skip = BENCH_HEAD_BYTES;
    }
    if (frame->size > skip)
        vector[count++] = (struct iovec){frame->data + skip, frame->size - skip};
    return count;
}

static void watch_for_room(struct generator *generator, struct connection *connection, bool wanted)
{
    if (connection->is_watched_for_room == wanted)
        return;
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0),
                                .data.ptr = connection};
    int failed = epoll_ctl(generator->epoll, EPOLL_CTL_MOD, connection->driver.socket, &event);
    check(failed == 0);
    connection->is_watched_for_room = wanted;
}

static bool send_waiting(struct generator *generator, struct connection *connection)
{
    while (connection->sent < connection->admitted) {
        struct iovec vector[2 * FLIGHTS_PER_SEND];
        int count = 0;
        for (int64_t n = connection->sent;
             n < connection->admitted && n < connection->sent + FLIGHTS_PER_SEND; n++)
            count = gather(generator, flight_of(generator, connection, n),
                           n == connection->sent ? connection->sent_bytes : 0, vector, count);
        struct msghdr message = {.msg_iov = vector, .msg_iovlen = (size_t)count};
        ssize_t size = sendmsg(connection->driver.socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN) {
            watch_for_room(generator, connection, true);
            return true;
        }
        if (size < 0)
            return lost(connection, strerror(errno));
        connection->sent_bytes += (size_t)size;
        while (connection->sent < connection->admitted) {
            const struct flight *flight = flight_of(generator, connection, connection->sent);
            size_t whole = generator->frames->frames[flight->frame].size;
            if (connection->sent_bytes < whole)
                break;
            connection->sent_bytes -= whole;
            connection->sent++;
        }
    }
    watch_for_room(generator, connection, false);
    return true;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void count_error(struct bench_result *result, int32_t code)
{
    int i = 0;
    while (i < result->error_count && result->errors[i].code != code)
        i++;
    if (i == BENCH_ERRORS_MAX)
        return;
    if (i == result->error_count)
        result->errors[result->error_count++] = (struct bench_error){.code = code, .count = 0};
    result->errors[i].count++;
}

/* Counts the errors of an answer. Returns the number of batches (or 1) without one; -1: malformed.
 */
static int32_t count_answer(struct generator *generator, struct reader *reader)
{
    const struct bench_frames *frames = generator->frames;
    if (frames->api->key == API_API_VERSIONS) {
        int16_t code = read_i16(reader);
        if (code)
            count_error(generator->result, code);
        return reader->error ? -1 : code == 0;
    }
    union {
        struct produce_response produce;
        struct metadata_response metadata;
    } answer;
    arena_reset(&generator->arena, ARENA_KEPT_BYTES);
    if (message_decode_whole(frames->api->response, frames->version, reader, &generator->arena,
                             &answer))
        return -1;
    if (frames->api->key == API_METADATA)
        return 1;
    int32_t good = 0;
    for (int32_t t = 0; t < answer.produce.responses_count; t++)
        for (int32_t i = 0; i < answer.produce.responses[t].partition_responses_count; i++) {
            int32_t code = answer.produce.responses[t].partition_responses[i].error_code;
            good += code == 0;
            if (code)
                count_error(generator->result, code);
        }
    return good;
}

/* Takes one whole answer, `size` bytes without the length. */
static bool take_answer(struct generator *generator, struct connection *connection,
                        const uint8_t *data, size_t size)
{
    if (connection->answered == connection->sent)
        return lost(connection, "the broker answered what was not asked");
    const struct flight *flight = flight_of(generator, connection, connection->answered);
    struct reader reader;
    reader_init(&reader, data, size);
    if (read_i32(&reader) != flight->correlation_id)
        return lost(connection, "an answer has the wrong correlation id");
    const struct api *api = generator->frames->api;
    if (response_header_version(api, generator->frames->version) >= 1) {
        struct response_header header;
        reader.next -= 4;
        arena_reset(&generator->arena, ARENA_KEPT_BYTES);
        if (message_decode(&response_header_message, 1, &reader, &generator->arena, &header))
            return lost(connection, "an answer's header is malformed");
    }
    int32_t good = count_answer(generator, &reader);
    if (good < 0)
        return lost(connection, "an answer is malformed");
    struct bench_result *result = generator->result;
    if (schedule_counts(&generator->schedule, flight->due_ns))
        histogram_add(&result->latency, generator->now_ns - flight->due_ns);
    if (schedule_counts(&generator->schedule, generator->now_ns)) {
        int32_t batches = generator->frames->frames[flight->frame].batches;
        result->requests += good > 0 && good >= batches;
        result->batches += batches ? (uint64_t)good : 0;
        result->bytes += (double)good * (double)generator->frames->batch_bytes;
    }
    connection->answered++;
    generator->waiting--;
    return true;
}

/* Room for at least `size` more bytes. */
static void reserve(struct connection *connection, size_t size)
{
    if (connection->in_begin == connection->in_end)
        connection->in_begin = connection->in_end = 0;
    if (connection->in_capacity - connection->in_end >= size)
        return;
    memmove(connection->in, connection->in + connection->in_begin,
            connection->in_end - connection->in_begin);
    connection->in_end -= connection->in_begin;
    connection->in_begin = 0;
    if (connection->in_capacity - connection->in_end >= size)
        return;
    connection->in_capacity = 2 * connection->in_capacity + size;
    connection->in = memory_resized(connection->in, connection->in_capacity);
}

static bool receive(struct generator *generator, struct connection *connection)
{
    reserve(connection, RECEIVE_BYTES / 4);
    ssize_t size = recv(connection->driver.socket, connection->in + connection->in_end,
                        connection->in_capacity - connection->in_end, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (size <= 0)
        return lost(connection, size ? strerror(errno) : "the broker closed the connection");
    connection->in_end += (size_t)size;
    generator->now_ns = clock_now_ns();
    for (;;) {
        size_t held = connection->in_end - connection->in_begin;
        const uint8_t *at = connection->in + connection->in_begin;
        if (held < 4)
            return true;
        uint32_t whole = load_be32(at);
        if (whole < 4 || whole > ANSWER_BYTES_MAX)
            return lost(connection, "an answer's length can't be");
        if (held < 4 + (size_t)whole) {
            reserve(connection, 4 + (size_t)whole - held);
            return true;
        }
        if (!take_answer(generator, connection, at + 4, whole))
            return false;
        connection->in_begin += 4 + (size_t)whole;
    }
}

/* --- the loop --------------------------------------------------------------------------------- */

/* With a rate: hands out what has become due. Returns when the next request is due. */
static bool hand_out(struct generator *generator, int64_t *ret_due_ns)
{
    int64_t due_ns = INT64_MAX;
    if (generator->settings->plan.rate > 0)
        while ((due_ns = schedule_due_ns(&generator->schedule, generator->next_index)) <=
               generator->now_ns) {
            struct connection *connection =
                &generator->connections[generator->next_index % generator->settings->connections];
            generator->next_index++;
            connection->due++;
            generator->waiting++;
            admit(generator, connection);
            if (!connection->is_watched_for_room && !send_waiting(generator, connection))
                return false;
        }
    *ret_due_ns = due_ns;
    return true;
}

/* Looks at the broker's process as the measured time begins and ends. */
static void look(struct generator *generator)
{
    struct bench_result *result = generator->result;
    if (!generator->is_measuring && generator->now_ns >= generator->schedule.measure_ns) {
        generator->is_measuring = true;
        result->start = bench_process_look(generator->settings->pid);
    }
    if (!generator->has_measured && generator->now_ns >= generator->schedule.end_ns) {
        generator->has_measured = true;
        result->end = bench_process_look(generator->settings->pid);
    }
}

/* One wait and what came of it. The wait ends when the next request is due, and at the latest when
 * the broker's process has to be looked at. */
static bool turn(struct generator *generator, int64_t due_ns)
{
    const struct schedule *schedule = &generator->schedule;
    int64_t look_ns = generator->is_measuring ? schedule->end_ns : schedule->measure_ns;
    if (generator->has_measured)
        look_ns = schedule->end_ns + DRAIN_NS;
    int64_t sleep_ns = schedule_sleep_ns(due_ns < look_ns ? due_ns : look_ns, generator->now_ns);
    struct timespec limit = {sleep_ns / 1000000000, sleep_ns % 1000000000};
    struct epoll_event events[EVENTS];
    int count = epoll_pwait2(generator->epoll, events, EVENTS, &limit, NULL);
    if (count < 0 && errno != EINTR) {
        say("bench", "epoll failed: %s", strerror(errno));
        return false;
    }
    generator->now_ns = clock_now_ns();
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if ((events[i].events & ~(unsigned)EPOLLOUT) && !receive(generator, connection))
            return false;
        admit(generator, connection);
        bool has_room = !connection->is_watched_for_room || (events[i].events & EPOLLOUT);
        if (has_room && !send_waiting(generator, connection))
            return false;
    }
    return true;
}

/* With a rate: was every request handed out that is due before the end? However late it is. */
static bool is_handed_out(const struct generator *generator)
{
    return generator->settings->plan.rate == 0 ||
           schedule_due_ns(&generator->schedule, generator->next_index) == INT64_MAX;
}

static bool run(struct generator *generator)
{
    const struct bench_settings *settings = generator->settings;
    generator->now_ns = clock_now_ns();
    schedule_init(&generator->schedule, settings->plan, generator->now_ns);
    if (settings->plan.rate == 0)
        for (int64_t i = 0; i < settings->connections; i++) {
            admit(generator, &generator->connections[i]);
            if (!send_waiting(generator, &generator->connections[i]))
                return false;
        }
    int64_t give_up_ns = generator->schedule.end_ns + DRAIN_NS;
    while (generator->now_ns < generator->schedule.end_ns || !is_handed_out(generator) ||
           (generator->waiting > 0 && generator->now_ns < give_up_ns)) {
        int64_t due_ns;
        look(generator);
        if (!hand_out(generator, &due_ns) || !turn(generator, due_ns))
            return false;
        if (settings->requests && generator->waiting == 0)
            generator->schedule.end_ns = generator->now_ns;
    }
    look(generator);
    return true;
}

/* Sends one frame over a connection and waits for its answer. */
static bool settle_frame(struct generator *generator, struct connection *connection, int32_t frame)
{
    struct flight *flight = flight_of(generator, connection, connection->admitted);
    flight->frame = frame;
    flight->correlation_id = (int32_t)(connection->admitted & INT32_MAX);
    memcpy(flight->head, generator->frames->frames[frame].data, BENCH_HEAD_BYTES);
    store_be32(flight->head + BENCH_CORRELATION_AT, (uint32_t)flight->correlation_id);
    connection->admitted++;
    while (connection->answered < connection->admitted) {
        if (!send_waiting(generator, connection))
            return false;
        struct epoll_event event;
        if (epoll_wait(generator->epoll, &event, 1, 60000) == 0)
            return lost(connection, "no answer in 60 s");
        if (!receive(generator, connection))
            return false;
    }
    return true;
}

/* Sends every frame once before the schedule begins, again where a partition is not ready yet: just
 * after a topic's creation a broker may not know that it leads. Nothing of it counts. */
static bool settle(struct generator *generator)
{
    struct bench_result *result = generator->result;
    struct connection *connection = &generator->connections[0];
    int64_t give_up_ns = clock_now_ns() + SETTLE_NS;
    for (int32_t i = 0; i < generator->frames->count;) {
        result->error_count = 0;
        if (!settle_frame(generator, connection, i))
            return false;
        bool is_good = result->error_count == 0;
        bool may_retry = !is_good && error_is_retriable((enum error)result->errors[0].code);
        if (!is_good && (!may_retry || clock_now_ns() > give_up_ns)) {
            say("bench", "the broker refuses the requests: %s",
                error_name((enum error)result->errors[0].code));
            return false;
        }
        i += is_good;
        if (!is_good)
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    result->error_count = 0;
    memset(result->errors, 0, sizeof result->errors);
    connection->answered = connection->sent = connection->admitted = 0;
    generator->waiting = 0;
    return true;
}

/* What was due and never answered counts at its age: a lower bound. */
static void count_unanswered(struct generator *generator)
{
    const struct bench_settings *settings = generator->settings;
    for (int64_t i = 0; i < settings->connections; i++) {
        struct connection *connection = &generator->connections[i];
        bool is_max = settings->plan.rate == 0;
        int64_t end = is_max ? connection->admitted : connection->due;
        for (int64_t n = connection->answered; n < end; n++) {
            int64_t due_ns =
                n < connection->admitted
                    ? flight_of(generator, connection, n)->due_ns
                    : schedule_due_ns(&generator->schedule, n * settings->connections + i);
            if (!schedule_counts(&generator->schedule, due_ns))
                continue;
            generator->result->unanswered++;
            histogram_add(&generator->result->latency, generator->now_ns - due_ns);
        }
    }
}

/* --- connections ------------------------------------------------------------------------------ */

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* opening says so if it was too little */
    }
}

/* Each connection asks for the broker's versions before it is used. */
static bool open_driver(struct driver *driver, const struct host_port *address)
{
    struct session_settings settings = SESSION_SETTINGS_DEFAULT;
    settings.in_flight_max = 1;
    if (!driver_open(driver, address, settings, driver_now_ms() + 30000))
        return true;
    say("bench", "%s", driver->reason);
    return false;
}

static bool open_connections(struct generator *generator, const struct host_port *address)
{
    const struct bench_settings *settings = generator->settings;
    for (int64_t i = 0; i < settings->connections; i++) {
        struct connection *connection = &generator->connections[i];
        if (!open_driver(&connection->driver, address))
            return false;
        size_t flights = (size_t)settings->in_flight;
        connection->flights = memory_zeroed(flights * sizeof *connection->flights);
        connection->in_capacity = RECEIVE_BYTES;
        connection->in = memory_aligned(64, RECEIVE_BYTES);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(generator->epoll, EPOLL_CTL_ADD, connection->driver.socket, &event))
            return lost(connection, strerror(errno));
    }
    return true;
}

static struct connection *make_connections(int64_t count)
{
    struct connection *connections = memory_zeroed((size_t)count * sizeof *connections);
    for (int64_t i = 0; i < count; i++)
        connections[i].driver.socket = -1;
    return connections;
}

static void close_connections(struct connection *connections, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        driver_close(&connections[i].driver);
        memory_free(connections[i].flights);
        memory_free(connections[i].in);
    }
    memory_free(connections);
}

bool bench_generate(const struct bench_settings *settings, const struct host_port *address,
                    const struct bench_frames *frames, struct bench_result *result)
{
    raise_file_limit();
    struct generator generator = {.settings = settings, .frames = frames, .result = result};
    arena_init(&generator.arena, ARENA_BYTES);
    generator.connections = make_connections(settings->connections);
    generator.epoll = epoll_create1(EPOLL_CLOEXEC);
    check(generator.epoll >= 0);
    bool is_well = open_connections(&generator, address) && settle(&generator) && run(&generator);
    if (is_well) {
        count_unanswered(&generator);
        result->elapsed_ns = generator.schedule.end_ns - generator.schedule.measure_ns;
    }
    close_connections(generator.connections, settings->connections);
    close(generator.epoll);
    arena_done(&generator.arena);
    return is_well;
}

bool bench_idle(const struct bench_settings *settings, const struct host_port *address,
                struct bench_result *result)
{
    raise_file_limit();
    struct connection *connections = make_connections(settings->connections);
    bool is_well = true;
    result->before = bench_process_look(settings->pid);
    int64_t start_ns = clock_now_ns();
    for (int64_t i = 0; i < settings->connections && is_well; i++) {
        is_well = open_driver(&connections[i].driver, address);
        histogram_add(&result->latency, clock_now_ns() - start_ns);
        start_ns = clock_now_ns();
    }
    result->start = bench_process_look(settings->pid);
    struct timespec hold = {settings->plan.measure_ms / 1000,
                            settings->plan.measure_ms % 1000 * 1000000};
    if (is_well)
        nanosleep(&hold, NULL);
    result->end = bench_process_look(settings->pid);
    result->requests = (uint64_t)settings->connections;
    result->elapsed_ns = settings->plan.measure_ms * 1000000;
    close_connections(connections, settings->connections);
    return is_well;
}
