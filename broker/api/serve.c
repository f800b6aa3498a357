#include "api/serve.h"
#include "api/api.h"
#include "api/scrape.h"
#include "base/check.h"
#include "base/memory.h"

enum { IDLE_MS_LEAST = 1, OWED_PART = 4, OWED_BYTES_LEAST = 1 << 20 };

/* Of a core: the part of its budget of memory (memory.buffers.bytes) that answers may hold which
 * their peers do not take. */
static size_t owed_bytes_max(const struct broker *broker)
{
    size_t bytes = broker->shards[0].core.buffers.budget_bytes / OWED_PART;
    return bytes > OWED_BYTES_LEAST ? bytes : OWED_BYTES_LEAST;
}

static struct net_limits limits_of(const struct broker *broker)
{
    const struct settings *settings = broker->settings;
    int64_t idle_ms = settings->connections_max_idle_ms;
    return (struct net_limits){
        .request_bytes_max = settings->socket_request_max_bytes,
        .in_flight_max = settings->max_requests_in_flight,
        .connections_max = settings->max_connections,
        .connections_per_ip_max = settings->max_connections_per_ip,
        .idle_ms = idle_ms == 0 ? IDLE_MS_LEAST : idle_ms,
        .frame_ms = settings->frame_timeout_ms,
        .owed_bytes_max = owed_bytes_max(broker),
        .arena_bytes = (size_t)settings->request_arena_bytes,
    };
}

/* A core's share of max.incremental.fetch.session.cache.slots. */
static int32_t session_slots(const struct broker *broker, int core)
{
    int32_t slots = broker->settings->max_incremental_fetch_session_cache_slots;
    return slots / broker->core_count + (core < slots % broker->core_count);
}

void api_open(struct broker *broker)
{
    check(broker->core_count > 0 && broker->settings);
    size_t count = (size_t)broker->core_count;
    struct net **nets = memory_zeroed(count * sizeof(struct net *));
    for (size_t i = 0; i < count; i++)
        broker->shards[i].net = nets[i] = memory_zeroed(sizeof(struct net));
    for (size_t i = 0; i < count; i++) {
        struct shard *shard = &broker->shards[i];
        struct net_options options = {.limits = limits_of(broker),
                                      .handler = &api_handler,
                                      .owner = shard,
                                      .nets = nets,
                                      .net_count = broker->core_count,
                                      .seed = random_next(&shard->random)};
        shard->api = memory_zeroed(sizeof *shard->api);
        deadlines_open(&shard->api->deadlines, &shard->core);
        arena_init(&shard->api->scratch, DECOMPRESSED_BYTES_MAX);
        fetch_sessions_init(&shard->api->sessions, session_slots(broker, (int)i),
                            random_next(&shard->random));
        shard->api->credits = memory_zeroed(count * sizeof *shard->api->credits);
        for (size_t j = 0; j < count; j++)
            credit_init(&shard->api->credits[j], broker->settings->mail_in_flight);
        net_init(shard->net, &shard->core, &options);
    }
}

enum error api_listen(struct broker *broker, struct address *address)
{
    return net_listen(broker->shards[0].net, address);
}

enum error api_serve_metrics(struct broker *broker, struct address *address)
{
    struct api_state *api = broker->shards[0].api;
    check(!api->scrape);
    api->scrape = memory_zeroed(sizeof *api->scrape);
    enum error error = scrape_open(api->scrape, broker, address);
    if (error == ERROR_NONE)
        return ERROR_NONE;
    scrape_close(api->scrape);
    memory_free(api->scrape);
    api->scrape = NULL;
    return error;
}

void api_stop(struct broker *broker)
{
    net_stop(broker->shards[0].net);
}

void api_close(struct broker *broker)
{
    struct net **nets = broker->shards[0].net->nets;
    for (int i = broker->core_count - 1; i >= 0; i--) {
        struct shard *shard = &broker->shards[i];
        net_done(shard->net);
        memory_free(shard->net);
        shard->net = NULL;
        deadlines_close(&shard->api->deadlines);
        arena_done(&shard->api->scratch);
        fetch_sessions_done(&shard->api->sessions);
        memory_free(shard->api->credits);
        if (shard->api->scrape)
            scrape_close(shard->api->scrape);
        memory_free(shard->api->scrape);
        memory_free(shard->api);
        shard->api = NULL;
    }
    memory_free(nets);
}
