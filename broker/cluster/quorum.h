#pragma once
/* The quorum of the metadata log as its control records say (KIP-595, KIP-853): a single node is
 * its only voter. The log that this broker begins starts with a control batch of the three that
 * Kafka asks for: LeaderChange, KRaftVersion 1 and Voters, so that a Kafka node with the ids of
 * meta.properties, wherever its controllers listen, finds itself the leader. Of a log that another
 * began they are kept as they lie there, for the snapshots. Pure, but for what it owns. Invariants
 *  1. The epoch never goes back: it is that of the last batch in the log or of quorum-state, the
 *     larger one. One node alone needs no new one at each start.
 *  2. Only a log in which nothing lies is founded. */
#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "protocol/batch.h"
#include <stdbool.h>

#define QUORUM_STATE_FILE "quorum-state"

enum { QUORUM_STATE_BYTES = 256, QUORUM_VOTERS_MAX = 32 };

/* Types of the log's control records; the key is int16 version 0, int16 type. */
enum control_type {
    CONTROL_LEADER_CHANGE = 2,
    CONTROL_SNAPSHOT_HEADER = 3,
    CONTROL_SNAPSHOT_FOOTER = 4,
    CONTROL_KRAFT_VERSION = 5,
    CONTROL_VOTERS = 6,
};

struct quorum {
    int32_t epoch;         /* of the leader, which is this node */
    int16_t kraft_version; /* 0: the voters are in the settings of each node, not in the log */
    bool is_founded;       /* the log holds something, or a snapshot of it does */
    uint8_t *voters;       /* the newest VotersRecord; owned; null: none */
    int32_t voters_size;
    int32_t voter_ids[QUORUM_VOTERS_MAX]; /* as they or the last LeaderChange say */
    int32_t voter_count;
};

/* Who founds one: this node, and where its controller would be asked. Borrowed. */
struct quorum_founder {
    int32_t node_id;
    struct uuid directory_id; /* of the metadata log's directory */
    struct string listener, host;
    uint16_t port;
};

void quorum_init(struct quorum *quorum);
void quorum_done(struct quorum *quorum);

/* Takes what a record of a control batch says. A type that is not known says nothing. MALFORMED: it
 * can't be read. */
enum error quorum_note(struct quorum *quorum, struct arena *arena, const struct record *record);

/* An epoch that was met in the log, in a snapshot's name or in quorum-state. */
void quorum_note_epoch(struct quorum *quorum, int32_t epoch);

/* A voter that is not `node_id`; -1: there is none. */
int32_t quorum_other_voter(const struct quorum *quorum, int32_t node_id);

/* Founds it: the control batch with which the log is to begin, in the arena, and the same noted.
 * NO_MEMORY. */
enum error quorum_found(struct quorum *quorum, const struct quorum_founder *founder,
                        int64_t time_ms, struct arena *arena, struct bytes *ret_batch);

/* One control record: its value is encoded by table. */
struct control {
    enum control_type type;
    const struct message *message;
    const void *value;
};

/* A control batch of `count` records in the arena, with the fields' offset and epoch. NO_MEMORY. */
enum error control_encode(struct arena *arena, const struct control *controls, int32_t count,
                          int64_t time_ms, const struct batch_fields *fields,
                          struct bytes *ret_batch);

/* KRaftVersion and Voters as Kafka has them in the first batch of a snapshot, into `controls`:
 * their number is returned, 0 where the log has none. They borrow from the quorum and the arena. */
int32_t quorum_controls(const struct quorum *quorum, struct arena *arena,
                        struct control controls[2]);

/* The text of quorum-state, in which Kafka's Raft keeps epoch and leader: into text[], terminated.
 */
void quorum_state_encode(const struct quorum *quorum, int32_t node_id,
                         char text[QUORUM_STATE_BYTES]);

/* The epoch that such a text tells; -1: it tells none. */
int32_t quorum_state_epoch(const char *text);
