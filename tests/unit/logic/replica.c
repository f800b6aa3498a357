#include "logic/replica.h"
#include "base/random.h"
#include "support/test.h"
#include <stdio.h>

/* Steps and prints what came of it: "watermark 3, committed 3; 0 3 3 5" (effects; the four ends).
 */
static const char *stepped(struct replica *replica, enum replica_event_kind kind, int64_t offset)
{
    static char text[256];
    static const char *const names[] = {"watermark", "appended", "durable", "committed", "start"};
    struct replica_effects effects;
    replica_step(replica, (struct replica_event){.kind = kind, .broker_id = 2, .offset = offset},
                 &effects);
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < effects.count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s %lld", i ? ", " : "",
                                 names[effects.items[i].kind], (long long)effects.items[i].offset);
    snprintf(text + used, sizeof text - used, "; %lld %lld %lld %lld",
             (long long)replica->log_start, (long long)replica->high_watermark,
             (long long)replica->durable_end, (long long)replica->appended_end);
    return text;
}

TEST(replica, alone_commits_what_is_durable)
{
    struct replica replica;
    replica_init(&replica, 0, 0, 0);
    replica.is_leader = true;
    EQ_TEXT(stepped(&replica, REPLICA_APPENDED, 5), "appended 5; 0 0 0 5");
    EQ_TEXT(stepped(&replica, REPLICA_APPENDED, 5), "; 0 0 0 5");
    EQ_TEXT(stepped(&replica, REPLICA_DURABLE, 3), "durable 3, watermark 3, committed 3; 0 3 3 5");
    EQ_TEXT(stepped(&replica, REPLICA_DURABLE, 3), "; 0 3 3 5");
    EQ_TEXT(stepped(&replica, REPLICA_START_MOVED, 2), "start 2; 2 3 3 5");
    EQ_TEXT(stepped(&replica, REPLICA_TRUNCATED, 4), "; 2 3 3 4");
    EQ_TEXT(stepped(&replica, REPLICA_DURABLE, 4), "durable 4, watermark 4, committed 4; 2 4 4 4");
    TRUE_(replica_has_min_insync(&replica));
    replica.min_insync_replicas = 2; /* acks=all is refused, but what is durable is still read */
    TRUE_(!replica_has_min_insync(&replica));
    EQ_TEXT(stepped(&replica, REPLICA_APPENDED, 6), "appended 6; 2 4 4 6");
    EQ_TEXT(stepped(&replica, REPLICA_DURABLE, 6), "durable 6, watermark 6, committed 6; 2 6 6 6");
}

TEST(replica, with_followers_commits_what_the_isr_has)
{
    struct replica_peer peers[] = {{.broker_id = 2, .in_isr = true},
                                   {.broker_id = 3, .in_isr = true, .durable_end = 100}};
    struct replica replica;
    replica_init(&replica, 0, 0, 10);
    replica.is_leader = true;
    replica.peers = peers;
    replica.peer_count = 2;
    EQ_TEXT(stepped(&replica, REPLICA_ISR_CHANGED, 0), "; 0 0 10 10");
    EQ_TEXT(stepped(&replica, REPLICA_PEER_DURABLE, 7), "watermark 7, committed 7; 0 7 10 10");
    EQ_TEXT(stepped(&replica, REPLICA_PEER_DURABLE, 50), "watermark 10, committed 10; 0 10 10 10");
    EQ_TEXT(stepped(&replica, REPLICA_PEER_DURABLE, 2), "; 0 10 10 10");
    EQ(replica_isr_count(&replica), 3);
}

TEST(replica, counts_the_maximal_isr_and_waits_below_min_insync)
{
    struct replica_peer peers[] = {{.broker_id = 2, .in_proposed_isr = true, .durable_end = 4},
                                   {.broker_id = 3}};
    struct replica replica;
    replica_init(&replica, 0, 0, 10);
    replica.is_leader = true;
    replica.peers = peers;
    replica.peer_count = 2;
    EQ_TEXT(stepped(&replica, REPLICA_ISR_CHANGED, 0), "watermark 4, committed 4; 0 4 10 10");
    peers[0].in_proposed_isr = false;
    replica.min_insync_replicas = 2;
    EQ_TEXT(stepped(&replica, REPLICA_ISR_CHANGED, 0), "; 0 4 10 10");
    EQ(replica_has_min_insync(&replica), false);
    peers[1] = (struct replica_peer){.broker_id = 3, .in_isr = true, .durable_end = 9};
    EQ_TEXT(stepped(&replica, REPLICA_ISR_CHANGED, 0), "watermark 9, committed 9; 0 9 10 10");
    EQ(replica_has_min_insync(&replica), true);
}

TEST(replica, follows_what_it_is_told_up_to_what_it_has)
{
    struct replica replica;
    replica_init(&replica, 0, 2, 5);
    EQ_TEXT(stepped(&replica, REPLICA_APPENDED, 9), "appended 9; 0 2 5 9");
    EQ_TEXT(stepped(&replica, REPLICA_DURABLE, 7), "durable 7; 0 2 7 9");
    EQ_TEXT(stepped(&replica, REPLICA_TOLD, 8), "watermark 7, committed 7; 0 7 7 9");
    EQ_TEXT(stepped(&replica, REPLICA_TOLD, 3), "; 0 7 7 9");
    EQ_TEXT(stepped(&replica, REPLICA_TRUNCATED, 7), "; 0 7 7 7");
    EQ_TEXT(stepped(&replica, REPLICA_RESTARTED, 20),
            "watermark 20, committed 20, start 20; 20 20 20 20");
}

/* replica_step checks its invariants itself; this walks it at random and compares the watermark. */
TEST(replica, keeps_its_invariants_under_random_events)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct random random;
        random_seed(&random, seed);
        struct replica_peer peers[2] = {{.broker_id = 2}, {.broker_id = 3}};
        struct replica replica;
        struct replica_effects effects;
        replica_init(&replica, 0, 0, 0);
        replica.is_leader = true;
        replica.peers = peers;
        replica.peer_count = (int32_t)random_below(&random, 3);
        replica.min_insync_replicas = 1 + (int32_t)random_below(&random, 3);
        for (int i = 0; i < 1000; i++) {
            struct replica_event event = {.kind = REPLICA_ISR_CHANGED};
            int64_t before = replica.high_watermark;
            switch (random_below(&random, 6)) {
            case 0:
                event.kind = REPLICA_APPENDED;
                event.offset = replica.appended_end + random_between(&random, 0, 9);
                break;
            case 1:
                event.kind = REPLICA_DURABLE;
                event.offset = random_between(&random, replica.durable_end, replica.appended_end);
                break;
            case 2:
                event.kind = REPLICA_TRUNCATED;
                event.offset =
                    random_between(&random, replica.high_watermark, replica.appended_end);
                break;
            case 3:
                event.kind = REPLICA_START_MOVED;
                event.offset = random_between(&random, replica.log_start, replica.high_watermark);
                break;
            case 4:
                event.kind = REPLICA_PEER_DURABLE;
                event.broker_id = 2 + (int32_t)random_below(&random, 3);
                event.offset = random_between(&random, 0, replica.appended_end + 3);
                break;
            default:
                peers[random_below(&random, 2)].in_isr = random_once_in(&random, 2);
                peers[random_below(&random, 2)].in_proposed_isr = random_once_in(&random, 2);
            }
            replica_step(&replica, event, &effects);
            bool told =
                effects.count > 1 && effects.items[effects.count - 2].kind == REPLICA_ADVANCE;
            EQ(told, replica.high_watermark > before);
            for (int p = 0; told && p < replica.peer_count; p++)
                TRUE_(!(peers[p].in_isr || peers[p].in_proposed_isr) ||
                      peers[p].durable_end >= replica.high_watermark);
        }
    }
}
