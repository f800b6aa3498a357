#pragma once
/* The files that tell where logs begin whose first segment begins before that: `log-starts-N`, of
 * the logs of core N, and `log-starts`, in which a start of the broker gathers what all of them and
 * the journals that it replays say: logs may have moved to other cores.
 *
 *   0                              the version
 *   1                              how many lines follow
 *   AQIDBAUGBwgJCgsMDQ4PEA 0 4711  topic id, partition, log start offset
 *   crc 89abcdef                   CRC-32C of all before, hexadecimal
 *
 * Topics stand by their ids: what is said of one that is gone means nothing for another of its
 * name. A log start only grows, so of several that are told the largest counts. Kafka's own file,
 * log-start-offset-checkpoint, has names and no CRC: cluster/kafka_starts.h.
 * Functions marked so block (port_call). */
#include "base/bytes.h"
#include "base/error.h"
#include "base/map.h"
#include "reactor/port.h"

#define LOG_STARTS_FILE "log-starts"

struct log_starts {
    struct map map; /* of struct log_start, by topic id and partition */
};

struct log_start {
    struct log_start_key {
        struct uuid topic_id;
        int32_t partition;
    } key;
    int64_t offset;
};

void log_starts_init(struct log_starts *starts);
void log_starts_done(struct log_starts *starts);

/* True: it was not known to begin so late. */
bool log_starts_note(struct log_starts *starts, struct uuid topic_id, int32_t partition,
                     int64_t offset);

/* 0: nothing is told of it. */
int64_t log_starts_get(const struct log_starts *starts, struct uuid topic_id, int32_t partition);

/* Adds what a file says; *ret_news: something was not known. MALFORMED, CHECKSUM: it is damaged. */
enum error log_starts_decode(struct log_starts *starts, struct bytes text, bool *ret_news);

/* The text of a file; the caller's (memory_free). */
struct bytes log_starts_encode(const struct log_starts *starts);

/* Adds what all files of the directory say; *ret_scattered: `log-starts` alone says less. On an
 * error `fault` names the file and says what to do. Blocks. */
enum error log_starts_load(struct log_starts *starts, struct port *port, const char *directory,
                           bool *ret_scattered, char *fault, size_t size);

/* Writes `log-starts` atomically and durably. Blocks. */
enum error log_starts_save(const struct log_starts *starts, struct port *port,
                           const char *directory);
