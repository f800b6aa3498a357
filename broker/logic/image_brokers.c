/* The brokers and feature levels of the image. */
#include "base/check.h"
#include "base/memory.h"
#include "logic/image_memory.h"

char *image_copy_text(struct string text)
{
    if (text.size < 0)
        return NULL;
    char *copy = memory_zeroed((size_t)text.size + 1);
    if (text.size)
        memcpy(copy, text.data, (size_t)text.size);
    return copy;
}

/* The place of the broker, or where it would be. */
static int32_t place_of(const struct image *image, int32_t id)
{
    int32_t place = 0;
    while (place < image->broker_count && image->brokers[place].id < id)
        place++;
    return place;
}

struct image_broker *image_find_broker(struct image *image, int32_t id)
{
    int32_t place = place_of(image, id);
    bool found = place < image->broker_count && image->brokers[place].id == id;
    return found ? &image->brokers[place] : NULL;
}

const struct image_broker *image_broker(const struct image *image, int32_t id)
{
    int32_t place = place_of(image, id);
    bool found = place < image->broker_count && image->brokers[place].id == id;
    return found ? &image->brokers[place] : NULL;
}

void image_broker_done(struct image_broker *broker)
{
    for (int32_t i = 0; i < broker->endpoint_count; i++) {
        memory_free(broker->endpoints[i].name);
        memory_free(broker->endpoints[i].host);
    }
    memory_free(broker->endpoints);
    memory_free(broker->log_dirs);
    memory_free(broker->rack);
}

static void set_log_dirs(struct image_broker *broker, const struct uuid *log_dirs, int32_t count)
{
    memory_free(broker->log_dirs);
    broker->log_dir_count = count > 0 ? count : 0;
    size_t size = (size_t)broker->log_dir_count * sizeof *broker->log_dirs;
    broker->log_dirs = memory_zeroed(size);
    if (size)
        memcpy(broker->log_dirs, log_dirs, size);
}

enum error image_apply_register_broker(struct image *image,
                                       const struct register_broker_record *record)
{
    struct image_broker *broker = image_find_broker(image, record->broker_id);
    if (broker) { /* it started again: nothing of the old registration stays */
        image_broker_done(broker);
    } else {
        int32_t place = place_of(image, record->broker_id);
        image->brokers =
            memory_resized(image->brokers, (size_t)(image->broker_count + 1) * sizeof *broker);
        broker = &image->brokers[place];
        memmove(broker + 1, broker, (size_t)(image->broker_count - place) * sizeof *broker);
        image->broker_count++;
    }
    *broker = (struct image_broker){.id = record->broker_id,
                                    .epoch = record->broker_epoch,
                                    .incarnation_id = record->incarnation_id,
                                    .rack = image_copy_text(record->rack),
                                    .is_fenced = record->fenced,
                                    .in_controlled_shutdown = record->in_controlled_shutdown};
    broker->endpoint_count = record->end_points_count > 0 ? record->end_points_count : 0;
    broker->endpoints = memory_zeroed((size_t)broker->endpoint_count * sizeof *broker->endpoints);
    for (int32_t i = 0; i < broker->endpoint_count; i++) {
        broker->endpoints[i].name = image_copy_text(record->end_points[i].name);
        broker->endpoints[i].host = image_copy_text(record->end_points[i].host);
        broker->endpoints[i].port = record->end_points[i].port;
        broker->endpoints[i].security_protocol = record->end_points[i].security_protocol;
    }
    set_log_dirs(broker, record->log_dirs, record->log_dirs_count);
    return ERROR_NONE;
}

enum error image_apply_unregister_broker(struct image *image,
                                         const struct unregister_broker_record *record)
{
    struct image_broker *broker = image_find_broker(image, record->broker_id);
    if (!broker)
        return ERROR_BROKER_ID_NOT_REGISTERED;
    image_broker_done(broker);
    int32_t place = (int32_t)(broker - image->brokers);
    image->broker_count--;
    memmove(broker, broker + 1, (size_t)(image->broker_count - place) * sizeof *broker);
    return ERROR_NONE;
}

enum error image_apply_fence(struct image *image, int32_t id, bool fenced)
{
    struct image_broker *broker = image_find_broker(image, id);
    if (!broker)
        return ERROR_BROKER_ID_NOT_REGISTERED;
    broker->is_fenced = fenced;
    return ERROR_NONE;
}

enum error image_apply_registration_change(struct image *image,
                                           const struct broker_registration_change_record *record)
{
    struct image_broker *broker = image_find_broker(image, record->broker_id);
    if (!broker)
        return ERROR_BROKER_ID_NOT_REGISTERED;
    if (record->fenced != 0) /* -1 unfence, 0 as it is, 1 fence */
        broker->is_fenced = record->fenced > 0;
    if (record->in_controlled_shutdown != 0)
        broker->in_controlled_shutdown = true;
    if (record->log_dirs_count > 0)
        set_log_dirs(broker, record->log_dirs, record->log_dirs_count);
    return ERROR_NONE;
}

static int32_t find_feature(const struct image *image, struct string name)
{
    int32_t i = 0;
    while (i < image->feature_count && !string_equal(string_of(image->features[i].name), name))
        i++;
    return i;
}

int16_t image_feature_level(const struct image *image, struct string name)
{
    int32_t i = find_feature(image, name);
    return i < image->feature_count ? image->features[i].level : 0;
}

enum error image_apply_feature_level(struct image *image, const struct feature_level_record *record)
{
    int32_t i = find_feature(image, record->name);
    if (i == image->feature_count) {
        image->features =
            memory_resized(image->features, (size_t)(i + 1) * sizeof *image->features);
        image->features[i].name = image_copy_text(record->name);
        image->feature_count++;
    }
    image->features[i].level = record->feature_level;
    return ERROR_NONE;
}
