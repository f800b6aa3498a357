#pragma once
/* Who gets which producer ids: the controller gives them out in blocks, each a record in the
 * metadata log before anybody uses it, so that none is ever given twice (KIP-730). Handle shape;
 * image_apply does the rest. Pure. */
#include "logic/image.h"
#include "logic/record_list.h"

enum { PRODUCER_IDS_BLOCK = 1000 };

/* A block for a broker: [*ret_first, *ret_first + PRODUCER_IDS_BLOCK), good once the record is in
 * the log. UNKNOWN_SERVER_ERROR: there are no ids left. NO_MEMORY: of the records' arena. */
enum error producer_ids_handle(const struct image *image, int32_t broker_id,
                               struct record_list *records, int64_t *ret_first);
