/* Starts whose cores recover side by side, on a disk that a killed broker of two cores has left:
 * what they take, what they tell, what is left of one that is cut short or that fails. */
#include "base/check.h"
#include "base/memory.h"
#include "crash/place.h"
#include "sim/disk_record.h"
#include "sim/world_crew.h"
#include "storage/store.h"
#include "support/test.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOPICS = 3, PARTITIONS = 2, ROUNDS = 6, WORKS_MAX = 8, LINES_MAX = 64, LINE_BYTES = 200 };

static const char *const topics[TOPICS] = {"t0", "t1", "t2"};

/* ---- a broker that was killed ---------------------------------------------------------------- */

/* The life of one that left records in both cores' journals, up to its stop. */
static struct disk_recording *record_long_life(const char *directories, int rounds)
{
    struct place place;
    place_init(&place, 17, directories, NULL);
    TRUE_(place_boot(&place));
    for (int t = 0; t < TOPICS; t++)
        place_turn_topic(&place, topics[t]);
    world_run(place.world, (struct world_stop){.for_ns = 15000000000});
    world_record_start(place.world, 0);
    for (int i = 0; i < rounds * TOPICS * PARTITIONS; i++)
        EQ(place_send(&place, topics[i / PARTITIONS % TOPICS], i % PARTITIONS), ERROR_NONE);
    struct disk_recording *recording = world_record_stop(place.world, 0);
    place_stop(&place);
    place_done(&place);
    return recording;
}

static struct disk_recording *record_life(const char *directories)
{
    return record_long_life(directories, ROUNDS);
}

/* A machine with the disk as a kill has left it. `replays`: it has other sectors now, so that no
 * journal can be gone on with. */
static void init_killed(struct place *place, struct disk_recording *recording,
                        const char *directories, bool replays)
{
    struct disk_choice choice = disk_choice_of(CHOICE_NEW, 0);
    place_init(place, 18, directories, disk_image_at(recording, recording->count, &choice));
    if (replays)
        place->world->settings.direct_alignment = 4096;
    place->world->settings.slow_once_in = 0;
}

static void expect_all(struct place *place)
{
    for (int i = 0; i < TOPICS * PARTITIONS; i++)
        EQ(place_count(place, topics[i / PARTITIONS], i % PARTITIONS), ROUNDS);
}

/* ---- crews ----------------------------------------------------------------------------------- */

/* Looks on at the world's crew, or has the parts done one after the other. */
struct watch {
    struct crew crew;
    struct world_crew within;
    bool in_turn;
    int works;                               /* so far */
    int64_t took_ns[WORKS_MAX][PLACE_CORES]; /* in turn; else the whole, as that of core 0 */
    int64_t ended_ns[WORKS_MAX];
    bool working;
    uint64_t events, crash_at; /* of the world while they work; 0: no crash */
    bool crash_is_kill;
    jmp_buf *crashed;  /* where a start that crashed while they worked goes on */
    int fail_in;       /* this work has a fault: */
    uint64_t fail_nth; /* 0: none */
    bool fail_later;   /* and the next but one */
};

static void watch_work(struct crew *crew, void (*part)(void *context, int core), void *context)
{
    struct watch *watch = CONTAINER_OF(crew, struct watch, crew);
    struct world *world = watch->within.world;
    check(watch->works < WORKS_MAX);
    int64_t began_ns = world->now_ns;
    watch->working = true;
    if (watch->fail_nth && watch->works == watch->fail_in)
        world_fail(world, 0, OP_KIND_COUNT, watch->fail_nth, ERROR_INPUT_OUTPUT);
    if (watch->fail_nth && watch->works == watch->fail_in && watch->fail_later)
        world_fail(world, 0, OP_KIND_COUNT, watch->fail_nth + 2, ERROR_INPUT_OUTPUT);
    for (int core = 0; core < PLACE_CORES && watch->in_turn; core++) {
        part(context, core);
        watch->took_ns[watch->works][core] = world->now_ns - began_ns;
        began_ns = world->now_ns;
    }
    if (!watch->in_turn) {
        watch->within.crew.work(&watch->within.crew, part, context);
        watch->took_ns[watch->works][0] = world->now_ns - began_ns;
    }
    watch->working = false;
    watch->ended_ns[watch->works] = world->now_ns;
    watch->works++;
    world->machines[0]->fault_count = 0; /* what was not met */
    if (watch->crashed && !world->machines[0]->running)
        longjmp(*watch->crashed, 1);
}

static void watch_init(struct watch *watch, struct place *place, bool in_turn)
{
    *watch = (struct watch){.crew = {.work = watch_work}, .in_turn = in_turn};
    world_crew_init(&watch->within, place->world, 0, PLACE_CORES);
    place->crew = &watch->crew;
}

/* ---- what a start takes ---------------------------------------------------------------------- */

/* Each operation takes its time, whatever else is under way. */
static void set_latency(struct place *place, enum op_kind kind, int64_t ns)
{
    place->world->settings.latency[kind] = (struct world_range){ns, ns};
}

static void start_timed(struct disk_recording *recording, bool replays, bool in_turn,
                        struct watch *watch)
{
    struct place place;
    init_killed(&place, recording, "data", replays);
    for (int kind = OP_OPEN; kind < OP_KIND_COUNT; kind++)
        set_latency(&place, (enum op_kind)kind, 1000000);
    watch_init(watch, &place, in_turn);
    TRUE_(place_boot(&place));
    place.crew = NULL;
    TRUE_(place.broker.replayed_bytes > 0);
    expect_all(&place);
    place_stop(&place);
    place_done(&place);
}

TEST(start, takes_as_long_as_its_slowest_core)
{
    struct disk_recording *recording = record_life("data");
    for (int replays = 0; replays < 2; replays++) {
        struct watch in_turn, beside;
        start_timed(recording, replays, true, &in_turn);
        start_timed(recording, replays, false, &beside);
        EQ(beside.works, 2 + replays); /* reading, replaying, opening */
        EQ(in_turn.works, beside.works);
        for (int i = 0; i < beside.works; i++) {
            int64_t first = in_turn.took_ns[i][0], second = in_turn.took_ns[i][1];
            TRUE_(first > 0 && second > 0);
            EQ(beside.took_ns[i][0], max_i64(first, second));
        }
    }
    disk_recording_destroy(recording);
}

/* ---- what it tells --------------------------------------------------------------------------- */

struct told {
    const struct world *world;
    char lines[LINES_MAX][LINE_BYTES];
    int64_t at_ns[LINES_MAX];
    int count;
};

static void keep_line(void *owner, const char *line, size_t size)
{
    struct told *told = owner;
    check(told->count < LINES_MAX && size < LINE_BYTES);
    memcpy(told->lines[told->count], line, size);
    told->at_ns[told->count++] = told->world->now_ns;
}

static long long number_behind(const char *line, const char *key)
{
    const char *found = strstr(line, key);
    test_expect(found != NULL, __FILE__, __LINE__, "%s: no %s", line, key);
    return found ? strtoll(found + strlen(key), NULL, 10) : -1;
}

/* Lines in order: counts grow, a second passes before the first and two between any. */
static void expect_in_order(const struct told *told, int64_t began_ns, const char *directory)
{
    char of[40];
    long long logs = 0, journals = 0, bytes = 0;
    int64_t last_ns = began_ns - 1000000000;
    snprintf(of, sizeof of, " event=recovering directory=%s ", directory);
    for (int i = 0; i < told->count; i++) {
        const char *line = told->lines[i];
        if (!strstr(line, of))
            continue;
        TRUE_(told->at_ns[i] >= last_ns + 2000000000);
        last_ns = told->at_ns[i];
        TRUE_(number_behind(line, " logs=") >= logs &&
              number_behind(line, " journals=") >= journals);
        TRUE_(number_behind(line, " journal_bytes=") >= bytes);
        logs = number_behind(line, " logs=");
        journals = number_behind(line, " journals=");
        bytes = number_behind(line, " journal_bytes=");
        EQ(number_behind(strstr(line, " journals="), "/"), PLACE_CORES);
        TRUE_(logs <= number_behind(strstr(line, " logs="), "/") && journals <= PLACE_CORES);
        EQ(number_behind(line, " seconds="), (last_ns - began_ns) / 1000000000);
    }
    TRUE_(last_ns > began_ns);
}

/* The largest number behind `key`, or of those behind the slash after it, of a directory's lines.
 */
static long long most(const struct told *told, const char *directory, const char *key, bool of_all)
{
    char of[40];
    long long found = 0;
    snprintf(of, sizeof of, " event=recovering directory=%s ", directory);
    for (int i = 0; i < told->count; i++) {
        const char *line = strstr(told->lines[i], of) ? strstr(told->lines[i], key) : NULL;
        if (line)
            found = max_i64(found, number_behind(line, of_all ? "/" : key));
    }
    return found;
}

static void start_told(struct disk_recording *recording, bool replays, int64_t read_ns,
                       struct told *told)
{
    struct place place;
    init_killed(&place, recording, "a,b", replays);
    set_latency(&place, OP_READ, read_ns);
    set_latency(&place, OP_WRITE, read_ns / 2);
    *told = (struct told){.world = place.world};
    place.write = keep_line;
    place.write_owner = told;
    int64_t began_ns = place.world->now_ns;
    TRUE_(place_boot(&place));
    if (told->count > 0) {
        expect_in_order(told, began_ns, "a");
        expect_in_order(told, began_ns, "b");
    }
    set_latency(&place, OP_READ, 1000);
    set_latency(&place, OP_WRITE, 1000);
    expect_all(&place);
    place_stop(&place);
    place_done(&place);
}

TEST(start, that_takes_long_tells_how_far_it_is)
{
    struct disk_recording *recording = record_life("a,b");
    struct told *told = memory_zeroed(sizeof *told);
    for (int replays = 0; replays < 2; replays++) {
        start_told(recording, replays, 1000, told);
        EQ(told->count, 0); /* it is quick */
        start_told(recording, replays, 700000000, told);
        TRUE_(told->count > 2);
        long long logs = 0, recovered = 0;
        for (int d = 0; d < 2; d++) {
            const char *directory = d == 0 ? "a" : "b";
            EQ(most(told, directory, " journals=", false), PLACE_CORES);
            TRUE_(most(told, directory, " journal_bytes=", false) > 0);
            logs += most(told, directory, " logs=", true);
            recovered += most(told, directory, " logs=", false);
        }
        TRUE_(logs >= TOPICS * PARTITIONS && recovered > 0);
    }
    memory_free(told);
    disk_recording_destroy(recording);
}

/* ---- cut short ------------------------------------------------------------------------------- */

static void count_or_crash(struct world *world, void *argument)
{
    struct watch *watch = argument;
    if (!watch->working || ++watch->events != watch->crash_at)
        return;
    if (watch->crash_is_kill)
        world_kill(world, 0);
    else
        world_crash(world, 0);
}

/* False: the start was over before. */
static bool survives_crash_at(struct disk_recording *recording, bool replays, uint64_t event)
{
    struct place place;
    struct watch watch;
    init_killed(&place, recording, "a,b", replays);
    place.world->seed += event;
    random_seed(&place.world->random, event);
    watch_init(&watch, &place, false);
    watch.crash_at = event;
    watch.crash_is_kill = event % 3 == 0;
    world_on_event(place.world, count_or_crash, &watch);
    jmp_buf crashed;
    watch.crashed = &crashed;
    bool up = setjmp(crashed) == 0 && place_boot(&place);
    EQ(up, watch.events < event);
    world_on_event(place.world, NULL, NULL);
    place.crew = NULL;
    if (!up)
        test_expect(place_boot(&place), __FILE__, __LINE__, "event %llu: %s",
                    (unsigned long long)event, place.why);
    expect_all(&place);
    place_stop(&place);
    place_done(&place);
    return !up;
}

TEST(start, cut_short_anywhere_is_begun_again)
{
    struct disk_recording *recording = record_life("a,b");
    uint64_t event[2];
    for (int replays = 0; replays < 2; replays++) {
        event[replays] = 1;
        while (survives_crash_at(recording, replays, event[replays]))
            event[replays]++;
        TRUE_(event[replays] > 50);
    }
    disk_recording_destroy(recording);
}

/* ---- failed ---------------------------------------------------------------------------------- */

/* False: the work had ended before the fault was met. */
static bool survives_fault_at(struct disk_recording *recording, bool replays, int work,
                              uint64_t nth)
{
    struct place place;
    struct watch watch;
    init_killed(&place, recording, "a,b", replays);
    watch_init(&watch, &place, false);
    watch.fail_in = work;
    watch.fail_nth = nth;
    bool up = place_boot(&place);
    struct machine *machine = place.world->machines[0];
    bool met = machine->fault_met > 0;
    TRUE_(up || place.why[0]);
    for (int d = 0; d < 2 && up; d++)
        TRUE_(!place.broker.directories[d].absent || place.broker.directories[d].reason[0]);
    place.crew = NULL;
    if (up)
        place_stop(&place);
    TRUE_(place_boot(&place));
    expect_all(&place);
    place_stop(&place);
    EQ(place.world->violation_count, 0);
    place_done(&place);
    return met;
}

TEST(start, that_fails_on_one_core_ends_when_all_have)
{
    struct disk_recording *recording = record_life("a,b");
    for (int replays = 0; replays < 2; replays++)
        for (int work = 0; work < 2 + replays; work++) {
            uint64_t nth = 1;
            while (survives_fault_at(recording, replays, work, nth) && nth < 400)
                nth++;
            TRUE_(nth > 4 && nth < 400);
        }
    disk_recording_destroy(recording);
}

/* ---- given up -------------------------------------------------------------------------------- */

enum { LONG_ROUNDS = 100, OPERATION_NS = 1000000, OPERATIONS_FAILED = 40 };

/* When a fault was met. */
static void note_fault(struct world *world, void *argument)
{
    int64_t *met_ns = argument;
    if (*met_ns < 0 && world->machines[0]->fault_met > 0)
        *met_ns = world->now_ns;
}

/* One start with a fault at the nth operation of a work and, if `two`, at the next but one. */
struct given_up {
    int64_t went_on_ns; /* the work, after the fault; -1: none of it ended the start */
    char why[600];
};

static struct given_up give_up_at(struct disk_recording *recording, int work, uint64_t nth,
                                  bool two)
{
    struct place place;
    struct watch watch;
    struct given_up result = {.went_on_ns = -1};
    int64_t met_ns = -1;
    init_killed(&place, recording, "data", work == 1);
    for (int kind = OP_OPEN; kind < OP_KIND_COUNT; kind++)
        set_latency(&place, (enum op_kind)kind, OPERATION_NS);
    watch_init(&watch, &place, false);
    watch.fail_in = work;
    watch.fail_nth = nth;
    watch.fail_later = two;
    world_on_event(place.world, note_fault, &met_ns);
    bool up = place_boot(&place);
    world_on_event(place.world, NULL, NULL);
    place.crew = NULL;
    if (!up)
        result.went_on_ns = watch.ended_ns[work] - met_ns;
    snprintf(result.why, sizeof result.why, "%s", place.why);
    if (up)
        place_stop(&place);
    place_done(&place);
    return result;
}

/* What is under way on the other core ends, its handle is closed; nothing more. */
TEST(start, that_fails_on_one_core_is_given_up_by_the_others)
{
    struct disk_recording *recording = record_long_life("data", LONG_ROUNDS);
    for (int work = 0; work < 2; work++) {
        int failed = 0;
        for (uint64_t nth = 1; nth < OPERATIONS_FAILED; nth++) {
            struct given_up one = give_up_at(recording, work, nth, false);
            struct given_up two = give_up_at(recording, work, nth, true);
            TRUE_(one.went_on_ns <= 8 * OPERATION_NS);
            if (one.went_on_ns >= 0)
                EQ_TEXT(two.why, one.why); /* the first is told, whichever core's it is */
            failed += one.went_on_ns >= 0;
        }
        TRUE_(failed > 8);
    }
    disk_recording_destroy(recording);
}
