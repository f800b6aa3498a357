#pragma once
/* Renames and removals of files in one folder, with flushes of the folder between: a short script,
 * put together first and then carried out one operation after the other by a flow. Carried out
 * twice, or begun again after a crash at any point, it comes to the same. On a full disk it waits
 * (space.h). */
#include "reactor/flow.h"

struct store;

enum { FOLDER_NAME_TEXT = 48 };

struct folder_change {
    uint8_t kind; /* OP_RENAME, OP_REMOVE: what is not there is passed over; OP_FLUSH: the folder */
    char from[FOLDER_NAME_TEXT], to[FOLDER_NAME_TEXT];
};

struct folder_script {
    const char *folder; /* its path; the caller's */
    struct folder_change *changes;
    int32_t count, capacity, at;
    enum error error; /* of the first operation that failed; the rest is left undone */
    /* inside */
    struct op op;
    struct waiter waiter;
    int32_t handle; /* of the folder */
    uint8_t state;
    char path[1100], path_to[1100];
};

void folder_script_init(struct folder_script *script, const char *folder);
void folder_script_done(struct folder_script *script);

/* "<base, 20 digits><suffix>" to another suffix. */
void folder_script_rename(struct folder_script *script, int64_t base_offset, const char *suffix,
                          const char *suffix_to);
void folder_script_remove(struct folder_script *script, int64_t base_offset, const char *suffix);
void folder_script_remove_name(struct folder_script *script, const char *name);
void folder_script_flush(struct folder_script *script);

/* Goes on. True: all is done, or script->error says why not. False: a hold was taken: return
 * STEP_AGAIN and call it again. */
bool folder_script_step(struct folder_script *script, struct store *store, struct flow *flow);
