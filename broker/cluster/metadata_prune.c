/* What snapshots have made superfluous, at a start: segments, older snapshots. */
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "cluster/metadata_load.h"
#include "storage/segment.h"
#include <stdio.h>
#include <string.h>

struct pruning {
    struct broker *broker;
    struct port *port;
    const char *folder;
    struct metadata_found *found;
    int64_t first_live;
    int64_t now_ms;
    int64_t total_bytes;
    int32_t segments_removed, snapshots_removed; /* the first so many */
};

static void path_of(const struct pruning *pruning, const char *name, char path[1100])
{
    snprintf(path, 1100, "%s/%s", pruning->folder, name);
}

static enum error flush_folder(struct pruning *pruning)
{
    struct op open = {
        .kind = OP_OPEN, .path = pruning->folder, .flags = OPEN_READ | OPEN_DIRECTORY};
    int64_t handle = port_call(pruning->port, &open);
    if (handle < 0)
        return op_error(handle);
    struct op flush = {.kind = OP_FLUSH, .handle = (int32_t)handle};
    int64_t result = port_call(pruning->port, &flush);
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(pruning->port, &close); /* the flush counts */
    return op_error(result);
}

static enum error remove_name(struct pruning *pruning, const char *name)
{
    char path[1100];
    path_of(pruning, name, path);
    struct op op = {.kind = OP_REMOVE, .path = path};
    enum error error = op_error(port_call(pruning->port, &op));
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
}

static enum error put_aside(struct pruning *pruning, struct snapshot_id id)
{
    char name[SNAPSHOT_NAME_SIZE], path[1100], path_to[1100];
    snapshot_name(id, SNAPSHOT_SUFFIX, name);
    path_of(pruning, name, path);
    snapshot_name(id, SNAPSHOT_DAMAGED_SUFFIX, name);
    path_of(pruning, name, path_to);
    struct op op = {.kind = OP_RENAME, .path = path, .path_to = path_to};
    return op_error(port_call(pruning->port, &op));
}

/* Sizes of all, and the times that the snapshots' headers say. */
static enum error measure(struct pruning *pruning, const char *name, int64_t *ret_size,
                          int64_t *ret_last_ms)
{
    struct file_stat stat;
    char path[1100];
    path_of(pruning, name, path);
    struct op stat_op = {.kind = OP_STAT, .path = path, .data = &stat};
    int64_t result = port_call(pruning->port, &stat_op);
    if (result < 0)
        return op_error(result);
    *ret_size = stat.size_bytes;
    if (!ret_last_ms)
        return ERROR_NONE;
    uint8_t header[256];
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ};
    int64_t handle = port_call(pruning->port, &open);
    if (handle < 0)
        return op_error(handle);
    struct op read = {
        .kind = OP_READ, .handle = (int32_t)handle, .data = header, .size = sizeof header};
    int64_t got = port_call(pruning->port, &read);
    *ret_last_ms = got > 0 ? snapshot_header_time(header, (size_t)got) : -1;
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(pruning->port, &close); /* only read */
    return got < 0 ? op_error(got) : ERROR_NONE;
}

static enum error measure_all(struct pruning *pruning)
{
    struct metadata_found *found = pruning->found;
    enum error error = ERROR_NONE;
    char name[SNAPSHOT_NAME_SIZE];
    for (int32_t i = 0; i < found->segment_count && !error; i++) {
        segment_name(found->segments[i].base_offset, ".log", name);
        error = measure(pruning, name, &found->segments[i].size_bytes, NULL);
        pruning->total_bytes += found->segments[i].size_bytes;
    }
    for (int32_t i = 0; i < found->snapshot_count && !error; i++) {
        snapshot_name(found->snapshots[i].id, SNAPSHOT_SUFFIX, name);
        error =
            measure(pruning, name, &found->snapshots[i].size_bytes, &found->snapshots[i].last_ms);
        pruning->total_bytes += found->snapshots[i].size_bytes;
    }
    return error;
}

/* Is there too much, or is what the oldest snapshot kept holds too old? As Kafka counts: log and
 * snapshots together; -1 keeps all. */
static bool is_over(const struct pruning *pruning)
{
    const struct settings *settings = pruning->broker->settings;
    const struct snapshot_entry *oldest = &pruning->found->snapshots[pruning->snapshots_removed];
    int64_t bytes = settings->metadata_max_retention_bytes;
    int64_t age_ms = settings->metadata_max_retention_ms;
    return (bytes >= 0 && pruning->total_bytes > bytes) ||
           (age_ms >= 0 && oldest->last_ms >= 0 && pruning->now_ms - oldest->last_ms > age_ms);
}

/* Is the oldest segment left wholly below the oldest snapshot kept, and may it go? */
static bool can_remove_segment(const struct pruning *pruning)
{
    const struct metadata_found *found = pruning->found;
    int32_t at = pruning->segments_removed;
    return at + 1 < found->segment_count &&
           found->segments[at + 1].base_offset <=
               found->snapshots[pruning->snapshots_removed].id.end_offset &&
           found->segments[at].base_offset < pruning->first_live;
}

/* The oldest first: segments below the oldest snapshot, then that, then what is below the next. */
static void choose(struct pruning *pruning)
{
    const struct metadata_found *found = pruning->found;
    while (found->snapshot_count > 0 && is_over(pruning)) {
        if (can_remove_segment(pruning))
            pruning->total_bytes -= found->segments[pruning->segments_removed++].size_bytes;
        else if (pruning->snapshots_removed + 1 < found->snapshot_count)
            pruning->total_bytes -= found->snapshots[pruning->snapshots_removed++].size_bytes;
        else
            break;
    }
}

static enum error remove_segment(struct pruning *pruning, int64_t base)
{
    char name[SNAPSHOT_NAME_SIZE];
    segment_name(base, ".log", name);
    enum error error = remove_name(pruning, name);
    for (int i = 0; i < SEGMENT_CACHES && !error; i++) {
        segment_name(base, segment_caches[i], name);
        error = remove_name(pruning, name);
    }
    if (error)
        return error;
    segment_name(base, ".snapshot", name);
    return remove_name(pruning, name);
}

static enum error remove_chosen(struct pruning *pruning)
{
    const struct metadata_found *found = pruning->found;
    char name[SNAPSHOT_NAME_SIZE];
    enum error error = ERROR_NONE;
    if (pruning->segments_removed > 0)
        REACHED("metadata log pruned");
    for (int32_t i = 0; i < pruning->segments_removed && !error; i++)
        error = remove_segment(pruning, found->segments[i].base_offset);
    for (int32_t i = 0; i < pruning->snapshots_removed && !error; i++) {
        snapshot_name(found->snapshots[i].id, SNAPSHOT_SUFFIX, name);
        error = remove_name(pruning, name);
    }
    for (int32_t i = 0; i < found->damaged_count && !error; i++)
        error = put_aside(pruning, found->damaged[i]);
    for (int32_t i = 0; i < found->part_count && !error; i++) {
        snapshot_name(found->parts[i], SNAPSHOT_PART_SUFFIX, name);
        error = remove_name(pruning, name);
    }
    return error;
}

enum error metadata_prune(struct broker *broker, struct port *port, const char *folder,
                          struct metadata_found *found, int64_t first_live)
{
    struct now now;
    port->operations->clock(port, &now);
    struct pruning pruning = {.broker = broker,
                              .port = port,
                              .folder = folder,
                              .found = found,
                              .first_live = first_live,
                              .now_ms = now.wall_ms};
    if (found->snapshot_count + found->damaged_count + found->part_count == 0)
        return ERROR_NONE;
    enum error error = measure_all(&pruning);
    if (!error)
        choose(&pruning);
    /* A snapshot's name may have been seen and not flushed: the last run ended in between. */
    if (!error && pruning.segments_removed + pruning.snapshots_removed > 0 &&
        !MUTANT(skip_fsync_before_pruning))
        error = flush_folder(&pruning);
    if (!error)
        error = remove_chosen(&pruning);
    /* What a crash brings back of it goes at the next start. */
    if (pruning.snapshots_removed == 0)
        return error;
    found->snapshot_count -= pruning.snapshots_removed;
    memmove(found->snapshots, found->snapshots + pruning.snapshots_removed,
            (size_t)found->snapshot_count * sizeof *found->snapshots);
    return error;
}
