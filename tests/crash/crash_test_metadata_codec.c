/* A metadata log whose batches are compressed. Kafka's controllers and ours write them plain, but
 * nothing in the format forbids it. */
#include "base/memory.h"
#include "crash/place.h"
#include "protocol/batch.h"
#include "support/test.h"

enum { LOG_BYTES_MAX = 64 << 10 };

static const char log_path[] = "data/__cluster_metadata-0/00000000000000000000.log";

/* Its batches, those of records compressed. */
static struct bytes recode(const uint8_t *data, int64_t size, struct arena *arena)
{
    uint8_t *to = arena_take(arena, (size_t)size * 2);
    int64_t written = 0;
    struct batch batch;
    for (int64_t at = 0; at < size; at += batch.whole.size) {
        EQ(batch_view(data + at, (size_t)(size - at), &batch), ERROR_NONE);
        struct bytes coded = batch.whole;
        if (!(batch.attributes & BATCH_CONTROL))
            EQ(batch_recode(&batch, CODEC_GZIP, 6, arena, &coded), ERROR_NONE);
        memcpy(to + written, coded.data, (size_t)coded.size);
        written += coded.size;
    }
    return (struct bytes){to, (int32_t)written};
}

static void recode_log(struct place *place)
{
    uint8_t *data = memory_zeroed(LOG_BYTES_MAX);
    struct arena arena;
    arena_init(&arena, 16 << 20);
    world_start(place->world, 0);
    struct port *port = world_port(place->world, 0, 0);
    struct op open = {.kind = OP_OPEN, .path = log_path, .flags = OPEN_READ | OPEN_WRITE};
    int32_t handle = (int32_t)port_call(port, &open);
    struct op read = {.kind = OP_READ, .handle = handle, .data = data, .size = LOG_BYTES_MAX};
    int64_t size = port_call(port, &read);
    TRUE_(size > 0 && size < LOG_BYTES_MAX);
    struct bytes coded = recode(data, size, &arena);
    struct iovec vector = {(void *)(uintptr_t)coded.data, (size_t)coded.size};
    struct op write = {.kind = OP_WRITE, .handle = handle, .vectors = &vector, .vector_count = 1};
    EQ(port_call(port, &write), coded.size);
    struct op cut = {.kind = OP_TRUNCATE, .handle = handle, .size = (size_t)coded.size};
    EQ(port_call(port, &cut), 0);
    struct op close = {.kind = OP_CLOSE, .handle = handle};
    EQ(port_call(port, &close), 0);
    arena_done(&arena);
    memory_free(data);
}

TEST(metadata, of_compressed_batches_is_read)
{
    static const char *const names[] = {"one", "two", "three"};
    struct place place;
    place_init(&place, 41, "data", NULL);
    TRUE_(place_boot(&place));
    for (int i = 0; i < 3; i++)
        place_turn_topic(&place, names[i]);
    place_stop(&place);
    recode_log(&place);
    TRUE_(place_boot(&place));
    EQ(place.broker.shards[0].image.topic_count, 3);
    for (int i = 0; i < 3; i++)
        EQ(place_send(&place, names[i], 0), ERROR_NONE);
    place_stop(&place);
    place_done(&place);
}
