/* Compiled without the ban on malloc and free (CMakeLists.txt): functions in msgpack.h that nobody
 * calls name them. The unpacker is msgpack-c's template, whose callbacks put values where they
 * belong: it allocates nothing, whatever comes. */
#include "storage/sidecar_format.h"
#include "base/check.h"
#include "base/memory.h"
#include "codec/crc32c.h"
#include <msgpack.h>
#include <msgpack/unpack_define.h>

static const uint8_t magic[8] = {'B', 'O', 'L', 'E', 'S', 'D', 'C', 1};

enum { VERSION_AT = 8, SIZE_AT = 12, CRC_AT = 16, RUN_BYTES = 12 };

/* Names of the map, in the order of the file. */
enum field { BASE, FIRST, END, SIZE, RUNS, CACHES, FIELDS = CACHES + 2 * SIDECAR_FILES };

static const char *const field_names[FIELDS] = {
    "base",      "first",     "end",           "size",     "runs",         "index",
    "index_crc", "timeindex", "timeindex_crc", "txnindex", "txnindex_crc",
};

static void store_le32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t load_le32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static uint32_t frame_crc(const uint8_t *data, size_t size)
{
    return crc32c(crc32c(0, data, CRC_AT), data + SIDECAR_FRAME, size - SIDECAR_FRAME);
}

/* ---- encode -------------------------------------------------------------------------------- */

struct out {
    uint8_t *data;
    size_t size, capacity;
};

static int add(void *data, const char *bytes, size_t size)
{
    struct out *out = data;
    check(out->size + size <= out->capacity);
    memcpy(out->data + out->size, bytes, size);
    out->size += size;
    return 0;
}

static void pack_name(msgpack_packer *packer, enum field field)
{
    size_t size = strlen(field_names[field]);
    msgpack_pack_str(packer, size);
    msgpack_pack_str_body(packer, field_names[field], size);
}

static void pack_number(msgpack_packer *packer, enum field field, int64_t value)
{
    pack_name(packer, field);
    msgpack_pack_int64(packer, value);
}

static void pack_runs(msgpack_packer *packer, const struct sidecar *sidecar)
{
    pack_name(packer, RUNS);
    msgpack_pack_bin(packer, (size_t)sidecar->run_count * RUN_BYTES);
    for (int32_t i = 0; i < sidecar->run_count; i++) {
        uint8_t run[RUN_BYTES];
        store_le32(run, sidecar->runs[i].position);
        store_le32(run + 4, sidecar->runs[i].heads);
        store_le32(run + 8, sidecar->runs[i].names);
        msgpack_pack_bin_body(packer, run, sizeof run);
    }
}

static void pack_cache(msgpack_packer *packer, int file, const struct sidecar_cache *cache)
{
    enum field field = (enum field)(CACHES + 2 * file);
    if (cache->there) {
        pack_number(packer, field, cache->size);
        pack_number(packer, field + 1, cache->crc);
        return;
    }
    pack_name(packer, field);
    msgpack_pack_nil(packer);
    pack_name(packer, field + 1);
    msgpack_pack_nil(packer);
}

struct bytes sidecar_encode(const struct sidecar *sidecar)
{
    struct out out = {.size = SIDECAR_FRAME,
                      .capacity = SIDECAR_FRAME + 512 + (size_t)sidecar->run_count * RUN_BYTES};
    out.data = memory_zeroed(out.capacity);
    msgpack_packer packer;
    msgpack_packer_init(&packer, &out, add);
    msgpack_pack_map(&packer, FIELDS);
    pack_number(&packer, BASE, sidecar->base_offset);
    pack_number(&packer, FIRST, sidecar->first_offset);
    pack_number(&packer, END, sidecar->end_offset);
    pack_number(&packer, SIZE, sidecar->size);
    pack_runs(&packer, sidecar);
    for (int i = 0; i < SIDECAR_FILES; i++)
        pack_cache(&packer, i, &sidecar->files[i]);
    memcpy(out.data, magic, sizeof magic);
    store_le32(out.data + VERSION_AT, SIDECAR_VERSION);
    store_le32(out.data + SIZE_AT, (uint32_t)(out.size - SIDECAR_FRAME));
    store_le32(out.data + CRC_AT, frame_crc(out.data, out.size));
    return (struct bytes){out.data, (int32_t)out.size};
}

/* ---- decode -------------------------------------------------------------------------------- */

enum kind { NOTHING, NIL, NUMBER, NAME, BIN, MAP };

struct value {
    enum kind kind;
    uint64_t number;
    const char *data;
    uint32_t size;
};

struct fields {
    struct value values[FIELDS];
    int maps;
};

#define msgpack_unpack_struct(name)    struct sidecar_unpack##name
#define msgpack_unpack_func(ret, name) static inline ret sidecar_unpack##name
#define msgpack_unpack_callback(name)  take##name
#define msgpack_unpack_object          struct value
#define msgpack_unpack_user            struct fields
struct sidecar_unpack_context;

static inline struct value take_root(struct fields *fields)
{
    return (struct value){0};
}

static inline int take_uint64(struct fields *fields, uint64_t number, struct value *to)
{
    *to = (struct value){.kind = NUMBER, .number = number};
    return number <= INT64_MAX ? 0 : -1;
}

static inline int take_uint8(struct fields *fields, uint8_t number, struct value *to)
{
    return take_uint64(fields, number, to);
}

static inline int take_uint16(struct fields *fields, uint16_t number, struct value *to)
{
    return take_uint64(fields, number, to);
}

static inline int take_uint32(struct fields *fields, uint32_t number, struct value *to)
{
    return take_uint64(fields, number, to);
}

/* No number here is negative; a signed form of one that is not may come all the same. */
static inline int take_int64(struct fields *fields, int64_t number, struct value *to)
{
    return number < 0 ? -1 : take_uint64(fields, (uint64_t)number, to);
}

static inline int take_int8(struct fields *fields, int8_t number, struct value *to)
{
    return take_int64(fields, number, to);
}

static inline int take_int16(struct fields *fields, int16_t number, struct value *to)
{
    return take_int64(fields, number, to);
}

static inline int take_int32(struct fields *fields, int32_t number, struct value *to)
{
    return take_int64(fields, number, to);
}

static inline int take_float(struct fields *fields, float number, struct value *to)
{
    return -1;
}

static inline int take_double(struct fields *fields, double number, struct value *to)
{
    return -1;
}

static inline int take_nil(struct fields *fields, struct value *to)
{
    *to = (struct value){.kind = NIL};
    return 0;
}

static inline int take_true(struct fields *fields, struct value *to)
{
    return -1;
}

static inline int take_false(struct fields *fields, struct value *to)
{
    return -1;
}

static inline int take_array(struct fields *fields, unsigned int count, struct value *to)
{
    return -1;
}

static inline int take_array_item(struct fields *fields, struct value *array, struct value item)
{
    return -1;
}

/* Only one, at the top. */
static inline int take_map(struct fields *fields, unsigned int count, struct value *to)
{
    *to = (struct value){.kind = MAP};
    return count == FIELDS && fields->maps++ == 0 ? 0 : -1;
}

static inline int take_map_item(struct fields *fields, struct value *map, struct value key,
                                struct value value)
{
    if (key.kind != NAME || value.kind == NAME || value.kind == MAP)
        return -1;
    for (int i = 0; i < FIELDS; i++) {
        if (strlen(field_names[i]) != key.size || memcmp(field_names[i], key.data, key.size) != 0)
            continue;
        if (fields->values[i].kind != NOTHING)
            return -1; /* twice */
        fields->values[i] = value;
        return 0;
    }
    return -1;
}

static inline int take_str(struct fields *fields, const char *base, const char *data,
                           unsigned int size, struct value *to)
{
    *to = (struct value){.kind = NAME, .data = data, .size = size};
    return 0;
}

static inline int take_bin(struct fields *fields, const char *base, const char *data,
                           unsigned int size, struct value *to)
{
    *to = (struct value){.kind = BIN, .data = data, .size = size};
    return 0;
}

static inline int take_ext(struct fields *fields, const char *base, const char *data,
                           unsigned int size, struct value *to)
{
    return -1;
}

#include <msgpack/unpack_template.h>

static bool unpack(struct bytes map, struct fields *fields)
{
    struct sidecar_unpack_context context;
    memset(&context, 0, sizeof context);
    sidecar_unpack_init(&context);
    size_t at = 0;
    if (map.size == 0 ||
        sidecar_unpack_execute(&context, (const char *)map.data, (size_t)map.size, &at) != 1)
        return false;
    *fields = context.user;
    return fields->maps == 1 && at == (size_t)map.size;
}

/* Runs follow one another from 0 on, within the file. */
static bool take_runs(struct sidecar *sidecar, const struct value *value)
{
    if (value->kind != BIN || value->size % RUN_BYTES != 0 ||
        value->size / RUN_BYTES > SIDECAR_RUNS_MAX)
        return false;
    int32_t count = (int32_t)(value->size / RUN_BYTES);
    sidecar->runs = memory_zeroed((size_t)count * sizeof(struct sidecar_run) + 1);
    sidecar->run_capacity = count;
    int64_t least = 0;
    for (int32_t i = 0; i < count; i++) {
        const uint8_t *from = (const uint8_t *)value->data + (size_t)i * RUN_BYTES;
        struct sidecar_run run = {load_le32(from), load_le32(from + 4), load_le32(from + 8)};
        if (i == 0 ? run.position != 0 : run.position < least)
            return false;
        if (run.position >= sidecar->size)
            return false;
        least = (int64_t)run.position + SIDECAR_RUN_BYTES;
        sidecar->runs[sidecar->run_count++] = run;
    }
    return (count == 0) == (sidecar->size == 0);
}

static bool take_cache(struct sidecar_cache *cache, const struct value *size,
                       const struct value *crc)
{
    cache->there = size->kind == NUMBER;
    if (size->kind != crc->kind || (!cache->there && size->kind != NIL) || crc->number > UINT32_MAX)
        return false;
    cache->size = (int64_t)size->number;
    cache->crc = (uint32_t)crc->number;
    return true;
}

static bool take_fields(struct sidecar *sidecar, const struct fields *fields)
{
    for (int i = BASE; i <= SIZE; i++)
        if (fields->values[i].kind != NUMBER)
            return false;
    sidecar->base_offset = (int64_t)fields->values[BASE].number;
    sidecar->first_offset = (int64_t)fields->values[FIRST].number;
    sidecar->end_offset = (int64_t)fields->values[END].number;
    sidecar->size = (int64_t)fields->values[SIZE].number;
    if (sidecar->first_offset < sidecar->base_offset ||
        sidecar->end_offset < sidecar->first_offset || sidecar->size > UINT32_MAX)
        return false;
    for (int i = 0; i < SIDECAR_FILES; i++)
        if (!take_cache(&sidecar->files[i], &fields->values[CACHES + 2 * i],
                        &fields->values[CACHES + 2 * i + 1]))
            return false;
    return take_runs(sidecar, &fields->values[RUNS]);
}

enum error sidecar_decode(struct bytes file, struct sidecar **ret_sidecar)
{
    if (file.size < SIDECAR_FRAME || memcmp(file.data, magic, sizeof magic) != 0)
        return ERROR_MALFORMED;
    if (load_le32(file.data + SIZE_AT) != (uint32_t)file.size - SIDECAR_FRAME ||
        load_le32(file.data + CRC_AT) != frame_crc(file.data, (size_t)file.size))
        return ERROR_MALFORMED;
    uint32_t version = load_le32(file.data + VERSION_AT);
    if (version != SIDECAR_VERSION)
        return version > SIDECAR_VERSION ? ERROR_NEWER_VERSION : ERROR_MALFORMED;
    struct fields fields;
    struct bytes map = {file.data + SIDECAR_FRAME, file.size - SIDECAR_FRAME};
    if (!unpack(map, &fields))
        return ERROR_MALFORMED;
    struct sidecar *sidecar = sidecar_new(0);
    if (!take_fields(sidecar, &fields)) {
        sidecar_free(sidecar);
        return ERROR_MALFORMED;
    }
    *ret_sidecar = sidecar;
    return ERROR_NONE;
}
