#include "logic/replica.h"
#include "base/bytes.h"
#include "base/check.h"

static void check_invariants(const struct replica *replica)
{
    check(replica->log_start >= 0);
    check(replica->log_start <= replica->high_watermark);
    check(replica->high_watermark <= replica->durable_end);
    check(replica->durable_end <= replica->appended_end);
}

void replica_init(struct replica *replica, int64_t log_start, int64_t high_watermark, int64_t end)
{
    *replica = (struct replica){.log_start = log_start,
                                .high_watermark = high_watermark,
                                .durable_end = end,
                                .appended_end = end,
                                .min_insync_replicas = 1};
    check_invariants(replica);
}

int replica_isr_count(const struct replica *replica)
{
    int count = 1;
    for (int32_t i = 0; i < replica->peer_count; i++)
        count += replica->peers[i].in_isr;
    return count;
}

bool replica_has_min_insync(const struct replica *replica)
{
    return replica_isr_count(replica) >= replica->min_insync_replicas;
}

static void add(struct replica_effects *effects, enum replica_effect_kind kind, int64_t offset)
{
    check(effects->count < ARRAY_COUNT(effects->items));
    effects->items[effects->count++] = (struct replica_effect){kind, offset};
}

static void move_watermark(struct replica *replica, int64_t to, struct replica_effects *effects)
{
    if (to <= replica->high_watermark) /* a peer that joined may lag: it stays, never goes back */
        return;
    replica->high_watermark = to;
    add(effects, REPLICA_ADVANCE, to);
    add(effects, REPLICA_WAKE_COMMITTED, to);
}

static void advance(struct replica *replica, struct replica_effects *effects)
{
    int64_t replica_count = replica->peer_count + 1;
    int64_t needed = min_i64(replica->min_insync_replicas, replica_count);
    if (!replica->is_leader || replica_isr_count(replica) < needed)
        return;
    int64_t least = replica->durable_end;
    for (int32_t i = 0; i < replica->peer_count; i++) {
        const struct replica_peer *peer = &replica->peers[i];
        if (peer->in_isr || peer->in_proposed_isr)
            least = min_i64(least, peer->durable_end);
    }
    move_watermark(replica, least, effects);
}

static void step_appended(struct replica *replica, int64_t end, struct replica_effects *effects)
{
    check(end >= replica->appended_end);
    if (end == replica->appended_end)
        return;
    replica->appended_end = end;
    add(effects, REPLICA_WAKE_APPENDED, end);
}

static void step_durable(struct replica *replica, int64_t end, struct replica_effects *effects)
{
    check(end <= replica->appended_end);
    if (end <= replica->durable_end) /* flushes of a log that was cut may tell of less */
        return;
    replica->durable_end = end;
    add(effects, REPLICA_WAKE_DURABLE, end);
    advance(replica, effects);
}

static void step_truncated(struct replica *replica, int64_t end)
{
    check(end >= replica->high_watermark && end <= replica->appended_end);
    replica->appended_end = end;
    replica->durable_end = min_i64(replica->durable_end, end);
}

static void step_restarted(struct replica *replica, int64_t offset, struct replica_effects *effects)
{
    check(!replica->is_leader && offset >= replica->high_watermark);
    replica->log_start = replica->durable_end = replica->appended_end = offset;
    move_watermark(replica, offset, effects);
    add(effects, REPLICA_WAKE_START, offset);
}

static void step_start_moved(struct replica *replica, int64_t start,
                             struct replica_effects *effects)
{
    check(start >= replica->log_start && start <= replica->high_watermark);
    if (start == replica->log_start)
        return;
    replica->log_start = start;
    add(effects, REPLICA_WAKE_START, start);
}

static void step_peer_durable(struct replica *replica, struct replica_event event,
                              struct replica_effects *effects)
{
    for (int32_t i = 0; i < replica->peer_count; i++) {
        if (replica->peers[i].broker_id == event.broker_id)
            replica->peers[i].durable_end = event.offset; /* may go back: it lost its disk */
    }
    advance(replica, effects);
}

void replica_step(struct replica *replica, struct replica_event event,
                  struct replica_effects *effects)
{
    effects->count = 0;
    int64_t watermark_before = replica->high_watermark;
    switch (event.kind) {
    case REPLICA_APPENDED:
        step_appended(replica, event.offset, effects);
        break;
    case REPLICA_DURABLE:
        step_durable(replica, event.offset, effects);
        break;
    case REPLICA_TRUNCATED:
        step_truncated(replica, event.offset);
        break;
    case REPLICA_RESTARTED:
        step_restarted(replica, event.offset, effects);
        break;
    case REPLICA_START_MOVED:
        step_start_moved(replica, event.offset, effects);
        break;
    case REPLICA_PEER_DURABLE:
        step_peer_durable(replica, event, effects);
        break;
    case REPLICA_TOLD:
        check(!replica->is_leader);
        move_watermark(replica, min_i64(event.offset, replica->durable_end), effects);
        break;
    case REPLICA_ISR_CHANGED:
        advance(replica, effects);
        break;
    }
    check_invariants(replica);
    check(replica->high_watermark >= watermark_before);
}
