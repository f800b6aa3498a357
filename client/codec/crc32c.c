#include "codec/crc32c.h"
#include <isa-l.h>

enum { PIECE_BYTES = 1 << 30 }; /* ISA-L takes an int */

uint32_t crc32c(uint32_t seed, const void *data, size_t size)
{
    /* ISA-L neither inverts at the beginning nor at the end, so a CRC is continued by undoing the
     * inversion. It doesn't write to what it takes without const. */
    const uint8_t *at = data;
    uint32_t crc = ~seed;
    while (size > 0) {
        size_t piece = size < PIECE_BYTES ? size : PIECE_BYTES;
        crc = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)piece, crc);
        at += piece;
        size -= piece;
    }
    return ~crc;
}
