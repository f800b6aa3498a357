/* `bole consume -F msgpack`: one map a record, one after the other. Names and the topic are str;
 * keys and values are bin, for they are bytes, or nil. Compiled without the ban on malloc and free
 * (CMakeLists.txt): functions in msgpack.h that nobody calls name them. */
#include "tools/format.h"
#include <msgpack.h>

static int add(void *data, const char *bytes, size_t size)
{
    text_add(data, bytes, size);
    return 0;
}

static void pack_text(msgpack_packer *packer, struct string text)
{
    msgpack_pack_str(packer, (size_t)text.size);
    msgpack_pack_str_body(packer, text.data, (size_t)text.size);
}

static void pack_bytes(msgpack_packer *packer, struct bytes bytes)
{
    if (bytes.size < 0) {
        msgpack_pack_nil(packer);
        return;
    }
    msgpack_pack_bin(packer, (size_t)bytes.size);
    msgpack_pack_bin_body(packer, bytes.data, (size_t)bytes.size);
}

static int32_t count_headers(const struct record *record)
{
    struct reader reader;
    struct record_header header;
    int32_t count = 0;
    if (record->headers.size <= 0)
        return 0;
    reader_init(&reader, record->headers.data, (size_t)record->headers.size);
    for (; count < record->headers_count; count++) {
        record_next_header(&reader, &header);
        if (reader.error)
            break;
    }
    return count;
}

/* An array of pairs: names may come twice, and their order counts. */
static void pack_headers(msgpack_packer *packer, const struct record *record)
{
    struct reader reader;
    int32_t count = count_headers(record);
    msgpack_pack_array(packer, (size_t)count);
    if (count)
        reader_init(&reader, record->headers.data, (size_t)record->headers.size);
    for (int32_t i = 0; i < count; i++) {
        struct record_header header;
        record_next_header(&reader, &header);
        msgpack_pack_array(packer, 2);
        pack_bytes(packer, header.key);
        pack_bytes(packer, header.value);
    }
}

void format_write_msgpack(const struct format_record *from, struct text *text)
{
    const struct record *record = from->record;
    msgpack_packer packer;
    msgpack_packer_init(&packer, text, add);
    msgpack_pack_map(&packer, 7);
    pack_text(&packer, STRING("topic"));
    pack_text(&packer, from->topic);
    pack_text(&packer, STRING("partition"));
    msgpack_pack_int32(&packer, from->partition);
    pack_text(&packer, STRING("offset"));
    msgpack_pack_int64(&packer, record->offset);
    pack_text(&packer, STRING("timestamp"));
    msgpack_pack_int64(&packer, record->timestamp);
    pack_text(&packer, STRING("key"));
    pack_bytes(&packer, record->key);
    pack_text(&packer, STRING("value"));
    pack_bytes(&packer, record->value);
    pack_text(&packer, STRING("headers"));
    pack_headers(&packer, record);
}
