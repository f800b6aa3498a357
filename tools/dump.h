#pragma once
/* `bole dump`: the broker's files in readable form, one event a line, each line beginning with what
 * it is: file, batch, record, entry, anchor, block, bind, append, end; and the judgements:
 *
 *   sound PATH what it holds
 *   left  PATH position=N reason="..."    not judged: the next start writes or cuts these bytes
 *   fault PATH position=N reason="..."    damage
 *
 * With --verify only the judgements are printed. With a form (-F) the records of segments and of
 * what was set aside are written to stdout, and the judgements to stderr. Invariants
 *  1. Nothing is written to the files, and nothing locked: of a running broker's directory the
 *     journal's live part may move while it is read, and faults may be found that are none.
 *  2. Of a data directory the journals are read first. Bytes behind the first place that a live
 *     journal gives to a log are recovery's to write again (storage/recovery.h), so what is wrong
 *     there is `left`, and what is wrong before it is a fault. */
#include "base/bytes.h"
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct port;
struct format_record;
struct text;

/* Where the live journals begin to hold a log. */
struct dump_redo {
    struct uuid topic_id;
    int32_t partition;
    int64_t segment_base;
    int64_t position;
};

struct dump {
    FILE *out;
    bool is_verify;
    void (*write_record)(const struct format_record *record, struct text *text); /* null: no form */
    FILE *records;       /* where they go then */
    int64_t from_offset; /* only records from there on are written or printed */
    int64_t faults;      /* in all */
    int64_t file_faults; /* since dump_begin */
    struct port *port;   /* opened for the first journal; or null */
    struct dump_redo *redos;
    int redo_count, redo_capacity;
    /* of the folder at work */
    bool has_journals;            /* those of its data directory have been read */
    bool is_metadata_log;         /* its values are records of KRaft */
    bool is_aside;                /* what is read was set aside */
    const struct dump_redo *redo; /* of its log; null: the journals hold nothing of it */
    int64_t previous_end;         /* offset behind the segment before; 0: none */
};

/* --- judgements and events (dump.c) ----------------------------------------------------------- */

/* Begins with a file: prints its line unless is_verify. */
void dump_begin(struct dump *dump, const char *path);
void dump_event(struct dump *dump, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `position` -1: of the file as a whole. */
void dump_fault(struct dump *dump, const char *path, int64_t position, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void dump_left(struct dump *dump, const char *path, int64_t position, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Ends with a file: says that it is sound, and what it holds, if no fault was found in it. */
void dump_end(struct dump *dump, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- a file being read (dump_file.c) ---------------------------------------------------------- */

struct dump_file {
    int descriptor;
    int64_t size;
    uint8_t *window; /* bytes of the file from window_from on */
    int64_t window_from, window_size, window_capacity;
};

/* False, and a fault unless `dump` is null, if it can't be opened. dump_file_close in any case. */
bool dump_file_open(struct dump *dump, struct dump_file *file, const char *path);
void dump_file_close(struct dump_file *file);

/* `size` bytes at `position`, borrowed until the next call; null if the file has fewer. */
const uint8_t *dump_file_at(struct dump_file *file, int64_t position, int64_t size);

/* Are all bytes from `position` to the end zero? */
bool dump_file_is_zero(struct dump_file *file, int64_t position);

/* --- by kind: false if that is not the kind of file its name says ------------------------------
 */

/* Prints and judges one file or folder by its name; false if the name is of no kind known here. */
bool dump_path(struct dump *dump, const char *path);

void dump_segment(struct dump *dump, const char *path, int64_t base_offset);
void dump_index(struct dump *dump, const char *path, int64_t base_offset);
void dump_producer_snapshot(struct dump *dump, const char *path, int64_t offset);
void dump_txn_index(struct dump *dump, const char *path, int64_t base_offset);
void dump_time_index(struct dump *dump, const char *path, int64_t base_offset);
void dump_sidecar(struct dump *dump, const char *path, int64_t base_offset);
void dump_epochs(struct dump *dump, const char *path);
/* Of the metadata log, whole, begun or put aside; false if the name is of none. */
bool dump_snapshot(struct dump *dump, const char *path);
void dump_journal(struct dump *dump, const char *path);
void dump_aside(struct dump *dump, const char *path);
void dump_partition_metadata(struct dump *dump, const char *path);
void dump_meta_properties(struct dump *dump, const char *path);
/* `says`: what it stands for. */
void dump_mark(struct dump *dump, const char *path, const char *says);
void dump_offsets(struct dump *dump, const char *path);
/* `log-starts` and `log-starts-N`; false if the name is of none. */
bool dump_log_starts(struct dump *dump, const char *path);

/* Is it the name of such a file: Kafka's, of offsets? */
bool dump_is_offsets(const char *name);
void dump_lock(struct dump *dump, const char *path);
void dump_folder(struct dump *dump, const char *path);

/* The position in a segment from which on the journals hold its bytes; INT64_MAX: nowhere. */
int64_t dump_redo_position(const struct dump *dump, int64_t base_offset);

/* The record batches in `bytes`: prints them, with their records, and judges each. They lie at
 * `position` of the file; offsets are to be `next_offset` or more. Returns the offset behind. */
int64_t dump_batches(struct dump *dump, const char *path, int64_t position, struct bytes bytes,
                     int64_t next_offset, bool with_records);

/* Prints a record of a control batch; false if its key is of no kind that Kafka has. */
struct record;
bool dump_control_record(struct dump *dump, const struct record *record);

/* Frees what a dump holds. */
void dump_done(struct dump *dump);
