/* `bole dump` on what was set aside of a journal. */
#include "base/memory.h"
#include "protocol/batch.h"
#include "storage/aside.h"
#include "storage/journal_format.h"
#include "storage/log_starts.h"
#include "support/test.h"
#include "tools/dump.h"
#include "tools/format.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What --verify says of a file with these bytes; the caller's to free. */
static char *verify(const uint8_t *data, size_t data_size)
{
    char folder[] = "/var/tmp/bole-dump-XXXXXX", path[80];
    TRUE_(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/00000000000000000042.journal", folder);
    FILE *file = fopen(path, "w");
    TRUE_(file && fwrite(data, 1, data_size, file) == data_size && fclose(file) == 0);
    char *text = NULL;
    size_t size;
    struct dump dump = {.is_verify = true, .out = open_memstream(&text, &size)};
    TRUE_(dump_path(&dump, path));
    fclose(dump.out);
    EQ(dump.faults, 1);
    dump_done(&dump);
    EQ(unlink(path), 0);
    EQ(rmdir(folder), 0);
    return text;
}

TEST(dump_aside, names_the_partition_and_the_reason)
{
    static const char reason[] = "data/t-0/00000000000000000000.log, position 3: it is damaged";
    uint8_t file[200];
    struct journal_entry bind = {.id = ASIDE_ID, .topic_id = {{7}}, .segment_base = 42};
    size_t at = aside_entries_at(reason), size = at + entry_bind_encode(&bind, file + at);
    aside_seal(file, reason, size - at);
    char *text = verify(file, size);
    TRUE_(strstr(text, "was set aside and is offline, since data/t-0/") != NULL);
    free(text);
    file[at + 3] ^= 1;
    text = verify(file, size);
    TRUE_(strstr(text, "fault") != NULL && strstr(text, "set aside") == NULL);
    free(text);
}

/* The batch of one record, of offset 42. */
static size_t put_batch(uint8_t *to, size_t size)
{
    struct batch_builder builder;
    struct record record = {
        .timestamp = 7, .key = {(const uint8_t *)"k", 1}, .value = {(const uint8_t *)"value", 5}};
    batch_builder_init(&builder, to, size);
    EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    struct batch_fields fields = BATCH_FIELDS_PLAIN;
    fields.base_offset = 42;
    batch_builder_end(&builder, &fields);
    return builder.size_bytes;
}

/* Its records, in a form, from an offset on; of a folder t-3. The caller's to free. */
static char *records_of(const uint8_t *data, size_t data_size, int64_t from_offset)
{
    char root[] = "/var/tmp/bole-dump-XXXXXX", folder[60], path[100], *text = NULL, *said = NULL;
    size_t size, said_size;
    TRUE_(mkdtemp(root) != NULL);
    snprintf(folder, sizeof folder, "%s/t-3", root);
    EQ(mkdir(folder, 0700), 0);
    snprintf(path, sizeof path, "%s/00000000000000000042.journal", folder);
    FILE *file = fopen(path, "w");
    TRUE_(file && fwrite(data, 1, data_size, file) == data_size && fclose(file) == 0);
    struct dump dump = {.is_verify = true,
                        .write_record = format_write_json,
                        .from_offset = from_offset,
                        .records = open_memstream(&text, &size),
                        .out = open_memstream(&said, &said_size)};
    TRUE_(dump_path(&dump, path));
    fclose(dump.records);
    fclose(dump.out);
    EQ(dump.faults, 0); /* that it is set aside is no fault of the records */
    TRUE_(strstr(said, "was set aside") != NULL);
    free(said);
    dump_done(&dump);
    EQ(unlink(path) | rmdir(folder) | rmdir(root), 0);
    return text;
}

TEST(dump_aside, writes_the_records_to_be_sent_again)
{
    uint8_t file[400], batch[200];
    struct journal_entry bind = {.id = ASIDE_ID, .topic_id = {{7}}, .segment_base = 42};
    size_t batch_size = put_batch(batch, sizeof batch);
    size_t at = aside_entries_at("x"), size = at + entry_bind_encode(&bind, file + at);
    size += entry_append_header_encode(ASIDE_ID, (uint32_t)batch_size, file + size);
    memcpy(file + size, batch, batch_size);
    size += batch_size;
    aside_seal(file, "x", size - at);
    char *text = records_of(file, size, 0);
    EQ_TEXT(text, "{\"topic\":\"t\",\"partition\":3,\"offset\":42,\"timestamp\":7,\"key\":\"k\","
                  "\"value\":\"value\",\"headers\":[]}\n");
    free(text);
    text = records_of(file, size, 43); /* what the restored log has is not sent again */
    EQ_TEXT(text, "");
    free(text);
}

TEST(dump_aside, log_starts_are_told_and_judged)
{
    char root[] = "/var/tmp/bole-dump-XXXXXX", path[60], *text = NULL;
    size_t size;
    struct log_starts starts;
    TRUE_(mkdtemp(root) != NULL);
    snprintf(path, sizeof path, "%s/log-starts-1", root);
    log_starts_init(&starts);
    (void)log_starts_note(&starts, (struct uuid){{1}}, 3, 4711);
    struct bytes lines = log_starts_encode(&starts);
    for (int flipped = 0; flipped < 2; flipped++) {
        ((uint8_t *)(uintptr_t)lines.data)[30] ^= (uint8_t)flipped;
        FILE *file = fopen(path, "w");
        TRUE_(file && fwrite(lines.data, 1, (size_t)lines.size, file) == (size_t)lines.size &&
              fclose(file) == 0);
        struct dump dump = {.out = open_memstream(&text, &size)};
        TRUE_(dump_path(&dump, path));
        fclose(dump.out);
        EQ(dump.faults, flipped);
        EQ(strstr(text, " 3 4711\n") != NULL && strstr(text, "entries=1 crc=ok") != NULL, !flipped);
        dump_done(&dump);
        free(text);
    }
    memory_free((void *)(uintptr_t)lines.data);
    log_starts_done(&starts);
    EQ(unlink(path) | rmdir(root), 0);
}
