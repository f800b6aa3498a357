/* `bole dump` on small files that each test makes: good ones, with a flipped bit, with a cut end.
 */
#include "tools/dump.h"
#include "protocol/batch.h"
#include "storage/folder.h"
#include "storage/journal_format.h"
#include "base/memory.h"
#include "storage/producer_snapshot.h"
#include "storage/sidecar_format.h"
#include "storage/time_index.h"
#include "storage/txn_index.h"
#include "support/test.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH_BYTES_MAX = 256, BLOCK_ALIGNMENT = 4096 };

/* --- a folder of its own for each test ------------------------------------------------------- */

struct place {
    char folder[128];
    char path[256]; /* of the last place_path */
    char *text;     /* what the last dump printed, without the folder's name */
    size_t text_size;
};

/* In $BOLE_TEST_FOLDER or /var/tmp: journals are read directly, which needs a disk. */
static void place_make(struct place *place)
{
    const char *parent = getenv("BOLE_TEST_FOLDER");
    *place = (struct place){.text = NULL};
    snprintf(place->folder, sizeof place->folder, "%s/bole-dump-XXXXXX",
             parent ? parent : "/var/tmp");
    TRUE_(mkdtemp(place->folder) != NULL);
}

static const char *place_path(struct place *place, const char *name)
{
    snprintf(place->path, sizeof place->path, "%s/%s", place->folder, name);
    return place->path;
}

static void place_remove(struct place *place)
{
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", place->folder);
    EQ(system(command), 0);
    free(place->text);
}

static void write_file(struct place *place, const char *name, const void *data, size_t size)
{
    FILE *file = fopen(place_path(place, name), "w");
    TRUE_(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

/* Takes the folder's name out, so that texts can be compared. */
static void strip_folder(struct place *place)
{
    char folder[160];
    snprintf(folder, sizeof folder, "%s/", place->folder);
    for (char *at; (at = strstr(place->text, folder));)
        memmove(at, at + strlen(folder), strlen(at + strlen(folder)) + 1);
}

/* Dumps the file or folder; the number of faults. */
static int64_t run_dump(struct place *place, const char *name, bool is_verify)
{
    free(place->text);
    place->text = NULL;
    struct dump dump = {.is_verify = is_verify,
                        .out = open_memstream(&place->text, &place->text_size)};
    TRUE_(dump_path(&dump, place_path(place, name)));
    fclose(dump.out);
    strip_folder(place);
    int64_t faults = dump.faults;
    dump_done(&dump);
    return faults;
}

/* --- what the files hold --------------------------------------------------------------------- */

/* A batch of two records. Returns its size. */
static size_t make_batch(uint8_t *to, int64_t base_offset)
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

struct segment_file {
    uint8_t bytes[1024];
    size_t size, batch_size;
};

/* Batches at offsets 10, 12 and 14. */
static struct segment_file make_segment(void)
{
    struct segment_file file = {.size = 0};
    for (int i = 0; i < 3; i++)
        file.size += file.batch_size = make_batch(file.bytes + file.size, 10 + 2 * i);
    return file;
}

static const char log_name[] = "00000000000000000010.log";
static const char index_name[] = "00000000000000000010.index";

TEST(dump, prints_a_segment)
{
    struct place place;
    place_make(&place);
    uint8_t bytes[BATCH_BYTES_MAX];
    size_t size = make_batch(bytes, 10);
    EQ(size, 81);
    write_file(&place, log_name, bytes, size);
    EQ(run_dump(&place, log_name, false), 0);
    EQ_TEXT(place.text,
            "file 00000000000000000010.log\n"
            "batch position=0 size=81 offsets=10-11 records=2 codec=none epoch=4 timestamp=1001 "
            "producer=-1 crc=ok\n"
            "record offset=10 timestamp=1000 key=\"k\" value=\"three\" value_size=5 headers=0\n"
            "record offset=11 timestamp=1001 key=null value=null value_size=-1 headers=0\n"
            "sound 00000000000000000010.log batches=1 records=2 bytes=81 end_offset=12\n");
    place_remove(&place);
}

TEST(dump, finds_damage_in_a_segment)
{
    struct place place;
    place_make(&place);
    struct segment_file file = make_segment();
    file.bytes[file.batch_size + 70] ^= 1; /* in the second batch's records */
    write_file(&place, log_name, file.bytes, file.size);
    EQ(run_dump(&place, log_name, true), 1);
    EQ_TEXT(place.text, "fault 00000000000000000010.log position=81 "
                        "reason=\"the CRC of the batch does not match\"\n");
    file = make_segment();
    write_file(&place, log_name, file.bytes, file.size - 1);
    EQ(run_dump(&place, log_name, true), 1);
    EQ_TEXT(place.text, "fault 00000000000000000010.log position=162 "
                        "reason=\"the batch reaches beyond the end of the file\"\n");
    write_file(&place, log_name, file.bytes, 2 * file.batch_size + 9);
    EQ(run_dump(&place, log_name, true), 1);
    EQ_TEXT(place.text, "fault 00000000000000000010.log position=162 "
                        "reason=\"bytes are left after the last whole batch\"\n");
    store_be64(file.bytes + file.batch_size, 11); /* outside of the CRC */
    write_file(&place, log_name, file.bytes, 2 * file.batch_size);
    EQ(run_dump(&place, log_name, true), 1);
    EQ_TEXT(place.text, "fault 00000000000000000010.log position=81 "
                        "reason=\"the offsets of the batch do not follow those before it\"\n");
    place_remove(&place);
}

TEST(dump, takes_room_allocated_ahead_for_no_damage)
{
    struct place place;
    place_make(&place);
    struct segment_file file = make_segment();
    write_file(&place, log_name, file.bytes, sizeof file.bytes);
    EQ(run_dump(&place, log_name, true), 0);
    EQ_TEXT(place.text,
            "left 00000000000000000010.log position=243 "
            "reason=\"zeros up to the end: room that was allocated ahead\"\n"
            "sound 00000000000000000010.log batches=3 records=6 bytes=243 end_offset=16\n");
    place_remove(&place);
}

TEST(dump, checks_a_time_index_against_its_segment)
{
    static const char name[] = "00000000000000000010.timeindex";
    static const struct {
        uint64_t timestamps[2], offsets[2];
        size_t size;
        const char *want; /* its beginning, behind the index's name */
    } cases[] = {
        {{1001, 0}, {1, 0}, 12, "entries=1\n"},
        {{1001, 0}, {1, 0}, 24, "position=12 reason=\"zeros up to the end"},
        {{1001, 0}, {1, 0}, 13, "position=12 reason=\"the last entry is cut\""},
        {{1001, 1001}, {1, 3}, 24, "position=12 reason=\"it is not beyond the entry before"},
        {{1002, 0}, {1, 0}, 12, "position=0 reason=\"its timestamp is not that of the batch"},
        {{1001, 0}, {3, 0}, 12, "position=0 reason=\"a batch before it is as late"},
        {{1001, 0}, {2, 0}, 12, "position=0 reason=\"its offset is not the last of a batch"},
        {{1001, 0}, {9, 0}, 12, "position=0 reason=\"it names no whole batch"},
        {{0, 0}, {0, 0}, 0, "position=0 reason=\"it is empty, as Kafka leaves it"},
    };
    struct place place;
    place_make(&place);
    struct segment_file file = make_segment();
    write_file(&place, log_name, file.bytes, file.size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t index[24];
        char want[200];
        for (int j = 0; j < 2; j++) {
            store_be64(index + 12 * j, cases[i].timestamps[j]);
            store_be32(index + 12 * j + 8, (uint32_t)cases[i].offsets[j]);
        }
        write_file(&place, name, index, cases[i].size);
        run_dump(&place, name, true);
        snprintf(want, sizeof want, " %s %s", name, cases[i].want);
        test_expect(strstr(place.text, want) != NULL, __FILE__, __LINE__, "case %zu: %s", i,
                    place.text);
    }
    TRUE_(strstr(place.text, "fault") == NULL); /* of the empty one */
    uint8_t entry[TIME_ENTRY_BYTES];
    store_be64(entry, 1001);
    store_be32(entry + 8, 1);
    store_be64(file.bytes + 2 * file.batch_size + BATCH_MAX_TIMESTAMP_AT, 2000);
    write_file(&place, log_name, file.bytes, file.size);
    write_file(&place, name, entry, sizeof entry);
    EQ(run_dump(&place, name, true), 1);
    TRUE_(strstr(place.text, "position=12 reason=\"a timestamp behind its last entry is larger"));
    place_remove(&place);
}

/* One entry of an index: `offset` less the base, position. */
static void index_entry(uint8_t *to, uint32_t offset, uint32_t position)
{
    store_be32(to, offset);
    store_be32(to + 4, position);
}

TEST(dump, checks_an_index_against_its_segment)
{
    struct place place;
    place_make(&place);
    struct segment_file file = make_segment();
    uint8_t index[16];
    write_file(&place, log_name, file.bytes, file.size);
    static const struct {
        uint32_t offset, position;
        size_t size;
        const char *want; /* its beginning, behind the index's name */
    } cases[] = {
        {5, 162, 16, "entries=2\n"},
        {5, 162, 13, "position=8 reason=\"the last entry is cut\""},
        {5, 161, 16, "position=8 reason=\"it points into the middle of a batch"},
        {4, 162, 16, "position=8 reason=\"its offset is not the last of the batch"},
        {3, 81, 16, "position=8 reason=\"it is not beyond the entry before it"},
        {5, 243, 16, "position=8 reason=\"it points beyond the whole batches"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[200];
        index_entry(index, 3, 81);
        index_entry(index + 8, cases[i].offset, cases[i].position);
        write_file(&place, index_name, index, cases[i].size);
        EQ(run_dump(&place, index_name, true), i > 0);
        snprintf(want, sizeof want, "%s %s %s", i ? "fault" : "sound", index_name, cases[i].want);
        test_expect(strncmp(place.text, want, strlen(want)) == 0, __FILE__, __LINE__,
                    "case %zu: got\n%swant\n%s", i, place.text, want);
    }
    place_remove(&place);
}

/* --- journals -------------------------------------------------------------------------------- */

static const struct uuid topic_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

struct journal_file {
    uint8_t bytes[JOURNAL_RING_BEGIN + 4 * BLOCK_ALIGNMENT];
    uint32_t chain;
    int32_t blocks;
};

/* Anchors only: an empty journal. */
static void journal_start(struct journal_file *file)
{
    memset(file, 0, sizeof *file);
    struct anchor anchor = {.alignment = BLOCK_ALIGNMENT,
                            .generation = 1,
                            .salt = 77,
                            .start_position = JOURNAL_RING_BEGIN,
                            .start_sequence = 1};
    anchor_encode(&anchor, file->bytes);
    anchor_encode(&anchor, file->bytes + JOURNAL_ANCHOR_SLOT);
}

/* A block of a write of its own: the log is bound at `position` of segment 10, if not -1, and gets
 * one batch. */
static void journal_add(struct journal_file *file, int32_t position, int64_t offset)
{
    uint8_t batch[BATCH_BYTES_MAX], *block;
    block = file->bytes + JOURNAL_RING_BEGIN + file->blocks * BLOCK_ALIGNMENT;
    size_t size = make_batch(batch, offset), at = BLOCK_HEADER_SIZE;
    if (position >= 0)
        at += entry_bind_encode(
            &(struct journal_entry){
                .id = 9, .topic_id = topic_id, .segment_base = 10, .position = (uint32_t)position},
            block + at);
    at += entry_append_header_encode(9, (uint32_t)size, block + at);
    memcpy(block + at, batch, size);
    struct block_header header = {.length = (uint32_t)(at + size),
                                  .salt = 77,
                                  .sequence = (uint64_t)file->blocks + 1,
                                  .entry_count = position >= 0 ? 2 : 1,
                                  .chain = file->chain};
    file->chain = block_seal(block, &header);
    file->blocks++;
}

TEST(dump, prints_a_journal)
{
    struct place place;
    struct journal_file file;
    place_make(&place);
    journal_start(&file);
    journal_add(&file, 81, 12);
    write_file(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(run_dump(&place, "journal-0", false), 0);
    EQ_TEXT(place.text,
            "file journal-0\n"
            "anchor slot=0 version=2 generation=1 salt=000000000000004d alignment=4096 "
            "start_position=8192 "
            "start_sequence=1 crc=ok\n"
            "anchor slot=1 version=2 generation=1 salt=000000000000004d alignment=4096 "
            "start_position=8192 "
            "start_sequence=1 crc=ok\n"
            "block position=8192 length=158 sequence=1 lap=0 place=0 entries=2 crc=ok\n"
            "bind id=9 topic_id=AQIDBAUGBwgJCgsMDQ4PEA partition=0 segment=00000000000000000010 "
            "position=81\n"
            "append id=9 size=81\n"
            "batch position=8269 size=81 offsets=12-13 records=2 codec=none epoch=4 "
            "timestamp=1001 producer=-1 crc=ok\n"
            "sound journal-0 live_blocks=1 live_bytes=4096 file_bytes=24576\n");
    place_remove(&place);
}

TEST(dump, prints_where_a_log_begins_and_ends)
{
    struct place place;
    struct journal_file file;
    place_make(&place);
    journal_start(&file);
    uint8_t *block = file.bytes + JOURNAL_RING_BEGIN;
    struct journal_entry cut = {.id = 9, .offset = 12, .segment_base = 10, .position = 81};
    size_t at = BLOCK_HEADER_SIZE;
    at += entry_bind_encode(&(struct journal_entry){.id = 9, .topic_id = topic_id}, block + at);
    at += entry_start_encode(9, 11, block + at);
    at += entry_cut_encode(&cut, block + at);
    block_seal(block, &(struct block_header){
                          .length = (uint32_t)at, .salt = 77, .sequence = 1, .entry_count = 3});
    write_file(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(run_dump(&place, "journal-0", false), 0);
    TRUE_(strstr(place.text, "\nstart id=9 offset=11\n"
                             "cut id=9 offset=12 segment=00000000000000000010 position=81\n"));
    place_remove(&place);
}

TEST(dump, tells_a_torn_end_of_a_journal_from_rot)
{
    struct place place;
    struct journal_file file;
    place_make(&place);
    journal_start(&file);
    journal_add(&file, 0, 10);
    journal_add(&file, -1, 12);
    journal_add(&file, -1, 14);
    file.bytes[JOURNAL_RING_BEGIN + 2 * BLOCK_ALIGNMENT + 60] ^= 1;
    write_file(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(run_dump(&place, "journal-0", true), 0);
    EQ_TEXT(place.text, "sound journal-0 live_blocks=2 live_bytes=8192 file_bytes=24576\n");
    file.bytes[JOURNAL_RING_BEGIN + 2 * BLOCK_ALIGNMENT + 60] ^= 1;
    file.bytes[JOURNAL_RING_BEGIN + BLOCK_ALIGNMENT + 60] ^= 1;
    write_file(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(run_dump(&place, "journal-0", true), 1);
    EQ_TEXT(place.text,
            "fault journal-0 position=12288 reason=\"block 2 at position 12288 is damaged, and "
            "later ones are whole\"\n");
    place_remove(&place);
}

TEST(dump, needs_one_anchor_and_a_bind)
{
    struct place place;
    struct journal_file file;
    place_make(&place);
    journal_start(&file);
    journal_add(&file, -1, 10);
    write_file(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(run_dump(&place, "journal-0", true), 1);
    EQ_TEXT(place.text, "fault journal-0 position=8232 "
                        "reason=\"an entry of an id that no bind before it names\"\n");
    journal_start(&file);
    file.bytes[20] ^= 1;
    write_file(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(run_dump(&place, "journal-0", true), 0);
    file.bytes[JOURNAL_ANCHOR_SLOT + 20] ^= 1;
    write_file(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(run_dump(&place, "journal-0", true), 1);
    EQ_TEXT(place.text, "fault journal-0 reason=\"both anchors (at 0 and 4096) are damaged\"\n");
    place_remove(&place);
}

/* --- folders --------------------------------------------------------------------------------- */

/* A data directory: three batches in a segment, of which the journal holds those from `position`
 * on; -1: none. */
static void make_directory(struct place *place, const struct segment_file *segment,
                           int32_t position)
{
    struct journal_file journal;
    char text[PARTITION_METADATA_SIZE];
    static const char properties[] = "#\nversion=1\ncluster.id=abc\nnode.id=1\n";
    mkdir(place_path(place, "t-0"), 0755);
    write_file(place, "t-0/00000000000000000010.log", segment->bytes, segment->size);
    write_file(place, "t-0/partition.metadata", text, partition_metadata_encode(topic_id, text));
    write_file(place, "meta.properties", properties, sizeof properties - 1);
    journal_start(&journal);
    if (position >= 0)
        journal_add(&journal, position, 12);
    write_file(place, "journal-0", journal.bytes, sizeof journal.bytes);
}

TEST(dump, goes_through_a_data_directory)
{
    struct place place;
    place_make(&place);
    struct segment_file segment = make_segment();
    make_directory(&place, &segment, -1);
    write_file(&place, "t-0/leader-epoch-checkpoint", "0\n1\n4 10\n", 9);
    EQ(run_dump(&place, ".", true), 0);
    EQ_TEXT(place.text,
            "sound ./journal-0 live_blocks=0 live_bytes=0 file_bytes=24576\n"
            "sound ./meta.properties cluster_id=abc node_id=1\n"
            "sound ./t-0/00000000000000000010.log batches=3 records=6 bytes=243 end_offset=16\n"
            "sound ./t-0/leader-epoch-checkpoint entries=1\n"
            "sound ./t-0/partition.metadata topic_id=AQIDBAUGBwgJCgsMDQ4PEA\n");
    place_remove(&place);
}

TEST(dump, checks_leader_epochs_against_the_segments)
{
    static const struct {
        const char *text, *want; /* behind the name */
        int64_t position;        /* that the journal holds; -1: nothing */
    } cases[] = {
        {"0\n1\n4 10\n", "entries=1\n", -1},
        {"0\n1\n4 12\n", "entries=1\n", -1}, /* the log begins within a segment */
        {"0\n1\n5 10\n", "position=0 reason=\"the batches of the segments say otherwise", -1},
        {"0\n0\n", "position=0 reason=\"the batches of the segments say otherwise", -1},
        {"0\n0\n", "position=0 reason=\"the journal holds the end of the log", 81},
        {"0\n2\n4 10\n", "position=0 reason=\"it is not \"0\", a number, and so", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct place place;
        char want[200];
        place_make(&place);
        struct segment_file segment = make_segment();
        make_directory(&place, &segment, cases[i].position);
        write_file(&place, "t-0/leader-epoch-checkpoint", cases[i].text, strlen(cases[i].text));
        run_dump(&place, ".", true);
        snprintf(want, sizeof want, " ./t-0/leader-epoch-checkpoint %s", cases[i].want);
        test_expect(strstr(place.text, want) != NULL, __FILE__, __LINE__, "case %zu: %s", i,
                    place.text);
        place_remove(&place);
    }
}

TEST(dump, tells_damage_from_what_the_journal_holds)
{
    struct place place;
    place_make(&place);
    struct segment_file segment = make_segment();
    memset(segment.bytes + 85, 0, sizeof segment.bytes - 85); /* from within the second batch */
    segment.size = 512;
    make_directory(&place, &segment, 81);
    EQ(run_dump(&place, ".", true), 0);
    TRUE_(strstr(place.text, "left ./t-0/00000000000000000010.log position=81 "
                             "reason=\"no batch begins here; the journal holds the log from "
                             "position 81 on\"\n"));
    make_directory(&place, &segment, -1);
    EQ(run_dump(&place, ".", true), 1);
    TRUE_(strstr(place.text, "fault ./t-0/00000000000000000010.log position=81 "));
    segment = make_segment();
    segment.bytes[70] ^= 1; /* before what the journal holds */
    make_directory(&place, &segment, 81);
    EQ(run_dump(&place, ".", true), 1);
    TRUE_(strstr(place.text, "fault ./t-0/00000000000000000010.log position=0 "));
    segment.size = 80; /* bytes are missing that nobody holds */
    make_directory(&place, &segment, 81);
    EQ(run_dump(&place, ".", true), 2);
    place_remove(&place);
}

TEST(dump, judges_small_files)
{
    struct place place;
    place_make(&place);
    static const struct {
        const char *name, *text;
        int64_t faults;
    } cases[] = {
        {"partition.metadata", "version: 0\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEA\n", 0},
        {"partition.metadata", "version: 0\ntopic_id: AQIDBAUGBwgJCgsMDQ4P\n", 1},
        {"partition.metadata", "version: 1\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEA\n", 1},
        {"partition.metadata", "", 1},
        {"meta.properties", "#\nversion=1\ncluster.id=abc\nnode.id=1\ndirectory.id=x\n", 0},
        {"meta.properties", "version=1\ncluster.id=\nnode.id=1\n", 1},
        {"meta.properties", "version=2\nnode.id=x\n", 3},
        {".kafka_cleanshutdown", "{\"version\":0,\"brokerEpoch\":-1}", 0},
        {".kafka_cleanshutdown", "{}", 1},
        {"log-starts", "0\n1\nAQIDBAUGBwgJCgsMDQ4PEA 0 4711\ncrc 00000000\n", 1},
        {"log-starts-1", "0\n0\n", 1},
        {".bole_running", "{\"version\":0,\"brokerEpoch\":-1}", 0},
        {".lock", "", 0},
        {".lock", "x", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(&place, cases[i].name, cases[i].text, strlen(cases[i].text));
        int64_t faults = run_dump(&place, cases[i].name, true);
        test_expect(faults == cases[i].faults, __FILE__, __LINE__, "case %zu: got %lld\n%s", i,
                    (long long)faults, place.text);
    }
    place_remove(&place);
}

TEST(dump, prints_a_snapshot_of_producers)
{
    struct place place;
    place_make(&place);
    struct producers producers;
    struct aborted_txn_entry aborted;
    producers_init(&producers, 1, 0);
    struct producer_event event = {.kind = PRODUCER_TRANSACTIONAL,
                                   .producer_id = 7,
                                   .epoch = 2,
                                   .base_offset = 3,
                                   .last_offset = 4,
                                   .timestamp_ms = 1000,
                                   .first_sequence = 5,
                                   .last_sequence = 6};
    producers_apply(&producers, &event, (struct producers_now){0}, &aborted);
    struct bytes file = producer_snapshot_encode(&producers);
    static const char name[] = "00000000000000000009.snapshot";
    write_file(&place, name, file.data, (size_t)file.size);
    EQ(run_dump(&place, name, false), 0);
    EQ_TEXT(place.text,
            "file 00000000000000000009.snapshot\n"
            "producer id=7 epoch=2 last_sequence=6 last_offset=4 offset_delta=1 timestamp=1000 "
            "coordinator_epoch=-1 transaction_first_offset=3\n"
            "sound 00000000000000000009.snapshot producers=1\n");
    write_file(&place, name, file.data, (size_t)file.size - 1); /* a start passes over it */
    EQ(run_dump(&place, name, true), 0);
    TRUE_(strncmp(place.text, "left ", 5) == 0);
    memory_free((void *)(uintptr_t)file.data);
    producers_done(&producers);
    place_remove(&place);
}

TEST(dump, prints_aborted_transactions)
{
    struct place place;
    place_make(&place);
    uint8_t bytes[2 * TXN_INDEX_ENTRY];
    struct aborted_txn_entry entry = {7, 12, 15, 13};
    txn_index_encode(&entry, bytes);
    txn_index_encode(&entry, bytes + TXN_INDEX_ENTRY);
    static const char name[] = "00000000000000000010.txnindex";
    write_file(&place, name, bytes, TXN_INDEX_ENTRY);
    EQ(run_dump(&place, name, false), 0);
    EQ_TEXT(place.text, "file 00000000000000000010.txnindex\n"
                        "aborted producer=7 first_offset=12 last_offset=15 last_stable_offset=13\n"
                        "sound 00000000000000000010.txnindex aborted=1\n");
    write_file(&place, name, bytes, sizeof bytes); /* the same marker twice */
    EQ(run_dump(&place, name, true), 1);
    EQ_TEXT(place.text, "fault 00000000000000000010.txnindex position=34 "
                        "reason=\"this entry can't be\"\n");
    place_remove(&place);
}

/* The segment of three batches, and its sidecar. */
static void make_sidecar(struct place *place, struct segment_file *file)
{
    *file = make_segment();
    struct sidecar *sidecar = sidecar_new(10);
    for (int i = 0; i < 3; i++)
        sidecar_note(sidecar, file->bytes + (size_t)i * file->batch_size);
    sidecar->files[SIDECAR_TRANSACTIONS] = sidecar_cache_of((struct bytes){file->bytes, 34});
    struct bytes bytes = sidecar_encode(sidecar);
    write_file(place, log_name, file->bytes, file->size);
    write_file(place, "00000000000000000010.txnindex", file->bytes, 34);
    write_file(place, "00000000000000000010.sidecar", bytes.data, (size_t)bytes.size);
    memory_free((void *)(uintptr_t)bytes.data);
    sidecar_free(sidecar);
}

TEST(dump, prints_a_sidecar)
{
    static const char name[] = "00000000000000000010.sidecar";
    struct place place;
    struct segment_file file;
    place_make(&place);
    make_sidecar(&place, &file);
    EQ(run_dump(&place, name, false), 0);
    TRUE_(strstr(place.text,
                 "file 00000000000000000010.sidecar\n"
                 "sidecar base_offset=10 first_offset=10 end_offset=16 size=243 runs=1\n"
                 "run position=0 heads=") == place.text);
    TRUE_(strstr(place.text, "\ncache suffix=.txnindex size=34 crc=") != NULL);
    TRUE_(strstr(place.text, "\nsound 00000000000000000010.sidecar runs=1 end_offset=16\n"));
    place_remove(&place);
}

TEST(dump, finds_rot_that_no_batch_tells_of)
{
    static const char name[] = "00000000000000000010.sidecar";
    static const struct {
        int at; /* in the second batch, or the first byte of the .txnindex: -1 */
        const char *want;
    } cases[] = {
        {7, ".log position=81 reason=\"a bit of its base offset is flipped, by its sidecar\""},
        {15, ".log position=81 reason=\"a bit of its leader epoch is flipped, by its sidecar\""},
        {70, ".log position=81 reason=\"a batch's CRC does not match, by its sidecar\""},
        {-1, ".txnindex reason=\"it is not what its sidecar says"},
    };
    struct place place;
    struct segment_file file;
    place_make(&place);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_sidecar(&place, &file);
        if (cases[i].at < 0)
            write_file(&place, "00000000000000000010.txnindex", "?", 1);
        else
            file.bytes[file.batch_size + (size_t)cases[i].at] ^= 64;
        if (cases[i].at == 70) /* the batch is another one, and damaged */
            file.bytes[file.batch_size + BATCH_CRC_AT] ^= 1;
        write_file(&place, log_name, file.bytes, file.size);
        EQ(run_dump(&place, name, true), 1);
        test_expect(strstr(place.text, cases[i].want) != NULL, __FILE__, __LINE__, "case %zu: %s",
                    i, place.text);
    }
    place_remove(&place);
}

TEST(dump, a_stale_sidecar_is_no_fault)
{
    static const char name[] = "00000000000000000010.sidecar";
    struct place place;
    struct segment_file file;
    place_make(&place);
    make_sidecar(&place, &file);
    write_file(&place, log_name, file.bytes, file.size - file.batch_size);
    EQ(run_dump(&place, name, true), 0);
    EQ_TEXT(place.text, "left 00000000000000000010.sidecar reason=\"it is of an earlier segment of "
                        "this name: it is made anew\"\n");
    write_file(&place, name, "BOLE", 4);
    EQ(run_dump(&place, name, true), 1);
    EQ_TEXT(place.text, "fault 00000000000000000010.sidecar reason=\"it is damaged (a sidecar is a "
                        "cache: it is made anew)\"\n");
    place_remove(&place);
}
