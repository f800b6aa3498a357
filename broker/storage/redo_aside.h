#pragma once
/* The part of a replay that keeps what a journal holds of a log whose files it can't be joined with
 * (aside.h), so that the start goes on without that log. Blocks. */
#include "storage/redo.h"

struct journal_entry;

/* After `error`, with its reason in pass->fault: may the log be set aside, as what its files
 * hold is to blame and nothing was written yet? True: it is from now on. A disk that can't be read
 * is another matter: the next start may find all well. */
bool redo_aside_begin(struct redo *redo, enum error error);

/* The place that was bound and could not be opened. */
enum error redo_aside_take_place(struct redo *redo);

/* One more entry of a log that is set aside. */
enum error redo_aside_take(struct redo *redo, const struct journal_entry *entry);

/* Writes the file, and flushes it and its name. A start that was interrupted behind it meets the
 * same files and the same journal, and writes it once more. */
enum error redo_aside_end(struct redo *redo);
