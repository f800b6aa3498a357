/* Caches of a cleanly stopped directory removed, cut, cleared, flipped or swapped. BOLE_SEED and
 * BOLE_SEEDS choose which seeds, from and to. */
#include "crash/caches.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/partition.h"
#include "crash/place.h"
#include "storage/log_search.h"
#include "storage/log_state.h"
#include "support/test.h"
#include <stdlib.h>

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

TEST(caches, are_made_anew)
{
    uint64_t first = number_of("BOLE_SEED", 1), last = number_of("BOLE_SEEDS", first + 11);
    bool passed = true;
    for (uint64_t seed = first; seed <= last && passed; seed++) {
        char failure[800];
        caches_run(seed, 25, failure, sizeof failure);
        passed = test_expect(failure[0] == 0, __FILE__, __LINE__, "%s", failure);
    }
}

/* ---- one entry of a time index -------------------------------------------------------------- */

struct searching {
    struct flow flow;
    struct waiter waiter;
    struct partition *partition;
    struct log_search search;
    bool ended;
};

static enum step searching_open(struct flow *flow)
{
    struct searching *searching = CONTAINER_OF(flow, struct searching, flow);
    enum error error = partition_open(searching->partition, &searching->waiter, flow);
    if (error == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    EQ(error, ERROR_NONE);
    searching->search = (struct log_search){
        .log = searching->partition->log,
        .largest = true,
        .end_offset = searching->partition->log->durable_end,
    };
    return STEP_NEXT;
}

static enum step searching_search(struct flow *flow)
{
    struct searching *searching = CONTAINER_OF(flow, struct searching, flow);
    return log_search_step(&searching->search, flow) ? STEP_NEXT : STEP_AGAIN;
}

static enum step searching_end(struct flow *flow)
{
    struct searching *searching = CONTAINER_OF(flow, struct searching, flow);
    log_search_done(&searching->search);
    searching->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind searching_flow = {
    "searching", {{"open", searching_open}, {"search", searching_search}, {"end", searching_end}}};

static bool has_ended(void *argument)
{
    return *(bool *)argument;
}

/* Looks for the largest timestamp of a partition whose records all have the same. */
static void search_largest(struct place *place)
{
    struct searching searching = {.partition = place_partition(place, "t", 0)};
    struct core *core = &searching.partition->shard->core;
    partition_reference(searching.partition);
    flow_start(&searching.flow, &searching_flow, core);
    world_notice(place->world, core);
    TRUE_(world_run(place->world,
                    (struct world_stop){has_ended, &searching.ended, PLACE_EVENTS_MAX, 0}));
    partition_release(searching.partition);
    EQ(searching.search.error, ERROR_NONE);
    EQ(searching.search.found_ms, 1700000000000);
    EQ(searching.search.offset, 0);
}

/* Each batch has three records, and an entry names the last one of its batch. */
TEST(caches, that_name_the_middle_of_a_batch_are_made_anew)
{
    static const char log[] = "data/t-0/00000000000000000000.log",
                      index[] = "data/t-0/00000000000000000000.timeindex",
                      sidecar[] = "data/t-0/00000000000000000000.sidecar";
    struct place *place = memory_zeroed(sizeof *place);
    place_init(place, 1, "data", NULL);
    place->settings.log_segment_bytes = 1024;
    check(place_boot(place));
    place_turn_topic(place, "t");
    for (int i = 0; i < 20; i++)
        EQ(place_append(place, "t", 0, 3), ERROR_NONE);
    place_stop(place);
    place_move(place, index, "data/aside-1");
    place_move(place, sidecar, "data/aside-2");
    uint8_t entry[TIME_ENTRY_BYTES];
    store_be64(entry, 1700000009999);
    store_be32(entry + 8, 4);
    place_write_bytes(place, index, (struct bytes){entry, sizeof entry});
    TRUE_(place_exists(place, log));
    check(place_boot(place));
    search_largest(place);
    search_largest(place);
    place_stop(place);
    place_done(place);
    memory_free(place);
}
