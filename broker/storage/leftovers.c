#include "storage/leftovers.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/reached.h"
#include "storage/compaction.h"
#include "storage/log_state.h"
#include "storage/store.h"
#include <stdio.h>

enum { SCAN_BYTES = 64 << 10 };

struct leftovers {
    struct log *log;
    char (*names)[FOLDER_NAME_TEXT];
    int32_t count, capacity, at;
    struct segment *swap; /* the file that is read for its last offset */
    int64_t last_offset;
    struct compaction_scan scan;
    struct folder_script changes;
    struct op op;
    struct file_stat stat;
    char path[1100];
    uint8_t state;
};

enum { STATE_SWAPS, STATE_SIZE, STATE_READ, STATE_REST, STATE_CHANGE };

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name), end_size = strlen(end);
    return size > end_size && strcmp(name + size - end_size, end) == 0;
}

void leftovers_note(struct leftovers **to, struct log *log, const char *name)
{
    bool matters =
        ends_with(name, ".cleaned") || ends_with(name, ".swap") || ends_with(name, ".deleted");
    if (!matters || strlen(name) >= FOLDER_NAME_TEXT)
        return;
    if (!*to) {
        *to = memory_zeroed(sizeof **to);
        (*to)->log = log;
        compaction_scan_init(&(*to)->scan, log->store, SCAN_BYTES);
        folder_script_init(&(*to)->changes, log->folder);
    }
    struct leftovers *leftovers = *to;
    if (leftovers->count == leftovers->capacity) {
        leftovers->capacity = leftovers->capacity ? 2 * leftovers->capacity : 8;
        leftovers->names = memory_resized(leftovers->names,
                                          (size_t)leftovers->capacity * sizeof leftovers->names[0]);
    }
    snprintf(leftovers->names[leftovers->count++], FOLDER_NAME_TEXT, "%s", name);
}

/* The next `.log.swap` from `at` on; its size is asked for. False: there is none left. */
static bool begin_swap(struct leftovers *leftovers, struct flow *flow)
{
    for (; leftovers->at < leftovers->count; leftovers->at++) {
        const char *name = leftovers->names[leftovers->at];
        int64_t base;
        if (!segment_name_parse(name, ".log.swap", &base))
            continue;
        leftovers->at++;
        leftovers->swap = segment_new(leftovers->log, base);
        leftovers->last_offset = -1;
        snprintf(leftovers->path, sizeof leftovers->path, "%s/%s", leftovers->log->folder, name);
        leftovers->op = (struct op){
            .kind = OP_STAT, .path = leftovers->path, .data = &leftovers->stat, .flow = flow};
        file_op_start(flow->core, &leftovers->op);
        return true;
    }
    return false;
}

/* The old segments that the swap replaces leave the log; the new one is in it. */
static void take_swap(struct leftovers *leftovers)
{
    struct log *log = leftovers->log;
    int64_t base = leftovers->swap->base_offset;
    int64_t *others = memory_zeroed((size_t)log->segment_count * sizeof *others + 1);
    int32_t count = 0, kept = 0;
    bool has_base = false;
    for (int32_t i = 0; i < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        bool replaced =
            segment->base_offset > base && segment->base_offset <= leftovers->last_offset;
        has_base |= segment->base_offset == base;
        if (replaced) {
            others[count++] = segment->base_offset;
            segment_free(segment);
        } else {
            log->segments[kept++] = segment;
        }
    }
    log->segment_count = kept;
    if (!has_base) {
        struct segment *added = log_add_segment(log, base);
        added->size = -1;
        added->exists = added->sealed = true;
        added->index_loaded = added->times.known = false;
        int32_t at = log->segment_count - 1;
        for (; at > 0 && log->segments[at - 1]->base_offset > base; at--)
            log->segments[at] = log->segments[at - 1];
        log->segments[at] = added;
    }
    REACHED("swap finished at open");
    compaction_swap_names(&leftovers->changes, base, others, count);
    memory_free(others);
}

static bool is_of_a_swap(const struct leftovers *leftovers, const char *name)
{
    int64_t base, other;
    if (segment_name_parse(name, ".log.swap", &base))
        return true;
    if (!segment_name_parse(name, ".index.cleaned", &base))
        return false;
    for (int32_t i = 0; i < leftovers->count; i++)
        if (segment_name_parse(leftovers->names[i], ".log.swap", &other) && other == base)
            return true;
    return false;
}

bool leftovers_step(struct leftovers *leftovers, struct flow *flow, const char **ret_fault,
                    enum error *ret_error)
{
    struct store *store = leftovers->log->store;
    *ret_fault = NULL;
    *ret_error = ERROR_NONE;
    for (;;) {
        switch (leftovers->state) {
        case STATE_SWAPS:
            segment_free(leftovers->swap);
            leftovers->swap = NULL;
            leftovers->state = STATE_SIZE;
            if (begin_swap(leftovers, flow))
                return false;
            leftovers->state = STATE_REST;
            break;
        case STATE_SIZE:
            leftovers->swap->size = leftovers->op.result < 0 ? 0 : leftovers->stat.size_bytes;
            leftovers->scan.suffix = ".log.swap";
            compaction_scan_begin(&leftovers->scan, leftovers->swap);
            leftovers->state = STATE_READ;
            break;
        case STATE_READ: {
            struct batch batch;
            switch (compaction_scan_step(&leftovers->scan, flow, &batch)) {
            case COMPACTION_SCAN_WAITS:
                return false;
            case COMPACTION_SCAN_BATCH:
                leftovers->last_offset = batch_last_offset(&batch);
                continue;
            case COMPACTION_SCAN_FAILED:
                *ret_fault = leftovers->scan.fault;
                *ret_error = leftovers->scan.error;
                return true;
            case COMPACTION_SCAN_END:
                if (leftovers->last_offset < 0) {
                    *ret_fault = "a compacted segment is empty";
                    return true;
                }
                take_swap(leftovers);
                leftovers->state = STATE_SWAPS;
                if (!compaction_scan_close(&leftovers->scan, flow))
                    return false;
                break;
            }
            break;
        }
        case STATE_REST:
            for (int32_t i = 0; i < leftovers->count; i++)
                if (!is_of_a_swap(leftovers, leftovers->names[i]))
                    folder_script_remove_name(&leftovers->changes, leftovers->names[i]);
            leftovers->state = STATE_CHANGE;
            break;
        default:
            if (!folder_script_step(&leftovers->changes, store, flow))
                return false;
            *ret_error = leftovers->changes.error;
            *ret_fault = *ret_error ? "what a compaction left can't be put in order" : NULL;
            return true;
        }
    }
}

bool leftovers_end(struct leftovers **of, struct flow *flow)
{
    struct leftovers *leftovers = *of;
    if (!leftovers)
        return true;
    if (!compaction_scan_close(&leftovers->scan, flow))
        return false;
    compaction_scan_done(&leftovers->scan);
    folder_script_done(&leftovers->changes);
    segment_free(leftovers->swap);
    memory_free(leftovers->names);
    memory_free(leftovers);
    *of = NULL;
    return true;
}
