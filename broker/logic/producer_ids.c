#include "logic/producer_ids.h"
#include "protocol/messages.h"

enum error producer_ids_handle(const struct image *image, int32_t broker_id,
                               struct record_list *records, int64_t *ret_first)
{
    if (image->next_producer_id > INT64_MAX - PRODUCER_IDS_BLOCK)
        return ERROR_UNKNOWN_SERVER_ERROR;
    struct producer_ids_record *record = record_list_add(records, &producer_ids_record_message);
    if (!record)
        return ERROR_NO_MEMORY;
    const struct image_broker *broker = image_broker(image, broker_id);
    record->broker_id = broker_id;
    record->broker_epoch = broker ? broker->epoch : -1;
    record->next_producer_id = image->next_producer_id + PRODUCER_IDS_BLOCK;
    *ret_first = image->next_producer_id;
    return ERROR_NONE;
}
