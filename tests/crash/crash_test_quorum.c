/* What a Kafka node is to find in our metadata log, and what it leaves there (cluster/quorum.h). */
#include "base/memory.h"
#include "cluster/metadata_log.h"
#include "cluster/partition.h"
#include "crash/place.h"
#include "protocol/batch.h"
#include "protocol/messages.h"
#include "support/test.h"
#include <stdio.h>

#define METADATA_FOLDER "data/__cluster_metadata-0/"

/* Whole into text[size], terminated. */
static int64_t read_text(struct place *place, const char *path, void *text, size_t size)
{
    struct port *port = world_port(place->world, 0, 0);
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_READ};
    int64_t handle = port_call(port, &open), at = 0, got = 1;
    TRUE_(handle >= 0);
    while (handle >= 0 && got > 0) {
        struct op read = {.kind = OP_READ,
                          .handle = (int32_t)handle,
                          .data = (uint8_t *)text + at,
                          .size = size - 1 - (size_t)at,
                          .offset = at};
        got = port_call(port, &read);
        at += max_i64(got, 0);
    }
    ((char *)text)[at] = 0;
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(port, &close);
    return at;
}

static void write_text(struct place *place, const char *path, const char *text)
{
    struct port *port = world_port(place->world, 0, 0);
    struct op open = {.kind = OP_OPEN, .path = path, .flags = OPEN_WRITE};
    int64_t handle = port_call(port, &open);
    struct iovec vector = {(void *)(uintptr_t)text, strlen(text)};
    struct op write = {
        .kind = OP_WRITE, .handle = (int32_t)handle, .vectors = &vector, .vector_count = 1};
    EQ(port_call(port, &write), strlen(text));
    struct op close = {.kind = OP_CLOSE, .handle = (int32_t)handle};
    (void)port_call(port, &close);
}

/* Of the batches in `data`: the types of the first one's control records, as digits, and whether
 * the last record of all fences node 1. */
static bool judge_log(const uint8_t *data, int64_t size, char types[16])
{
    bool fenced = false;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (int64_t at = 0; at < size;) {
        struct batch batch;
        struct batch_iterator iterator;
        struct record record;
        EQ(batch_view(data + at, (size_t)(size - at), &batch), ERROR_NONE);
        EQ(batch_iterate(&batch, NULL, &iterator), ERROR_NONE);
        for (int32_t i = 0; batch_next(&iterator, &record) && i < 8; i++) {
            struct metadata_value value;
            if (batch.attributes & BATCH_CONTROL) {
                snprintf(types + i, 2, "%d", load_be16(record.key.data + 2));
                continue;
            }
            EQ(metadata_log_decode(record.value, &arena, &value), ERROR_NONE);
            const struct broker_registration_change_record *change = value.value;
            fenced = value.message == &broker_registration_change_record_message &&
                     change->broker_id == 1 && change->fenced == 1;
        }
        at += batch.whole.size;
    }
    arena_done(&arena);
    return fenced;
}

TEST(quorum, is_left_as_a_kafka_node_wants_it_and_goes_on_at_its_epoch)
{
    enum { BYTES = 1 << 16 };
    struct place place;
    char types[16] = "", *text = memory_zeroed(BYTES);
    place_init_metadata(&place, 9, NULL);
    place.settings.metadata_log_segment_bytes = BYTES;
    TRUE_(place_boot(&place));
    EQ(place.broker.metadata->leader_epoch, 1);
    place_stop(&place);
    world_start(place.world, 0);
    int64_t size = read_text(&place, METADATA_FOLDER "00000000000000000000.log", text, BYTES);
    TRUE_(judge_log((const uint8_t *)text, size, types));
    EQ_TEXT(types, "256"); /* leader change, version, voters; once */
    read_text(&place, METADATA_FOLDER "quorum-state", text, BYTES);
    EQ(quorum_state_epoch(text), 1);
    TRUE_(strstr(text, "\"data_version\":1"));
    write_text(&place, METADATA_FOLDER "quorum-state", "{\"leaderId\":1,\"leaderEpoch\":8, ");
    TRUE_(place_boot(&place));
    EQ(place.broker.metadata->leader_epoch, 8);
    EQ(place.broker.quorum.kraft_version, 1);
    TRUE_(!image_broker(&place.broker.shards[1].image, 1)->is_fenced);
    place_stop(&place);
    TRUE_(place_boot(&place)); /* the log says it too, and keeps it */
    EQ(place.broker.metadata->leader_epoch, 8);
    place_stop(&place);
    place_done(&place);
    memory_free(text);
}

static void ensure_running(struct place *place)
{
    if (!place->world->machines[0]->running)
        world_start(place->world, 0);
}

static void make_folder(struct place *place, const char *path)
{
    struct op op = {.kind = OP_MAKE_DIRECTORY, .path = path};
    EQ(port_call(world_port(place->world, 0, 0), &op), 0);
}

static bool is_there(struct place *place, const char *path)
{
    struct file_stat stat;
    struct op op = {.kind = OP_STAT, .path = path, .data = &stat};
    return port_call(world_port(place->world, 0, 0), &op) >= 0;
}

TEST(quorum, of_a_directory_whose_partitions_nothing_names_is_not_founded)
{
    struct place place;
    place_init_metadata(&place, 10, NULL);
    ensure_running(&place);
    make_folder(&place, "data");
    make_folder(&place, "data/old-0");
    TRUE_(!place_boot(&place));
    TRUE_(strstr(place.why, "data has partitions (old-0), and there is no metadata log"));
    ensure_running(&place);
    TRUE_(is_there(&place, "data/old-0"));
    place_done(&place);
}

TEST(quorum, removes_what_a_kafka_node_has_renamed_to_remove_it)
{
    static const char folder[] = "data/gone-0.1d4b0d40704541dfb4fc10970fa16dcb-delete";
    struct place place;
    place_init_metadata(&place, 11, NULL);
    TRUE_(place_boot(&place));
    place_stop(&place);
    ensure_running(&place);
    make_folder(&place, folder);
    make_folder(&place, "data/gone-0.1d4b0d40704541dfb4fc10970fa16dcb-stray");
    TRUE_(place_boot(&place));
    TRUE_(!is_there(&place, folder));
    TRUE_(is_there(&place, "data/gone-0.1d4b0d40704541dfb4fc10970fa16dcb-stray"));
    place_stop(&place);
    place_done(&place);
}
