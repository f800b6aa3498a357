#pragma once
/* Equality of two values of one message, and values at random: for tests of everything that goes
 * over the wire. */
#include "base/random.h"
#include "protocol/message.h"

/* True if the values are equal in all fields that `version` has, unknown tagged fields included.
 * Floats are compared by their bits, so that a NaN equals itself. Records must be whole. */
bool message_equal(const struct message *message, int16_t version, const void *a, const void *b);

/* Fills the struct at `value` with random values that `version` can carry: small, large and extreme
 * numbers, nulls, empty and short arrays, text of one to four bytes a character, unknown tagged
 * fields. Takes memory from the arena; NO_MEMORY. */
enum error message_fill(const struct message *message, int16_t version, struct random *random,
                        struct arena *arena, void *value);
