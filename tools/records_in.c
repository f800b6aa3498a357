/* Compiled without the ban on malloc and free (CMakeLists.txt): functions in msgpack.h that nobody
 * calls name them. */
#include "tools/records_in.h"
#include "base/memory.h"
#include "tools/format.h"
#include <msgpack.h>

struct records_in {
    msgpack_unpacker unpacker;
    msgpack_unpacked unpacked; /* of the last record */
    struct text headers;       /* of it, as they lie in a batch */
    size_t added, taken;
};

struct records_in *records_in_open(void)
{
    struct records_in *in = memory_zeroed(sizeof *in);
    if (!msgpack_unpacker_init(&in->unpacker, 1 << 16)) {
        memory_free(in);
        return NULL;
    }
    msgpack_unpacked_init(&in->unpacked);
    return in;
}

void records_in_close(struct records_in *in)
{
    if (!in)
        return;
    msgpack_unpacked_destroy(&in->unpacked);
    msgpack_unpacker_destroy(&in->unpacker);
    text_done(&in->headers);
    memory_free(in);
}

bool records_in_add(struct records_in *in, const void *data, size_t size)
{
    if (!msgpack_unpacker_reserve_buffer(&in->unpacker, size))
        return false;
    memcpy(msgpack_unpacker_buffer(&in->unpacker), data, size);
    msgpack_unpacker_buffer_consumed(&in->unpacker, size);
    in->added += size;
    return true;
}

bool records_in_is_between(const struct records_in *in)
{
    return in->taken == in->added;
}

/* Bytes or text; nil is null. */
static bool take_bytes(const msgpack_object *object, struct bytes *ret)
{
    *ret = BYTES_NULL;
    if (object->type == MSGPACK_OBJECT_NIL)
        return true;
    if (object->type == MSGPACK_OBJECT_BIN && object->via.bin.size <= INT32_MAX)
        *ret = (struct bytes){(const uint8_t *)object->via.bin.ptr, (int32_t)object->via.bin.size};
    else if (object->type == MSGPACK_OBJECT_STR && object->via.str.size <= INT32_MAX)
        *ret = (struct bytes){(const uint8_t *)object->via.str.ptr, (int32_t)object->via.str.size};
    return ret->size >= 0;
}

static bool take_number(const msgpack_object *object, int64_t least, int64_t most, int64_t *ret)
{
    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= INT64_MAX)
        *ret = (int64_t)object->via.u64;
    else if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        *ret = object->via.i64;
    else
        return false;
    return *ret >= least && *ret <= most;
}

static bool take_headers(struct records_in *in, const msgpack_object *object, struct record *record)
{
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size > INT16_MAX)
        return false;
    for (uint32_t i = 0; i < object->via.array.size; i++) {
        const msgpack_object *pair = &object->via.array.ptr[i];
        struct record_header header;
        if (pair->type != MSGPACK_OBJECT_ARRAY || pair->via.array.size != 2 ||
            !take_bytes(&pair->via.array.ptr[0], &header.key) || header.key.size < 0 ||
            !take_bytes(&pair->via.array.ptr[1], &header.value))
            return false;
        struct writer writer;
        writer_init(&writer, NULL, 0);
        record_write_header(&writer, &header); /* only counts */
        size_t size = writer.size;
        writer_init(&writer, text_reserve(&in->headers, size), size);
        record_write_header(&writer, &header);
        in->headers.size += size;
    }
    record->headers = (struct bytes){(const uint8_t *)in->headers.data, (int32_t)in->headers.size};
    record->headers_count = (int32_t)object->via.array.size;
    return true;
}

static bool is_named(const msgpack_object *key, const char *name)
{
    return key->type == MSGPACK_OBJECT_STR && key->via.str.size == strlen(name) &&
           memcmp(key->via.str.ptr, name, key->via.str.size) == 0;
}

static bool take_member(struct records_in *in, const msgpack_object_kv *member,
                        struct records_in_record *ret)
{
    const msgpack_object *key = &member->key, *value = &member->val;
    int64_t number;
    if (is_named(key, "key"))
        return take_bytes(value, &ret->record.key);
    if (is_named(key, "value"))
        return take_bytes(value, &ret->record.value);
    if (is_named(key, "headers"))
        return take_headers(in, value, &ret->record);
    if (is_named(key, "timestamp")) {
        ret->has_timestamp = true;
        return take_number(value, -1, INT64_MAX, &ret->record.timestamp);
    }
    if (!is_named(key, "partition"))
        return true;
    bool taken = take_number(value, 0, INT32_MAX, &number);
    ret->partition = taken ? (int32_t)number : -1;
    return taken;
}

enum records_in_result records_in_next(struct records_in *in, struct records_in_record *ret)
{
    *ret = (struct records_in_record){.partition = -1,
                                      .record = {.key = BYTES_NULL, .value = BYTES_NULL}};
    in->headers.size = 0;
    size_t parsed = 0;
    switch (msgpack_unpacker_next_with_size(&in->unpacker, &in->unpacked, &parsed)) {
    case MSGPACK_UNPACK_SUCCESS:
        break;
    case MSGPACK_UNPACK_CONTINUE:
        return RECORDS_IN_MORE;
    default:
        return RECORDS_IN_WRONG;
    }
    in->taken += parsed;
    const msgpack_object *object = &in->unpacked.data;
    if (object->type != MSGPACK_OBJECT_MAP)
        return RECORDS_IN_WRONG;
    for (uint32_t i = 0; i < object->via.map.size; i++)
        if (!take_member(in, &object->via.map.ptr[i], ret))
            return RECORDS_IN_WRONG;
    return RECORDS_IN_ONE;
}
