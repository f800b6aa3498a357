#include "unit/tools/dump_place.h"
#include "protocol/batch.h"
#include "support/test.h"
#include "tools/dump.h"
#include <stdlib.h>
#include <unistd.h>

/* In $BOLE_TEST_FOLDER or /var/tmp: journals are read directly, which needs a disk. */
void dump_place_make(struct dump_place *place)
{
    const char *parent = getenv("BOLE_TEST_FOLDER");
    *place = (struct dump_place){.text = NULL};
    snprintf(place->folder, sizeof place->folder, "%s/bole-dump-XXXXXX",
             parent ? parent : "/var/tmp");
    TRUE_(mkdtemp(place->folder) != NULL);
}

const char *dump_place_path(struct dump_place *place, const char *name)
{
    snprintf(place->path, sizeof place->path, "%s/%s", place->folder, name);
    return place->path;
}

void dump_place_remove(struct dump_place *place)
{
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", place->folder);
    EQ(system(command), 0);
    free(place->text);
}

void dump_place_write(struct dump_place *place, const char *name, const void *data, size_t size)
{
    FILE *file = fopen(dump_place_path(place, name), "w");
    TRUE_(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

/* Takes the folder's name out, so that texts can be compared. */
static void strip_folder(struct dump_place *place)
{
    char folder[160];
    snprintf(folder, sizeof folder, "%s/", place->folder);
    for (char *at; (at = strstr(place->text, folder));)
        memmove(at, at + strlen(folder), strlen(at + strlen(folder)) + 1);
}

/* Dumps the file or folder; the number of faults. */
int64_t dump_place_run(struct dump_place *place, const char *name, bool is_verify)
{
    free(place->text);
    place->text = NULL;
    struct dump dump = {.is_verify = is_verify,
                        .out = open_memstream(&place->text, &place->text_size)};
    TRUE_(dump_path(&dump, dump_place_path(place, name)));
    fclose(dump.out);
    strip_folder(place);
    int64_t faults = dump.faults;
    dump_done(&dump);
    return faults;
}

/* --- what the files hold --------------------------------------------------------------------- */

/* A batch of two records. Returns its size. */
size_t dump_make_batch(uint8_t *to, int64_t base_offset)
{
    struct batch_builder builder;
    batch_builder_init(&builder, to, BATCH_BYTES_MAX);
    struct record record = {.timestamp = 1000,
                            .key = {(const uint8_t *)"k", 1},
                            .value = {(const uint8_t *)"three", 5}};
    EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    record = (struct record){.timestamp = 1001, .key = BYTES_NULL, .value = BYTES_NULL};
    EQ(batch_builder_add(&builder, &record), ERROR_NONE);
    batch_builder_end(&builder, &BATCH_FIELDS_PLAIN);
    batch_assign(to, base_offset, 4);
    return builder.size_bytes;
}

/* Batches at offsets 10, 12 and 14. */
struct dump_segment dump_make_segment(void)
{
    struct dump_segment file = {.size = 0};
    for (int i = 0; i < 3; i++)
        file.size += file.batch_size = dump_make_batch(file.bytes + file.size, 10 + 2 * i);
    return file;
}
