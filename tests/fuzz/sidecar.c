/* A sidecar: one byte says whether the frame is made right around the rest, two how much of the
 * rest is also a segment that it is held against. What is taken of it is written the same way
 * again, and taken again; a run is judged without going beyond the bytes that are there. */
#include "storage/sidecar_format.h"
#include "base/memory.h"
#include "codec/crc32c.h"
#include "fuzz/fuzz.h"

enum { SIZE_MAX_BYTES = 1 << 16 };

static void store_le32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static struct bytes framed(struct bytes map)
{
    static const uint8_t begin[] = {'B', 'O', 'L', 'E', 'S', 'D', 'C', 1, 1, 0, 0, 0};
    size_t size = (size_t)map.size;
    uint8_t *bytes = memory_zeroed(SIDECAR_FRAME + size);
    memcpy(bytes, begin, sizeof begin);
    store_le32(bytes + 12, (uint32_t)size);
    if (size)
        memcpy(bytes + SIDECAR_FRAME, map.data, size);
    store_le32(bytes + 16, crc32c(crc32c(0, bytes, 16), bytes + SIDECAR_FRAME, size));
    return (struct bytes){bytes, (int32_t)size + SIDECAR_FRAME};
}

/* Each run against bytes that are those of no such segment. */
static void hold_against(const struct sidecar *sidecar, struct bytes log)
{
    struct sidecar_fault fault = {0};
    for (int32_t i = 0; i < sidecar->run_count; i++) {
        int64_t begin = sidecar->runs[i].position;
        check(sidecar_run_at(sidecar, begin) == i && begin < sidecar_run_end(sidecar, i));
        if (begin > log.size)
            break;
        enum sidecar_verdict verdict = sidecar_judge(sidecar, i, log, 0, &fault);
        check(verdict != SIDECAR_SHORT ||
              (fault.position > log.size && fault.position <= sidecar->size));
        check(verdict != SIDECAR_ROT || (fault.what && fault.position < sidecar->size));
    }
}

static void look_at(struct bytes file, struct bytes log)
{
    struct sidecar *sidecar = NULL, *again = NULL;
    enum error error = sidecar_decode(file, &sidecar);
    check(error == ERROR_NONE || error == ERROR_MALFORMED || error == ERROR_NEWER_VERSION);
    if (error)
        return;
    struct bytes once = sidecar_encode(sidecar);
    check(sidecar_decode(once, &again) == ERROR_NONE);
    struct bytes twice = sidecar_encode(again);
    check(once.size == twice.size && memcmp(once.data, twice.data, (size_t)once.size) == 0);
    hold_against(sidecar, log);
    memory_free((void *)(uintptr_t)once.data);
    memory_free((void *)(uintptr_t)twice.data);
    sidecar_free(sidecar);
    sidecar_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    bool is_framed = input_u8(&input) & 1;
    int32_t log_size = input_u16(&input);
    struct bytes rest = input_rest(&input);
    if (rest.size > SIZE_MAX_BYTES)
        return 0;
    struct bytes log = {rest.data, log_size < rest.size ? log_size : rest.size};
    if (!is_framed) {
        look_at(rest, log);
        return 0;
    }
    struct bytes file = framed(rest);
    look_at(file, log);
    memory_free((void *)(uintptr_t)file.data);
    return 0;
}
