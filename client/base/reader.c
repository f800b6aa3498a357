#include "base/reader.h"

void reader_init(struct reader *reader, const void *data, size_t size)
{
    *reader = (struct reader){data, (const uint8_t *)data + size, ERROR_NONE};
}

void reader_fail(struct reader *reader, enum error error)
{
    if (reader->error == ERROR_NONE)
        reader->error = error;
    reader->end = reader->next; /* nothing is left, so every later read fails too */
}

/* Reads groups of 7 bits, least significant first; at most `bits` bits of value. */
static uint64_t read_groups(struct reader *reader, int bits)
{
    uint64_t value = 0;
    for (int shift = 0; shift < bits; shift += 7) {
        const uint8_t *at = reader_take(reader, 1);
        if (!at)
            return 0;
        uint64_t group = *at & 0x7f;
        if (shift + 7 > bits && (group >> (bits - shift)) != 0)
            break; /* does not fit */
        value |= group << shift;
        if (!(*at & 0x80)) {
            if (*at == 0 && shift > 0)
                break; /* overlong */
            return value;
        }
    }
    reader_fail(reader, ERROR_MALFORMED);
    return 0;
}

uint32_t read_uvarint_long(struct reader *reader)
{
    return (uint32_t)read_groups(reader, 32);
}

uint64_t read_uvarlong_long(struct reader *reader)
{
    return read_groups(reader, 64);
}
