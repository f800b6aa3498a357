#pragma once
/* `cleaner-offset-checkpoint`, Kafka's file, one in each directory: up to where each of its logs
 * was compacted. It is written at a clean stop and taken away at the start, and counts only if the
 * stop before was clean: an offset that is too high would let a tombstone go before what it hides.
 * After a crash every log begins anew, which costs a pass and nothing else. */
#include "cluster/broker.h"
#include "storage/offset_checkpoint.h"

/* Reads the file, if the directory is marked clean, and removes it. Before directory_unmark_clean.
 * Errors are those of the removal. Blocks. */
enum error cleaned_take(struct directory *directory, struct port *port);

/* Tells every log of the shard, just made, what was read. */
void cleaned_tell(struct shard *shard);

/* Frees what was read. */
void cleaned_forget(struct directory *directory);

/* Writes the directory's file, flushed; all cores have stopped and no log is closed yet. Blocks. */
enum error cleaned_write(const struct broker *broker, int directory, struct port *port);
