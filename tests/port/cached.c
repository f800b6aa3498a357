/* Reads of what lies in the page cache, and of nothing else. What lies there no script can say of
 * every system, but for what was read or written just now; nor that a direct write leaves nothing
 * there, where files lie in memory. */
#include "base/memory.h"
#include "port/script.h"

enum { PAGE = 4096, PAGES = 4 };

/* Asks for bytes at `offset`: started like any other operation if `starts`, else by port_call. */
static int64_t ask(struct script *s, int32_t file, int64_t offset, size_t size, bool starts)
{
    uint8_t *read = memory_zeroed(size);
    struct op op = {.kind = OP_READ,
                    .handle = file,
                    .offset = offset,
                    .data = read,
                    .size = size,
                    .flags = READ_CACHED_ONLY};
    if (starts)
        op_start(s->port, &op);
    int64_t result = starts ? script_await(s, &op) : port_call(s->port, &op);
    for (int64_t i = 0; i < result; i++)
        TRUE_(read[i] == 'a' + (offset + i) / PAGE);
    memory_free(read);
    return result;
}

/* Both ways give the same, and it is `wanted`; where the system can't tell, nothing is known. */
static void expect(struct script *s, int32_t file, int64_t offset, size_t size, int64_t wanted)
{
    for (int starts = 0; starts < 2; starts++) {
        int64_t result = ask(s, file, offset, size, starts);
        if (result != -ERROR_NOT_SUPPORTED)
            EQ(result, wanted);
    }
}

/* A file of pages of 'a', 'b' ... that were written past the cache, and are durable. */
static void write_direct(struct script *s)
{
    int32_t file = script_open(s, "f", OPEN_READ | OPEN_WRITE | OPEN_CREATE | OPEN_DIRECT);
    uint8_t *bytes = memory_aligned(PAGE, PAGES * PAGE);
    for (int i = 0; i < PAGES; i++)
        memset(bytes + i * PAGE, 'a' + i, PAGE);
    struct iovec vector = {bytes, PAGES * PAGE};
    struct op op = {.kind = OP_WRITE,
                    .handle = file,
                    .vectors = &vector,
                    .vector_count = 1,
                    .flags = WRITE_DURABLE};
    script_call(s, &op);
    op = (struct op){.kind = OP_FLUSH, .handle = file};
    script_call(s, &op);
    script_close(s, file);
    memory_free(bytes);
}

static void reads_what_is_there(struct script *s)
{
    char read[PAGES * PAGE];
    write_direct(s);
    int32_t file = script_open(s, "f", OPEN_READ | OPEN_NOTHING_AHEAD);
    bool nothing_there = ask(s, file, 0, sizeof read, true) == -ERROR_WOULD_WAIT;
    TRUE_(nothing_there || strcmp(s->row_name, "world") != 0);
    script_read(s, file, PAGE, read, PAGE);
    if (nothing_there) { /* and to ask for it has not brought it there */
        expect(s, file, 0, sizeof read, -ERROR_WOULD_WAIT);
        expect(s, file, PAGE / 2, PAGE, -ERROR_WOULD_WAIT);
        expect(s, file, PAGE, PAGE + 1, -ERROR_WOULD_WAIT);
    }
    expect(s, file, PAGE, PAGE, PAGE);
    expect(s, file, PAGE + 100, 1000, 1000);
    script_read(s, file, 0, read, sizeof read);
    expect(s, file, 0, sizeof read, sizeof read);
    expect(s, file, PAGE - 1, 2 * PAGE, 2 * PAGE);
    expect(s, file, sizeof read - PAGE, PAGE + 1, -ERROR_WOULD_WAIT);
    expect(s, file, sizeof read, PAGE, -ERROR_WOULD_WAIT);
    script_close(s, file);
}

TEST(cached, reads_give_what_the_page_cache_has_and_do_not_ask_the_disk)
{
    script_run(reads_what_is_there, "open f -> handle\n"
                                    "write -> 16384\n"
                                    "flush -> ok\n"
                                    "close -> ok\n"
                                    "open f -> handle\n"
                                    "read -> 4096\n"
                                    "read -> 16384\n"
                                    "close -> ok\n");
}

static void reads_what_was_written(struct script *s)
{
    int32_t file = script_open(s, "g", OPEN_READ | OPEN_WRITE | OPEN_CREATE);
    script_write(s, file, 0, "aaaaaaaa");
    expect(s, file, 0, 8, 8);
    expect(s, file, 2, 6, 6);
    expect(s, file, 4096, 1, -ERROR_WOULD_WAIT);
    expect(s, 12345, 0, 1, -ERROR_BAD_ARGUMENT);
    script_close(s, file);
}

TEST(cached, reads_give_what_was_just_written_through_the_cache)
{
    script_run(reads_what_was_written, "open g -> handle\n"
                                       "write -> 8\n"
                                       "close -> ok\n");
}
