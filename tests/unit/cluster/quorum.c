/* The control records of the metadata log, as Kafka's DumpLogSegments reads them. */
#include "cluster/quorum.h"
#include "cluster/snapshot_file.h"
#include "protocol/messages.h"
#include "support/test.h"

static const struct quorum_founder founder = {.node_id = 7,
                                              .directory_id = {{1, 2, 3}},
                                              .listener = {"CONTROLLER", 10},
                                              .host = {"localhost", 9},
                                              .port = 9093};

/* All records of a control batch noted. */
static enum error note_all(struct quorum *quorum, struct arena *arena, struct bytes data,
                           uint16_t types[8], int32_t *ret_count)
{
    struct batch batch;
    struct batch_iterator iterator;
    struct record record;
    EQ(batch_view(data.data, (size_t)data.size, &batch), ERROR_NONE);
    EQ(batch_check_crc(&batch), ERROR_NONE);
    EQ(batch.attributes, BATCH_CONTROL);
    EQ(batch_iterate(&batch, NULL, &iterator), ERROR_NONE);
    *ret_count = 0;
    while (batch_next(&iterator, &record)) {
        types[(*ret_count)++] = load_be16(record.key.data + 2);
        enum error error = quorum_note(quorum, arena, &record);
        if (error)
            return error;
    }
    EQ(iterator.reader.error, ERROR_NONE);
    return ERROR_NONE;
}

TEST(quorum, is_founded_with_this_node_as_its_only_voter)
{
    struct quorum quorum, read;
    struct arena arena;
    struct bytes batch;
    uint16_t types[8];
    int32_t count;
    arena_init(&arena, 1 << 20);
    quorum_init(&quorum);
    quorum_init(&read);
    EQ(quorum.epoch, 1);
    TRUE_(!quorum.is_founded);
    EQ(quorum_found(&quorum, &founder, 1000, &arena, &batch), ERROR_NONE);
    TRUE_(quorum.is_founded);
    EQ(note_all(&read, &arena, batch, types, &count), ERROR_NONE);
    EQ(count, 3);
    EQ(types[0], CONTROL_LEADER_CHANGE);
    EQ(types[1], CONTROL_KRAFT_VERSION);
    EQ(types[2], CONTROL_VOTERS);
    EQ(quorum_other_voter(&read, 7), -1);
    EQ(quorum_other_voter(&read, 1), 7);
    EQ(read.kraft_version, 1);
    EQ(read.voters_size, quorum.voters_size);
    EQ_BYTES(read.voters, quorum.voters, (size_t)quorum.voters_size);
    struct voters_record voters;
    struct reader reader;
    reader_init(&reader, read.voters, (size_t)read.voters_size);
    EQ(message_decode_whole(&voters_record_message, 0, &reader, &arena, &voters), ERROR_NONE);
    EQ(voters.voters_count, 1);
    EQ(voters.voters[0].voter_id, 7);
    TRUE_(uuid_equal(voters.voters[0].voter_directory_id, founder.directory_id));
    EQ(voters.voters[0].k_raft_version_feature.max_supported_version, 1);
    EQ(voters.voters[0].endpoints[0].port, 9093);
    quorum_done(&quorum);
    quorum_done(&read);
    arena_done(&arena);
}

TEST(quorum, lies_in_the_first_batch_of_a_snapshot)
{
    struct quorum quorum, read;
    struct arena arena;
    struct bytes batch;
    uint16_t types[8];
    int32_t count;
    arena_init(&arena, 1 << 20);
    quorum_init(&quorum);
    quorum_init(&read);
    EQ(snapshot_encode_header(&arena, &quorum, 3, 1000, &batch), ERROR_NONE);
    EQ(note_all(&read, &arena, batch, types, &count), ERROR_NONE);
    EQ(count, 1); /* of a log whose voters are in the settings */
    EQ(quorum_found(&quorum, &founder, 1000, &arena, &batch), ERROR_NONE);
    EQ(snapshot_encode_header(&arena, &quorum, 3, 1000, &batch), ERROR_NONE);
    EQ(snapshot_header_time(batch.data, (size_t)batch.size), 1000);
    EQ(note_all(&read, &arena, batch, types, &count), ERROR_NONE);
    EQ(count, 3);
    EQ(types[0], CONTROL_SNAPSHOT_HEADER);
    EQ(types[1], CONTROL_KRAFT_VERSION);
    EQ(types[2], CONTROL_VOTERS);
    EQ(read.kraft_version, 1);
    EQ_BYTES(read.voters, quorum.voters, (size_t)quorum.voters_size);
    quorum_done(&quorum);
    quorum_done(&read);
    arena_done(&arena);
}

TEST(quorum, refuses_a_control_record_that_is_cut)
{
    static const uint8_t key[] = {0, 0, 0, CONTROL_VOTERS}, value[] = {0, 0, 2, 0};
    struct quorum quorum;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    quorum_init(&quorum);
    struct record record = {.key = {key, 3}, .value = {value, sizeof value}};
    EQ(quorum_note(&quorum, &arena, &record), ERROR_MALFORMED);
    record.key.size = 4;
    TRUE_(quorum_note(&quorum, &arena, &record) != ERROR_NONE);
    TRUE_(!quorum.voters);
    quorum_done(&quorum);
    arena_done(&arena);
}

TEST(quorum, state_is_kafkas_in_both_versions)
{
    struct quorum quorum;
    char text[QUORUM_STATE_BYTES];
    quorum_init(&quorum);
    quorum_note_epoch(&quorum, 5);
    quorum_note_epoch(&quorum, 4);
    EQ(quorum.epoch, 5);
    quorum_state_encode(&quorum, 7, text);
    EQ_TEXT(text, "{\"clusterId\":\"\",\"leaderId\":7,\"leaderEpoch\":5,\"votedId\":-1,"
                  "\"appliedOffset\":0,\"currentVoters\":[{\"voterId\":7}],\"data_version\":0}");
    EQ(quorum_state_epoch(text), 5);
    quorum.kraft_version = 1;
    quorum_state_encode(&quorum, 7, text);
    EQ_TEXT(text, "{\"leaderId\":7,\"leaderEpoch\":5,\"votedId\":-1,"
                  "\"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"data_version\":1}");
    EQ(quorum_state_epoch(text), 5);
    EQ(quorum_state_epoch(""), -1);
    EQ(quorum_state_epoch("{\"leaderEpoch\":-1}"), -1);
    EQ(quorum_state_epoch("{\"leaderEpoch\":x}"), -1);
    EQ(quorum_state_epoch("{\"leaderEpoch\":99999999999}"), -1);
    quorum_done(&quorum);
}
