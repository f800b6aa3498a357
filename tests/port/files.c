#include "base/bytes.h"
#include "base/memory.h"
#include "port/script.h"
#include <stdio.h>
#include <stdlib.h>

static void writes_and_reads(struct script *s)
{
    char read[64] = "";
    int32_t file = script_open(s, "a", OPEN_READ | OPEN_WRITE | OPEN_CREATE | OPEN_EXCLUSIVE);
    script_open(s, "a", OPEN_WRITE | OPEN_CREATE | OPEN_EXCLUSIVE);
    char hello[] = "hello ", world[] = "world";
    struct iovec vectors[3] = {{hello, 6}, {world, 0}, {world, 5}};
    struct op write = {.kind = OP_WRITE, .handle = file, .vectors = vectors, .vector_count = 3};
    script_call(s, &write);
    EQ(script_read(s, file, 0, read, sizeof read), 11);
    EQ_BYTES(read, "hello world", 11);
    script_read(s, file, 6, read, 3);
    EQ_BYTES(read, "wor", 3);
    script_read(s, file, 11, read, 1);
    script_read(s, file, 1000, read, 1);
    script_write(s, file, 14, "!");
    EQ(script_read(s, file, 8, read, sizeof read), 7);
    EQ_BYTES(read, "rld\0\0\0!", 7);
    script_close(s, file);
    file = script_open(s, "a", OPEN_READ);
    EQ(script_read(s, file, 0, read, 5), 5);
    EQ_BYTES(read, "hello", 5);
    script_write(s, file, 0, "x");
    script_close(s, file);
}

TEST(files, are_written_and_read)
{
    script_run(writes_and_reads, "open a -> handle\n"
                                 "open a -> ALREADY_EXISTS\n"
                                 "write -> 11\n"
                                 "read -> 11\n"
                                 "read -> 3\n"
                                 "read -> 0\n"
                                 "read -> 0\n"
                                 "write -> 1\n"
                                 "read -> 7\n"
                                 "close -> ok\n"
                                 "open a -> handle\n"
                                 "read -> 5\n"
                                 "write -> BAD_ARGUMENT\n"
                                 "close -> ok\n");
}

static void say_stat(struct script *s, const char *name, int32_t handle)
{
    struct file_stat status;
    struct op op = {.kind = OP_STAT,
                    .path = name ? script_path(s, name) : NULL,
                    .handle = handle,
                    .data = &status};
    if (script_call(s, &op) == 0)
        script_say(s, "  %s%s", status.is_directory ? "folder" : "file", "");
    if (op.result == 0 && !status.is_directory)
        script_say(s, "  %lld bytes", (long long)status.size_bytes);
}

static uint32_t alignment_of(struct script *s, int32_t handle)
{
    struct file_stat status;
    struct op op = {.kind = OP_STAT, .handle = handle, .data = &status};
    if (port_call(s->port, &op) < 0)
        return 4096;
    TRUE_(status.direct_alignment >= 1 &&
          (status.direct_alignment & (status.direct_alignment - 1)) == 0);
    return status.direct_alignment;
}

/* Durable direct writes of aligned blocks in two vectors, over themselves and past the end. */
static void writes_direct(struct script *s)
{
    uint32_t flags = OPEN_READ | OPEN_WRITE | OPEN_CREATE | OPEN_DIRECT;
    int32_t file = script_open(s, "direct", flags);
    uint32_t block = alignment_of(s, file);
    block = block < 512 ? 512 : block;
    uint8_t *memory = memory_aligned(block, 4 * block), *read = memory + 2 * block;
    memset(memory, 'a', block);
    memset(memory + block, 'b', block);
    struct iovec vectors[2] = {{memory + block, block}, {memory, block}};
    for (int i = 0; i < 3; i++) {
        struct op op = {.kind = OP_WRITE,
                        .handle = file,
                        .offset = i / 2 * (int64_t)block,
                        .flags = WRITE_DURABLE,
                        .vectors = vectors,
                        .vector_count = 2};
        EQ(port_call(s->port, &op), 2 * block);
    }
    struct op op = {.kind = OP_READ, .handle = file, .data = read, .size = 2 * block};
    EQ(port_call(s->port, &op), 2 * block);
    TRUE_(read[0] == 'b' && read[block - 1] == 'b' && read[block] == 'b' &&
          read[2 * block - 1] == 'b');
    op.offset = 2 * block;
    EQ(port_call(s->port, &op), block);
    TRUE_(read[0] == 'a' && read[block - 1] == 'a');
    op.offset = 3 * block;
    EQ(port_call(s->port, &op), 0);
    script_close(s, file);
    memory_free(memory);
}

TEST(files, are_written_past_the_cache)
{
    script_run(writes_direct, "open direct -> handle\n"
                              "close -> ok\n");
}

static void changes_size(struct script *s)
{
    char read[16];
    int32_t file = script_open(s, "f", OPEN_READ | OPEN_WRITE | OPEN_CREATE);
    script_write(s, file, 0, "0123456789");
    struct op truncate = {.kind = OP_TRUNCATE, .handle = file, .size = 4};
    script_call(s, &truncate);
    say_stat(s, NULL, file);
    truncate.size = 8;
    script_call(s, &truncate);
    EQ(script_read(s, file, 0, read, sizeof read), 8);
    EQ_BYTES(read, "0123\0\0\0\0", 8);
    struct op allocate = {.kind = OP_ALLOCATE, .handle = file, .offset = 0, .size = 20000};
    script_call(s, &allocate);
    say_stat(s, "f", -1);
    EQ(script_read(s, file, 2, read, sizeof read), sizeof read);
    EQ_BYTES(read, "23\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    struct file_stat status = {0};
    struct op stat = {.kind = OP_STAT, .handle = file, .data = &status};
    port_call(s->port, &stat);
    TRUE_(status.allocated_bytes >= 20000);
    script_close(s, file);
}

TEST(files, are_cut_and_grown)
{
    script_run(changes_size, "open f -> handle\n"
                             "write -> 10\n"
                             "truncate -> ok\n"
                             "stat -> ok\n"
                             "  file\n"
                             "  4 bytes\n"
                             "truncate -> ok\n"
                             "read -> 8\n"
                             "allocate -> ok\n"
                             "stat f -> ok\n"
                             "  file\n"
                             "  20000 bytes\n"
                             "read -> 16\n"
                             "close -> ok\n");
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Says the entries in order, whatever the order they came in. */
static void say_list(struct script *s, int32_t folder, size_t at_once)
{
    static char all[4096];
    char *names[128];
    size_t used = 0;
    int count = 0;
    struct op op = {.kind = OP_LIST, .handle = folder, .data = all, .size = at_once};
    while (port_call(s->port, &op) > 0) {
        for (size_t at = used; at < used + (size_t)op.result; at += strlen(all + at) + 1)
            names[count++] = all + at;
        used += (size_t)op.result;
        op.data = all + used;
    }
    EQ(op.result, 0);
    qsort(names, (size_t)count, sizeof names[0], compare_text);
    for (int i = 0; i < count; i++)
        script_say(s, "  %s", names[i]);
}

static void change(struct script *s, enum op_kind kind, const char *name)
{
    struct op op = {.kind = kind, .path = script_path(s, name)};
    script_call(s, &op);
}

static void touch(struct script *s, const char *name)
{
    struct op op = {
        .kind = OP_OPEN, .path = script_path(s, name), .flags = OPEN_WRITE | OPEN_CREATE};
    script_close_quiet(s, (int32_t)port_call(s->port, &op));
}

static void keeps_names(struct script *s)
{
    change(s, OP_MAKE_DIRECTORY, "t-0");
    change(s, OP_MAKE_DIRECTORY, "t-0");
    change(s, OP_MAKE_DIRECTORY, "missing/t-0");
    touch(s, "t-0/x.log");
    touch(s, "other");
    change(s, OP_REMOVE, "t-0");
    struct op rename = {
        .kind = OP_RENAME, .path = script_path(s, "t-0/x.log"), .path_to = script_path(s, "other")};
    script_call(s, &rename);
    script_call(s, &rename);
    int32_t folder = script_open(s, "", OPEN_READ | OPEN_DIRECTORY);
    say_list(s, folder, 512);
    struct op flush = {.kind = OP_FLUSH, .handle = folder};
    script_call(s, &flush);
    flush.kind = OP_FLUSH_ALL;
    script_call(s, &flush);
    say_stat(s, "t-0", -1);
    change(s, OP_REMOVE, "t-0");
    change(s, OP_REMOVE, "other");
    change(s, OP_REMOVE, "other");
    say_stat(s, "other", -1);
    script_close(s, folder);
}

TEST(files, have_names)
{
    script_run(keeps_names, "make directory t-0 -> ok\n"
                            "make directory t-0 -> ALREADY_EXISTS\n"
                            "make directory missing/t-0 -> NOT_FOUND\n"
                            "remove t-0 -> ALREADY_EXISTS\n"
                            "rename t-0/x.log -> ok\n"
                            "rename t-0/x.log -> NOT_FOUND\n"
                            "open -> handle\n"
                            "  dt-0\n"
                            "  fother\n"
                            "flush -> ok\n"
                            "flush all -> ok\n"
                            "stat t-0 -> ok\n"
                            "  folder\n"
                            "remove t-0 -> ok\n"
                            "remove other -> ok\n"
                            "remove other -> NOT_FOUND\n"
                            "stat other -> NOT_FOUND\n"
                            "close -> ok\n");
}

/* Room for three entries at a time. */
static void lists_in_pieces(struct script *s)
{
    char room[2];
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "%02d-long-name", i);
        touch(s, name);
    }
    int32_t folder = script_open(s, "", OPEN_READ | OPEN_DIRECTORY);
    struct op op = {.kind = OP_LIST, .handle = folder, .data = room, .size = sizeof room};
    script_call(s, &op);
    say_list(s, folder, 3 * 14);
    script_close(s, folder);
}

TEST(files, are_listed_in_pieces)
{
    char expected[1024];
    int size = snprintf(expected, sizeof expected, "open -> handle\nlist -> BAD_ARGUMENT\n");
    for (int i = 0; i < 20; i++)
        size += snprintf(expected + size, sizeof expected - (size_t)size, "  f%02d-long-name\n", i);
    snprintf(expected + size, sizeof expected - (size_t)size, "close -> ok\n");
    script_run(lists_in_pieces, expected);
}

static void locks(struct script *s)
{
    int32_t first = script_open(s, ".lock", OPEN_WRITE | OPEN_CREATE | OPEN_LOCK);
    script_open(s, ".lock", OPEN_WRITE | OPEN_CREATE | OPEN_LOCK);
    int32_t reader = script_open(s, ".lock", OPEN_READ);
    script_close(s, first);
    int32_t second = script_open(s, ".lock", OPEN_WRITE | OPEN_LOCK);
    script_close(s, second);
    script_close(s, reader);
}

TEST(files, are_locked_by_one)
{
    script_run(locks, "open .lock -> handle\n"
                      "open .lock -> NO_PERMISSION\n"
                      "open .lock -> handle\n"
                      "close -> ok\n"
                      "open .lock -> handle\n"
                      "close -> ok\n"
                      "close -> ok\n");
}

static void fails(struct script *s)
{
    char read[1];
    script_open(s, "missing", OPEN_READ);
    touch(s, "file");
    script_open(s, "file/below", OPEN_READ);
    script_open(s, "file", OPEN_READ | OPEN_DIRECTORY);
    script_open(s, "", OPEN_WRITE);
    script_read(s, 1 << 20, 0, read, 1);
    struct op op = {.kind = OP_TRUNCATE, .handle = 1 << 20};
    script_call(s, &op);
    op.kind = OP_FLUSH;
    script_call(s, &op);
}

TEST(files, fail_with_errors_of_ours)
{
    script_run(fails, "open missing -> NOT_FOUND\n"
                      "open file/below -> NOT_FOUND\n"
                      "open file -> NOT_FOUND\n"
                      "open -> BAD_ARGUMENT\n"
                      "read -> BAD_ARGUMENT\n"
                      "truncate -> BAD_ARGUMENT\n"
                      "flush -> BAD_ARGUMENT\n");
}

/* Ten thousand operations, more than any queue holds; every second one is cancelled, and may end
 * either way, but must end. */
static void floods(struct script *s)
{
    enum { COUNT = 10000 };
    char *text = memory_zeroed(COUNT + 1), *read = memory_zeroed(COUNT);
    struct op *ops = memory_zeroed(COUNT * sizeof *ops);
    for (int i = 0; i < COUNT; i++)
        text[i] = (char)('a' + i % 23);
    int32_t file = script_open(s, "many", OPEN_READ | OPEN_WRITE | OPEN_CREATE);
    script_write(s, file, 0, text);
    for (int pass = 0; pass < 2; pass++) {
        memset(read, 0, COUNT);
        for (int i = 0; i < COUNT; i++) {
            ops[i] = (struct op){
                .kind = OP_READ, .handle = file, .offset = i, .size = 1, .data = read + i};
            op_start(s->port, &ops[i]);
        }
        for (int i = 0; i < COUNT && pass == 1; i += 2)
            s->port->operations->cancel(s->port, &ops[i]);
        int right = 0;
        for (int i = 0; i < COUNT; i++) {
            script_await(s, &ops[i]);
            bool was_read = ops[i].result == 1 && read[i] == text[i];
            bool was_cancelled = op_error(ops[i].result) == ERROR_CANCELLED;
            right += was_read || (pass == 1 && i % 2 == 0 && was_cancelled);
        }
        script_say(s, "%d", right);
    }
    script_close(s, file);
    memory_free(text);
    memory_free(read);
    memory_free(ops);
}

TEST(files, take_more_operations_than_the_queue)
{
    script_run(floods, "open many -> handle\n"
                       "write -> 10000\n"
                       "10000\n"
                       "10000\n"
                       "close -> ok\n");
}

/* What a file takes is gone from what is free. Others may use the same disk meanwhile. */
static void tells_space(struct script *s)
{
    struct file_space space = {0};
    int32_t folder = script_open(s, "", OPEN_READ | OPEN_DIRECTORY);
    struct op op = {.kind = OP_SPACE, .handle = folder, .data = &space};
    script_call(s, &op);
    TRUE_(space.free_bytes > 0 && space.free_bytes <= space.total_bytes);
    op.handle = 12345;
    script_call(s, &op);
    script_close(s, folder);
}

TEST(files, tell_what_is_free)
{
    script_run(tells_space, "open -> handle\n"
                            "space -> ok\n"
                            "space -> BAD_ARGUMENT\n"
                            "close -> ok\n");
}
