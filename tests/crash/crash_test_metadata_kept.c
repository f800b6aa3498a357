/* What a Kafka node has written into the metadata log and nothing here acts on: it outlives
 * snapshots, pruning and crashes (logic/image_kept.h), and so do Kafka's transactions of metadata
 * (cluster/metadata_transaction.h). The records are written by the machine here: in the log they
 * are the same. */
#include "base/check.h"
#include "base/memory.h"
#include "cluster/machine.h"
#include "cluster/metadata_load.h"
#include "cluster/snapshots.h"
#include "crash/golden.h"
#include "crash/place.h"
#include "logic/image_kept.h"
#include "protocol/messages.h"
#include "sim/disk_record.h"
#include "storage/redo.h"
#include "storage/segment.h"
#include "support/test.h"
#include <stdio.h>

/* ---- writing -------------------------------------------------------------------------------- */

/* Records that are written as one change of metadata. */
struct asking {
    struct flow flow;
    struct machine_request request;
    struct arena arena;
    struct broker *broker;
    void (*write)(struct record_list *records, int64_t number);
    int64_t number;
    bool ended;
};

static void decide(struct machine_request *request, const struct image *image)
{
    (void)image;
    struct asking *asking = CONTAINER_OF(request, struct asking, request);
    asking->write(&request->records, asking->number);
}

static enum step ask_start(struct flow *flow)
{
    struct asking *asking = CONTAINER_OF(flow, struct asking, flow);
    asking->request = (struct machine_request){.handle = decide, .arena = &asking->arena};
    machine_start(&asking->request, &asking->broker->shards[0], flow);
    return STEP_NEXT;
}

static enum step ask_end(struct flow *flow)
{
    CONTAINER_OF(flow, struct asking, flow)->ended = true;
    return STEP_NEXT;
}

static const struct flow_kind ask_flow = {"ask", {{"start", ask_start}, {"end", ask_end}}};

static bool has_ended(void *argument)
{
    return ((const struct asking *)argument)->ended;
}

static void write_records(struct place *place,
                          void (*write)(struct record_list *records, int64_t number),
                          int64_t number)
{
    struct asking asking = {.broker = &place->broker, .write = write, .number = number};
    arena_init(&asking.arena, 1 << 20);
    flow_start(&asking.flow, &ask_flow, &place->broker.shards[0].core);
    world_notice(place->world, &place->broker.shards[0].core);
    TRUE_(world_run(place->world, (struct world_stop){has_ended, &asking, PLACE_EVENTS_MAX, 0}));
    EQ(asking.request.error, ERROR_NONE);
    arena_done(&asking.arena);
}

/* Lets time pass: what is due is drained and flushed. */
static void rest(struct place *place)
{
    (void)world_run(place->world, (struct world_stop){.for_ns = 30000000000});
}

/* ---- what is written ------------------------------------------------------------------------ */

static void write_credential(struct record_list *records, const char *name, int32_t iterations)
{
    struct user_scram_credential_record *record =
        record_list_add(records, &user_scram_credential_record_message);
    record->name = string_of(name);
    record->mechanism = 2;
    record->iterations = iterations;
    record->salt = record->stored_key = record->server_key =
        (struct bytes){(const uint8_t *)"sixteen bytes...", 16};
}

static void drop_credential(struct record_list *records, const char *name)
{
    struct remove_user_scram_credential_record *record =
        record_list_add(records, &remove_user_scram_credential_record_message);
    record->name = string_of(name);
    record->mechanism = 2;
}

/* The round of that number: something of each kind, of which some replaces what was there, and some
 * takes it back. */
static void write_round(struct record_list *records, int64_t number)
{
    static const char *const users[] = {"ada", "bob", "cleo"};
    write_credential(records, users[number % 3], 4096 + (int32_t)number);
    if (number % 4 == 3)
        drop_credential(records, users[(number + 1) % 3]);
    struct access_control_entry_record *acl =
        record_list_add(records, &access_control_entry_record_message);
    acl->id = (struct uuid){{(uint8_t)(1 + number % 5)}};
    acl->resource_name = STRING("t1");
    acl->principal = STRING("User:ada");
    acl->host = STRING("*");
    acl->operation = (int8_t)(number % 10);
    if (number % 3 == 2) {
        struct remove_access_control_entry_record *no_acl =
            record_list_add(records, &remove_access_control_entry_record_message);
        no_acl->id = (struct uuid){{(uint8_t)(1 + (number + 2) % 5)}};
    }
    struct config_record *config = record_list_add(records, &config_record_message);
    config->resource_type = 4;
    config->resource_name = number % 2 ? STRING("1") : STRING("");
    config->name = STRING("log.cleaner.threads");
    config->value = number % 7 == 6 ? STRING_NULL : STRING("2");
    static struct client_quota_record_entity_data entity; /* read only, once it is filled in */
    message_set_defaults(&client_quota_record_entity_data_message, &entity);
    entity.entity_type = STRING("user");
    struct client_quota_record *quota = record_list_add(records, &client_quota_record_message);
    quota->entity = &entity;
    quota->entity_count = 1;
    quota->key = STRING("consumer_byte_rate");
    quota->value = (double)number + 0.5;
    quota->remove = number % 6 == 5;
    struct register_controller_record *controller =
        record_list_add(records, &register_controller_record_message);
    controller->controller_id = 1;
    controller->incarnation_id = (struct uuid){{(uint8_t)number}};
}

/* What is kept after so many rounds. */
static void keep_rounds(struct image_kept *kept, int64_t rounds)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    image_kept_init(kept, 5);
    for (int64_t number = 0; number < rounds; number++) {
        struct record_list records;
        record_list_init(&records, &arena);
        write_round(&records, number);
        for (const struct metadata_record *record = records.first; record; record = record->next)
            TRUE_(image_keep(kept, record->message->key, record->value));
        arena_reset(&arena, 1 << 20);
    }
    arena_done(&arena);
}

/* After `rounds` of them, or with the next one too; on all cores, and what decides. */
static bool holds(struct place *place, int64_t rounds)
{
    bool found = false;
    for (int64_t more = 0; more < 2 && !found; more++) {
        struct image_kept kept;
        keep_rounds(&kept, rounds + more);
        found = image_kept_same(&kept, &place->broker.shards[0].image.kept);
        image_kept_done(&kept);
    }
    return found && image_same(&place->broker.shards[0].image, &place->broker.shards[1].image) &&
           image_same(&place->broker.shards[0].image, &place->broker.machine.decided);
}

static enum error note_segment(void *context, char kind, const char *name)
{
    int64_t base, *first = context;
    if (kind == 'f' && segment_name_parse(name, ".log", &base))
        *first = min_i64(*first, base);
    return ERROR_NONE;
}

static int64_t first_segment(struct place *place)
{
    int64_t first = INT64_MAX;
    if (!place->world->machines[0]->running)
        world_start(place->world, 0);
    EQ(redo_list(world_port(place->world, 0, 0), "data/__cluster_metadata-0", note_segment, &first),
       ERROR_NONE);
    return first;
}

/* ---- tests --------------------------------------------------------------------------------- */

TEST(metadata_kept, outlives_snapshots_and_pruning)
{
    struct place place;
    place_init_metadata(&place, 31, NULL);
    TRUE_(place_boot(&place));
    int64_t rounds = 0;
    for (; rounds < 20; rounds++) {
        write_records(&place, write_round, rounds);
        if (rounds % 8 == 0)
            rest(&place);
    }
    rest(&place);
    TRUE_(holds(&place, rounds));
    place_stop(&place);
    TRUE_(place_boot(&place)); /* prunes */
    TRUE_(place.broker.metadata_read.snapshot_end > 0);
    TRUE_(holds(&place, rounds));
    place_stop(&place);
    TRUE_(first_segment(&place) > 0);
    TRUE_(place_boot(&place));
    TRUE_(holds(&place, rounds));
    EQ(place.broker.shards[0].image.ignored_records, 0);
    place_stop(&place);
    place_done(&place);
}

TEST(metadata_kept, is_there_at_every_cut_of_a_life_with_snapshots_and_pruning)
{
    enum { BEFORE = 12, ROUNDS = 24 };
    struct place place;
    int64_t rounds = 0, images = 0;
    place_init_metadata(&place, 32, NULL);
    TRUE_(place_boot(&place));
    for (; rounds < BEFORE; rounds++) {
        write_records(&place, write_round, rounds);
        if (rounds % 8 == 0)
            rest(&place);
    }
    place_stop(&place);
    world_start(place.world, 0);
    world_record_start(place.world, 0);
    world_record_mark(place.world, 0, rounds);
    TRUE_(place_boot(&place)); /* prunes */
    for (; rounds < ROUNDS; rounds++) {
        write_records(&place, write_round, rounds);
        world_record_mark(place.world, 0, rounds + 1);
        if (rounds % 8 == 0)
            rest(&place);
    }
    place_stop(&place);
    struct disk_recording *recording = world_record_stop(place.world, 0);
    TRUE_(first_segment(&place) > 0);
    bool kept = true;
    for (uint32_t cut = 0; cut <= recording->count && kept; cut++) {
        static const int kinds[] = {CHOICE_OLD, CHOICE_NEW, CHOICE_RANDOM};
        struct disk_choice choice =
            disk_choice_of((enum disk_choice_kind)kinds[cut % 3], cut * 7 + 1);
        int64_t promised = max_i64(disk_mark_at(recording, cut), BEFORE);
        char why[600];
        kept = place_keeps_metadata(disk_image_at(recording, cut, &choice), 100 + cut, holds,
                                    promised, why);
        test_expect(kept, __FILE__, __LINE__, "cut %u: %s", cut, why);
        images++;
    }
    test_expect(images > 150, __FILE__, __LINE__, "%lld images", (long long)images);
    disk_recording_destroy(recording);
    place_done(&place);
}

/* ---- transactions ---------------------------------------------------------------------------- */

static void write_topic(struct record_list *records, const char *name)
{
    struct topic_record *topic = record_list_add(records, &topic_record_message);
    topic->name = string_of(name);
    memcpy(topic->topic_id.bytes, name, strlen(name));
}

static void write_begin(struct record_list *records)
{
    struct begin_transaction_record *begin =
        record_list_add(records, &begin_transaction_record_message);
    begin->name = STRING("Bootstrap records");
}

static void write_ended(struct record_list *records, int64_t number)
{
    (void)number;
    write_begin(records);
    write_topic(records, "ended");
    write_credential(records, "ada", 4096);
    (void)record_list_add(records, &end_transaction_record_message);
    write_begin(records);
    write_topic(records, "aborted");
    write_credential(records, "bob", 4096);
    drop_credential(records, "ada");
    (void)record_list_add(records, &abort_transaction_record_message);
}

static void write_open(struct record_list *records, int64_t number)
{
    (void)number;
    write_begin(records);
    write_topic(records, "open");
    drop_credential(records, "ada");
}

static bool has_topic(const struct place *place, const char *name)
{
    return image_topic_by_name(&place->broker.shards[1].image, string_of(name)) != NULL;
}

/* The topic of the transaction that ended, and its credential. */
static void expect_ended_only(struct place *place)
{
    const struct image *image = &place->broker.shards[0].image;
    TRUE_(has_topic(place, "ended"));
    TRUE_(!has_topic(place, "aborted"));
    TRUE_(!has_topic(place, "open"));
    EQ(image->topic_count, 1);
    EQ(image->ignored_records, 0);
    const struct image_kept_record *kept = image_kept_next(&image->kept, NULL);
    TRUE_(kept && kept->message == &user_scram_credential_record_message);
    TRUE_(!image_kept_next(&image->kept, kept));
    TRUE_(image_same(image, &place->broker.machine.decided));
}

TEST(metadata_kept, of_a_transaction_takes_effect_at_its_end_or_never)
{
    struct place place;
    place_init_metadata(&place, 33, NULL);
    TRUE_(place_boot(&place));
    write_records(&place, write_ended, 0);
    place_stop(&place);
    for (int i = 0; i < 2; i++) {
        TRUE_(place_boot(&place));
        expect_ended_only(&place);
        EQ(place.broker.metadata_unended, false);
        EQ(image_broker(&place.broker.shards[0].image, 1)->is_fenced, false);
        if (i == 1)
            write_records(&place, write_open, 0);
        place_stop(&place);
    }
    TRUE_(place_boot(&place)); /* aborts it */
    EQ(place.broker.metadata_unended, true);
    expect_ended_only(&place);
    place_turn_topic(&place, "later");
    place_stop(&place);
    TRUE_(place_boot(&place));
    EQ(place.broker.metadata_unended, false);
    TRUE_(has_topic(&place, "later"));
    place_turn_topic(&place, "later");
    expect_ended_only(&place);
    place_stop(&place);
    place_done(&place);
}

/* ---- a directory of Kafka's ------------------------------------------------------------------ */

static int kept_of(const struct image *image, const struct message *message)
{
    int count = 0;
    for (const struct image_kept_record *record = NULL;
         (record = image_kept_next(&image->kept, record));)
        count += record->message == message;
    return count;
}

/* What Kafka's own tools list there, and the registration of its controller. */
static void expect_theirs(const struct place *place)
{
    const struct image *image = &place->broker.shards[0].image;
    EQ(image->ignored_records, 0);
    EQ(kept_of(image, &user_scram_credential_record_message), 2);
    EQ(kept_of(image, &client_quota_record_message), 2);
    EQ(kept_of(image, &access_control_entry_record_message), 1); /* another one was removed */
    EQ(kept_of(image, &config_record_message), 2);
    EQ(kept_of(image, &register_controller_record_message), 1);
    EQ(image_feature_level(image, STRING("metadata.version")), 30); /* in a transaction */
    EQ(image_feature_level(image, STRING("transaction.version")), 2);
    TRUE_(image_same(image, &place->broker.machine.decided));
}

/* golden/kafka-4.3.1-metadata.tar.gz: a node of Apache Kafka 4.3.1, formatted with --standalone,
 * with StandardAuthorizer. Its ConfigCommand set SCRAM-SHA-256 of ada and SCRAM-SHA-512 of bob,
 * producer_byte_rate of ada's client c1, connection_creation_rate of the default ip and
 * log.cleaner.threads of all brokers; AclCommand added one of ada and one of bob, and removed the
 * latter. Stopped in order. */
TEST(metadata_kept, of_a_kafka_node_outlives_snapshots_and_pruning)
{
    struct golden_files *files = memory_zeroed(sizeof *files);
    struct place place;
    TRUE_(golden_unpack(files, GOLDEN_FOLDER "/kafka-4.3.1-metadata.tar.gz"));
    place_init_metadata(&place, 34, golden_disk(files));
    for (int i = 0; i < 4; i++) {
        test_expect(place_boot(&place), __FILE__, __LINE__, "start %d: %s", i, place.why);
        expect_theirs(&place);
        for (int n = 0; n < 5; n++)
            place_turn_topic(&place, "t");
        rest(&place);
        place_stop(&place);
    }
    TRUE_(first_segment(&place) > 0);
    place_done(&place);
    golden_free(files);
    memory_free(files);
}
