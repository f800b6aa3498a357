/* A shard: the broker's share on one core. Set up on its own thread, torn down there. */
#include "base/check.h"
#include "base/memory.h"
#include "cluster/broker.h"
#include "cluster/catalogue.h"
#include "cluster/cleaned.h"
#include "cluster/offset_files.h"
#include "cluster/partition.h"
#include "cluster/registration.h"
#include "cluster/shard.h"
#include "cluster/snapshots.h"
#include "logic/steady_clock.h"
#include "storage/log_state.h"
#include "storage/resume.h"
#include "storage/store.h"
#include <stdio.h>

static const int64_t idle_ns = 10 * 1000000000ll;

/* Settings speak of the whole broker; each core has a cleaner of its own in each directory. */
static struct cleaner_options cleaner_options(const struct broker *broker)
{
    const struct settings *settings = broker->settings;
    int cores = broker->core_count * broker->directory_count; /* one in each directory */
    return (struct cleaner_options){
        .enabled = settings->log_cleaner_enable,
        .backoff_ns = min_i64(settings->log_cleaner_backoff_ms, INT64_MAX / 2000000) * 1000000,
        .map_bytes = settings->log_cleaner_dedupe_buffer_size / cores,
        .map_load = settings->log_cleaner_io_buffer_load_factor,
        .buffer_bytes = (uint32_t)(settings->log_cleaner_io_buffer_size / cores / 2),
        .bytes_per_second = settings->log_cleaner_io_max_bytes_per_second / cores,
        .steady_clock_ms = STEADY_CLOCK_MS,
    };
}

/* The same; the budget is that of all cores and directories together. */
static struct scrub_options scrub_options(const struct broker *broker)
{
    const struct settings *settings = broker->settings;
    int stores = broker->core_count * broker->directory_count;
    return (struct scrub_options){
        .enabled = settings->log_scrub_enable,
        .interval_ns = min_i64(settings->log_scrub_interval_ms, INT64_MAX / 2000000) * 1000000,
        .bytes_per_second = (double)settings->log_scrub_max_bytes_per_second / stores,
    };
}

static struct store_options store_options(struct broker *broker, int directory)
{
    const struct settings *settings = broker->settings;
    return (struct store_options){
        .directory = broker->directories[directory].path,
        .claims = &broker->directories[directory].claims,
        .journal_initial_bytes = min_i64(settings->journal_initial_bytes, settings->journal_bytes),
        .journal_bytes = settings->journal_bytes,
        .journal_crowded_bytes = settings->journal_crowded_bytes,
        .journal_block_bytes = (uint32_t)settings->journal_block_bytes,
        .drain_bytes = (uint32_t)settings->drain_bytes,
        .idle_ns = min_i64(idle_ns, max_i64(settings->log_idle_ms, 1) * 1000000),
        .log_idle_ns = min_i64(settings->log_idle_ms, INT64_MAX / 2000000) * 1000000,
        .flush_all_files = 16,
        .cold_read_bytes = settings->cold_read_bytes,
        .drains = 32,
        .headroom_bytes = settings->log_dir_headroom_bytes,
        .producers_most = (uint32_t)settings->partition_producers,
        .producer_expiration_ms = settings->producer_id_expiration_ms,
        .cleaner = cleaner_options(broker),
        .scrub = scrub_options(broker),
        .retention_check_ns =
            min_i64(settings->log_retention_check_interval_ms, INT64_MAX / 2000000) * 1000000,
    };
}

/* The budget of requests and answers; a quarter of it may be kept for the next ones. */
static void set_budget(struct shard *shard, const struct settings *settings)
{
    struct buffers *buffers = &shard->core.buffers;
    if (settings->memory_buffers_bytes <= 0)
        return;
    buffers->budget_bytes = (size_t)settings->memory_buffers_bytes;
    if (buffers->keep_bytes > buffers->budget_bytes / 4)
        buffers->keep_bytes = buffers->budget_bytes / 4;
}

/* The metadata log is a partition like others, on the first core, in no image. */
static void open_metadata(struct shard *shard)
{
    struct broker *broker = shard->broker;
    struct partition *partition = partition_create(shard, shard->stores[broker->metadata_directory],
                                                   metadata_topic_id, METADATA_TOPIC, 0);
    partition->leader_epoch = broker->quorum.epoch;
    partition->log_settings =
        (struct log_settings){.segment_bytes = broker->settings->metadata_log_segment_bytes,
                              .index_interval_bytes = 4096,
                              .index_bytes = 10 << 20,
                              .segment_ms = max_i64(broker->settings->metadata_log_segment_ms, 1)};
    partition->max_message_bytes = INT32_MAX;
    partition->log->essential = true;
    partition->log->store->journal.keeps_spare = true;
    partition_reference(partition); /* it stays open, once it is */
    broker->metadata = partition;
}

/* For the journal of one directory. */
struct resuming {
    struct shard *shard;
    struct store *store;
};

static struct log *find_log(void *context, struct uuid topic_id, int32_t index)
{
    const struct resuming *resuming = context;
    if (uuid_equal(topic_id, metadata_topic_id))
        return NULL; /* it was replayed before */
    struct partition *partition = partition_find(resuming->shard, topic_id, index);
    return partition && partition->log->store == resuming->store ? partition->log : NULL;
}

/* A store for what is offline. */
static void open_fenced(struct shard *shard, int place, int directory, enum error error)
{
    struct store_options options = store_options(shard->broker, directory);
    shard->stores[place] = memory_zeroed(sizeof *shard->stores[place]);
    store_open_fenced(shard->stores[place], &shard->core, &options, error);
}

static enum error open_store(struct shard *shard, int directory)
{
    enum error absent = shard->broker->directories[directory].absent;
    if (absent) {
        open_fenced(shard, directory, directory, absent);
        return ERROR_NONE;
    }
    struct store_options options = store_options(shard->broker, directory);
    options.producer_seed = random_next(&shard->random);
    struct store *store = shard->stores[directory] = memory_zeroed(sizeof *store);
    return store_open(store, &shard->core, &options);
}

/* Its journal in a directory: gone on with, or begun anew. */
static enum error begin_store(struct shard *shard, const struct recover *recover)
{
    struct store *store = shard->stores[recover->directory];
    int core = shard->core.id;
    struct journal_content *content = recover_journal(recover, core);
    if (!content)
        return store_begin(store, &shard->random);
    struct resuming resuming = {shard, store};
    enum error error = store_resume(store, content, &(struct resume_names){find_log, &resuming});
    if (!error)
        recovery_count_resumed(&recover->recovery, shard->core.port, core);
    return error;
}

static void set_up(struct shard *shard, int core, struct port *port)
{
    const struct broker *broker = shard->broker;
    core_init(&shard->core, core, port);
    shard->core.owner = shard;
    if (broker->settings->log_open_files > 0)
        shard->core.openings.limit =
            (int32_t)max_i64(broker->settings->log_open_files / broker->core_count, 1);
    shard->core.metrics = &shard->metrics;
    set_budget(shard, broker->settings);
    shard->stores = memory_zeroed((size_t)(broker->directory_count + 1) * sizeof *shard->stores);
    open_fenced(shard, broker->directory_count, 0, ERROR_KAFKA_STORAGE_ERROR);
}

/* What the cores share while they open. */
struct opening {
    struct broker *broker;
    const struct recover *recovers;
    const struct broker_start *start;
    enum error *errors; /* of each directory on core 0, then on core 1... */
};

/* A core's part: opens what can be opened. A store that fails is fenced here, and by give_up on the
 * other cores. Nothing of the broker that another core could look at changes. */
static void open_shard(void *context, int core)
{
    const struct opening *opening = context;
    struct broker *broker = opening->broker;
    struct shard *shard = &broker->shards[core];
    int count = broker->directory_count;
    enum error *errors = opening->errors + (ptrdiff_t)core * count;
    set_up(shard, core, opening->start->ports[core]);
    for (int d = 0; d < count; d++) {
        errors[d] = open_store(shard, d);
        if (errors[d])
            store_fence(shard->stores[d], errors[d], "a journal can't be opened");
    }
    if (core == 0)
        open_metadata(shard);
    catalogue_open(shard);
    cleaned_tell(shard);
    offset_files_tell(shard);
    for (int d = 0; d < count; d++)
        if (!errors[d] && !broker->directories[d].absent)
            errors[d] = begin_store(shard, &opening->recovers[d]);
}

/* The journal of a core in a directory can't be opened. Without the metadata's there is no start;
 * any other directory is given up, on all cores. */
static enum error give_up(struct broker *broker, int core, int directory, enum error error,
                          char *why, size_t why_size)
{
    struct directory *given_up = &broker->directories[directory];
    snprintf(why, why_size, "the journal %s/journal-%d can't be opened: %s", given_up->path, core,
             error_text(error));
    if (directory == broker->metadata_directory)
        return error;
    given_up->absent = error;
    snprintf(given_up->reason, sizeof given_up->reason, "%s", why);
    why[0] = 0;
    for (int i = 0; i < broker->core_count; i++)
        store_fence(broker->shards[i].stores[directory], error, "a journal can't be opened");
    return ERROR_NONE;
}

enum error shards_open(struct broker *broker, const struct recover *recovers,
                       const struct broker_start *start, char *why, size_t why_size)
{
    int count = broker->directory_count;
    struct opening opening = {broker, recovers, start, NULL};
    opening.errors = memory_zeroed((size_t)(broker->core_count * count) * sizeof *opening.errors);
    start->crew->work(start->crew, open_shard, &opening);
    enum error error = ERROR_NONE;
    for (int core = 0; core < broker->core_count; core++) {
        struct shard *shard = &broker->shards[core];
        shard->core.port = start->ports[0];
        for (int d = 0; d < count; d++) {
            enum error its = opening.errors[core * count + d];
            if (its && !error && !broker->directories[d].absent)
                error = give_up(broker, core, d, its, why, why_size);
            broker->replayed_bytes += shard->stores[d]->resumed_bytes;
        }
    }
    memory_free(opening.errors);
    return error;
}

/* ---- the end: settle, then stop ------------------------------------------------------------ */

static enum step stop_settle(struct flow *flow)
{
    struct shard *shard = CONTAINER_OF(flow, struct shard, stop_flow);
    if (shard->core.id == 0 &&
        snapshots_stop(shard->broker, &shard->stop_waiter, flow) == ERROR_WOULD_WAIT)
        return STEP_AGAIN;
    for (int d = 0; d <= shard->broker->directory_count; d++)
        if (store_settle(shard->stores[d], &shard->stop_waiter, flow) == ERROR_WOULD_WAIT)
            return STEP_AGAIN; /* one that was fenced has ended what was under way */
    return STEP_NEXT;
}

static enum step stop_core(struct flow *flow)
{
    flow->core->stopping = true;
    return STEP_NEXT;
}

static const struct flow_kind stop_flow = {"stop", {{"settle", stop_settle}, {"stop", stop_core}}};

/* The node leaves while every core still applies what the metadata log says. */
static enum step stop_leave(struct flow *flow)
{
    registration_leave(CONTAINER_OF(flow, struct broker, stop_flow), flow);
    return STEP_NEXT;
}

static enum step stop_cores(struct flow *flow)
{
    struct broker *broker = CONTAINER_OF(flow, struct broker, stop_flow);
    struct waiter *waiter = &broker->shards[0].stop_waiter;
    if (offset_files_stop(broker, waiter, flow) == ERROR_WOULD_WAIT)
        return STEP_AGAIN; /* it has mail under way with cores that run */
    for (int i = broker->core_count - 1; i >= 0; i--) {
        struct shard *shard = &broker->shards[i];
        mail_start(&shard->stop_mail, &broker->shards[0].core, &shard->core, &shard->stop_flow,
                   &stop_flow);
    }
    return STEP_NEXT;
}

static const struct flow_kind broker_stop_flow = {"stop-broker",
                                                  {{"leave", stop_leave}, {"cores", stop_cores}}};

void broker_stop_cores(struct broker *broker)
{
    flow_start(&broker->stop_flow, &broker_stop_flow, &broker->shards[0].core);
}

void shard_close(struct shard *shard)
{
    struct broker *broker = shard->broker;
    for (int d = 0; d < broker->directory_count; d++) {
        const struct store *store = shard->stores[d];
        if (!store || store->fenced || !store_is_settled(store))
            broker->directories[d].settled = false;
    }
    catalogue_close(shard, true);
    for (int d = 0; d <= broker->directory_count; d++)
        if (shard->stores[d]) {
            store_close(shard->stores[d]);
            memory_free(shard->stores[d]);
        }
    memory_free(shard->stores);
    shard->stores = NULL;
    core_done(&shard->core);
}
