#pragma once
/* Shared by the tests of the world: a world of one machine whose port is called step by step. */
#include "sim/disk_record.h"
#include "sim/world.h"
#include "base/check.h"
#include "base/memory.h"
#include "support/test.h"

struct one {
    struct world *world;
    struct port *port;
};

static inline struct one one_create(uint64_t seed, const struct world_settings *settings)
{
    struct one one = {.world = world_create(seed, settings)};
    world_add_machine(one.world);
    one.port = world_port(one.world, 0, 0);
    return one;
}

static inline void one_crash(struct one *one)
{
    world_crash(one->world, 0);
    world_start(one->world, 0);
    one->port = world_port(one->world, 0, 0);
}

static inline int64_t call(struct one *one, struct op op)
{
    return port_call(one->port, &op);
}

static inline int32_t open_at(struct one *one, const char *path, uint32_t flags)
{
    return (int32_t)call(one, (struct op){.kind = OP_OPEN, .path = path, .flags = flags});
}

static inline int32_t create_at(struct one *one, const char *path)
{
    return open_at(one, path, OPEN_READ | OPEN_WRITE | OPEN_CREATE);
}

/* Fills `size` bytes with `value`. */
static inline int64_t fill(struct one *one, int32_t handle, int64_t offset, size_t size, char value,
                           uint32_t flags)
{
    uint8_t *bytes = memory_aligned(4096, size);
    memset(bytes, value, size);
    struct iovec vector = {bytes, size};
    int64_t result = call(one, (struct op){.kind = OP_WRITE,
                                           .handle = handle,
                                           .offset = offset,
                                           .vectors = &vector,
                                           .vector_count = 1,
                                           .flags = flags});
    memory_free(bytes);
    return result;
}

static inline int64_t flush(struct one *one, int32_t handle)
{
    return call(one, (struct op){.kind = OP_FLUSH, .handle = handle});
}

static inline int64_t flush_folder(struct one *one, const char *path)
{
    int32_t handle = open_at(one, path, OPEN_READ | OPEN_DIRECTORY);
    int64_t result = flush(one, handle);
    call(one, (struct op){.kind = OP_CLOSE, .handle = handle});
    return result;
}

static inline int64_t size_at(struct one *one, const char *path)
{
    struct file_stat stat;
    int64_t result = call(one, (struct op){.kind = OP_STAT, .path = path, .data = &stat});
    return result < 0 ? result : stat.size_bytes;
}

/* The byte at `offset` of a file, as a character; 0 at the end. */
static inline int byte_at(struct one *one, const char *path, int64_t offset)
{
    int32_t handle = open_at(one, path, OPEN_READ);
    if (handle < 0)
        return -1;
    uint8_t byte = 0;
    call(one, (struct op){
                  .kind = OP_READ, .handle = handle, .offset = offset, .data = &byte, .size = 1});
    call(one, (struct op){.kind = OP_CLOSE, .handle = handle});
    return byte;
}
