#include "logic/compaction_transactions.h"
#include "base/memory.h"

/* A transaction of a producer that is open at this place of the walk. */
struct open_transaction {
    struct compaction_aborted aborted; /* producer_id alone counts where it was committed */
    bool is_aborted;
    bool seen; /* a batch of it is there */
};

void compaction_transactions_init(struct compaction_transactions *transactions,
                                  const struct compaction_aborted *aborted, int32_t count)
{
    *transactions = (struct compaction_transactions){.aborted = aborted, .aborted_count = count};
    map_init(&transactions->open, 0);
}

void compaction_transactions_done(struct compaction_transactions *transactions)
{
    uint32_t position = 0;
    for (void *open; (open = map_next(&transactions->open, &position));)
        memory_free(open);
    map_done(&transactions->open);
}

static struct open_transaction *find_open(const struct compaction_transactions *transactions,
                                          int64_t producer_id)
{
    return map_get(&transactions->open, &producer_id, sizeof producer_id);
}

static struct open_transaction *make_open(struct compaction_transactions *transactions,
                                          int64_t producer_id)
{
    struct open_transaction *open = memory_zeroed(sizeof *open);
    open->aborted.producer_id = producer_id;
    map_put(&transactions->open, &open->aborted.producer_id, sizeof producer_id, open);
    return open;
}

/* What was aborted ends with its marker, though an earlier pass may have removed that: what its
 * producer wrote later is another transaction. */
static void end_aborted(struct open_transaction *open, const struct batch *batch)
{
    if (open->is_aborted && batch->base_offset > open->aborted.last_offset)
        open->is_aborted = open->seen = false;
}

/* Aborted transactions that have begun by `offset` are open from here on. */
static void open_aborted(struct compaction_transactions *transactions, int64_t offset)
{
    while (transactions->aborted_next < transactions->aborted_count &&
           transactions->aborted[transactions->aborted_next].first_offset <= offset) {
        const struct compaction_aborted *aborted =
            &transactions->aborted[transactions->aborted_next++];
        struct open_transaction *open = find_open(transactions, aborted->producer_id);
        if (!open)
            open = make_open(transactions, aborted->producer_id);
        open->aborted = *aborted;
        open->is_aborted = true;
        open->seen = false;
    }
}

enum marker batch_marker(const struct batch *batch)
{
    struct batch_iterator iterator;
    struct record record;
    if (batch->attributes & BATCH_CODEC_MASK ||
        batch_iterate(batch, NULL, &iterator) != ERROR_NONE || !batch_next(&iterator, &record) ||
        record.key.size < 4)
        return MARKER_OTHER;
    uint16_t kind = load_be16(record.key.data + 2); /* behind the version */
    return kind <= MARKER_COMMIT ? (enum marker)kind : MARKER_OTHER;
}

bool compaction_transactions_batch(struct compaction_transactions *transactions,
                                   const struct batch *batch)
{
    open_aborted(transactions, batch_last_offset(batch));
    if (!(batch->attributes & BATCH_TRANSACTIONAL))
        return false;
    struct open_transaction *open = find_open(transactions, batch->producer_id);
    if (!open)
        open = make_open(transactions, batch->producer_id);
    end_aborted(open, batch);
    open->seen = true;
    return open->is_aborted;
}

bool compaction_transactions_marker(struct compaction_transactions *transactions,
                                    const struct batch *batch,
                                    struct compaction_aborted *ret_aborted, bool *ret_keeps)
{
    *ret_keeps = false;
    open_aborted(transactions, batch_last_offset(batch));
    if (batch_marker(batch) == MARKER_OTHER)
        return false;
    struct open_transaction *open = find_open(transactions, batch->producer_id);
    if (open)
        end_aborted(open, batch);
    bool seen = open && open->seen;
    if (open) {
        if (open->is_aborted && seen) {
            *ret_aborted = open->aborted;
            *ret_keeps = true;
        }
        map_remove(&transactions->open, &batch->producer_id, sizeof batch->producer_id);
        memory_free(open);
    }
    return !seen;
}
