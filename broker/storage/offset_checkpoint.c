#include "storage/offset_checkpoint.h"
#include "base/memory.h"
#include <stdio.h>

enum { LINE_BYTES_MAX = 300 /* a topic of 249, two numbers */ };

/* Takes a line off the text, without its end. False: there is no whole one. */
static bool take_line(struct bytes *text, struct bytes *ret_line)
{
    const uint8_t *end = text->size > 0 ? memchr(text->data, '\n', (size_t)text->size) : NULL;
    if (!end)
        return false;
    *ret_line = (struct bytes){text->data, (int32_t)(end - text->data)};
    text->size -= ret_line->size + 1;
    text->data = end + 1;
    return true;
}

static bool parse_number(struct bytes text, int64_t *ret)
{
    int64_t value = 0;
    for (int32_t i = 0; i < text.size; i++) {
        int digit = text.data[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret = value;
    return text.size > 0;
}

/* "topic partition offset": the size of "topic partition". -1: it is no such line. */
static int32_t parse_line(struct bytes line, struct offset_checkpoint_line *ret)
{
    int32_t last = line.size - 1, first = 0;
    while (last > 0 && line.data[last] != ' ')
        last--;
    while (first < last && line.data[first] != ' ')
        first++;
    int64_t partition;
    struct bytes middle = {line.data + first + 1, last - first - 1};
    struct bytes end = {line.data + last + 1, line.size - last - 1};
    bool good = first > 0 && first < last && parse_number(middle, &partition) &&
                parse_number(end, &ret->offset) && partition <= INT32_MAX;
    ret->topic = (struct string){(const char *)line.data, first};
    ret->partition = good ? (int32_t)partition : 0;
    return good ? last : -1;
}

enum error offset_checkpoint_read(struct offset_checkpoint *checkpoint, struct bytes text)
{
    *checkpoint = (struct offset_checkpoint){0};
    map_init(&checkpoint->map, 0);
    struct bytes line;
    int64_t version, count;
    if (!take_line(&text, &line) || !parse_number(line, &version) || version != 0 ||
        !take_line(&text, &line) || !parse_number(line, &count) || count > text.size)
        return ERROR_MALFORMED;
    checkpoint->entries = memory_zeroed((size_t)count * sizeof checkpoint->entries[0] + 1);
    for (int64_t i = 0; i < count; i++) {
        struct offset_checkpoint_line *entry = &checkpoint->entries[i];
        int32_t key_size = take_line(&text, &line) ? parse_line(line, entry) : -1;
        if (key_size < 0) {
            offset_checkpoint_done(checkpoint);
            return ERROR_MALFORMED;
        }
        map_put(&checkpoint->map, line.data, (size_t)key_size, entry);
        checkpoint->count++;
    }
    return ERROR_NONE;
}

void offset_checkpoint_done(struct offset_checkpoint *checkpoint)
{
    map_done(&checkpoint->map);
    memory_free(checkpoint->entries);
    checkpoint->entries = NULL;
    checkpoint->count = 0;
}

bool offset_checkpoint_next(const struct offset_checkpoint *checkpoint, int32_t *at,
                            struct offset_checkpoint_line *ret)
{
    if (*at >= checkpoint->count)
        return false;
    *ret = checkpoint->entries[(*at)++];
    return true;
}

int64_t offset_checkpoint_get(const struct offset_checkpoint *checkpoint, struct string topic,
                              int32_t partition)
{
    char key[LINE_BYTES_MAX];
    int size = snprintf(key, sizeof key, "%.*s %d", (int)topic.size, topic.data, partition);
    const struct offset_checkpoint_line *entry =
        map_get(&checkpoint->map, key, size < (int)sizeof key ? (size_t)size : sizeof key - 1);
    return entry ? entry->offset : -1;
}

void offset_checkpoint_add(struct offset_checkpoint_text *text, struct string topic,
                           int32_t partition, int64_t offset)
{
    if (text->capacity - text->size < LINE_BYTES_MAX) {
        text->capacity = 2 * text->capacity + LINE_BYTES_MAX;
        text->lines = memory_resized(text->lines, text->capacity);
    }
    text->size += (size_t)snprintf(text->lines + text->size, LINE_BYTES_MAX, "%.*s %d %lld\n",
                                   (int)topic.size, topic.data, partition, (long long)offset);
    text->count++;
}

void offset_checkpoint_join(struct offset_checkpoint_text *to, struct offset_checkpoint_text *from)
{
    if (to->capacity - to->size < from->size) {
        to->capacity = to->size + from->size;
        to->lines = memory_resized(to->lines, to->capacity);
    }
    if (from->size)
        memcpy(to->lines + to->size, from->lines, from->size);
    to->size += from->size;
    to->count += from->count;
    offset_checkpoint_drop(from);
}

void offset_checkpoint_drop(struct offset_checkpoint_text *text)
{
    memory_free(text->lines);
    *text = (struct offset_checkpoint_text){0};
}

char *offset_checkpoint_take(struct offset_checkpoint_text *text)
{
    char *whole = memory_zeroed(text->size + 32);
    int head = snprintf(whole, 32, "0\n%d\n", text->count);
    if (text->size)
        memcpy(whole + head, text->lines, text->size);
    memory_free(text->lines);
    *text = (struct offset_checkpoint_text){0};
    return whole;
}
