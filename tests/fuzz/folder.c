/* Small texts of a data directory: one byte chooses. partition.metadata, ids, names of folders and
 * of segments. Names that are taken for ours are written back as the same text; ids, which may
 * carry bits beyond the last byte, as a text of the same id. */
#include "fuzz/fuzz.h"
#include "base/memory.h"
#include "storage/folder.h"
#include "storage/segment.h"
#include <stdio.h>

enum { PARTITION_METADATA, UUID, FOLDER_NAME, SEGMENT_NAME, CHOICES };

static void try_metadata(struct bytes text)
{
    struct uuid id, id_again;
    char again[PARTITION_METADATA_SIZE];
    if (!partition_metadata_decode(text, &id))
        return;
    size_t size = partition_metadata_encode(id, again);
    check(size <= (size_t)text.size + 1 && size < sizeof again);
    check(partition_metadata_decode((struct bytes){(const uint8_t *)again, (int32_t)size},
                                    &id_again));
    check(uuid_equal(id, id_again));
}

static void try_uuid(const char *text)
{
    struct uuid id, id_again;
    char again[UUID_TEXT_SIZE];
    if (!uuid_decode(text, &id))
        return;
    uuid_encode(id, again);
    check(strlen(text) >= UUID_TEXT_SIZE - 1 && strlen(again) == UUID_TEXT_SIZE - 1);
    check(uuid_decode(again, &id_again) && uuid_equal(id, id_again));
}

static void try_folder_name(const char *text)
{
    struct string topic;
    int32_t partition;
    char again[1024];
    if (!folder_name_parse(text, &topic, &partition))
        return;
    check(partition >= 0 && topic.size > 0);
    snprintf(again, sizeof again, "%.*s-%d", topic.size, topic.data, partition);
    check(strlen(text) >= sizeof again || strcmp(text, again) == 0);
}

static void try_segment_name(const char *text)
{
    int64_t base_offset;
    char again[SEGMENT_NAME_SIZE];
    if (!segment_name_parse(text, ".log", &base_offset))
        return;
    check(base_offset >= 0);
    segment_name(base_offset, ".log", again);
    check(strcmp(text, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    uint8_t choice = input_u8(&input) % CHOICES;
    struct bytes rest = input_rest(&input);
    char *text = memory_zeroed((size_t)rest.size + 1);
    if (rest.size > 0)
        memcpy(text, rest.data, (size_t)rest.size);
    if (choice == PARTITION_METADATA)
        try_metadata(rest);
    else if (choice == UUID)
        try_uuid(text);
    else if (choice == FOLDER_NAME)
        try_folder_name(text);
    else
        try_segment_name(text);
    memory_free(text);
    return 0;
}
