#pragma once
/* A start's part of the metadata log: reads the newest whole snapshot and the log behind it into
 * the images of all shards, then removes what snapshots have made superfluous. One thread, before
 * any core runs; blocks (port_call). Invariants
 *  1. Nothing is removed unless a whole snapshot, flushed with its name, says the same.
 *  2. No segment is removed that a live journal would write to: a replay must find it.
 *  3. The newest whole snapshot and the newest segment stay.
 * It may be interrupted anywhere: what was not removed is at the next start. */
#include "cluster/broker.h"
#include "cluster/snapshot_file.h"

struct snapshot_entry {
    struct snapshot_id id;
    int64_t size_bytes; /* -1: not known */
    int64_t last_ms;    /* of the last record in it; -1: not known */
};

struct metadata_segment {
    int64_t base_offset, size_bytes; /* -1: not known */
};

/* What was found in the log's folder, and read of it. */
struct metadata_found {
    struct snapshot_entry *snapshots; /* ascending; damaged ones left out */
    struct snapshot_id *damaged;      /* those that were looked at and are not whole */
    struct snapshot_id *parts;        /* begun, and not written to their end */
    struct metadata_segment *segments;
    int32_t snapshot_count, damaged_count, part_count, segment_count;
    int64_t loaded_end; /* end offset of the snapshot that was read; -1: none */
    int64_t last_ms;    /* of the last record; -1: none */
    uint64_t snapshot_bytes, snapshot_records, log_bytes, log_records; /* read and applied */
    char warning[600]; /* a sentence for the operator; empty: none */
};

/* Reads into the images. The newest snapshot that is whole and joins the log counts; damaged ones
 * are passed over with a warning. Recovery must have replayed the log before. An error leaves a
 * sentence in why: file, offset, reason, what to do. A folder that is not there is an empty log.
 * `found` is to be freed with metadata_found_done, also then. */
enum error metadata_load(struct broker *broker, struct port *port, const char *folder,
                         struct metadata_found *found, char *why, size_t why_size);

/* Removes segments and snapshots as metadata.max.retention.bytes and .ms ask, files begun and not
 * ended, and puts damaged snapshots aside. `first_live`: the lowest base of a segment that a live
 * journal names; INT64_MAX: none does. An error: the folder can't be changed. */
enum error metadata_prune(struct broker *broker, struct port *port, const char *folder,
                          struct metadata_found *found, int64_t first_live);

void metadata_found_done(struct metadata_found *found);
