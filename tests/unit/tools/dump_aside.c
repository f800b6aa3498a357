/* `bole dump` on what was set aside of a journal. */
#include "storage/aside.h"
#include "storage/journal_format.h"
#include "support/test.h"
#include "tools/dump.h"
#include <stdlib.h>
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
