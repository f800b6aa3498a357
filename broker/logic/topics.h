#pragma once
/* Making, growing, setting and removing topics: what the controller decides. Handle shape: each
 * function reads the image, writes records and a response into the arena, and changes nothing else;
 * image_apply does the rest once the records are in the log. Pure.
 *
 * Each topic of a request is decided by itself. Texts of errors are Kafka's where it has them
 * (ReplicationControlManager, ControllerApis). Texts in records and responses borrow from the
 * request, the settings and the arena, never from the image. Everything returns NONE, or NO_MEMORY
 * when the arena's budget was used up: then records and response are not to be used. */
#include "config/settings.h"
#include "logic/image.h"
#include "logic/placement.h"
#include "logic/record_list.h"
#include "protocol/messages.h"

enum { TOPICS_PARTITIONS_MAX = 100000 }; /* of one request, over all its topics */

struct topics_view {
    const struct image *image;
    const struct settings *settings;
    struct random *random; /* for topic ids and where placing begins */
    struct arena *arena;
};

/* CreateTopics. With validate_only the response is the same and there are no records. */
enum error topics_handle_create(const struct topics_view *view,
                                const struct create_topics_request *request,
                                struct record_list *records,
                                struct create_topics_response *response);

/* A client's Metadata named `count` topics and allows to make them. ret_errors[i]: NONE where
 * records make it; TOPIC_ALREADY_EXISTS; INVALID_TOPIC_EXCEPTION; INVALID_REPLICATION_FACTOR;
 * UNKNOWN_TOPIC_OR_PARTITION where auto.create.topics.enable is false or the topic is a
 * coordinator's. A name that occurs twice is made once. */
enum error topics_handle_auto_create(const struct topics_view *view, const struct string *names,
                                     int32_t count, struct record_list *records,
                                     enum error *ret_errors);

/* DeleteTopics, by name (all versions) or id (6 and up). */
enum error topics_handle_delete(const struct topics_view *view,
                                const struct delete_topics_request *request,
                                struct record_list *records,
                                struct delete_topics_response *response);

/* CreatePartitions: grows topics to a total. */
enum error topics_handle_partitions(const struct topics_view *view,
                                    const struct create_partitions_request *request,
                                    struct record_list *records,
                                    struct create_partitions_response *response);

/* IncrementalAlterConfigs and AlterConfigs: settings of topics, set or taken back, each resource by
 * itself. Of brokers nothing can be changed while they run. With validate_only the response is the
 * same and there are no records. */
enum error topics_handle_incremental(const struct topics_view *view,
                                     const struct incremental_alter_configs_request *request,
                                     struct record_list *records,
                                     struct incremental_alter_configs_response *response);
enum error topics_handle_alter(const struct topics_view *view,
                               const struct alter_configs_request *request,
                               struct record_list *records,
                               struct alter_configs_response *response);

/* A random topic id (UUID version 4, in no image, its text not beginning with a dash, as Kafka's).
 */
struct uuid topics_new_id(const struct image *image, struct random *random);
