/* Clients that take too much: time, memory, connections. Each costs a bounded amount, and the
 * neighbour is served all the while; its requests are also the clock, so that nothing here sleeps.
 */
#include "interop/hostile.h"
#include "protocol/messages.h"
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    QUEUED_GROWTH_MOST_BYTES = 12 << 20, /* of one client that does not read */
    IDLE_CLIENTS = 5000,
    IDLE_BYTES_MOST = 4096, /* of each */
    ROUNDS_MOST = 200000,   /* of the neighbour, before we give up */
    QUIET_ROUNDS = 500,     /* of the neighbour, until nothing more will happen */
};

/* Does the broker close `client` within some rounds of the neighbour? Sends a byte in every
 * `rounds_per_byte`th of them, if that is not 0. */
static bool is_closed_in_time(struct stage *stage, int client, int rounds_per_byte)
{
    for (int i = 0; i < ROUNDS_MOST; i++) {
        uint8_t byte = 0;
        ssize_t got = recv(client, &byte, 1, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return true;
        if (rounds_per_byte && i % rounds_per_byte == 0 &&
            send(client, &byte, 1, MSG_DONTWAIT) != 1)
            return true;
        struct arena kept = stage->arena;
        arena_init(&stage->arena, 1 << 20);
        bool is_well = neighbour_is_well(stage);
        arena_done(&stage->arena);
        stage->arena = kept;
        if (!TRUE_(is_well))
            return false;
    }
    return false;
}

TEST(hostile_load, a_frame_that_does_not_go_on_is_closed)
{
    static const char *const settings[] = {"frame.timeout.ms=300", NULL};
    struct stage stage;
    if (stage_open(&stage, settings)) {
        struct bytes frame = frame_of(&stage, API_METADATA, 9, request_of(&stage, API_METADATA), 0);
        for (int32_t size = 1; size < frame.size; size += 5) {
            int client = client_connect(&stage);
            TRUE_(client_send(client, (struct bytes){frame.data, size}));
            TRUE_(is_closed_in_time(&stage, client, 0));
            client_close(client);
        }
    }
    stage_close(&stage);
}

TEST(hostile_load, a_byte_now_and_then_does_not_prolong_a_frame)
{
    static const char *const settings[] = {"frame.timeout.ms=300", NULL};
    struct stage stage;
    if (stage_open(&stage, settings)) {
        int client = client_connect(&stage);
        static const uint8_t begun[] = {0, 1, 0, 0, 0, 3, 0, 9};
        TRUE_(client_send(client, (struct bytes){begun, sizeof begun}));
        TRUE_(is_closed_in_time(&stage, client, 50));
        client_close(client);
    }
    stage_close(&stage);
}

TEST(hostile_load, an_idle_client_is_closed_and_a_busy_one_is_not)
{
    static const char *const settings[] = {"connections.max.idle.ms=300", NULL};
    struct stage stage;
    if (stage_open(&stage, settings)) {
        int client = client_connect(&stage);
        TRUE_(is_closed_in_time(&stage, client, 0));
        client_close(client);
    }
    stage_close(&stage);
}

/* Sends the same bytes until the broker takes no more for a while of the neighbour's rounds, or
 * `most` of them were sent. Returns how many. */
static int64_t send_until_full(struct stage *stage, int client, struct bytes frame, int64_t most)
{
    int64_t sent = 0;
    int quiet = 0;
    while (sent < most && quiet < QUIET_ROUNDS) {
        size_t at = (size_t)(sent % frame.size);
        ssize_t count =
            send(client, frame.data + at, (size_t)frame.size - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count > 0) {
            sent += count;
            quiet = 0;
            continue;
        }
        if (!TRUE_(errno == EAGAIN) || !TRUE_(neighbour_is_well(stage)))
            break;
        quiet++;
    }
    return sent;
}

static struct bytes metadata_of_many(struct stage *stage, int count)
{
    struct metadata_request *in = request_of(stage, API_METADATA);
    in->topics = arena_take(&stage->arena, (size_t)count * sizeof *in->topics);
    in->topics_count = count;
    for (int i = 0; i < count; i++)
        in->topics[i].name = arena_format(&stage->arena, "none-%d", i);
    in->allow_auto_topic_creation = false;
    return frame_of(stage, API_METADATA, 9, in, 0);
}

TEST(hostile_load, a_client_that_never_reads_costs_a_bounded_amount)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        struct bytes frame = metadata_of_many(&stage, 10000);
        int client = client_connect(&stage);
        int64_t most = INT64_C(100) << 20;
        int64_t sent = send_until_full(&stage, client, frame, most);
        TRUE_(sent < most); /* it was made to wait */
        int64_t grown = grown_bytes(&stage);
        printf("hostile: %lld bytes more after %lld bytes of requests that nobody reads\n",
               (long long)grown, (long long)sent);
        test_expect(grown < QUEUED_GROWTH_MOST_BYTES, __FILE__, __LINE__,
                    "%lld bytes more after %lld bytes of requests", (long long)grown,
                    (long long)sent);
        client_close(client);
    }
    stage_close(&stage);
}

TEST(hostile_load, a_client_that_never_reads_is_closed_as_idle)
{
    static const char *const settings[] = {"connections.max.idle.ms=500", NULL};
    struct stage stage;
    if (stage_open(&stage, settings)) {
        struct bytes frame = metadata_of_many(&stage, 10000);
        int client = client_connect(&stage);
        bool closed = false;
        for (int i = 0; i < ROUNDS_MOST && !closed; i++) {
            ssize_t sent = send(client, frame.data, (size_t)frame.size, MSG_DONTWAIT);
            closed = sent < 0 && errno != EAGAIN;
            if (sent < 0 && !closed && !TRUE_(neighbour_is_well(&stage)))
                break;
        }
        TRUE_(closed);
        client_close(client);
    }
    stage_close(&stage);
}

TEST(hostile_load, fetches_that_nobody_reads_cost_a_bounded_amount)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        struct bytes batch = batch_of(&stage, 1, 1000000);
        for (int i = 0; i < 8; i++)
            EQ(produce(&stage, stage.neighbour, batch, -1), ERROR_NONE);
        stage.resident_bytes = process_resident_bytes(&stage.broker);
        int clients[4];
        struct bytes frame = frame_of(&stage, API_FETCH, 13, fetch_of(&stage, 0, 8 << 20, 0), 0);
        for (int i = 0; i < ARRAY_COUNT(clients); i++) {
            clients[i] = client_connect(&stage);
            send_until_full(&stage, clients[i], frame, 100 * frame.size);
        }
        test_expect(grown_bytes(&stage) < ARRAY_COUNT(clients) * QUEUED_GROWTH_MOST_BYTES, __FILE__,
                    __LINE__, "%lld bytes more", (long long)grown_bytes(&stage));
        for (int i = 0; i < ARRAY_COUNT(clients); i++)
            client_close(clients[i]);
    }
    stage_close(&stage);
}

TEST(hostile_load, a_slow_reader_gets_everything_and_holds_nobody_up)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        struct bytes batch = batch_of(&stage, 1, 1000000);
        int client = client_connect(&stage), small = 65536;
        setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        EQ(produce(&stage, client, batch, -1), ERROR_NONE);
        enum { FETCHES = 5 };
        for (int i = 0; i < FETCHES; i++)
            TRUE_(client_send(client,
                              frame_of(&stage, API_FETCH, 13, fetch_of(&stage, 0, 4 << 20, 0), 0)));
        int64_t received = 0, whole = 0;
        uint8_t part[2048], length[4];
        size_t length_have = 0;
        int64_t rest = 0;
        while (whole < FETCHES) {
            ssize_t got = recv(client, part, sizeof part, 0);
            if (!TRUE_(got > 0))
                break;
            received += got;
            for (ssize_t at = 0; at < got;) {
                if (rest == 0) {
                    length[length_have++] = part[at++];
                    if (length_have < 4)
                        continue;
                    rest = load_be32(length);
                    length_have = 0;
                }
                int64_t step = min_i64(rest, got - at);
                rest -= step;
                at += step;
                whole += rest == 0;
            }
            if (received % (64 * 1024) < got)
                TRUE_(neighbour_is_well(&stage));
        }
        TRUE_(received > FETCHES * (int64_t)batch.size);
        client_close(client);
    }
    stage_close(&stage);
}

TEST(hostile_load, connections_above_max_connections_wait)
{
    static const char *const settings[] = {"max.connections=20", NULL};
    struct stage stage;
    if (stage_open(&stage, settings)) {
        enum { CLIENTS = 40, SERVED = 19 }; /* and the neighbour */
        int clients[CLIENTS];
        for (int i = 0; i < CLIENTS; i++)
            clients[i] = client_connect(&stage);
        struct metadata_request *in = request_of(&stage, API_METADATA);
        for (int i = 0; i < CLIENTS; i++)
            TRUE_(client_send(clients[i], frame_of(&stage, API_METADATA, 9, in, 0)));
        for (int i = 0; i < SERVED; i++)
            TRUE_(client_receive(&stage, clients[i]).size > 0);
        TRUE_(neighbour_is_well(&stage));
        uint8_t byte;
        for (int i = SERVED; i < CLIENTS; i++)
            EQ(recv(clients[i], &byte, 1, MSG_DONTWAIT), -1);
        for (int i = 0; i < CLIENTS; i++) { /* who leaves makes room for one that waits */
            if (i >= SERVED)
                TRUE_(client_receive(&stage, clients[i]).size > 0);
            client_close(clients[i]);
        }
    }
    stage_close(&stage);
}

TEST(hostile_load, connections_above_max_connections_per_ip_are_closed)
{
    static const char *const settings[] = {"max.connections.per.ip=5", NULL};
    struct stage stage;
    if (stage_open(&stage, settings)) {
        enum { CLIENTS = 30, SERVED = 4 };
        int clients[CLIENTS];
        struct metadata_request *in = request_of(&stage, API_METADATA);
        for (int i = 0; i < CLIENTS; i++) {
            clients[i] = client_connect(&stage);
            if (i < SERVED)
                TRUE_(client_ask(&stage, clients[i], API_METADATA, 9, in) != NULL);
            else
                TRUE_(client_is_refused(clients[i]));
        }
        for (int i = 0; i < CLIENTS; i++)
            client_close(clients[i]);
    }
    stage_close(&stage);
}

TEST(hostile_load, connections_that_come_and_go_at_once_leave_nothing)
{
    struct stage stage;
    if (stage_open(&stage, NULL)) {
        struct linger at_once = {.l_onoff = 1};
        struct bytes frame = frame_of(&stage, API_METADATA, 9, request_of(&stage, API_METADATA), 0);
        for (int i = 0; i < 2000; i++) {
            int client = client_connect(&stage);
            if (!TRUE_(client >= 0))
                break;
            client_send(client, (struct bytes){frame.data, i % (frame.size + 1)});
            if (i % 2)
                setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            client_close(client);
        }
        TRUE_(neighbour_is_well(&stage));
        TRUE_(grown_bytes(&stage) < 8 << 20);
    }
    stage_close(&stage);
}

TEST(hostile_load, idle_connections_cost_little)
{
    static int clients[IDLE_CLIENTS];
    struct stage stage;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (stage_open(&stage, NULL) && TRUE_(limit.rlim_max > IDLE_CLIENTS + 100)) {
        int opened = 0;
        while (opened < IDLE_CLIENTS && (clients[opened] = client_connect(&stage)) >= 0)
            opened++;
        EQ(opened, IDLE_CLIENTS);
        struct metadata_request *in = request_of(&stage, API_METADATA);
        for (int i = 0; i < opened; i += 97) /* among them any is served */
            TRUE_(client_ask(&stage, clients[i], API_METADATA, 9, in) != NULL);
        int64_t each = opened ? grown_bytes(&stage) / opened : 0;
        printf("hostile: %d idle connections, %lld bytes each\n", opened, (long long)each);
        TRUE_(each < IDLE_BYTES_MOST);
        TRUE_(neighbour_is_well(&stage));
        for (int i = 0; i < opened; i++)
            client_close(clients[i]);
    }
    stage_close(&stage);
}
