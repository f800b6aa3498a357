/* Every message at every version: two bytes choose the message, one the version, the rest is the
 * body.
 *  1. Decoding takes no more of the arena than its budget, and of that no more than a multiple of
 *     what it was given.
 *  2. What was decoded encodes to the size that message_size says, no more than it came from, and
 *     those bytes decode to an equal value, which encodes to the same bytes.
 *  3. It is equal to itself, prints as JSON, and the counted size of the JSON is what is written.
 */
#include "fuzz/fuzz.h"
#include "base/memory.h"
#include "protocol/compare.h"
#include "protocol/json.h"
#include "protocol/messages.h"

enum { BUDGET_BYTES = 8 << 20, ELEMENT_BYTES_MOST = 4096 };

static void check_json(const struct message *message, int16_t version, const void *value,
                       struct arena *arena)
{
    struct writer count, text;
    writer_init(&count, NULL, 0);
    check(message_print_json(message, version, value, &count) == ERROR_NONE);
    uint8_t *memory = arena_take(arena, count.size);
    if (!memory)
        return;
    writer_init(&text, memory, count.size);
    check(message_print_json(message, version, value, &text) == ERROR_NONE);
    check(text.size == count.size);
}

/* Encodes the value; null if there is no memory left. */
static uint8_t *encode(const struct message *message, int16_t version, const void *value,
                       size_t size, struct arena *arena)
{
    uint8_t *bytes = arena_take(arena, size);
    if (!bytes)
        return NULL;
    struct writer writer;
    writer_init(&writer, bytes, size);
    check(message_encode(message, version, &writer, value) == ERROR_NONE);
    check(writer.size == size);
    return bytes;
}

/* `from_size` bytes were decoded into the value. They need not be those an encoder writes: a true
 * of any byte but 0, a tagged field at its default. */
static void check_encoding(const struct message *message, int16_t version, const void *value,
                           size_t from_size, struct arena *arena)
{
    size_t size = message_size(message, version, value);
    check(size <= from_size);
    uint8_t *bytes = encode(message, version, value, size, arena);
    void *again = arena_take(arena, message->size);
    if (!bytes || !again)
        return;
    struct reader reader;
    reader_init(&reader, bytes, size);
    message_set_defaults(message, again);
    enum error error = message_decode_whole(message, version, &reader, arena, again);
    if (error == ERROR_NO_MEMORY)
        return;
    check(error == ERROR_NONE && message_equal(message, version, value, again));
    check(message_size(message, version, again) == size);
    uint8_t *bytes_again = encode(message, version, again, size, arena);
    check(!bytes_again || size == 0 || memcmp(bytes, bytes_again, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    const struct message *message = message_at(input_u16(&input) % message_count());
    int16_t versions = (int16_t)(message->newest - message->oldest + 1);
    if (versions <= 0)
        return 0;
    int16_t version = (int16_t)(message->oldest + input_u8(&input) % versions);
    struct bytes body = input_rest(&input);
    struct arena arena;
    struct reader reader;
    arena_init(&arena, BUDGET_BYTES);
    reader_init(&reader, body.data, (size_t)body.size);
    void *value = memory_zeroed(message->size);
    message_set_defaults(message, value);
    enum error error = message_decode(message, version, &reader, &arena, value);
    check(arena.used_bytes <= BUDGET_BYTES);
    check(arena.used_bytes <= ELEMENT_BYTES_MOST * ((size_t)body.size + 1));
    if (error == ERROR_NONE) {
        check(message_equal(message, version, value, value));
        check_encoding(message, version, value, (size_t)(reader.next - body.data), &arena);
        check_json(message, version, value, &arena);
    }
    memory_free(value);
    arena_done(&arena);
    return 0;
}
