/* A topic that is deleted and made anew: one core removes what the old one has left while the new
 * one's files lie in a folder of the same name already, made by another core. */
#include "cluster/partition.h"
#include "crash/place.h"
#include "logic/image.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include "support/test.h"

enum { RECORDS = 3 };

/* A log of an earlier topic of that name, on the core that does not have this one's. */
static struct log *earlier_log(struct place *place, const struct partition *partition)
{
    struct broker *broker = &place->broker;
    struct store *theirs = partition->log->store;
    struct store *other = broker->shards[0].stores[0] == theirs ? broker->shards[1].stores[0]
                                                                : broker->shards[0].stores[0];
    struct log_identity identity = {.topic_id = {{9}}, .topic = STRING("t1"), .partition = 0};
    return log_new(other, &identity, partition->log->settings);
}

TEST(recreated, topics_keep_their_files_when_the_earlier_ones_go)
{
    struct place place;
    place_init(&place, 1, "data", NULL);
    TRUE_(place_boot(&place));
    place_turn_topic(&place, "t1");
    for (int i = 0; i < RECORDS; i++)
        EQ(place_send(&place, "t1", 0), ERROR_NONE);
    world_run(place.world, (struct world_stop){.for_ns = 30000000000}); /* all is in files */
    struct log *log = earlier_log(&place, place_partition(&place, "t1", 0));
    struct core *core = log->store->core;
    log_remove(log);
    world_notice(place.world, core);
    world_run(place.world, (struct world_stop){.for_ns = 1000000000});
    TRUE_(!place.fenced);
    place_stop(&place);
    TRUE_(place_exists(&place, "data/t1-0/00000000000000000000.log"));
    TRUE_(place_boot(&place));
    EQ(place_count(&place, "t1", 0), RECORDS);
    place_stop(&place);
    place_done(&place);
}
