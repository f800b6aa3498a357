#pragma once
/* What marks a log directory as this broker's: `.lock`, `meta.properties`, `.kafka_cleanshutdown`,
 * in Kafka's names and formats; and `.bole_running`, which tells whose death has left it:
 *
 *   neither mark, of a Kafka node that runs or died -> (recovered) -> running [mark_running]
 *   clean -> running [unmark_clean] -> clean [mark_clean]
 *
 * Where both are, it is clean. All block (port_call). */
#include "cluster/broker.h"

/* What meta.properties says. */
struct directory_owner {
    bool is_there;
    char cluster_id[23];
    int32_t node_id; /* -1: not said */
    struct uuid id;  /* of the directory; zero: not said (Kafka before 3.7) */
};

/* Makes the folder if needed. */
enum error directory_make(const struct directory *directory, struct port *port, char *why,
                          size_t why_size);

/* Reads meta.properties. ret->is_there false: there is none. MALFORMED: it says no cluster. */
enum error directory_read_owner(const struct directory *directory, struct port *port,
                                struct directory_owner *ret, char *why, size_t why_size);

/* Locks it: no other process may use it meanwhile. BAD_ARGUMENT: one does. */
enum error directory_lock(struct directory *directory, struct port *port, char *why,
                          size_t why_size);

/* Writes meta.properties, flushed, the directory's own name before. */
enum error directory_write_owner(const struct directory *directory, struct port *port,
                                 const struct directory_owner *owner, char *why, size_t why_size);

/* Gives back the lock. */
void directory_close(struct directory *directory, struct port *port);

/* Reads a whole file of at most `size_most` bytes; to be freed with memory_free. False: there is
 * none, or it can't be read. */
bool directory_read_file(const struct directory *directory, struct port *port, const char *name,
                         int64_t size_most, struct bytes *ret_text);

/* Writes a small file whole: under a temporary name, flushed, renamed, the rename flushed. */
enum error directory_write_file(const struct directory *directory, struct port *port,
                                const char *name, const char *text);

/* Flushes its names. */
enum error directory_flush(const struct directory *directory, struct port *port);

/* Marks the directory as stopped in order, flushed. */
enum error directory_mark_clean(const struct directory *directory, struct port *port);

/* Makes the mark of a clean stop that of a running broker, flushed; at every start. *ret_unmarked:
 * there is neither, so if anything lies there its last user was a Kafka node that died, or a
 * version of ours that had no such mark. */
enum error directory_unmark_clean(const struct directory *directory, struct port *port,
                                  bool *ret_unmarked);

/* Marks it as a running broker's, flushed: once nothing is left to be done that rests on its being
 * unmarked. */
enum error directory_mark_running(const struct directory *directory, struct port *port);
