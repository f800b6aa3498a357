#pragma once
/* Small files and folders while a broker starts: all block (port_call). */
#include "base/bytes.h"
#include "base/error.h"
#include "reactor/port.h"

/* A whole file of at most `most_bytes`, a zero behind it; the caller's (memory_free). NOT_FOUND:
 * there is none; MALFORMED: it is larger. */
enum error start_file_read(struct port *port, const char *path, int64_t most_bytes,
                           struct bytes *ret_bytes);

/* Writes it under a temporary name, flushed, and renames that. The name is not flushed yet. */
enum error start_file_write(struct port *port, const char *path, struct bytes bytes);

/* Flushes the names in a folder. */
enum error start_folder_flush(struct port *port, const char *path);
