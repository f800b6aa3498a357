#pragma once
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), by ISA-L. */
#include <stddef.h>
#include <stdint.h>

/* The CRC of `size` bytes, continued from `seed`: 0 to begin, else what the call for the bytes
 * before returned. crc32c(0, "123456789", 9) is 0xe3069283. */
uint32_t crc32c(uint32_t seed, const void *data, size_t size);
