#include "logic/epochs.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 40 /* two numbers, a space and a newline take less */ };

void epochs_free(struct epochs *epochs)
{
    memory_free(epochs->entries);
    *epochs = (struct epochs){0};
}

static void push(struct epochs *epochs, struct epoch_entry entry)
{
    if (epochs->count == epochs->capacity) {
        epochs->capacity = epochs->capacity ? 2 * epochs->capacity : 1;
        epochs->entries =
            memory_resized(epochs->entries, (size_t)epochs->capacity * sizeof(struct epoch_entry));
    }
    epochs->entries[epochs->count++] = entry;
}

bool epochs_assign(struct epochs *epochs, int32_t epoch, int64_t start_offset)
{
    check(start_offset >= 0);
    if (epoch < 0 || MUTANT(forget_epoch_cache))
        return false;
    const struct epoch_entry *latest = epochs->count ? &epochs->entries[epochs->count - 1] : NULL;
    if (latest && latest->epoch == epoch && latest->start_offset <= start_offset)
        return false;
    while (epochs->count > 0 && (epochs->entries[epochs->count - 1].epoch >= epoch ||
                                 epochs->entries[epochs->count - 1].start_offset >= start_offset))
        epochs->count--;
    push(epochs, (struct epoch_entry){epoch, start_offset});
    return true;
}

bool epochs_truncate_end(struct epochs *epochs, int64_t end_offset)
{
    int32_t before = epochs->count;
    while (epochs->count > 0 && epochs->entries[epochs->count - 1].start_offset >= end_offset)
        epochs->count--;
    return epochs->count != before;
}

/* How many began at or before `offset`. */
static int32_t count_until(const struct epochs *epochs, int64_t offset)
{
    int32_t count = 0;
    while (count < epochs->count && epochs->entries[count].start_offset <= offset)
        count++;
    return count;
}

bool epochs_truncate_start(struct epochs *epochs, int64_t start_offset)
{
    int32_t until = count_until(epochs, start_offset);
    if (until == 0 || (until == 1 && epochs->entries[0].start_offset == start_offset))
        return false;
    epochs->count -= until - 1;
    memmove(epochs->entries, epochs->entries + until - 1,
            (size_t)epochs->count * sizeof(struct epoch_entry));
    epochs->entries[0].start_offset = start_offset;
    return true;
}

struct epoch_entry epochs_end(const struct epochs *epochs, int32_t epoch, int64_t log_end_offset)
{
    const struct epoch_entry none = {-1, -1};
    if (epoch < 0 || epochs->count == 0)
        return none;
    if (epoch == epochs_latest(epochs))
        return (struct epoch_entry){epoch, log_end_offset};
    int32_t higher = 0;
    while (higher < epochs->count && epochs->entries[higher].epoch <= epoch)
        higher++;
    if (higher == epochs->count)
        return none;
    return (struct epoch_entry){higher ? epochs->entries[higher - 1].epoch : epoch,
                                epochs->entries[higher].start_offset};
}

int32_t epochs_at(const struct epochs *epochs, int64_t offset)
{
    int32_t until = count_until(epochs, offset);
    return until ? epochs->entries[until - 1].epoch : -1;
}

int32_t epochs_latest(const struct epochs *epochs)
{
    return epochs->count ? epochs->entries[epochs->count - 1].epoch : -1;
}

size_t epochs_text_size(const struct epochs *epochs)
{
    return (size_t)(epochs->count + 2) * LINE_BYTES;
}

size_t epochs_encode(const struct epochs *epochs, int64_t end_offset, char *text, size_t capacity)
{
    int32_t count = count_until(epochs, end_offset - 1);
    if (capacity < (size_t)(count + 2) * LINE_BYTES)
        return 0;
    int size = snprintf(text, capacity, "0\n%d\n", count);
    for (int32_t i = 0; i < count; i++)
        size += snprintf(text + size, capacity - (size_t)size, "%d %lld\n",
                         epochs->entries[i].epoch, (long long)epochs->entries[i].start_offset);
    return (size_t)size;
}

/* A number of digits only, at most `most`, up to the character `end`, which is passed. */
static bool take_number(struct bytes *text, char end, int64_t most, int64_t *ret)
{
    int64_t value = 0;
    int32_t at = 0;
    for (; at < text->size && text->data[at] >= '0' && text->data[at] <= '9'; at++) {
        int digit = text->data[at] - '0';
        if (value > (most - digit) / 10)
            return false;
        value = 10 * value + digit;
    }
    if (at == 0 || at == text->size || text->data[at] != (uint8_t)end)
        return false;
    *text = (struct bytes){text->data + at + 1, text->size - at - 1};
    *ret = value;
    return true;
}

bool epochs_decode(struct epochs *epochs, struct bytes text)
{
    int64_t version, count, epoch, start_offset;
    epochs->count = 0;
    if (!take_number(&text, '\n', INT32_MAX, &version) || version != 0 ||
        !take_number(&text, '\n', INT32_MAX, &count))
        return false;
    for (int64_t i = 0; i < count; i++) {
        bool taken = take_number(&text, ' ', INT32_MAX, &epoch) &&
                     take_number(&text, '\n', INT64_MAX, &start_offset);
        const struct epoch_entry *last = epochs->count ? &epochs->entries[i - 1] : NULL;
        if (!taken || (last && (epoch <= last->epoch || start_offset <= last->start_offset))) {
            epochs->count = 0;
            return false;
        }
        push(epochs, (struct epoch_entry){(int32_t)epoch, start_offset});
    }
    if (text.size > 0)
        epochs->count = 0;
    return text.size == 0;
}
