#include "storage/folder_script.h"
#include "base/check.h"
#include "base/memory.h"
#include "storage/segment.h"
#include "storage/store.h"
#include <stdio.h>

enum { STATE_BEGIN, STATE_OPENED, STATE_CHANGING, STATE_CLOSING, STATE_ENDED };

void folder_script_init(struct folder_script *script, const char *folder)
{
    *script = (struct folder_script){.folder = folder, .handle = -1};
}

void folder_script_done(struct folder_script *script)
{
    memory_free(script->changes);
    script->changes = NULL;
    script->count = script->capacity = 0;
}

static struct folder_change *add(struct folder_script *script, uint8_t kind)
{
    if (script->count == script->capacity) {
        script->capacity = script->capacity ? 2 * script->capacity : 16;
        script->changes =
            memory_resized(script->changes, (size_t)script->capacity * sizeof script->changes[0]);
    }
    struct folder_change *change = &script->changes[script->count++];
    *change = (struct folder_change){.kind = kind};
    return change;
}

static void put_name(char *to, int64_t base_offset, const char *suffix)
{
    snprintf(to, FOLDER_NAME_TEXT, "%020lld%s", (long long)base_offset, suffix);
}

void folder_script_rename(struct folder_script *script, int64_t base_offset, const char *suffix,
                          const char *suffix_to)
{
    struct folder_change *change = add(script, OP_RENAME);
    put_name(change->from, base_offset, suffix);
    put_name(change->to, base_offset, suffix_to);
}

void folder_script_remove(struct folder_script *script, int64_t base_offset, const char *suffix)
{
    put_name(add(script, OP_REMOVE)->from, base_offset, suffix);
}

void folder_script_remove_name(struct folder_script *script, const char *name)
{
    check(strlen(name) < FOLDER_NAME_TEXT);
    snprintf(add(script, OP_REMOVE)->from, FOLDER_NAME_TEXT, "%s", name);
}

void folder_script_flush(struct folder_script *script)
{
    add(script, OP_FLUSH);
}

static void start_op(struct folder_script *script, struct store *store, struct flow *flow,
                     struct op op)
{
    script->op = op;
    script->op.flow = flow;
    file_op_start(store->core, &script->op);
}

static void start_change(struct folder_script *script, struct store *store, struct flow *flow)
{
    const struct folder_change *change = &script->changes[script->at++];
    snprintf(script->path, sizeof script->path, "%s/%s", script->folder, change->from);
    snprintf(script->path_to, sizeof script->path_to, "%s/%s", script->folder, change->to);
    start_op(script, store, flow,
             (struct op){.kind = change->kind,
                         .handle = change->kind == OP_FLUSH ? script->handle : -1,
                         .path = change->kind == OP_FLUSH ? NULL : script->path,
                         .path_to = change->kind == OP_RENAME ? script->path_to : NULL});
}

/* What is not there has been renamed or removed before. */
static bool went_well(struct folder_script *script)
{
    enum error error = op_error(script->op.result);
    if (error == ERROR_NOT_FOUND && script->op.kind != OP_FLUSH && script->op.kind != OP_OPEN)
        error = ERROR_NONE;
    if (error && !script->error)
        script->error = error;
    return !error;
}

bool folder_script_step(struct folder_script *script, struct store *store, struct flow *flow)
{
    switch (script->state) {
    case STATE_BEGIN:
        script->state = STATE_OPENED;
        start_op(script, store, flow,
                 (struct op){
                     .kind = OP_OPEN, .path = script->folder, .flags = OPEN_READ | OPEN_DIRECTORY});
        return false;
    case STATE_OPENED:
        if (!went_well(script)) {
            script->state = STATE_ENDED;
            return true;
        }
        script->handle = (int32_t)script->op.result;
        script->state = STATE_CHANGING;
        break;
    case STATE_CHANGING:
        if (op_error(script->op.result) == ERROR_NO_SPACE && script->op.kind != OP_FLUSH &&
            space_await(store, &script->waiter, flow, "a name in a folder could not be changed")) {
            script->at--;
            script->op = (struct op){.kind = OP_KIND_COUNT}; /* when it is called again */
            return false;
        }
        if (!went_well(script))
            script->at = script->count;
        break;
    case STATE_CLOSING:
        script->state = STATE_ENDED; /* only opened to be flushed: its close tells nothing */
        return true;
    default:
        return true;
    }
    if (script->at < script->count) {
        start_change(script, store, flow);
        return false;
    }
    script->state = STATE_CLOSING;
    start_op(script, store, flow, (struct op){.kind = OP_CLOSE, .handle = script->handle});
    script->handle = -1;
    return false;
}
