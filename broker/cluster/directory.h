#pragma once
/* What marks a log directory as this broker's: `.lock`, `meta.properties`, `.kafka_cleanshutdown`.
 * Kafka's names and formats. All block (port_call). */
#include "cluster/broker.h"

/* Makes the folder if needed, locks it, reads or writes meta.properties: gives the cluster id and
 * refuses another node's directory. */
enum error directory_open(struct broker *broker, struct port *port, char *why, size_t why_size);

/* Writes a small file whole: under a temporary name, flushed, renamed, the rename flushed. */
enum error directory_write_file(struct broker *broker, struct port *port, const char *name,
                                const char *text);

/* Marks the directory as stopped in order, flushed. */
enum error directory_mark_clean(struct broker *broker, struct port *port);

/* Takes the mark away, flushed; at every start. */
enum error directory_unmark_clean(struct broker *broker, struct port *port);
