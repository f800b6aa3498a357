#include "storage/txn_index.h"

void txn_index_encode(const struct aborted_txn_entry *entry, uint8_t *to)
{
    store_be16(to, 0);
    store_be64(to + 2, (uint64_t)entry->producer_id);
    store_be64(to + 10, (uint64_t)entry->first_offset);
    store_be64(to + 18, (uint64_t)entry->last_offset);
    store_be64(to + 26, (uint64_t)entry->last_stable_offset);
}

bool txn_index_decode(struct bytes file, int32_t number, int64_t base_offset,
                      struct aborted_txn_entry *ret_entry)
{
    int64_t at = (int64_t)number * TXN_INDEX_ENTRY;
    if (at + TXN_INDEX_ENTRY > file.size || load_be16(file.data + at) != 0)
        return false;
    const uint8_t *entry = file.data + at;
    *ret_entry =
        (struct aborted_txn_entry){(int64_t)load_be64(entry + 2), (int64_t)load_be64(entry + 10),
                                   (int64_t)load_be64(entry + 18), (int64_t)load_be64(entry + 26)};
    return ret_entry->producer_id >= 0 && ret_entry->first_offset >= 0 &&
           ret_entry->first_offset < ret_entry->last_offset &&
           ret_entry->last_offset >= base_offset;
}
