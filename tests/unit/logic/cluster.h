#pragma once
/* An image, settings and an arena for tests of decisions, with short ways to apply records. */
#include "config/settings.h"
#include "logic/image.h"
#include "logic/topics.h"
#include "protocol/messages.h"
#include "support/test.h"

struct cluster {
    struct image image;
    struct settings settings;
    struct random random;
    struct arena arena;
    struct record_list records;
};

static inline void cluster_init(struct cluster *c, int cores)
{
    image_init(&c->image, cores, 5);
    settings_init(&c->settings);
    random_seed(&c->random, 1);
    arena_init(&c->arena, 64 << 20);
    record_list_init(&c->records, &c->arena);
}

static inline void cluster_done(struct cluster *c)
{
    image_done(&c->image);
    settings_done(&c->settings);
    arena_done(&c->arena);
}

static inline struct topics_view cluster_view(struct cluster *c)
{
    return (struct topics_view){&c->image, &c->settings, &c->random, &c->arena};
}

/* Applies the records of the list and empties it. */
static inline void cluster_apply(struct cluster *c)
{
    for (struct metadata_record *r = c->records.first; r; r = r->next)
        EQ(image_apply(&c->image, r->message->key, r->value), ERROR_NONE);
    record_list_init(&c->records, &c->arena);
}

static inline void cluster_register(struct cluster *c, int32_t id, bool fenced)
{
    struct register_broker_record record;
    static struct uuid directory;
    message_set_defaults(&register_broker_record_message, &record);
    directory.bytes[15] = (uint8_t)id;
    record.broker_id = id;
    record.fenced = fenced;
    record.log_dirs = &directory;
    record.log_dirs_count = 1;
    EQ(image_apply(&c->image, register_broker_record_message.key, &record), ERROR_NONE);
}

/* Creates a topic with as many partitions and one replica each, and applies it. */
static inline enum error cluster_create(struct cluster *c, const char *name, int32_t partitions)
{
    struct create_topics_request_creatable_topic topic;
    struct create_topics_request request;
    struct create_topics_response response;
    message_set_defaults(&create_topics_request_message, &request);
    message_set_defaults(&create_topics_request_creatable_topic_message, &topic);
    topic.name = string_of(name);
    topic.num_partitions = partitions;
    topic.replication_factor = 1;
    request.topics = &topic;
    request.topics_count = 1;
    struct topics_view view = cluster_view(c);
    EQ(topics_handle_create(&view, &request, &c->records, &response), ERROR_NONE);
    EQ(response.topics_count, 1);
    cluster_apply(c);
    return (enum error)response.topics[0].error_code;
}
