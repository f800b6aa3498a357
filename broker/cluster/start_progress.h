#pragma once
/* Inside cluster/: what a start that takes long tells a person meanwhile: lines of the log, the
 * first after a second, then one for each directory every two seconds.
 *
 *   event=recovering directory=data logs=12/1000 journals=2/2 journal_bytes=31457280 seconds=3
 *
 * logs: that are recovered, of those that the journals read so far hold something of; journals:
 * that are read, of all. A directory where nothing is left to do has no line. Any core may count
 * and tell; who finds that a line is due writes it, on its own thread. */
#include "cluster/broker.h"
#include "storage/recovery_progress.h"

struct start_progress {
    int64_t started_ns;
    _Atomic int64_t due_ns; /* of the next lines; monotonic */
    void (*write)(void *owner, const char *line, size_t size);
    void *owner;
    struct broker *broker;
    struct start_directory {
        struct recovery_progress recovery;
        struct start_progress *start;
    } * directories; /* as in broker->directories */
};

/* Once the directories are known. `port`'s clock counts. */
void start_progress_open(struct broker *broker, const struct broker_start *start);
void start_progress_close(struct broker *broker);

/* What to count in for a directory. */
struct recovery_progress *start_progress_of(struct broker *broker, int directory);

/* Records of the metadata log that were read, and may be told. On the thread of `port`. */
void start_progress_metadata(struct broker *broker, struct port *port, uint64_t records);

/* Since the start began. */
int64_t start_progress_ms(const struct broker *broker, struct port *port);
