/* A directory as a killed broker has left it, with some of its bytes others: stores start on it in
 * the world, in both ways, every log is opened and read to its end, stopped and read again.
 *  1. Whatever lies there, the start ends: it serves, refuses, or fails a log or a store, and says
 *     why. Nothing hangs or dies.
 *  2. Of each batch that is read, what its CRC covers was written, unless the CRC is wrong, which
 *     the reader sees.
 * The input: a byte of choices, then changes: which file, where (of its size, in 1/65536), how many
 * bytes, and the bytes; a count of 0 cuts the file there, one above 200 takes it away. */
#include "fuzz/fuzz.h"
#include "base/memory.h"
#include "crash/golden.h"
#include "protocol/batch.h"
#include <stdio.h>

enum { CHANGES_MOST = 16, BYTES_MOST = 200, KNOWN_MOST = 512, REPLAYS = 1 };

static const struct golden_log wanted[] = {
    {.topic = "idem", .topic_id = "5SICGVLzTXy1pDzuPWrqnA", .core = 0},
    {.topic = "plain", .partition = 1, .topic_id = "KINtLhu4SwCXtdoz9PYLyw", .core = 1},
};
enum { LOGS = sizeof wanted / sizeof wanted[0] };

/* What was written: the CRCs of the batches, of the directory as it is. The same in every run. */
struct known {
    struct golden_files files;
    uint32_t crcs[KNOWN_MOST];
    int count;
    bool done;
};

static bool is_of_the_logs(const char *path)
{
    static const char *const names[] = {"data/journal-", "data/idem-0/", "data/plain-1/"};
    bool is = false;
    for (int i = 0; i < ARRAY_COUNT(names); i++)
        is |= strncmp(path, names[i], strlen(names[i])) == 0;
    return is;
}

static bool is_known(const struct known *known, uint32_t crc)
{
    for (int i = 0; i < known->count; i++)
        if (known->crcs[i] == crc)
            return true;
    return false;
}

static void take_batch(void *context, struct golden_log *log, struct bytes whole)
{
    struct known *known = context;
    struct batch batch;
    (void)log;
    check(batch_view(whole.data, (size_t)whole.size, &batch) == ERROR_NONE);
    if (!known->done) {
        check(known->count < KNOWN_MOST);
        known->crcs[known->count++] = batch.crc;
        return;
    }
    if (batch_check_crc(&batch) == ERROR_NONE)
        check(is_known(known, batch.crc));
}

static void start_on(struct known *known, const struct golden_files *files, bool replays)
{
    struct golden_log logs[LOGS];
    memcpy(logs, wanted, sizeof logs);
    struct golden_start start = {.files = files,
                                 .logs = logs,
                                 .log_count = LOGS,
                                 .cores = 2,
                                 .replays = replays,
                                 .batch = take_batch,
                                 .context = known};
    golden_run(&start);
    check(!start.refused || start.why[0]);
    check(known->done || (!start.refused && !start.fenced));
}

/* Of the whole archive only what these logs need, so that a run is short. */
static struct known *learn(void)
{
    static struct known known;
    if (known.done)
        return &known;
    check(golden_unpack(&known.files, GOLDEN_FOLDER "/v2-killed.tar.gz"));
    int count = 0;
    for (int i = 0; i < known.files.count; i++)
        if (is_of_the_logs(known.files.files[i].path))
            known.files.files[count++] = known.files.files[i];
    known.files.count = count;
    start_on(&known, &known.files, false);
    check(known.count > 0);
    known.done = true;
    return &known;
}

/* One change of one file, whose bytes are the run's own. */
static void change(struct golden_files *files, struct input *input)
{
    struct golden_file *file = &files->files[input_u8(input) % files->count];
    size_t size = (size_t)file->bytes.size, at = size * input_u16(input) / 65536;
    uint8_t count = input_u8(input);
    struct bytes bytes = input_take(input, count > BYTES_MOST ? 0 : count);
    if (file->path[strlen(file->path) - 1] == '/')
        return;
    if (count == 0)
        file->bytes.size = (int32_t)at;
    if (count > BYTES_MOST) { /* as if it were another's: nobody looks at it */
        snprintf(file->path, sizeof file->path, "data/removed-%d", input_u8(input));
        return;
    }
    size_t fits = size - at < (size_t)bytes.size ? size - at : (size_t)bytes.size;
    if (fits > 0)
        memcpy((uint8_t *)(uintptr_t)file->bytes.data + at, bytes.data, fits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct known *known = learn();
    struct input input = {data, data + size};
    struct golden_files *files = memory_zeroed(sizeof *files);
    *files = known->files;
    arena_init(&files->arena, 4 << 20);
    for (int i = 0; i < files->count; i++) {
        struct bytes *bytes = &files->files[i].bytes;
        uint8_t *copy = arena_take(&files->arena, (size_t)bytes->size + 1);
        if (bytes->size > 0)
            memcpy(copy, bytes->data, (size_t)bytes->size);
        bytes->data = copy;
    }
    uint8_t choices = input_u8(&input);
    for (int i = 0; i < CHANGES_MOST && input.next < input.end; i++)
        change(files, &input);
    start_on(known, files, choices & REPLAYS);
    golden_free(files);
    memory_free(files);
    return 0;
}
