#pragma once
/* One target: a program of one file NAME.c, which feeds arbitrary bytes to one decoder and checks
 * what must hold whatever they are. With clang's libFuzzer the bytes are searched for; without it
 * replay.c runs the files of the corpus once, so that every build tests them. */
#include "base/bytes.h"
#include "base/check.h"
#include <stddef.h>
#include <stdint.h>

/* The target. Returns 0; what must hold is a check(), which aborts. Keeps no state between calls
 * and takes milliseconds at most. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An input read from its front: choices first. At its end everything is zero, and empty. */
struct input {
    const uint8_t *next, *end;
};

static inline uint8_t input_u8(struct input *input)
{
    return input->next < input->end ? *input->next++ : 0;
}

static inline uint16_t input_u16(struct input *input)
{
    uint16_t high = input_u8(input);
    return (uint16_t)(high << 8 | input_u8(input));
}

/* The next `size` bytes, or as many as there are. */
static inline struct bytes input_take(struct input *input, size_t size)
{
    size_t left = (size_t)(input->end - input->next);
    struct bytes taken = {input->next, (int32_t)(size < left ? size : left)};
    if (taken.size > 0)
        input->next += taken.size;
    return taken;
}

static inline struct bytes input_rest(struct input *input)
{
    return input_take(input, (size_t)(input->end - input->next));
}
