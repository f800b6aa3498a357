#include "logic/leaders.h"
#include "protocol/messages.h"

static bool is_in(const struct image_partition *partition, enum image_list list, int32_t node_id)
{
    int32_t count;
    const int32_t *ids = image_partition_list(partition, list, &count);
    for (int32_t i = 0; i < count; i++)
        if (ids[i] == node_id)
            return true;
    return false;
}

static bool may_lead(const struct image_partition *partition, int32_t node_id)
{
    bool alone =
        partition->counts[IMAGE_REPLICAS] == 1 && is_in(partition, IMAGE_REPLICAS, node_id);
    return alone || is_in(partition, IMAGE_ISR, node_id) || is_in(partition, IMAGE_ELR, node_id);
}

/* One that was not in the ISR is all of it from here on. */
static void write_isr(struct partition_change_record *record, int32_t node_id,
                      struct record_list *records)
{
    int32_t *isr = arena_take(records->arena, sizeof *isr);
    if (!isr) {
        records->overflowed = true;
        return;
    }
    *isr = node_id;
    record->isr = isr;
    record->isr_count = 1;
    record->eligible_leader_replicas_count = record->last_known_elr_count = 0;
}

void leaders_elect(const struct image *image, int32_t node_id, int32_t most,
                   struct record_list *records)
{
    uint32_t position = 0;
    for (const struct image_topic *topic; (topic = image_next_topic(image, &position));)
        for (int32_t i = 0; i < topic->partition_capacity && records->count < most; i++) {
            const struct image_partition *partition = image_partition(topic, i);
            if (!partition || partition->leader >= 0 || !may_lead(partition, node_id))
                continue;
            struct partition_change_record *record =
                record_list_add(records, &partition_change_record_message);
            if (!record)
                return;
            record->partition_id = i;
            record->topic_id = topic->id;
            record->leader = node_id;
            if (!is_in(partition, IMAGE_ISR, node_id))
                write_isr(record, node_id, records);
        }
}
