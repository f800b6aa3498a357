#include "api/serve.h"
#include "api/api.h"
#include "api/deadline.h"
#include "base/check.h"
#include "base/memory.h"

enum { IDLE_MS_LEAST = 1 };

static struct net_limits limits_of(const struct settings *settings)
{
    int64_t idle_ms = settings->connections_max_idle_ms;
    return (struct net_limits){
        .request_bytes_max = settings->socket_request_max_bytes,
        .in_flight_max = settings->max_requests_in_flight,
        .connections_max = settings->max_connections,
        .connections_per_ip_max = settings->max_connections_per_ip,
        .idle_ms = idle_ms == 0 ? IDLE_MS_LEAST : idle_ms,
        .frame_ms = settings->frame_timeout_ms,
        .arena_bytes = (size_t)settings->request_arena_bytes,
    };
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
        struct net_options options = {.limits = limits_of(broker->settings),
                                      .handler = &api_handler,
                                      .owner = shard,
                                      .nets = nets,
                                      .net_count = broker->core_count,
                                      .seed = random_next(&shard->random)};
        shard->api = memory_zeroed(sizeof *shard->api);
        deadlines_open(&shard->api->deadlines, &shard->core);
        arena_init(&shard->api->scratch, DECOMPRESSED_BYTES_MAX);
        net_init(shard->net, &shard->core, &options);
    }
}

enum error api_listen(struct broker *broker, struct address *address)
{
    return net_listen(broker->shards[0].net, address);
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
        memory_free(shard->api);
        shard->api = NULL;
    }
    memory_free(nets);
}
