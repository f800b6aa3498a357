#pragma once
/* The leader epochs of a log that recovery replays: what the file says of the log before the
 * journal's entries, and what those add. Blocks. */
#include "base/bytes.h"
#include "base/error.h"
#include <stdbool.h>

struct redo;

/* Reads the file; with `whole` the journal holds all there is to know. One that is missing or
 * damaged stays away: it is made anew when the log is opened. */
enum error redo_epochs_begin(struct redo *redo, bool whole);

/* Notes batches that are replayed. */
void redo_epochs_note(struct redo *redo, struct bytes batches);

/* Writes the file, atomically, if there is anything new in it. The folder is flushed later. */
enum error redo_epochs_end(struct redo *redo);
