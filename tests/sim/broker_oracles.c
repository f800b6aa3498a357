/* The oracles of the whole broker.
 *
 * After every event, on the broker's own structures:
 *   high watermark: never back within an incarnation; never above the durable end; the ends in
 * order (log start <= drained <= durable <= appended); not below what was promised to clients.
 *   journal: no block that is not written counts as durable.
 *   credits, fetch sessions, connections: within their limits; nobody waits for what is there.
 *   buffers: the budget of a core is passed only as buffers.h says (a stop checks that all of it is
 *     given back).
 *   metadata: between two requests the log is committed to its end; a start gives the image that
 *     the last run had, if nothing but the registration was added to the log.
 * After a clean stop, on the disk:
 *   journals are empty, the mark of a clean stop is there; every log is a dense run of whole
 * batches of records that were sent there, has all that was promised, nothing behind its end; index
 *     entries point at batches, in order; folders of deleted topics are gone. */
#include "api/api.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/catalogue.h"
#include "cluster/machine.h"
#include "cluster/partition.h"
#include "net/net.h"
#include "protocol/batch.h"
#include "sim/broker_sim.h"
#include "sim/broker_quiet.h"
#include "sim/client_keys.h"
#include "sim/client_start.h"
#include "sim/machine_memory.h"
#include "sim/reached.h"
#include "storage/folder.h"
#include "storage/journal_format.h"
#include "storage/log_state.h"
#include "storage/offset_checkpoint.h"
#include "storage/store.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- after every event ---- */

static void check_partition(struct simulation *sim, const struct partition *partition)
{
    struct world *world = sim->world;
    const struct log *log = partition->log;
    const struct replica *replica = &partition->replica;
    if (!partition->opened || log->state != LOG_OPEN || partition->deleted)
        return;
    struct model_topic *topic = model_find(&sim->model, partition->key.topic_id);
    struct model_partition *model = topic && partition->key.index < topic->partition_count
                                        ? &topic->partitions[partition->key.index]
                                        : NULL;
    const char *name = topic ? topic->name : "?";
    int64_t mark = replica->high_watermark;
    if (mark > log->durable_end || log->durable_end > log->appended_end || log->log_start > mark)
        world_violation(world,
                        "%s-%d: start %lld, high watermark %lld, durable %lld, appended %lld", name,
                        partition->key.index, (long long)log->log_start, (long long)mark,
                        (long long)log->durable_end, (long long)log->appended_end);
    if (!model)
        return;
    oracle_retention(sim, log, model);
    model_start_seen(&sim->model, model, log->log_start);
    if (mark < model->high_watermark_seen)
        world_violation(world, "%s-%d: high watermark went back from %lld to %lld", name,
                        model->index, (long long)model->high_watermark_seen, (long long)mark);
    model->high_watermark_seen = mark;
    if (mark < model->promised_end && !partition->log->store->fenced)
        world_violation(world, "%s-%d: high watermark %lld, promised was %lld", name, model->index,
                        (long long)mark, (long long)model->promised_end);
}

/* What is not on stable storage yet does not count as durable. */
static void check_journal_ends(struct simulation *sim, const struct shard *shard,
                               const struct store *store)
{
    const struct journal *journal = &store->journal;
    const struct list *lists[] = {&journal->flying, &journal->pending};
    for (int i = 0; i < ARRAY_COUNT(lists) && !store->fenced; i++) {
        if (list_is_empty(lists[i]))
            continue;
        const struct journal_block *block =
            CONTAINER_OF(lists[i]->next, struct journal_block, link);
        if (journal->durable_sequence >= block->sequence)
            world_violation(sim->world, "core %d: block %llu counts as durable, up to %llu",
                            shard->core.id, (unsigned long long)block->sequence,
                            (unsigned long long)journal->durable_sequence);
    }
}

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    return mix(hash, text, strlen(text) + 1);
}

/* Topics, partitions, settings; and which core has what. In any order. */
static uint64_t digest_topics(const struct image *image, uint64_t *ret_cores)
{
    uint64_t sum = 0, cores = 0;
    uint32_t position = 0;
    for (const struct image_topic *topic; (topic = image_next_topic(image, &position));) {
        uint64_t hash = mix_text(mix(1, &topic->id, sizeof topic->id), topic->name);
        for (int32_t i = 0; i < topic->config_count; i++)
            hash = mix_text(mix_text(hash, topic->configs[i].name), topic->configs[i].value);
        uint64_t placed = hash;
        for (int32_t i = 0; i < topic->partition_capacity; i++) {
            const struct image_partition *partition = image_partition(topic, i);
            if (!partition)
                continue;
            int32_t fields[] = {i, partition->leader, partition->leader_epoch,
                                partition->partition_epoch};
            hash = mix(hash, fields, sizeof fields);
            placed = mix(placed, &partition->core, sizeof partition->core);
        }
        sum += hash;
        cores += placed;
    }
    *ret_cores = cores;
    return sum;
}

/* With no request under way the image that requests are decided on is that of the cores. The first
 * time after a boot is after the registration, one record. */
static void check_image(struct simulation *sim)
{
    const struct broker *broker = &sim->broker.broker;
    int64_t end_offset = broker->metadata->log->appended_end, before = sim->metadata.end_offset;
    uint64_t topics = sim->metadata.topics, cores = sim->metadata.cores;
    bool first = sim->metadata.boots != sim->broker.boots;
    if (!machine_is_at_rest(broker) || end_offset == before)
        return;
    if (!image_same(&broker->machine.decided, &broker->shards[0].image))
        world_violation(sim->world, "metadata: decided on another image than the cores have");
    sim->metadata.end_offset = end_offset;
    sim->metadata.boots = sim->broker.boots;
    sim->metadata.topics = digest_topics(&broker->shards[0].image, &sim->metadata.cores);
    if (first && before > 0 && end_offset == before + 1) {
        REACHED("a start on an unchanged image");
        if (topics != sim->metadata.topics)
            world_violation(sim->world, "metadata: the image after a start differs");
        else if (sim->metadata.core_count == sim->broker.cores && cores != sim->metadata.cores)
            world_violation(sim->world, "metadata: after a start partitions have other cores");
    }
    sim->metadata.core_count = sim->broker.cores;
}

/* With no request under way the metadata log is committed to its end. */
static void check_metadata(struct simulation *sim)
{
    const struct broker *broker = &sim->broker.broker;
    const struct partition *metadata = broker->metadata;
    if (!machine_is_at_rest(broker) || !metadata->opened || metadata->log->store->fenced)
        return;
    if (metadata->replica.high_watermark != metadata->log->appended_end)
        world_violation(sim->world, "metadata: decided to %lld, committed to %lld",
                        (long long)metadata->log->appended_end,
                        (long long)metadata->replica.high_watermark);
    check_image(sim);
}

/* What one core may have under way at another, and what it may remember, is bounded. */
static void check_bounds(struct simulation *sim, const struct shard *shard)
{
    const struct api_state *api = shard->api;
    for (int i = 0; i < sim->broker.cores; i++)
        if (api->credits[i].in_flight > api->credits[i].limit ||
            (api->credits[i].in_flight < api->credits[i].limit &&
             !list_is_empty(&api->credits[i].waiting)))
            world_violation(sim->world,
                            "core %d has %d of %d credits for core %d, and somebody waits",
                            shard->core.id, api->credits[i].in_flight, api->credits[i].limit, i);
    if (api->sessions.count > api->sessions.slots ||
        api->sessions.partition_count > api->sessions.partitions_max)
        world_violation(sim->world, "core %d has %d fetch sessions of %d", shard->core.id,
                        api->sessions.count, api->sessions.slots);
    if (shard->net->assigned_total > sim->broker.settings.max_connections)
        world_violation(sim->world, "%d connections of %d", shard->net->assigned_total,
                        sim->broker.settings.max_connections);
}

/* In the place of buffers_take for the rest of the program: beyond the budget is only who comes
 * when nobody else has anything of it but what was set aside. */
struct buffer *__real_buffers_take(struct buffers *buffers, size_t size);
struct buffer *__wrap_buffers_take(struct buffers *buffers, size_t size);

struct buffer *__wrap_buffers_take(struct buffers *buffers, size_t size)
{
    bool is_alone = buffers->used_bytes == buffers->aside_bytes;
    struct buffer *buffer = __real_buffers_take(buffers, size);
    check(!buffer || is_alone || buffers->used_bytes <= buffers->budget_bytes);
    return buffer;
}

/* A directory that breaks takes no other with it. */
static void check_directories(struct simulation *sim)
{
    for (int d = 0; d < sim->directories && !sim->by_chance; d++)
        if (!sim->has_broken[d] && broker_machine_has_failed(&sim->broker, d))
            world_violation(sim->world, "%s has failed, and no fault was there", sim_directory(d));
}

/* What holds while it stops, too, and answers its last requests. */
static void check_shard(struct simulation *sim, const struct shard *shard)
{
    uint32_t position = 0;
    for (struct partition *partition; (partition = map_next(&shard->partitions, &position));)
        check_partition(sim, partition);
    for (int d = 0; d < sim->broker.broker.directory_count; d++)
        check_journal_ends(sim, shard, shard->stores[d]);
}

void oracle_event(struct world *world, void *argument)
{
    struct simulation *sim = argument;
    bool is_up = sim->broker.state == BROKER_UP;
    if ((!is_up && sim->broker.state != BROKER_STOPPING) || world->violation_count > 0)
        return;
    for (int i = 0; i < sim->broker.cores; i++) {
        check_shard(sim, &sim->broker.broker.shards[i]);
        if (is_up)
            check_bounds(sim, &sim->broker.broker.shards[i]);
    }
    if (!is_up)
        return;
    check_directories(sim);
    check_metadata(sim);
}

static void begin_incarnation(struct model_partition *partition)
{
    partition->high_watermark_seen = -1;
    partition->start_now = 0;
    partition->purges_to_end = 0;
}

void oracle_incarnation(struct simulation *sim)
{
    for (int32_t i = 0; i < sim->model.topic_count; i++)
        for (int j = 0; j < MODEL_PARTITIONS_MAX; j++)
            begin_incarnation(&sim->model.topics[i]->partitions[j]);
}

/* ---- the disk after a clean stop ---- */

enum { NAMES_BYTES = 64 << 10, ENTRIES_MAX = 8192 };

struct entries {
    char kinds[ENTRIES_MAX];
    char names[ENTRIES_MAX][96];
    int count;
};

static int64_t call(struct simulation *sim, struct op op)
{
    return port_call(machine_port(sim->world, sim->broker.machine, 0), &op);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void list_folder(struct simulation *sim, const char *path, struct entries *ret)
{
    char *names = memory_zeroed(NAMES_BYTES);
    int32_t handle = (int32_t)call(
        sim, (struct op){.kind = OP_OPEN, .path = path, .flags = OPEN_READ | OPEN_DIRECTORY});
    ret->count = 0;
    check(handle >= 0);
    for (int64_t size; (size = call(sim, (struct op){.kind = OP_LIST,
                                                 .handle = handle,
                                                 .data = names,
                                                 .size = NAMES_BYTES})) > 0;)
        for (int64_t at = 0; at < size; at += (int64_t)strlen(names + at) + 1) {
            check(ret->count < ENTRIES_MAX);
            ret->kinds[ret->count] = names[at];
            snprintf(ret->names[ret->count++], sizeof ret->names[0], "%s", names + at + 1);
        }
    (void)call(sim, (struct op){.kind = OP_CLOSE, .handle = handle});
    memory_free(names);
    bool all_files = true;
    for (int i = 0; i < ret->count; i++)
        all_files = all_files && ret->kinds[i] == 'f';
    if (all_files) /* segments in order of their offsets */
        qsort(ret->names, (size_t)ret->count, sizeof ret->names[0], compare_names);
}

static struct bytes read_file(struct simulation *sim, const char *path)
{
    struct file_stat stat;
    if (call(sim, (struct op){.kind = OP_STAT, .path = path, .data = &stat}) < 0)
        return (struct bytes){NULL, -1};
    int32_t handle =
        (int32_t)call(sim, (struct op){.kind = OP_OPEN, .path = path, .flags = OPEN_READ});
    check(handle >= 0);
    uint8_t *data = memory_zeroed((size_t)stat.size_bytes + 1);
    int64_t got = 0;
    for (int64_t n = 1; got < stat.size_bytes && n > 0; got += n)
        n = call(sim, (struct op){.kind = OP_READ,
                                  .handle = handle,
                                  .data = data + got,
                                  .size = (size_t)(stat.size_bytes - got),
                                  .offset = got});
    (void)call(sim, (struct op){.kind = OP_CLOSE, .handle = handle});
    return (struct bytes){data, (int32_t)stat.size_bytes};
}

/* Every entry of the index points at the batch that holds its offset, in order. */
static void check_index(struct simulation *sim, const char *path, struct bytes log, int64_t base)
{
    struct bytes index = read_file(sim, path);
    int64_t position = 0, last = -1;
    for (int32_t at = 0; at + 8 <= index.size; at += 8) {
        int64_t offset = base + load_be32(index.data + at);
        int64_t place = load_be32(index.data + at + 4);
        struct batch batch;
        bool right = false;
        while (position <= place && position < log.size &&
               batch_view(log.data + position, (size_t)(log.size - position), &batch) == 0) {
            right = position == place && batch_last_offset(&batch) == offset;
            if (position == place)
                break;
            position += batch.whole.size;
        }
        if (!right || offset <= last)
            world_violation(sim->world, "%s: entry %d: offset %lld is not at %lld", path, at / 8,
                            (long long)offset, (long long)place);
        last = offset;
    }
    if (index.size > 0 && index.size % 8 != 0)
        world_violation(sim->world, "%s: %d bytes", path, index.size);
    memory_free((void *)index.data);
}

/* `start`: what the file of log starts says; -1 nothing, so it begins with its first segment. */
static void check_log(struct simulation *sim, struct model_partition *partition, const char *folder,
                      int64_t start)
{
    struct entries *entries = memory_zeroed(sizeof *entries);
    list_folder(sim, folder, entries);
    int64_t next = -1, missing = -1;
    struct model_pass pass;
    model_pass_begin(&sim->model, partition, &pass);
    sim->model.pass = pass.runs ? &pass : NULL;
    partition->on_disk = true;
    for (int i = 0; i < entries->count; i++) {
        int64_t base;
        char path[256];
        if (!segment_name_parse(entries->names[i], ".log", &base))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entries->names[i]);
        if (next < 0)
            start = max_i64(start, base);
        else if (base != next && !(partition->topic->rules->compacts && base > next))
            world_violation(sim->world, "%s: a segment at %lld, expected %lld", folder,
                            (long long)base, (long long)next);
        if (base > start && next < 0)
            world_violation(sim->world, "%s: begins at %lld, its first segment at %lld", folder,
                            (long long)start, (long long)base);
        struct bytes log = read_file(sim, path);
        next = base;
        model_read_batches(&sim->model, partition, log, &next, false);
        snprintf(path + strlen(path) - 3, 8, "index");
        if (!partition->cache_rotten) /* nobody may have needed it */
            check_index(sim, path, log, base);
        memory_free((void *)log.data);
    }
    start = max_i64(start, 0);
    partition->start_now = start;
    model_start_told(&sim->model, partition, partition->start_promised, start, "disk");
    sim->model.pass = NULL;
    bool whole = partition->topic->rules->compacts || model_verified(partition, start, &missing);
    model_pass_end(&sim->model, partition, &pass, "disk");
    if (next < partition->promised_end || !whole)
        world_violation(sim->world, "%s: %lld to %lld; promised: end %lld, and %lld is not there",
                        folder, (long long)start, (long long)next,
                        (long long)partition->promised_end, (long long)missing);
    memory_free(entries);
}

static struct model_topic *topic_of_folder(struct simulation *sim, const char *folder)
{
    char path[256];
    struct uuid id;
    snprintf(path, sizeof path, "%s/partition.metadata", folder);
    struct bytes text = read_file(sim, path);
    bool known = text.size > 0 && partition_metadata_decode(text, &id);
    memory_free((void *)text.data);
    return known ? model_find(&sim->model, id) : NULL;
}

static void check_folder(struct simulation *sim, const char *directory, const char *name,
                         const struct offset_checkpoint *starts)
{
    struct string named;
    int32_t index;
    if (!folder_name_parse(name, &named, &index) || string_equal(named, METADATA_TOPIC))
        return;
    char folder[128];
    snprintf(folder, sizeof folder, "%s/%s", directory, name);
    struct model_topic *topic = topic_of_folder(sim, folder);
    if (!topic || index >= topic->partition_count) {
        world_violation(sim->world, "%s: a folder of no topic", folder);
        return;
    }
    if (topic->partitions[index].rotten) {
        topic->partitions[index].on_disk = true;
        return;
    }
    if (topic->deleted_ns != INT64_MAX)
        world_violation(sim->world, "%s: the topic was deleted, its folder is there", folder);
    check_log(sim, &topic->partitions[index], folder, offset_checkpoint_get(starts, named, index));
}

static void check_journal(struct simulation *sim, const char *directory, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    struct bytes file = read_file(sim, path);
    struct anchor anchors[2];
    int newest = -1;
    for (int i = 0; i < 2 && file.size >= JOURNAL_RING_BEGIN; i++)
        if (anchor_decode(file.data + i * JOURNAL_ANCHOR_SLOT, &anchors[i]) == ERROR_NONE &&
            (newest < 0 || anchors[i].generation > anchors[newest].generation))
            newest = i;
    struct block_header header;
    if (newest < 0)
        world_violation(sim->world, "%s has no anchor after a clean stop", path);
    else if (anchors[newest].start_position + BLOCK_HEADER_SIZE < file.size &&
             block_peek(file.data + anchors[newest].start_position, &header) &&
             header.salt == anchors[newest].salt &&
             header.sequence == anchors[newest].start_sequence &&
             anchors[newest].start_position + header.length <= file.size &&
             block_is_whole(file.data + anchors[newest].start_position, &header)) /* not torn */
        world_violation(sim->world, "%s is not empty after a clean stop", path);
    memory_free((void *)file.data);
}

static void check_directory(struct simulation *sim, const char *directory)
{
    struct entries *entries = memory_zeroed(sizeof *entries);
    struct offset_checkpoint starts;
    char path[128];
    bool marked = false;
    snprintf(path, sizeof path, "%s/log-start-offset-checkpoint", directory);
    struct bytes text = read_file(sim, path);
    enum error error = offset_checkpoint_read(&starts, text);
    if (error)
        world_violation(sim->world, "%s: %s", path, error_text(error));
    list_folder(sim, directory, entries);
    for (int i = 0; i < entries->count; i++) {
        if (strncmp(entries->names[i], "journal-", 8) == 0)
            check_journal(sim, directory, entries->names[i]);
        else if (entries->kinds[i] == 'd')
            check_folder(sim, directory, entries->names[i], &starts);
        marked = marked || strcmp(entries->names[i], ".kafka_cleanshutdown") == 0;
    }
    if (!marked)
        world_violation(sim->world, "%s: a clean stop left no mark", directory);
    offset_checkpoint_done(&starts);
    memory_free((void *)text.data);
    memory_free(entries);
}

void oracle_disk(struct simulation *sim)
{
    world_start(sim->world, sim->broker.machine);
    model_verify_begin(&sim->model);
    for (int d = 0; d < sim->directories; d++)
        check_directory(sim, sim_directory(d));
    const struct model *model = &sim->model;
    for (int32_t i = 0; i < model->topic_count; i++)
        for (int j = 0; !model->topics[i]->delete_asked && j < model->topics[i]->partition_count;
             j++) {
            const struct model_partition *partition = &model->topics[i]->partitions[j];
            if (!partition->on_disk && partition->promised_end > 0)
                world_violation(sim->world, "%s-%d: not on the disk, with %lld promised",
                                model->topics[i]->name, j, (long long)partition->promised_end);
        }
    world_stop_machine(sim->world, sim->broker.machine);
}
