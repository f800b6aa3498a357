/* Whose is the folder of a log that is opened? What was set aside of it keeps it offline; and the
 * folder may be of an earlier topic of its name, by partition.metadata. */
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include "storage/aside.h"
#include "storage/folder.h"
#include "storage/log_opening.h"
#include "storage/store.h"
#include <stdio.h>

/* Without partition.metadata: a checkpoint has seen a log that the journal does not hold whole, so
 * the folder is its own; and so is one with segments in it, for the last file that goes of another
 * is that one (folder_clear.h, orphans.h). What the journal holds whole needs no files. */
static bool is_ours_without_name(const struct log_opening *opening)
{
    const struct log *log = opening->log;
    if (log->resumed)
        return !log->resumed->whole;
    return log->segment_count > 0 || opening->leftovers;
}

/* The next drain makes partition.metadata anew. */
static void take_ownership(struct log *log)
{
    struct core *core = log->store->core;
    REACHED("partition.metadata is lost");
    log->owner_lost = true;
    event_write(&core->events, &core->now, EVENT_WARN, "partition_metadata_lost",
                "folder=%s action=\"it is the folder of the topic that has its name: the file is "
                "made anew\"",
                log->folder);
}

enum step open_metadata(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    if (opening->phase == 0)
        snprintf(opening->path, sizeof opening->path, "%s/" PARTITION_METADATA_FILE, log->folder);
    int64_t size;
    if (opening_read_file(opening, &size))
        return STEP_AGAIN;
    if (size == -2)
        return opening_give_up(opening, "the file can't be read");
    struct uuid id;
    struct bytes text = {opening->buffer->data, (int32_t)size};
    bool ours = false, says = size >= 0 && !partition_metadata_is_torn(text);
    if (says) {
        if (!partition_metadata_decode(text, &id))
            return opening_give_up(opening, "it is damaged");
        ours = uuid_equal(id, log->topic_id);
        if (uuid_is_nearly(id, log->topic_id)) /* all records would go with an earlier topic's */
            return opening_give_up(opening, "its topic id is damaged");
    }
    if (!ours && !MUTANT(recreated_topic_sees_old_files)) {
        if (!resumed_is_whole(log) && says)
            return opening_give_up(opening,
                                   "it is not that of the log whose end the journal holds");
        if (!says && is_ours_without_name(opening)) {
            take_ownership(log);
            return STEP_NEXT;
        }
        REACHED("folder of an earlier topic");
        opening->stale = true;
        return STEP_FAIL;
    }
    return STEP_NEXT;
}

/* Set aside before, and not put in order: it stays offline, for the reason of that time. What an
 * earlier topic of this name has left is none of ours. */
enum step open_aside(struct flow *flow)
{
    struct log_opening *opening = opening_of(flow);
    struct log *log = opening->log;
    if (opening->aside < 0)
        return STEP_NEXT;
    if (opening->phase == 0) {
        char name[SEGMENT_NAME_SIZE];
        segment_name(opening->aside, ASIDE_SUFFIX, name);
        snprintf(opening->path, sizeof opening->path, "%s/%s", log->folder, name);
    }
    int64_t size;
    if (opening_read_file(opening, &size))
        return STEP_AGAIN;
    struct aside aside;
    struct bytes file = {opening->buffer->data, size > 0 ? (int32_t)size : 0};
    if (aside_decode(file, &aside))
        return opening_give_up(opening, "what was set aside of it can't be read");
    if (!uuid_equal(aside.topic_id, log->topic_id))
        return STEP_NEXT;
    log->fault = memory_zeroed(OPENING_FAULT_BYTES);
    snprintf(log->fault, OPENING_FAULT_BYTES, "%.*s", aside.reason.size,
             (const char *)aside.reason.data);
    char what[OPENING_FAULT_BYTES + 40];
    snprintf(what, sizeof what, "it was set aside, since %s", log->fault);
    opening->op.result = 0;
    return opening_give_up(opening, what);
}
