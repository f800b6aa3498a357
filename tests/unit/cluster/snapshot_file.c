/* Files of snapshots: names, what is judged whole, and one that an earlier version wrote. */
#include "cluster/snapshot_file.h"
#include "base/memory.h"
#include "cluster/metadata_log.h"
#include "logic/image.h"
#include "protocol/messages.h"
#include "support/test.h"
#include "tools/dump.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const uint8_t golden[] = {
#include "unit/cluster/golden_snapshot.def"
};

TEST(snapshot_file, has_a_name_that_says_what_it_holds)
{
    static const struct {
        const char *name, *suffix;
        bool parses;
        int64_t end_offset;
        int32_t epoch;
    } cases[] = {
        {"00000000000000000039-0000000001.checkpoint", ".checkpoint", true, 39, 1},
        {"09223372036854775807-2147483647.checkpoint", ".checkpoint", true, INT64_MAX, INT32_MAX},
        {"09223372036854775808-0000000001.checkpoint", ".checkpoint", false, 0, 0},
        {"00000000000000000039-2147483648.checkpoint", ".checkpoint", false, 0, 0},
        {"00000000000000000039-0000000001.checkpoint.part", ".checkpoint", false, 0, 0},
        {"00000000000000000039-0000000001.checkpoint.part", ".checkpoint.part", true, 39, 1},
        {"0000000000000000039-0000000001.checkpoint", ".checkpoint", false, 0, 0},
        {"0000000000000000003x-0000000001.checkpoint", ".checkpoint", false, 0, 0},
        {"00000000000000000039_0000000001.checkpoint", ".checkpoint", false, 0, 0},
        {"00000000000000000039.log", ".checkpoint", false, 0, 0},
        {"", ".checkpoint", false, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct snapshot_id id;
        char name[SNAPSHOT_NAME_SIZE];
        EQ(snapshot_name_parse(cases[i].name, cases[i].suffix, &id), cases[i].parses);
        if (!cases[i].parses)
            continue;
        EQ(id.end_offset, cases[i].end_offset);
        EQ(id.epoch, cases[i].epoch);
        snapshot_name(id, cases[i].suffix, name);
        EQ_TEXT(name, cases[i].name);
    }
}

/* Applies all records of the golden file. */
static void read_golden(struct image *image)
{
    struct arena arena;
    arena_init(&arena, 1 << 24);
    for (size_t at = 0; at < sizeof golden;) {
        struct batch batch;
        struct batch_iterator iterator;
        struct record record;
        EQ(batch_view(golden + at, sizeof golden - at, &batch), ERROR_NONE);
        EQ(batch_iterate(&batch, NULL, &iterator), ERROR_NONE);
        while (!(batch.attributes & BATCH_CONTROL) && batch_next(&iterator, &record)) {
            struct metadata_value value;
            EQ(metadata_log_decode(record.value, &arena, &value), ERROR_NONE);
            EQ(image_apply(image, value.message->key, value.value), ERROR_NONE);
        }
        at += (size_t)batch.whole.size;
    }
    arena_done(&arena);
}

TEST(snapshot_file, of_an_earlier_version_is_read)
{
    struct snapshot_report report;
    TRUE_(snapshot_check(golden, sizeof golden, &report));
    EQ(report.records, 32);
    EQ(report.last_ms, 1795407845368);
    EQ(snapshot_header_time(golden, 256), 1795407845368);
    EQ(snapshot_header_time(golden, 60), -1);
    struct image image;
    image_init(&image, 2, 1);
    read_golden(&image);
    EQ(image.topic_count, 7);
    EQ(image.partition_count, 21);
    EQ(image.ignored_records, 0);
    EQ(image_feature_level(&image, STRING("metadata.version")), 29);
    EQ(image_broker(&image, 1)->epoch, 2);
    EQ(image_broker(&image, 1)->is_fenced, false);
    const struct image_topic *topic = image_topic_by_name(&image, STRING("t2"));
    EQ(topic->partition_count, 3);
    EQ(topic->config_count, 1);
    EQ_TEXT(topic->configs[0].name, "retention.ms");
    EQ_TEXT(topic->configs[0].value, "10002");
    EQ(image_partition(topic, 0)->leader, 1);
    EQ(image_partition(topic, 0)->core, 1); /* which counting would not give */
    EQ(image_partition(topic, 1)->core, 0);
    EQ(image.core_load[0] + image.core_load[1], 21);
    image_done(&image);
}

/* Bytes that say nothing of the image: the leader epochs, which no CRC covers. */
static bool is_passed_over(size_t at)
{
    struct batch batch;
    size_t batch_at = 0;
    while (batch_view(golden + batch_at, sizeof golden - batch_at, &batch) == ERROR_NONE &&
           batch_at + (size_t)batch.whole.size <= at)
        batch_at += (size_t)batch.whole.size;
    return at - batch_at >= BATCH_LEADER_EPOCH_AT && at - batch_at < BATCH_MAGIC_AT;
}

TEST(snapshot_file, with_any_bit_flipped_is_not_whole)
{
    uint8_t *copy = memory_aligned(16, sizeof golden);
    struct snapshot_report report;
    memcpy(copy, golden, sizeof golden);
    for (size_t bit = 0; bit < 8 * sizeof golden; bit++) {
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        bool whole = snapshot_check(copy, sizeof golden, &report);
        if (whole != is_passed_over(bit / 8))
            test_expect(false, __FILE__, __LINE__, "bit %zu: %s", bit,
                        whole ? "not noticed" : report.fault);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    memory_free(copy);
}

TEST(snapshot_file, that_is_cut_or_longer_is_not_whole)
{
    struct snapshot_report report;
    uint8_t *copy = memory_aligned(16, 2 * sizeof golden);
    for (size_t size = 0; size < sizeof golden; size++) {
        memcpy(copy, golden, size);
        TRUE_(!snapshot_check(copy, size, &report));
        TRUE_(report.fault != NULL);
    }
    memcpy(copy, golden, sizeof golden);
    memcpy(copy + sizeof golden, golden, sizeof golden);
    TRUE_(!snapshot_check(copy, 2 * sizeof golden, &report));
    EQ_TEXT(report.fault, "bytes follow its footer");
    memory_free(copy);
}

/* Its dump, without the folder's name: the first `size` bytes of the golden file. */
static int64_t dump_golden(const char *name, size_t size, bool verify, char *text, size_t text_size)
{
    char folder[] = "/var/tmp/bole-snapshot-XXXXXX", path[256];
    TRUE_(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w"), *out = tmpfile();
    TRUE_(file && out && fwrite(golden, 1, size, file) == size && fclose(file) == 0);
    struct dump dump = {.out = out, .is_verify = verify};
    TRUE_(dump_path(&dump, path));
    dump_done(&dump);
    rewind(out);
    text[fread(text, 1, text_size - 1, out)] = 0;
    fclose(out);
    for (char *at; (at = strstr(text, folder));)
        memmove(at, at + strlen(folder), strlen(at + strlen(folder)) + 1);
    unlink(path);
    rmdir(folder);
    return dump.faults;
}

TEST(snapshot_file, is_dumped_and_judged)
{
    enum { TEXT = 1 << 16 };
    static const char name[] = "00000000000000000039-0000000001.checkpoint";
    char *text = memory_zeroed(TEXT);
    EQ(dump_golden(name, sizeof golden, true, text, TEXT), 0);
    EQ_TEXT(text, "sound /00000000000000000039-0000000001.checkpoint records=32 bytes=2273 "
                  "last_timestamp=1795407845368\n");
    EQ(dump_golden(name, sizeof golden, false, text, TEXT), 0);
    TRUE_(strstr(text, "control=snapshot_header "));
    TRUE_(strstr(text, "control=snapshot_footer "));
    TRUE_(strstr(text, "record offset=1 type=12 version=0 "
                       "{\"name\":\"metadata.version\",\"featureLevel\":29}\n"));
    EQ(dump_golden(name, 83, true, text, TEXT), 1);
    EQ_TEXT(text, "fault /00000000000000000039-0000000001.checkpoint position=83 "
                  "reason=\"it ends without a footer: it was not written to its end\"\n");
    EQ(dump_golden(name, 500, true, text, TEXT), 1);
    EQ(dump_golden("00000000000000000039-0000000001.checkpoint.part", 500, true, text, TEXT), 0);
    TRUE_(strncmp(text, "left ", 5) == 0);
    memory_free(text);
}
