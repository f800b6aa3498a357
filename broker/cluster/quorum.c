#include "cluster/quorum.h"
#include "base/memory.h"
#include "base/writer.h"
#include "protocol/messages.h"
#include <stdio.h>
#include <stdlib.h>

enum { RECORD_OVERHEAD = 32, KRAFT_VERSION = 1, CONTROL_KEY_SIZE = 4 };
enum { CONTROL_VERSION = 0 }; /* of all values; Kafka's readers take no other one */

void quorum_init(struct quorum *quorum)
{
    *quorum = (struct quorum){.epoch = 1};
}

void quorum_done(struct quorum *quorum)
{
    memory_free(quorum->voters);
    quorum->voters = NULL;
}

void quorum_note_epoch(struct quorum *quorum, int32_t epoch)
{
    if (epoch > quorum->epoch)
        quorum->epoch = epoch;
}

/* ---- reading ------------------------------------------------------------------------------ */

static void keep_voters(struct quorum *quorum, struct bytes value)
{
    memory_free(quorum->voters);
    quorum->voters_size = value.size > 0 ? value.size : 0;
    quorum->voters = memory_zeroed((size_t)quorum->voters_size + 1);
    if (quorum->voters_size > 0)
        memcpy(quorum->voters, value.data, (size_t)quorum->voters_size);
}

static enum error decode(const struct message *message, struct bytes value, struct arena *arena,
                         void *ret)
{
    struct reader reader;
    reader_init(&reader, value.data, value.size > 0 ? (size_t)value.size : 0);
    return message_decode(message, CONTROL_VERSION, &reader, arena, ret);
}

static void add_voter(struct quorum *quorum, int32_t id)
{
    if (quorum->voter_count < QUORUM_VOTERS_MAX)
        quorum->voter_ids[quorum->voter_count++] = id;
}

static enum error note_voters(struct quorum *quorum, struct arena *arena, struct bytes value)
{
    struct voters_record voters;
    enum error error = decode(&voters_record_message, value, arena, &voters);
    if (error)
        return error;
    keep_voters(quorum, value);
    quorum->voter_count = 0;
    for (int32_t i = 0; i < voters.voters_count; i++)
        add_voter(quorum, voters.voters[i].voter_id);
    return ERROR_NONE;
}

/* It names them also where they are in the settings of each node. */
static enum error note_leader(struct quorum *quorum, struct arena *arena, struct bytes value)
{
    struct leader_change_message change;
    enum error error = decode(&leader_change_message_message, value, arena, &change);
    if (error)
        return error;
    quorum->voter_count = 0;
    for (int32_t i = 0; i < change.voters_count; i++)
        add_voter(quorum, change.voters[i].voter_id);
    return ERROR_NONE;
}

int32_t quorum_other_voter(const struct quorum *quorum, int32_t node_id)
{
    for (int32_t i = 0; i < quorum->voter_count; i++)
        if (quorum->voter_ids[i] != node_id)
            return quorum->voter_ids[i];
    return -1;
}

enum error quorum_note(struct quorum *quorum, struct arena *arena, const struct record *record)
{
    struct k_raft_version_record version;
    if (record->key.size < CONTROL_KEY_SIZE)
        return ERROR_MALFORMED;
    enum error error = ERROR_NONE;
    switch (load_be16(record->key.data + 2)) {
    case CONTROL_KRAFT_VERSION:
        error = decode(&k_raft_version_record_message, record->value, arena, &version);
        if (!error)
            quorum->kraft_version = version.k_raft_version;
        break;
    case CONTROL_VOTERS:
        error = note_voters(quorum, arena, record->value);
        break;
    case CONTROL_LEADER_CHANGE:
        error = note_leader(quorum, arena, record->value);
        break;
    }
    return error;
}

/* ---- control batches ----------------------------------------------------------------------- */

/* What a value of VotersRecord is kept as lies there already encoded. */
static enum error encode_value(const struct control *control, uint8_t *data, size_t capacity,
                               struct bytes *ret)
{
    struct writer writer;
    if (!control->message) {
        *ret = *(const struct bytes *)control->value;
        return ERROR_NONE;
    }
    writer_init(&writer, data, capacity);
    enum error error = message_encode(control->message, CONTROL_VERSION, &writer, control->value);
    *ret = (struct bytes){data, (int32_t)writer.size};
    return error;
}

static size_t value_size(const struct control *control)
{
    if (!control->message)
        return (size_t)((const struct bytes *)control->value)->size;
    return message_size(control->message, CONTROL_VERSION, control->value);
}

enum error control_encode(struct arena *arena, const struct control *controls, int32_t count,
                          int64_t time_ms, const struct batch_fields *fields,
                          struct bytes *ret_batch)
{
    size_t capacity = BATCH_RECORDS_AT, largest = 0;
    for (int32_t i = 0; i < count; i++) {
        size_t size = value_size(&controls[i]);
        largest = size > largest ? size : largest;
        capacity += size + RECORD_OVERHEAD;
    }
    uint8_t *data = arena_take(arena, capacity), *value = arena_take(arena, largest + 1);
    if (!data || !value)
        return ERROR_NO_MEMORY;
    struct batch_builder builder;
    batch_builder_init(&builder, data, capacity);
    for (int32_t i = 0; i < count; i++) {
        uint8_t key[CONTROL_KEY_SIZE];
        store_be16(key, 0);
        store_be16(key + 2, (uint16_t)controls[i].type);
        struct record record = {.timestamp = time_ms, .key = {key, sizeof key}};
        enum error error = encode_value(&controls[i], value, largest, &record.value);
        if (!error)
            error = batch_builder_add(&builder, &record);
        if (error)
            return error;
    }
    struct batch_fields control_fields = *fields;
    control_fields.attributes |= BATCH_CONTROL;
    batch_builder_end(&builder, &control_fields);
    *ret_batch = (struct bytes){builder.data, (int32_t)builder.size_bytes};
    return ERROR_NONE;
}

int32_t quorum_controls(const struct quorum *quorum, struct arena *arena,
                        struct control controls[2])
{
    struct k_raft_version_record *version = arena_take(arena, sizeof *version);
    struct bytes *voters = arena_take(arena, sizeof *voters);
    if (quorum->kraft_version == 0 || !quorum->voters || !version || !voters)
        return 0;
    message_set_defaults(&k_raft_version_record_message, version);
    version->k_raft_version = quorum->kraft_version;
    *voters = (struct bytes){quorum->voters, quorum->voters_size};
    controls[0] = (struct control){CONTROL_KRAFT_VERSION, &k_raft_version_record_message, version};
    controls[1] = (struct control){CONTROL_VOTERS, NULL, voters};
    return 2;
}

/* ---- founding ------------------------------------------------------------------------------ */

/* The VotersRecord with this node alone, encoded, as what is kept. */
static enum error write_voters(struct quorum *quorum, const struct quorum_founder *founder)
{
    struct voters_record voters;
    struct voters_record_voter voter;
    struct voters_record_endpoint endpoint;
    uint8_t data[1024];
    struct writer writer;
    message_set_defaults(&voters_record_message, &voters);
    message_set_defaults(&voters_record_voter_message, &voter);
    message_set_defaults(&voters_record_endpoint_message, &endpoint);
    endpoint.name = founder->listener;
    endpoint.host = founder->host;
    endpoint.port = founder->port;
    voter.voter_id = founder->node_id;
    voter.voter_directory_id = founder->directory_id;
    voter.endpoints = &endpoint;
    voter.endpoints_count = 1;
    voter.k_raft_version_feature.max_supported_version = KRAFT_VERSION;
    voters.voters = &voter;
    voters.voters_count = 1;
    writer_init(&writer, data, sizeof data);
    enum error error = message_encode(&voters_record_message, CONTROL_VERSION, &writer, &voters);
    if (!error)
        keep_voters(quorum, (struct bytes){data, (int32_t)writer.size});
    return error;
}

enum error quorum_found(struct quorum *quorum, const struct quorum_founder *founder,
                        int64_t time_ms, struct arena *arena, struct bytes *ret_batch)
{
    struct leader_change_message change;
    struct leader_change_message_voter voter;
    enum error error = write_voters(quorum, founder);
    if (error)
        return error;
    quorum->kraft_version = KRAFT_VERSION;
    quorum->is_founded = true;
    message_set_defaults(&leader_change_message_message, &change);
    message_set_defaults(&leader_change_message_voter_message, &voter);
    voter.voter_id = change.leader_id = founder->node_id;
    change.voters = change.granting_voters = &voter;
    change.voters_count = change.granting_voters_count = 1;
    struct control controls[3] = {{CONTROL_LEADER_CHANGE, &leader_change_message_message, &change}};
    int32_t count = 1 + quorum_controls(quorum, arena, controls + 1);
    if (count != 3)
        return ERROR_NO_MEMORY;
    return control_encode(arena, controls, count, time_ms, &BATCH_FIELDS_PLAIN, ret_batch);
}

/* ---- quorum-state -------------------------------------------------------------------------- */

void quorum_state_encode(const struct quorum *quorum, int32_t node_id,
                         char text[QUORUM_STATE_BYTES])
{
    if (quorum->kraft_version > 0)
        snprintf(text, QUORUM_STATE_BYTES,
                 "{\"leaderId\":%d,\"leaderEpoch\":%d,\"votedId\":-1,"
                 "\"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"data_version\":1}",
                 node_id, quorum->epoch);
    else
        snprintf(text, QUORUM_STATE_BYTES,
                 "{\"clusterId\":\"\",\"leaderId\":%d,\"leaderEpoch\":%d,\"votedId\":-1,"
                 "\"appliedOffset\":0,\"currentVoters\":[{\"voterId\":%d}],\"data_version\":0}",
                 node_id, quorum->epoch, node_id);
}

int32_t quorum_state_epoch(const char *text)
{
    static const char key[] = "\"leaderEpoch\":";
    const char *at = strstr(text, key);
    if (!at)
        return -1;
    char *end;
    long epoch = strtol(at + sizeof key - 1, &end, 10);
    return end == at + sizeof key - 1 || epoch < 0 || epoch > INT32_MAX ? -1 : (int32_t)epoch;
}
