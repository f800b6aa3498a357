#include "base/writer.h"

void writer_init(struct writer *writer, void *data, size_t capacity)
{
    *writer = (struct writer){.data = data, .capacity = data ? capacity : SIZE_MAX};
}

void writer_fail(struct writer *writer, enum error error)
{
    if (writer->error == ERROR_NONE)
        writer->error = error;
    writer->capacity = writer->size;
}

void write_uvarlong_long(struct writer *writer, uint64_t value)
{
    uint8_t bytes[10];
    int size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    write_raw(writer, bytes, (size_t)size);
}

void write_varint(struct writer *writer, int32_t value)
{
    write_uvarlong(writer, ((uint32_t)value << 1) ^ (uint32_t)(value >> 31));
}

void write_varlong(struct writer *writer, int64_t value)
{
    write_uvarlong(writer, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

int uvarlong_size(uint64_t value)
{
    return (70 - __builtin_clzll(value | 1)) / 7;
}

int varlong_size(int64_t value)
{
    return uvarlong_size(((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}
