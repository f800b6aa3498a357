#include "cluster/metadata_transaction.h"
#include "base/memory.h"
#include "base/reached.h"
#include "protocol/messages.h"

enum { SIZE_BYTES = 4, CAPACITY_LEAST = 4096 };

static bool hold(struct metadata_transaction *transaction, struct bytes value)
{
    size_t needed = transaction->size + SIZE_BYTES + (size_t)value.size;
    if (value.size < 0 || needed > METADATA_TRANSACTION_MOST)
        return false;
    if (needed > transaction->capacity) {
        while (transaction->capacity < needed)
            transaction->capacity =
                transaction->capacity ? 2 * transaction->capacity : CAPACITY_LEAST;
        transaction->values = memory_resized(transaction->values, transaction->capacity);
    }
    store_be32(transaction->values + transaction->size, (uint32_t)value.size);
    memcpy(transaction->values + transaction->size + SIZE_BYTES, value.data, (size_t)value.size);
    transaction->size = needed;
    return true;
}

enum metadata_transaction_turn metadata_transaction_take(struct metadata_transaction *transaction,
                                                         int16_t type, struct bytes value)
{
    bool was_open = transaction->is_open;
    if (type == begin_transaction_record_message.key) {
        transaction->is_open = true;
        transaction->size = 0;
        return was_open ? METADATA_BROKEN : METADATA_HELD;
    }
    if (type == end_transaction_record_message.key) {
        transaction->is_open = false;
        return was_open ? METADATA_REPLAY : METADATA_BROKEN;
    }
    if (type == abort_transaction_record_message.key) {
        REACHED("a transaction of metadata aborted");
        transaction->is_open = false;
        return was_open ? METADATA_HELD : METADATA_BROKEN;
    }
    if (!was_open)
        return METADATA_APPLY;
    return hold(transaction, value) ? METADATA_HELD : METADATA_BROKEN;
}

struct bytes metadata_transaction_next(const struct metadata_transaction *transaction,
                                       size_t *position)
{
    if (*position == transaction->size)
        return BYTES_NULL;
    const uint8_t *at = transaction->values + *position;
    int32_t size = (int32_t)load_be32(at);
    *position += SIZE_BYTES + (size_t)size;
    return (struct bytes){at + SIZE_BYTES, size};
}

void metadata_transaction_done(struct metadata_transaction *transaction)
{
    memory_free(transaction->values);
    *transaction = (struct metadata_transaction){0};
}
