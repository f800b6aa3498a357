#include "cluster/start_progress.h"
#include "base/check.h"
#include "base/memory.h"
#include "reactor/events.h"

static const int64_t first_ns = 1000000000, every_ns = 2 * 1000000000ll;

/* ---- when ---------------------------------------------------------------------------------- */

static struct now now_of(struct port *port)
{
    struct now now;
    port->operations->clock(port, &now);
    return now;
}

/* True to one of those who ask when lines are due. */
static bool take_turn(struct start_progress *start, const struct now *now)
{
    int64_t due_ns = atomic_load_explicit(&start->due_ns, memory_order_relaxed);
    return start->write && now->monotonic_ns >= due_ns &&
           atomic_compare_exchange_strong_explicit(&start->due_ns, &due_ns,
                                                   now->monotonic_ns + every_ns,
                                                   memory_order_relaxed, memory_order_relaxed);
}

static long long seconds_of(const struct start_progress *start, const struct now *now)
{
    return (now->monotonic_ns - start->started_ns) / 1000000000;
}

/* ---- what ---------------------------------------------------------------------------------- */

static unsigned long long count(const struct start_directory *directory,
                                enum recovery_counter counter)
{
    return atomic_load_explicit(&directory->recovery.counters[counter], memory_order_relaxed);
}

static void tell(const struct start_progress *start, int place, const struct now *now)
{
    const struct start_directory *directory = &start->directories[place];
    unsigned long long journals = count(directory, RECOVERY_JOURNALS);
    unsigned long long journals_read = count(directory, RECOVERY_JOURNALS_READ);
    unsigned long long recovered = count(directory, RECOVERY_LOGS_RECOVERED);
    unsigned long long logs = count(directory, RECOVERY_LOGS);
    struct events events = {.write = start->write, .owner = start->owner};
    if (journals_read < journals || recovered < logs)
        event_write(&events, now, EVENT_INFO, "recovering",
                    "directory=%s logs=%llu/%llu journals=%llu/%llu journal_bytes=%llu "
                    "segment_bytes=%llu seconds=%lld",
                    start->broker->directories[place].path, recovered, logs, journals_read,
                    journals, count(directory, RECOVERY_JOURNAL_BYTES),
                    count(directory, RECOVERY_SEGMENT_BYTES), seconds_of(start, now));
}

static void moved(struct recovery_progress *progress, struct port *port)
{
    struct start_progress *start = CONTAINER_OF(progress, struct start_directory, recovery)->start;
    struct now now = now_of(port);
    if (!take_turn(start, &now))
        return;
    for (int d = 0; d < start->broker->directory_count; d++)
        tell(start, d, &now);
}

void start_progress_metadata(struct broker *broker, struct port *port, uint64_t records)
{
    struct start_progress *start = broker->progress;
    struct now now = now_of(port);
    struct events events = {.write = start->write, .owner = start->owner};
    if (take_turn(start, &now))
        event_write(&events, &now, EVENT_INFO, "reading_metadata",
                    "directory=%s records=%llu seconds=%lld",
                    broker->directories[broker->metadata_directory].path,
                    (unsigned long long)records, seconds_of(start, &now));
}

/* ---- from beginning to end ----------------------------------------------------------------- */

void start_progress_open(struct broker *broker, const struct broker_start *how)
{
    struct start_progress *start = broker->progress = memory_zeroed(sizeof *start);
    start->started_ns = now_of(how->ports[0]).monotonic_ns;
    atomic_init(&start->due_ns, start->started_ns + first_ns);
    start->write = how->write;
    start->owner = how->write_owner;
    start->broker = broker;
    start->directories =
        memory_zeroed((size_t)broker->directory_count * sizeof *start->directories);
    for (int d = 0; d < broker->directory_count; d++) {
        start->directories[d].recovery.moved = moved;
        start->directories[d].start = start;
    }
}

void start_progress_close(struct broker *broker)
{
    if (!broker->progress)
        return;
    memory_free(broker->progress->directories);
    memory_free(broker->progress);
    broker->progress = NULL;
}

struct recovery_progress *start_progress_of(struct broker *broker, int directory)
{
    return &broker->progress->directories[directory].recovery;
}

int64_t start_progress_ms(const struct broker *broker, struct port *port)
{
    return (now_of(port).monotonic_ns - broker->progress->started_ns) / 1000000;
}
