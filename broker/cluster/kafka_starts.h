#pragma once
/* Where a Kafka node has left the log starts: `log-start-offset-checkpoint`, which it writes at its
 * clean stop and now and then, by topic names and without a CRC. A start of ours believes it only
 * if a Kafka node was the last that stopped here in order, as .kafka_cleanshutdown says (a broker
 * epoch, where ours has -1), or died here (cluster/directory.h); from then on our own files tell
 * (storage/log_starts.h). At our clean stop the file is written for Kafka (cluster/offset_files.h).
 *
 *   log-start-offset-checkpoint -> log-starts.kafka -> (the image names the topics) log-starts
 *
 * Each is flushed before the one before it goes, so a start may be cut anywhere. All block. */
#include "cluster/broker.h"

struct recovery;

/* Before the mark of the clean stop is taken away: keeps the file under another name, if a Kafka
 * node has made the mark. */
enum error kafka_starts_keep_clean(const struct directory *directory, struct port *port);

/* The same where a Kafka node has died. */
enum error kafka_starts_keep(const struct directory *directory, struct port *port);

/* Once the image names the topics: what the file says goes into recovery->starts and is saved. */
enum error kafka_starts_take(const struct broker *broker, int directory, struct port *port,
                             struct recovery *recovery);
