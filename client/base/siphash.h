#pragma once
/* SipHash-2-4 with 128 bits of output (Aumasson and Bernstein 2012): without the key nobody can
 * choose inputs that collide, and by chance n inputs collide with probability n² / 2^129. */
#include <stddef.h>
#include <stdint.h>

enum { SIPHASH_KEY_BYTES = 16 };

struct hash128 {
    uint64_t low, high;
};

/* The hash of `size` bytes under `key`; `data` may be null when size is 0. */
struct hash128 siphash128(const uint8_t key[SIPHASH_KEY_BYTES], const void *data, size_t size);
