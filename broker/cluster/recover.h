#pragma once
/* Inside cluster/: the recovery of all log directories at a start (port_call). Each has journals of
 * its own, which speak of its logs only. May be interrupted at any point and done again.
 *
 *   all cores side by side      the first core alone
 *   ----------------------      ---------------------------------------------------------------
 *   read their journals
 *                               replays the metadata log
 *   make whole what a Kafka
 *   node that died has left
 *                               reads the metadata log: it names the others' folders; looks where
 *                               partitions lie
 *   replay their logs, if the
 *   cores or a disk changed
 *                               flushes names, removes what no topic names
 *   open their stores (shard.h) */
#include "cluster/broker.h"
#include "storage/recovery.h"

/* One directory's. */
struct recover {
    struct broker *broker;
    int directory;
    struct recovery recovery;
    struct recovery_halt halt;    /* of the cores that are at work on it */
    bool resumes;                 /* each core may go on with its journal: nothing was replayed */
    struct kafka_taking *takings; /* of each core, while a Kafka node's logs are made whole */
    struct recovery_pass *passes; /* of each core, while logs are replayed */
};

/* Replays the journals, reads the metadata into every shard's image, removes what no topic names.
 * recovers[d] (zeroed, recovery.directory_handle -1) must stay open until the stores have resumed
 * and be closed (recovery_close) in any case. On an error `why` says it. */
enum error recover_all(struct broker *broker, struct recover *recovers,
                       const struct broker_start *start, char *why, size_t why_size);

/* The journal of a core in this directory, if the core is to go on with it; else null. */
struct journal_content *recover_journal(const struct recover *recover, int core);
