#pragma once
/* An image as records, in the order in which Kafka writes a snapshot (KIP-630): feature levels,
 * metadata.version first; brokers; each topic and its partitions; settings; producer ids; what is
 * kept (image_kept.h). Whoever
 * applies them to an empty image has the same image, but for its epochs (image_same); whoever has
 * fewer or more cores deals the partitions out anew. Pure.
 *
 * The core of a partition is in no record of Kafka's: it goes in a tagged field of its
 * PartitionRecord that Kafka's readers pass over, so that a partition keeps its core over a start
 * that reads a snapshot, as it does over one that reads the log (image.h 4). */
#include "logic/image.h"
#include "logic/record_list.h"

enum {
    IMAGE_CORE_TAG = 10001, /* int16 core, int16 number of cores, big-endian */
    IMAGE_CORE_TAG_SIZE = 4,
};

/* Where a writing stands. The image must not change until it has ended. */
struct image_writer {
    const struct image *image;
    const struct image_topic *topic;      /* whose partitions or settings are being written */
    const struct image_kept_record *kept; /* the last one written */
    uint32_t position;                    /* of the topic, for image_next_topic */
    int32_t next;                         /* feature, broker, partition or setting */
    uint8_t part;
};

void image_write_begin(struct image_writer *writer, const struct image *image);

/* Adds up to `most` more records; they borrow from the image. False: none are left, all were added.
 * The list may overflow: then the writing is to be begun again. */
bool image_write_step(struct image_writer *writer, struct record_list *records, int32_t most);

/* What the tag of a PartitionRecord says: the core, or -1 without a tag that is good for an image
 * of `core_count` cores. */
struct partition_record;
int16_t image_tagged_core(const struct partition_record *record, int32_t core_count);
