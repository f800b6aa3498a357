#include "crash/written.h"
#include "base/check.h"
#include "crash/keyed.h"
#include "protocol/batch.h"
#include "storage/folder.h"
#include "storage/segment.h"
#include <stdio.h>

void write_file(struct disk *disk, const char *path, struct bytes bytes)
{
    struct disk_change open = {.kind = OP_OPEN, .path = path, .flags = OPEN_WRITE | OPEN_CREATE};
    int64_t inode = disk_execute(disk, &open);
    struct iovec vector = {(void *)(uintptr_t)bytes.data, (size_t)bytes.size};
    struct disk_change write = {.kind = OP_WRITE,
                                .inode = (uint32_t)inode,
                                .size = bytes.size,
                                .vectors = &vector,
                                .vector_count = 1};
    check(inode > 0 && disk_execute(disk, &write) == bytes.size);
}

void write_keyed_folder(struct disk *disk)
{
    struct disk_change make = {.kind = OP_MAKE_DIRECTORY, .path = "data/k-0"};
    char text[PARTITION_METADATA_SIZE];
    size_t size = partition_metadata_encode((struct uuid){{1}}, text);
    check(disk_execute(disk, &make) >= 0);
    write_file(disk, "data/k-0/" PARTITION_METADATA_FILE,
               (struct bytes){(const uint8_t *)text, (int32_t)size});
}

void write_keyed_segment(struct keyed *keyed, int64_t from, int64_t end,
                         int32_t (*key_of)(int64_t offset))
{
    static uint8_t file[KEYED_BATCH_BYTES], batch[KEYED_BATCH_BYTES];
    size_t size = 0;
    for (int64_t i = from; i < end; i++) {
        struct keyed_record *record = &keyed->records[i];
        int32_t count;
        uint32_t batch_size;
        do {
            batch_size = keyed_make(keyed, batch, record, &count);
        } while (record->producer >= 0 || (key_of && record->key != key_of(i)));
        record->batch_base = record->batch_last = i;
        batch_assign(batch, i, 7);
        check(size + batch_size <= sizeof file);
        memcpy(file + size, batch, batch_size);
        size += batch_size;
    }
    char name[SEGMENT_NAME_SIZE], path[64];
    segment_name(from, ".log", name);
    snprintf(path, sizeof path, "data/k-0/%s", name);
    write_file(keyed->world->machines[0]->disk, path, (struct bytes){file, (int32_t)size});
}
