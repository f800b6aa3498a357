#include "base/siphash.h"
#include <string.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotated(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

/* Little-endian, as the definition has it; this code runs on such machines only. */
static uint64_t load_word(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

static void mix_rounds(struct state *state, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        state->v0 += state->v1;
        state->v1 = rotated(state->v1, 13) ^ state->v0;
        state->v0 = rotated(state->v0, 32);
        state->v2 += state->v3;
        state->v3 = rotated(state->v3, 16) ^ state->v2;
        state->v0 += state->v3;
        state->v3 = rotated(state->v3, 21) ^ state->v0;
        state->v2 += state->v1;
        state->v1 = rotated(state->v1, 17) ^ state->v2;
        state->v2 = rotated(state->v2, 32);
    }
}

static void absorb(struct state *state, uint64_t word)
{
    state->v3 ^= word;
    mix_rounds(state, 2);
    state->v0 ^= word;
}

struct hash128 siphash128(const uint8_t key[SIPHASH_KEY_BYTES], const void *data, size_t size)
{
    uint64_t k0 = load_word(key), k1 = load_word(key + 8);
    struct state state = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du ^ 0xee,
                          k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
    const uint8_t *at = data;
    uint64_t last = (uint64_t)size << 56;
    for (; size >= 8; size -= 8, at += 8)
        absorb(&state, load_word(at));
    for (size_t i = 0; i < size; i++)
        last |= (uint64_t)at[i] << (8 * i);
    absorb(&state, last);
    struct hash128 hash;
    state.v2 ^= 0xee;
    mix_rounds(&state, 4);
    hash.low = state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
    state.v1 ^= 0xdd;
    mix_rounds(&state, 4);
    hash.high = state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
    return hash;
}
