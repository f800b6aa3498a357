/* An image written as records and read again is the same image, whatever records it was made of. */
#include "logic/image_write.h"
#include "base/memory.h"
#include "cluster/metadata_log.h"
#include "logic/image.h"
#include "protocol/compare.h"
#include "protocol/messages.h"
#include "support/test.h"
#include <stdio.h>

/* Types that image_apply applies. One that is added there must be written by image_write.c,
 * compared by image_equal.c and listed here. */
static const int16_t applied_types[] = {0,  1,  2,  3,  4,  5,  7,  8,  9,  10, 11, 12,
                                        14, 15, 17, 18, 19, 21, 22, 25, 26, 27, 28, 29};

static bool is_listed(int16_t type)
{
    for (size_t i = 0; i < sizeof applied_types / sizeof applied_types[0]; i++)
        if (applied_types[i] == type)
            return true;
    return type == no_op_record_message.key;
}

struct draw {
    struct random random;
    struct arena arena;
    int32_t ids[4];
    char name[16];
};

static int32_t below(struct draw *draw, int32_t limit)
{
    return (int32_t)random_below(&draw->random, (uint64_t)limit);
}

static void draw_lists(struct draw *draw, struct partition_record *record)
{
    for (int i = 0; i < 4; i++)
        draw->ids[i] = below(draw, 4);
    int32_t **lists[] = {&record->replicas,        &record->isr,
                         &record->adding_replicas, &record->removing_replicas,
                         &record->last_known_elr,  &record->eligible_leader_replicas};
    int32_t *counts[] = {&record->replicas_count,        &record->isr_count,
                         &record->adding_replicas_count, &record->removing_replicas_count,
                         &record->last_known_elr_count,  &record->eligible_leader_replicas_count};
    for (int i = 0; i < 6; i++) {
        *lists[i] = draw->ids;
        *counts[i] = i == 0 ? 1 + below(draw, 4) : below(draw, 5);
    }
    if (below(draw, 2))
        record->unknown_tags.count = 0;
}

/* Random in every field, but for names and ids, which are few so that records meet. */
static void *draw_record(struct draw *draw, const struct message *message)
{
    union {
        struct topic_record topic;
        struct partition_record partition;
        struct partition_change_record change;
        struct remove_topic_record remove;
        struct config_record config;
        struct feature_level_record feature;
        struct delegation_token_record token;
        struct user_scram_credential_record credential;
        struct remove_user_scram_credential_record no_credential;
        struct client_quota_record quota;
        struct access_control_entry_record acl;
        struct clear_elr_record clear_elr;
    } *record = arena_take(&draw->arena, message->size + sizeof *record);
    message_fill(message, message->newest, &draw->random, &draw->arena, record);
    struct uuid id = {{(uint8_t)(1 + below(draw, 8))}};
    snprintf(draw->name, sizeof draw->name, "t%c%d", "._x"[below(draw, 3)], below(draw, 5));
    switch (message->key) {
    case 2:
        record->topic.name = string_of(draw->name);
        record->topic.topic_id = id;
        break;
    case 3:
        record->partition.topic_id = id;
        record->partition.partition_id = below(draw, 12);
        draw_lists(draw, &record->partition);
        break;
    case 4:
        record->config.resource_type = below(draw, 8) ? IMAGE_RESOURCE_TOPIC : 4;
        record->config.resource_name = string_of(draw->name);
        record->config.name = string_of(below(draw, 2) ? "cleanup.policy" : "retention.ms");
        break;
    case 5:
        record->change.topic_id = id;
        record->change.partition_id = below(draw, 12);
        record->change.replicas_count = record->change.directories_count = -1;
        break;
    case 9:
        if (below(draw, 4))
            id = (struct uuid){{99}};
        record->remove.topic_id = id;
        break;
    case 12:
        record->feature.name = string_of(below(draw, 2) ? "metadata.version" : draw->name);
        break;
    case 10:
        record->token.token_id = string_of(draw->name);
        break;
    case 11:
        record->credential.name = string_of(draw->name);
        record->credential.mechanism = (int8_t)(1 + below(draw, 2));
        break;
    case 14:
        record->quota.key = string_of(draw->name);
        record->quota.entity_count = 0;
        break;
    case 18:
    case 19:
        record->acl.id = id; /* the first field of both */
        break;
    case 22:
        record->no_credential.name = string_of(draw->name);
        record->no_credential.mechanism = (int8_t)(1 + below(draw, 2));
        break;
    case 26:
        *(struct string *)(void *)record = string_of(draw->name); /* the first field */
        break;
    case 27:
    case 29:
        *(int32_t *)(void *)record = below(draw, 4); /* the first field of both */
        break;
    case 28:
        if (below(draw, 8) == 0)
            record->clear_elr.topic_name = STRING("");
        else
            record->clear_elr.topic_name = string_of(draw->name);
        break;
    case 0:
    case 1:
    case 7:
    case 8:
    case 17:
        *(int32_t *)(void *)record = below(draw, 4); /* the broker's id is the first field */
        break;
    default:
        break;
    }
    return record;
}

/* Through bytes, as a snapshot's file has them, a few records at a time. */
static void copy_image(struct draw *draw, const struct image *from, struct image *to)
{
    struct image_writer writer;
    struct arena arena;
    arena_init(&arena, 64 << 20);
    image_write_begin(&writer, from);
    bool more = true;
    int64_t records = 0;
    while (more) {
        struct record_list list;
        struct bytes bytes;
        struct batch batch;
        struct batch_iterator iterator;
        struct record record;
        record_list_init(&list, &arena);
        more = image_write_step(&writer, &list, 1 + below(draw, 40));
        TRUE_(!list.overflowed);
        if (list.count == 0)
            continue;
        EQ(metadata_log_encode(&list, 5, &arena, &bytes), ERROR_NONE);
        EQ(batch_view(bytes.data, (size_t)bytes.size, &batch), ERROR_NONE);
        EQ(batch_iterate(&batch, NULL, &iterator), ERROR_NONE);
        while (batch_next(&iterator, &record)) {
            struct metadata_value value;
            EQ(metadata_log_decode(record.value, &arena, &value), ERROR_NONE);
            EQ(image_apply(to, value.message->key, value.value), ERROR_NONE);
            bool is_version = value.message == &feature_level_record_message &&
                              string_equal(((struct feature_level_record *)value.value)->name,
                                           STRING("metadata.version"));
            if (image_feature_level(from, STRING("metadata.version")) != 0 && from->brokers)
                TRUE_(is_version == (records == 0));
            records++;
        }
        arena_reset(&arena, 1 << 20);
    }
    arena_done(&arena);
}

static void check_copy(struct draw *draw, const struct image *image, uint64_t seed)
{
    struct image copy;
    image_init(&copy, image->core_count, seed * 77 + 5);
    copy_image(draw, image, &copy);
    test_expect(image_same(image, &copy), __FILE__, __LINE__, "seed %llu: the copy differs",
                (unsigned long long)seed);
    EQ(copy.ignored_records, 0);
    image_done(&copy);
    image_init(&copy, image->core_count + 1, 3); /* other cores: they are dealt out anew */
    copy_image(draw, image, &copy);
    EQ(copy.partition_count, image->partition_count);
    int32_t least = INT32_MAX, most = 0;
    for (int i = 0; i < copy.core_count; i++) {
        least = copy.core_load[i] < least ? copy.core_load[i] : least;
        most = copy.core_load[i] > most ? copy.core_load[i] : most;
    }
    TRUE_(most - least <= 1);
    image_done(&copy);
}

static bool has_config(const struct image *image)
{
    uint32_t position = 0;
    for (const struct image_topic *topic; (topic = image_next_topic(image, &position));)
        if (topic->config_count > 0)
            return true;
    return false;
}

TEST(image_write, gives_the_same_image_whatever_it_was_made_of)
{
    int64_t partitions = 0, brokers = 0, configs = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct draw draw = {0};
        struct image image;
        random_seed(&draw.random, seed);
        arena_init(&draw.arena, 64 << 20);
        image_init(&image, 1 + below(&draw, 6), seed);
        for (int i = 0; i < 1500; i++) {
            const struct message *message = NULL; /* more often those that make something */
            int16_t type = (int16_t)(below(&draw, 2) ? 2 + below(&draw, 3) : below(&draw, 40));
            if (!(message = message_find(MESSAGE_METADATA_RECORD, type)))
                continue;
            uint64_t ignored = image.ignored_records;
            void *record = draw_record(&draw, message);
            enum error error = image_apply(&image, message->key, record);
            if (!error && image.ignored_records == ignored)
                test_expect(is_listed(message->key), __FILE__, __LINE__,
                            "%s is applied now: write it, compare it, list it", message->name);
            arena_reset(&draw.arena, 1 << 20);
            if (i % 100 == 99)
                check_copy(&draw, &image, seed);
            partitions += image.partition_count;
            brokers += image.broker_count;
            configs += i % 100 == 99 && has_config(&image);
        }
        image_done(&image);
        arena_done(&draw.arena);
    }
    TRUE_(partitions > 10000);
    TRUE_(brokers > 10000);
    TRUE_(configs > 10);
}

TEST(image_write, keeps_cores_that_counting_would_not_give)
{
    struct image image, copy;
    struct draw draw = {0};
    random_seed(&draw.random, 1);
    image_init(&image, 3, 1);
    image_init(&copy, 3, 2);
    for (uint8_t topic = 1; topic <= 6; topic++) {
        char name[4] = {'t', (char)('0' + topic), 0};
        struct topic_record record = {.name = string_of(name), .topic_id = {{topic}}};
        EQ(image_apply(&image, topic_record_message.key, &record), ERROR_NONE);
        int32_t replica = 1;
        struct partition_record partition;
        message_set_defaults(&partition_record_message, &partition);
        partition.topic_id = record.topic_id;
        partition.partition_id = 0;
        partition.replicas = partition.isr = &replica;
        partition.replicas_count = partition.isr_count = 1;
        EQ(image_apply(&image, partition_record_message.key, &partition), ERROR_NONE);
    }
    for (uint8_t topic = 1; topic <= 6; topic += 3) { /* both of core 0 */
        struct remove_topic_record remove = {.topic_id = {{topic}}};
        EQ(image_apply(&image, remove_topic_record_message.key, &remove), ERROR_NONE);
    }
    EQ(image.core_load[0], 0);
    EQ(image.core_load[1], 2);
    copy_image(&draw, &image, &copy);
    EQ(copy.core_load[0], 0);
    EQ(copy.core_load[1], 2);
    TRUE_(image_same(&image, &copy));
    image_done(&image);
    image_done(&copy);
}
