/* What the journals of all directories hold goes back to the logs it belongs to. */
#include "cluster/recover.h"
#include "base/check.h"
#include "base/memory.h"
#include "cluster/catalogue.h"
#include "cluster/directories.h"
#include "cluster/directory.h"
#include "cluster/kafka_starts.h"
#include "cluster/metadata_load.h"
#include "cluster/snapshots.h"
#include "cluster/start_progress.h"
#include "cluster/whereabouts.h"
#include "logic/alone.h"
#include "storage/folder.h"
#include "storage/kafka_ends.h"
#include "storage/recovery_pass.h"
#include "storage/redo.h"
#include <stdio.h>

static bool metadata_folder(void *context, struct uuid topic_id, int32_t partition, char *folder,
                            size_t size)
{
    const struct recover *recover = context;
    if (!uuid_equal(topic_id, metadata_topic_id) ||
        recover->directory != recover->broker->metadata_directory)
        return false;
    snprintf(folder, size, "%s/__cluster_metadata-0", broker_metadata_path(recover->broker));
    return true;
}

/* The logs of one core in one directory. */
struct own_logs {
    const struct recover *recover;
    int core;
};

static bool own_folder(void *context, struct uuid topic_id, int32_t partition, char *folder,
                       size_t size)
{
    const struct own_logs *own = context;
    const struct recover *recover = own->recover;
    const struct broker *broker = recover->broker;
    const struct image_topic *topic = image_topic_by_id(&broker->shards[0].image, topic_id);
    const struct image_partition *found = topic ? image_partition(topic, partition) : NULL;
    if (!found || found->core != own->core ||
        whereabouts_of(broker, topic, partition) != recover->directory)
        return false;
    snprintf(folder, size, "%s/%s-%d", broker->directories[recover->directory].path, topic->name,
             partition);
    return true;
}

/* For cleaning: does anything name this folder? The path is "<directory>/<topic>-<partition>". */
static bool folder_is_named(void *context, struct uuid topic_id, int32_t partition, char *folder,
                            size_t size)
{
    const struct recover *recover = context;
    const struct broker *broker = recover->broker;
    const char *name = folder + strlen(broker->directories[recover->directory].path) + 1;
    struct string topic = {name, (int32_t)(strrchr(name, '-') - name)};
    if (string_equal(topic, METADATA_TOPIC))
        return true;
    const struct image_topic *found = image_topic_by_name(&broker->shards[0].image, topic);
    return found && image_partition(found, partition) && !whereabouts_is_stray(broker, folder);
}

/* For cleaning: has any topic this log, wherever it lies? */
static bool log_exists(void *context, struct uuid topic_id, int32_t partition)
{
    const struct recover *recover = context;
    const struct image_topic *topic =
        image_topic_by_id(&recover->broker->shards[0].image, topic_id);
    return uuid_equal(topic_id, metadata_topic_id) || (topic && image_partition(topic, partition));
}

static int32_t core_of_log(void *context, struct uuid topic_id, int32_t partition)
{
    const struct recover *recover = context;
    const struct broker *broker = recover->broker;
    if (uuid_equal(topic_id, metadata_topic_id))
        return 0;
    const struct image_topic *topic = image_topic_by_id(&broker->shards[0].image, topic_id);
    const struct image_partition *found = topic ? image_partition(topic, partition) : NULL;
    return found && whereabouts_of(broker, topic, partition) == recover->directory ? found->core
                                                                                   : -1;
}

/* The lowest base of a segment of the metadata log that a live journal writes to. */
static int64_t first_live_segment(const struct recovery *recovery)
{
    const struct journal_content *content = recovery_journal(recovery, 0);
    int64_t first = INT64_MAX;
    for (int32_t i = 0; content && i < content->count; i++) {
        struct bytes entries = content->blocks[i].entries;
        struct journal_entry entry;
        struct reader reader;
        reader_init(&reader, entries.data, (size_t)entries.size);
        while (entry_decode(&reader, &entry))
            if (entry.kind == ENTRY_BIND && uuid_equal(entry.topic_id, metadata_topic_id))
                first = min_i64(first, entry.segment_base);
    }
    return first;
}

/* Reads the metadata log, and prunes it. */
static enum error load_metadata(struct broker *broker, struct recovery *recovery, struct port *port,
                                char *why, size_t why_size)
{
    char folder[1100];
    struct metadata_found found;
    snprintf(folder, sizeof folder, "%s/__cluster_metadata-0", broker_metadata_path(broker));
    enum error error = metadata_load(broker, port, folder, &found, why, why_size);
    if (!error) {
        error = metadata_prune(broker, port, folder, &found, first_live_segment(recovery));
        if (error)
            snprintf(why, why_size, "%s can't be pruned: %s", folder, error_text(error));
    }
    if (!error)
        snapshots_open(broker, &found);
    struct metadata_read *read = &broker->metadata_read;
    *read = (struct metadata_read){.snapshot_end = found.loaded_end,
                                   .snapshot_bytes = found.snapshot_bytes,
                                   .snapshot_records = found.snapshot_records,
                                   .log_bytes = found.log_bytes,
                                   .log_records = found.log_records};
    memcpy(read->warning, found.warning, sizeof read->warning);
    metadata_found_done(&found);
    return error;
}

/* The first pass: the metadata log is brought up to date. */
static enum error replay_metadata(struct recover *recover)
{
    struct recovery *recovery = &recover->recovery;
    struct recovery_names names = {.folder = metadata_folder, .context = recover};
    recovery->strict = true; /* nothing goes on without this log */
    enum error error = recovery_replay(recovery, &names);
    recovery->strict = false;
    return error;
}

static void add_sentences(struct broker *broker, struct kafka_ends *ends)
{
    if (!ends->sentences)
        return;
    size_t size = broker->sentences ? strlen(broker->sentences) : 0;
    broker->sentences = memory_resized(broker->sentences, size + ends->sentences_size + 1);
    memcpy(broker->sentences + size, ends->sentences, ends->sentences_size + 1);
    memory_free(ends->sentences);
}

/* A core's share of what a Kafka node has left. */
struct kafka_taking {
    struct kafka_ends ends;
    enum error error;
};

/* Did a Kafka node die here? Where a journal holds anything it was ours, of a version that left no
 * mark. */
static bool is_taken_over(const struct recover *recover)
{
    int32_t journal = 0;
    uint32_t place = 0;
    const struct directory *directory = &recover->broker->directories[recover->directory];
    return !directory->absent && directory->unmarked &&
           !recovery_next_bound(&recover->recovery, &journal, &place);
}

/* What the cores found. */
static enum error join_takings(struct recover *recover)
{
    struct recovery *recovery = &recover->recovery;
    enum error error = ERROR_NONE;
    for (int core = 0; recover->takings && core < recover->broker->core_count; core++) {
        struct kafka_taking *taking = &recover->takings[core];
        recovery->is_kafkas |= taking->ends.logs > 0;
        add_sentences(recover->broker, &taking->ends);
        if (!taking->error || (error && core != recovery_first_failed(&recover->halt)))
            continue;
        snprintf(recovery->fault, sizeof recovery->fault, "%s", taking->ends.fault);
        error = taking->error;
    }
    memory_free(recover->takings);
    recover->takings = NULL;
    return error;
}

static bool has_metadata(const struct recover *recover, struct port *port)
{
    char path[1100];
    struct file_stat stat;
    const struct broker *broker = recover->broker;
    snprintf(path, sizeof path, "%s/__cluster_metadata-0",
             broker->directories[recover->directory].path);
    struct op op = {.kind = OP_STAT, .path = path, .data = &stat};
    return port_call(port, &op) >= 0 || recovery_holds(&recover->recovery, metadata_topic_id, 0);
}

/* An empty metadata log beside a full one would make every folder one that no topic names. */
static enum error check_metadata(const struct broker *broker, const struct recover *recovers,
                                 struct port *port, char *why, size_t why_size)
{
    if (has_metadata(&recovers[broker->metadata_directory], port))
        return ERROR_NONE;
    for (int d = 0; d < broker->directory_count; d++) {
        if (broker->directories[d].absent || !has_metadata(&recovers[d], port))
            continue;
        snprintf(why, why_size,
                 "the metadata log lies in %s, and is looked for in %s: set metadata.log.dir=%s",
                 broker->directories[d].path, broker_metadata_path(broker),
                 broker->directories[d].path);
        return ERROR_BAD_ARGUMENT;
    }
    return ERROR_NONE;
}

static enum error note_partition(void *context, char kind, const char *name)
{
    struct string topic;
    int32_t partition;
    char *found = context;
    if (kind == 'd' && folder_name_parse(name, &topic, &partition) && !found[0] &&
        !string_equal(topic, METADATA_TOPIC))
        snprintf(found, 300, "%s", name);
    return ERROR_NONE;
}

/* No topic names a folder beside a metadata log that says nothing, and all would be removed: they
 * are of a Kafka before KRaft, or the metadata log is lost. */
static enum error check_nothing_unnamed(const struct broker *broker, struct port *port, char *why,
                                        size_t why_size)
{
    for (int d = 0; d < broker->directory_count && !broker->quorum.is_founded; d++) {
        char found[300] = "";
        if (broker->directories[d].absent)
            continue;
        (void)redo_list(port, broker->directories[d].path, note_partition, found);
        if (!found[0])
            continue;
        snprintf(
            why, why_size,
            "%s has partitions (%s), and there is no metadata log that names them "
            "(__cluster_metadata-0 in %s): restore it from a copy, or choose another directory",
            broker->directories[d].path, found, broker_metadata_path(broker));
        return ERROR_BAD_ARGUMENT;
    }
    return ERROR_NONE;
}

/* A Kafka cluster's directory: is this node all of it? */
static enum error check_alone(const struct broker *broker, char *why, size_t why_size)
{
    int32_t voter = quorum_other_voter(&broker->quorum, broker->node_id);
    if (voter >= 0)
        snprintf(why, why_size,
                 "%s/__cluster_metadata-0 has node %d among its voters, and this version is a "
                 "quorum of one node: remove it, with Kafka's tool, before",
                 broker_metadata_path(broker), voter);
    bool alone = voter < 0 && alone_is(&broker->shards[0].image, broker->node_id, why, why_size);
    return alone ? ERROR_NONE : ERROR_BAD_ARGUMENT;
}

/* What comes after all logs of a directory are replayed, or may be resumed. */
static enum error finish_directory(struct recover *recover, struct port *port)
{
    struct broker *broker = recover->broker;
    const struct directory *directory = &broker->directories[recover->directory];
    struct recovery *recovery = &recover->recovery;
    enum error error = ERROR_NONE;
    if (recovery->is_kafkas)
        error = kafka_starts_keep(directory, port);
    if (!error)
        error = kafka_starts_take(broker, recover->directory, port, recovery);
    if (recovery->set_aside > 0 && !broker->warning[0])
        snprintf(broker->warning, sizeof broker->warning, "%llu partitions are offline; %.500s",
                 (unsigned long long)recovery->set_aside, recovery->warning);
    if (!error)
        error =
            recovery_clean(recovery,
                           &(struct recovery_names){
                               .folder = folder_is_named, .exists = log_exists, .context = recover},
                           broker->core_count);
    if (!error && directory->unmarked) /* what rests on that is done */
        error = directory_mark_running(directory, port);
    return error;
}

/* Its journals can't be read: the start goes on without it, if it can. */
static enum error give_up(struct recover *recover, enum error error, char *why, size_t why_size)
{
    const char *fault = recover->recovery.fault;
    if (error ==
        ERROR_CANCELLED) { /* the metadata log's directory failed: its error will be told */
        check(recovery_is_off(recover->halt.also));
        return ERROR_NONE;
    }
    error = directories_give_up(recover->broker, recover->directory, error,
                                "its journals can't be replayed", why, why_size);
    struct directory *directory = &recover->broker->directories[recover->directory];
    if (fault[0] && error)
        snprintf(why, why_size, "%s", fault);
    else if (fault[0])
        snprintf(directory->reason, sizeof directory->reason, "%s", fault);
    return error;
}

/* What the cores share while they are at work. */
struct recovering {
    struct broker *broker;
    struct recover *recovers;
    const struct broker_start *start;
};

/* A core's part: its journals. */
static void read_journals(void *context, int core)
{
    const struct recovering *recovering = context;
    const struct broker *broker = recovering->broker;
    for (int d = 0; d < broker->directory_count; d++)
        if (!broker->directories[d].absent)
            recovery_read(&recovering->recovers[d].recovery, recovering->start->ports[core], core,
                          broker->core_count);
}

/* A core has failed on a directory: the others need not go on with it. */
static void note_error(struct recover *recover, int core, enum error error)
{
    if (error && error != ERROR_CANCELLED)
        recovery_failed(&recover->halt, core);
}

/* A core's part: its logs, in the directories where they can't be resumed. */
static void replay_logs(void *context, int core)
{
    const struct recovering *recovering = context;
    for (int d = 0; d < recovering->broker->directory_count; d++) {
        struct recover *recover = &recovering->recovers[d];
        if (!recover->passes)
            continue;
        struct own_logs own = {recover, core};
        struct recovery_names names = {.folder = own_folder, .context = &own};
        recovery_pass_init(&recover->passes[core], &recover->recovery,
                           recovering->start->ports[core], &names);
        recovery_pass_run(&recover->passes[core]);
        note_error(recover, core, recover->passes[core].error);
    }
}

/* A core's part: its share of the logs that Kafka nodes have left. */
static void take_over_logs(void *context, int core)
{
    const struct recovering *recovering = context;
    struct broker *broker = recovering->broker;
    for (int d = 0; d < broker->directory_count; d++) {
        struct recover *recover = &recovering->recovers[d];
        struct kafka_share share = {core, broker->core_count, recover->recovery.progress,
                                    &recover->halt};
        if (!recover->takings)
            continue;
        struct kafka_taking *taking = &recover->takings[core];
        taking->error = kafka_ends_cut(recovering->start->ports[core], broker->directories[d].path,
                                       &share, &taking->ends);
        note_error(recover, core, taking->error);
    }
}

static enum error open_recoveries(struct recovering *recovering, char *why, size_t why_size)
{
    struct broker *broker = recovering->broker;
    enum error error = ERROR_NONE;
    for (int d = 0; d < broker->directory_count && !error; d++) {
        struct recover *recover = &recovering->recovers[d];
        struct recovery *recovery = &recover->recovery;
        struct port *port = recovering->start->ports[0];
        recover->broker = broker;
        recover->directory = d;
        if (broker->directories[d].absent)
            continue;
        error = recovery_open(recovery, port, broker->directories[d].path);
        recovery->progress = start_progress_of(broker, d);
        recovery->halt = &recover->halt;
        if (d != broker->metadata_directory)
            recover->halt.also = &recovering->recovers[broker->metadata_directory].halt;
        recovery_moved(recovery->progress, port, RECOVERY_JOURNALS,
                       (uint64_t)recovery->journal_count);
        if (error)
            error = give_up(recover, error, why, why_size);
    }
    return error;
}

/* What Kafka nodes that died have left is made whole. */
static enum error take_over(struct recovering *recovering, char *why, size_t why_size)
{
    struct broker *broker = recovering->broker;
    bool any = false;
    enum error error = ERROR_NONE;
    for (int d = 0; d < broker->directory_count; d++) {
        struct recover *recover = &recovering->recovers[d];
        if (!is_taken_over(recover))
            continue;
        recover->takings = memory_zeroed((size_t)broker->core_count * sizeof *recover->takings);
        any = true;
    }
    if (any)
        recovering->start->crew->work(recovering->start->crew, take_over_logs, recovering);
    for (int d = 0; d < broker->directory_count; d++) {
        enum error its = join_takings(&recovering->recovers[d]);
        if (its && !error)
            error = give_up(&recovering->recovers[d], its, why, why_size);
    }
    return error;
}

/* The metadata log, and what it says. */
static enum error recover_metadata(struct recovering *recovering, char *why, size_t why_size)
{
    struct broker *broker = recovering->broker;
    struct recover *recovers = recovering->recovers;
    struct port *port = recovering->start->ports[0];
    enum error error = ERROR_NONE;
    for (int d = 0; d < broker->directory_count && !error; d++) {
        if (!broker->directories[d].absent)
            error = replay_metadata(&recovers[d]);
        if (error)
            error = give_up(&recovers[d], error, why, why_size);
    }
    if (!error)
        error = take_over(recovering, why, why_size);
    if (!error)
        error = check_metadata(broker, recovers, port, why, why_size);
    if (!error)
        error = load_metadata(broker, &recovers[broker->metadata_directory].recovery, port, why,
                              why_size);
    if (!error)
        error = check_nothing_unnamed(broker, port, why, why_size);
    if (!error)
        error = check_alone(broker, why, why_size);
    if (!error)
        error = whereabouts_look(broker, recovers, port, why, why_size);
    return error;
}

/* The image names the folders now: the other logs. */
static enum error recover_logs(struct recovering *recovering, char *why, size_t why_size)
{
    struct broker *broker = recovering->broker;
    bool any = false;
    enum error error = ERROR_NONE;
    for (int d = 0; d < broker->directory_count; d++) {
        struct recover *recover = &recovering->recovers[d];
        if (broker->directories[d].absent)
            continue;
        recover->resumes =
            recovery_may_resume(&recover->recovery, broker->core_count, core_of_log, recover);
        if (!recover->resumes)
            recover->passes = memory_zeroed((size_t)broker->core_count * sizeof *recover->passes);
        any |= !recover->resumes;
    }
    if (any)
        recovering->start->crew->work(recovering->start->crew, replay_logs, recovering);
    for (int d = 0; d < broker->directory_count; d++) {
        struct recover *recover = &recovering->recovers[d];
        enum error its = ERROR_NONE;
        if (recover->passes)
            its = recovery_pass_join(&recover->recovery, recover->passes, broker->core_count);
        memory_free(recover->passes);
        recover->passes = NULL;
        if (!its && !error && !broker->directories[d].absent)
            its = finish_directory(recover, recovering->start->ports[0]);
        if (its && !error)
            error = give_up(recover, its, why, why_size);
        broker->replayed_bytes += recover->recovery.replayed_bytes;
    }
    return error;
}

enum error recover_all(struct broker *broker, struct recover *recovers,
                       const struct broker_start *start, char *why, size_t why_size)
{
    struct recovering recovering = {broker, recovers, start};
    enum error error = open_recoveries(&recovering, why, why_size);
    if (error)
        return error;
    start->crew->work(start->crew, read_journals, &recovering);
    error = recover_metadata(&recovering, why, why_size);
    return error ? error : recover_logs(&recovering, why, why_size);
}

struct journal_content *recover_journal(const struct recover *recover, int core)
{
    struct journal_content *content =
        recover->resumes ? recovery_journal(&recover->recovery, core) : NULL;
    return content && content->reader.fresh ? NULL : content;
}
