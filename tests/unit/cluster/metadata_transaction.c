#include "cluster/metadata_transaction.h"
#include "base/memory.h"
#include "support/test.h"

enum { BEGIN = 23, END = 24, ABORT = 25, OTHER = 2 };

static enum metadata_transaction_turn take(struct metadata_transaction *transaction, int16_t type,
                                           const char *value)
{
    struct bytes bytes = {(const uint8_t *)value, (int32_t)strlen(value)};
    return metadata_transaction_take(transaction, type, bytes);
}

TEST(metadata_transaction, holds_records_back_until_its_end)
{
    struct metadata_transaction transaction = {0};
    EQ(take(&transaction, OTHER, "before"), METADATA_APPLY);
    for (int again = 0; again < 2; again++) {
        EQ(take(&transaction, BEGIN, ""), METADATA_HELD);
        EQ(take(&transaction, OTHER, "one"), METADATA_HELD);
        EQ(take(&transaction, OTHER, ""), METADATA_HELD);
        EQ(take(&transaction, OTHER, "three"), METADATA_HELD);
        EQ(take(&transaction, END, ""), METADATA_REPLAY);
        static const char *const held[] = {"one", "", "three"};
        size_t position = 0;
        for (int i = 0; i < 3; i++) {
            struct bytes value = metadata_transaction_next(&transaction, &position);
            EQ(value.size, strlen(held[i]));
            EQ(memcmp(value.data, held[i], (size_t)value.size), 0);
        }
        EQ(metadata_transaction_next(&transaction, &position).size, -1);
        EQ(take(&transaction, OTHER, "after"), METADATA_APPLY);
    }
    metadata_transaction_done(&transaction);
}

TEST(metadata_transaction, forgets_what_is_aborted)
{
    struct metadata_transaction transaction = {0};
    EQ(take(&transaction, BEGIN, ""), METADATA_HELD);
    EQ(take(&transaction, OTHER, "one"), METADATA_HELD);
    TRUE_(transaction.is_open);
    EQ(take(&transaction, ABORT, ""), METADATA_HELD);
    TRUE_(!transaction.is_open);
    EQ(take(&transaction, BEGIN, ""), METADATA_HELD);
    EQ(take(&transaction, END, ""), METADATA_REPLAY);
    size_t position = 0;
    EQ(metadata_transaction_next(&transaction, &position).size, -1);
    metadata_transaction_done(&transaction);
}

TEST(metadata_transaction, that_is_none_is_refused)
{
    struct metadata_transaction transaction = {0};
    EQ(take(&transaction, END, ""), METADATA_BROKEN);
    EQ(take(&transaction, ABORT, ""), METADATA_BROKEN);
    EQ(take(&transaction, BEGIN, ""), METADATA_HELD);
    EQ(take(&transaction, BEGIN, ""), METADATA_BROKEN);
    metadata_transaction_done(&transaction);
}
