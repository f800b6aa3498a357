/* What a Kafka node has written into the metadata log and nothing here acts on. */
#include "logic/image_kept.h"
#include "base/memory.h"
#include "logic/image.h"
#include "protocol/messages.h"
#include "support/test.h"
#include <stdio.h>

static int count(const struct image_kept *kept)
{
    int n = 0;
    for (const struct image_kept_record *record = NULL; (record = image_kept_next(kept, record));)
        n++;
    return n;
}

static void *defaults(const struct message *message, void *record)
{
    message_set_defaults(message, record);
    return record;
}

static bool keep_credential(struct image_kept *kept, const char *name, int8_t mechanism,
                            int32_t iterations)
{
    struct user_scram_credential_record record;
    defaults(&user_scram_credential_record_message, &record);
    record.name = string_of(name);
    record.mechanism = mechanism;
    record.iterations = iterations;
    return image_keep(kept, user_scram_credential_record_message.key, &record);
}

static bool drop_credential(struct image_kept *kept, const char *name, int8_t mechanism)
{
    struct remove_user_scram_credential_record record;
    defaults(&remove_user_scram_credential_record_message, &record);
    record.name = string_of(name);
    record.mechanism = mechanism;
    return image_keep(kept, remove_user_scram_credential_record_message.key, &record);
}

static bool keep_config(struct image_kept *kept, int8_t type, const char *resource,
                        const char *name, const char *value)
{
    struct config_record record = {.resource_type = type,
                                   .resource_name = string_of(resource),
                                   .name = string_of(name),
                                   .value = value ? string_of(value) : STRING_NULL};
    return image_keep(kept, config_record_message.key, &record);
}

TEST(image_kept, is_the_last_record_of_each_thing)
{
    struct image_kept kept;
    image_kept_init(&kept, 1);
    TRUE_(keep_credential(&kept, "ada", 1, 4096));
    TRUE_(keep_credential(&kept, "ada", 2, 4097));
    TRUE_(keep_credential(&kept, "bob", 1, 4098));
    EQ(count(&kept), 3);
    size_t bytes = kept.bytes;
    TRUE_(keep_credential(&kept, "ada", 1, 8192));
    EQ(count(&kept), 3);
    EQ(kept.bytes, bytes);
    const struct image_kept_record *first = image_kept_next(&kept, NULL);
    struct user_scram_credential_record read;
    struct arena arena;
    struct reader reader;
    arena_init(&arena, 4096);
    reader_init(&reader, first->body, first->body_size);
    EQ(message_decode_whole(first->message, 0, &reader, &arena, &read), ERROR_NONE);
    EQ(read.iterations, 8192); /* in the place of the first one */
    arena_done(&arena);
    TRUE_(drop_credential(&kept, "ada", 2));
    TRUE_(drop_credential(&kept, "nobody", 2)); /* as good as done */
    EQ(count(&kept), 2);
    TRUE_(keep_config(&kept, 4, "1", "log.cleaner.threads", "2"));
    TRUE_(keep_config(&kept, 4, "", "log.cleaner.threads", "3"));
    TRUE_(keep_config(&kept, 32, "1", "log.cleaner.threads", "4"));
    EQ(count(&kept), 5);
    TRUE_(keep_config(&kept, 4, "", "log.cleaner.threads", NULL));
    EQ(count(&kept), 4);
    drop_credential(&kept, "ada", 1);
    drop_credential(&kept, "bob", 1);
    keep_config(&kept, 4, "1", "log.cleaner.threads", NULL);
    keep_config(&kept, 32, "1", "log.cleaner.threads", NULL);
    EQ(count(&kept), 0);
    EQ(kept.bytes, 0);
    image_kept_done(&kept);
}

static bool keep_quota(struct image_kept *kept, const char *const types[], int32_t types_count,
                       bool remove)
{
    struct client_quota_record_entity_data parts[10];
    for (int32_t i = 0; i < types_count; i++) {
        defaults(&client_quota_record_entity_data_message, &parts[i]);
        parts[i].entity_type = string_of(types[i]);
        parts[i].entity_name = strcmp(types[i], "user") == 0 ? string_of("ada") : STRING_NULL;
    }
    struct client_quota_record record;
    defaults(&client_quota_record_message, &record);
    record.entity = parts;
    record.entity_count = types_count;
    record.key = STRING("producer_byte_rate");
    record.value = 1024.5;
    record.remove = remove;
    return image_keep(kept, client_quota_record_message.key, &record);
}

TEST(image_kept, of_a_quota_is_about_a_set)
{
    struct image_kept kept;
    image_kept_init(&kept, 2);
    TRUE_(keep_quota(&kept, (const char *const[]){"user", "client-id"}, 2, false));
    TRUE_(keep_quota(&kept, (const char *const[]){"client-id", "user"}, 2, false));
    EQ(count(&kept), 1);
    TRUE_(keep_quota(&kept, (const char *const[]){"user"}, 1, false));
    TRUE_(keep_quota(&kept, (const char *const[]){"client-id"}, 1, false));
    TRUE_(keep_quota(&kept, (const char *const[]){"ip"}, 1, true)); /* there is none */
    EQ(count(&kept), 3);
    TRUE_(keep_quota(&kept, (const char *const[]){"client-id", "user"}, 2, true));
    EQ(count(&kept), 2);
    const char *many[10] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    TRUE_(!keep_quota(&kept, many, 10, false)); /* of no Kafka */
    image_kept_done(&kept);
}

TEST(image_kept, goes_with_the_record_that_takes_it_back)
{
    struct image_kept kept;
    image_kept_init(&kept, 3);
    struct delegation_token_record token;
    struct remove_delegation_token_record no_token = {.token_id = STRING("t1")};
    defaults(&delegation_token_record_message, &token);
    token.token_id = STRING("t1");
    struct access_control_entry_record acl;
    struct remove_access_control_entry_record no_acl = {.id = {{7}}};
    defaults(&access_control_entry_record_message, &acl);
    acl.id = no_acl.id;
    struct register_controller_record controller;
    struct unregister_controller_record no_controller = {.controller_id = 5};
    defaults(&register_controller_record_message, &controller);
    controller.controller_id = 5;
    for (int twice = 0; twice < 2; twice++) {
        TRUE_(image_keep(&kept, 10, &token));
        TRUE_(image_keep(&kept, 18, &acl));
        TRUE_(image_keep(&kept, 27, &controller));
    }
    EQ(count(&kept), 3);
    TRUE_(image_keep(&kept, 26, &no_token));
    TRUE_(image_keep(&kept, 19, &no_acl));
    TRUE_(image_keep(&kept, 29, &no_controller));
    EQ(count(&kept), 0);
    struct zk_migration_state_record state = {.zk_migration_state = 1};
    TRUE_(image_keep(&kept, 21, &state));
    TRUE_(image_keep(&kept, 21, &state));
    EQ(count(&kept), 1);
    struct begin_transaction_record begin;
    TRUE_(!image_keep(&kept, 23, defaults(&begin_transaction_record_message, &begin)));
    image_kept_done(&kept);
}

TEST(image_kept, is_bounded_and_what_finds_no_room_is_told)
{
    struct image image;
    image_init(&image, 1, 1);
    size_t size = 30000;
    char *value = memory_zeroed(size + 1);
    memset(value, 'v', size);
    char name[16];
    int kept = 0;
    for (; image.ignored_records == 0 && kept < 10000; kept++) {
        snprintf(name, sizeof name, "n%d", kept);
        struct config_record record = {.resource_type = 4,
                                       .resource_name = STRING("1"),
                                       .name = string_of(name),
                                       .value = {value, (int32_t)size}};
        EQ(image_apply(&image, config_record_message.key, &record), ERROR_NONE);
    }
    TRUE_(kept > 2000 && kept < 10000);
    TRUE_(image.kept.bytes <= IMAGE_KEPT_BYTES_MAX);
    EQ(count(&image.kept), kept - 1);
    struct config_record again = {.resource_type = 4,
                                  .resource_name = STRING("1"),
                                  .name = STRING("n1"),
                                  .value = {value, (int32_t)size}};
    EQ(image_apply(&image, config_record_message.key, &again), ERROR_NONE);
    EQ(image.ignored_records, 1); /* it takes the place of the one before */
    memory_free(value);
    image_done(&image);
}
