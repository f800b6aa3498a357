#include "base/utf8.h"
#include <stdint.h>
#include <string.h>

/* Bytes of the character that begins at `at`, of which `left` bytes are there; 0 if malformed. */
static size_t character_size(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (size <= 1)
        return size;
    if (first > 0xf4 || size > left)
        return 0;
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80; /* below: overlong */
    uint8_t high = first == 0xed   ? 0x9f
                   : first == 0xf4 ? 0x8f
                                   : 0xbf; /* above: surrogate, too big */
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

bool utf8_is_valid(const void *text, size_t size)
{
    const uint8_t *at = text, *end = at + size;
    while (at < end) {
        uint64_t eight;
        if (end - at >= 8) {
            memcpy(&eight, at, sizeof eight);
            if (!(eight & 0x8080808080808080u)) {
                at += 8;
                continue;
            }
        }
        size_t step = character_size(at, (size_t)(end - at));
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}
