#pragma once
/* How the image keeps its parts: copies of texts, topics in their maps, partitions in their blocks,
 * brokers in order. For image.c and image_brokers.c only; what it all means is in image.h. */
#include "logic/image.h"
#include "protocol/messages.h"

/* A terminated copy; null for a null string. */
char *image_copy_text(struct string text);

/* The broker for writing, or null. */
struct image_broker *image_find_broker(struct image *image, int32_t id);

void image_broker_done(struct image_broker *broker);

/* Adds `more` (1 or -1) to the load of each directory that the partition names. */
void image_count_directories(struct image *image, const struct image_partition *partition,
                             int32_t more);
void image_directories_done(struct image *image);

enum error image_apply_register_broker(struct image *image,
                                       const struct register_broker_record *record);
enum error image_apply_unregister_broker(struct image *image,
                                         const struct unregister_broker_record *record);
enum error image_apply_fence(struct image *image, int32_t id, bool fenced);
enum error image_apply_registration_change(struct image *image,
                                           const struct broker_registration_change_record *record);
enum error image_apply_feature_level(struct image *image,
                                     const struct feature_level_record *record);
