#pragma once
/* What marks a log directory as this broker's: `.lock`, `meta.properties`, `.kafka_cleanshutdown`.
 * Kafka's names and formats. All block (port_call). */
#include "cluster/broker.h"

/* Makes the folder if needed, locks it, reads or writes meta.properties: gives the cluster id and
 * refuses another node's directory. */
enum error directory_open(struct broker *broker, struct directory *directory, struct port *port,
                          char *why, size_t why_size);

/* Gives back the lock. */
void directory_close(struct directory *directory, struct port *port);

/* Writes a small file whole: under a temporary name, flushed, renamed, the rename flushed. */
enum error directory_write_file(const struct directory *directory, struct port *port,
                                const char *name, const char *text);

/* Marks the directory as stopped in order, flushed. */
enum error directory_mark_clean(const struct directory *directory, struct port *port);

/* Takes the mark away, flushed; at every start. */
enum error directory_unmark_clean(const struct directory *directory, struct port *port);
