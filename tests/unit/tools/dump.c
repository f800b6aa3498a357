/* `bole dump` on small files that each test makes: good ones, with a flipped bit, with a cut end.
 */
#include "tools/dump.h"
#include "protocol/batch.h"
#include "storage/folder.h"
#include "storage/journal_format.h"
#include "base/memory.h"
#include "storage/producer_snapshot.h"
#include "storage/time_index.h"
#include "storage/txn_index.h"
#include "support/test.h"
#include "unit/tools/dump_place.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_ALIGNMENT = 4096 };

static const char index_name[] = "00000000000000000010.index";

TEST(dump, prints_a_segment)
{
    struct dump_place place;
    dump_place_make(&place);
    uint8_t bytes[BATCH_BYTES_MAX];
    size_t size = dump_make_batch(bytes, 10);
    EQ(size, 81);
    dump_place_write(&place, LOG_NAME, bytes, size);
    EQ(dump_place_run(&place, LOG_NAME, false), 0);
    EQ_TEXT(place.text,
            "file 00000000000000000010.log\n"
            "batch position=0 size=81 offsets=10-11 records=2 codec=none epoch=4 timestamp=1001 "
            "producer=-1 crc=ok\n"
            "record offset=10 timestamp=1000 key=\"k\" value=\"three\" value_size=5 headers=0\n"
            "record offset=11 timestamp=1001 key=null value=null value_size=-1 headers=0\n"
            "sound 00000000000000000010.log batches=1 records=2 bytes=81 end_offset=12\n");
    dump_place_remove(&place);
}

TEST(dump, finds_damage_in_a_segment)
{
    struct dump_place place;
    dump_place_make(&place);
    struct dump_segment file = dump_make_segment();
    file.bytes[file.batch_size + 70] ^= 1; /* in the second batch's records */
    dump_place_write(&place, LOG_NAME, file.bytes, file.size);
    EQ(dump_place_run(&place, LOG_NAME, true), 1);
    EQ_TEXT(place.text, "fault 00000000000000000010.log position=81 "
                        "reason=\"the CRC of the batch does not match\"\n");
    file = dump_make_segment();
    dump_place_write(&place, LOG_NAME, file.bytes, file.size - 1);
    EQ(dump_place_run(&place, LOG_NAME, true), 1);
    EQ_TEXT(place.text, "fault 00000000000000000010.log position=162 "
                        "reason=\"the batch reaches beyond the end of the file\"\n");
    dump_place_write(&place, LOG_NAME, file.bytes, 2 * file.batch_size + 9);
    EQ(dump_place_run(&place, LOG_NAME, true), 1);
    EQ_TEXT(place.text, "fault 00000000000000000010.log position=162 "
                        "reason=\"bytes are left after the last whole batch\"\n");
    store_be64(file.bytes + file.batch_size, 11); /* outside of the CRC */
    dump_place_write(&place, LOG_NAME, file.bytes, 2 * file.batch_size);
    EQ(dump_place_run(&place, LOG_NAME, true), 1);
    EQ_TEXT(place.text, "fault 00000000000000000010.log position=81 "
                        "reason=\"the offsets of the batch do not follow those before it\"\n");
    dump_place_remove(&place);
}

TEST(dump, takes_room_allocated_ahead_for_no_damage)
{
    struct dump_place place;
    dump_place_make(&place);
    struct dump_segment file = dump_make_segment();
    dump_place_write(&place, LOG_NAME, file.bytes, sizeof file.bytes);
    EQ(dump_place_run(&place, LOG_NAME, true), 0);
    EQ_TEXT(place.text,
            "left 00000000000000000010.log position=243 "
            "reason=\"zeros up to the end: room that was allocated ahead\"\n"
            "sound 00000000000000000010.log batches=3 records=6 bytes=243 end_offset=16\n");
    dump_place_remove(&place);
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
    struct dump_place place;
    dump_place_make(&place);
    struct dump_segment file = dump_make_segment();
    dump_place_write(&place, LOG_NAME, file.bytes, file.size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t index[24];
        char want[200];
        for (int j = 0; j < 2; j++) {
            store_be64(index + 12 * j, cases[i].timestamps[j]);
            store_be32(index + 12 * j + 8, (uint32_t)cases[i].offsets[j]);
        }
        dump_place_write(&place, name, index, cases[i].size);
        dump_place_run(&place, name, true);
        snprintf(want, sizeof want, " %s %s", name, cases[i].want);
        test_expect(strstr(place.text, want) != NULL, __FILE__, __LINE__, "case %zu: %s", i,
                    place.text);
    }
    TRUE_(strstr(place.text, "fault") == NULL); /* of the empty one */
    uint8_t entry[TIME_ENTRY_BYTES];
    store_be64(entry, 1001);
    store_be32(entry + 8, 1);
    store_be64(file.bytes + 2 * file.batch_size + BATCH_MAX_TIMESTAMP_AT, 2000);
    dump_place_write(&place, LOG_NAME, file.bytes, file.size);
    dump_place_write(&place, name, entry, sizeof entry);
    EQ(dump_place_run(&place, name, true), 1);
    TRUE_(strstr(place.text, "position=12 reason=\"a timestamp behind its last entry is larger"));
    dump_place_remove(&place);
}

/* One entry of an index: `offset` less the base, position. */
static void index_entry(uint8_t *to, uint32_t offset, uint32_t position)
{
    store_be32(to, offset);
    store_be32(to + 4, position);
}

TEST(dump, checks_an_index_against_its_segment)
{
    struct dump_place place;
    dump_place_make(&place);
    struct dump_segment file = dump_make_segment();
    uint8_t index[16];
    dump_place_write(&place, LOG_NAME, file.bytes, file.size);
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
        dump_place_write(&place, index_name, index, cases[i].size);
        EQ(dump_place_run(&place, index_name, true), i > 0);
        snprintf(want, sizeof want, "%s %s %s", i ? "fault" : "sound", index_name, cases[i].want);
        test_expect(strncmp(place.text, want, strlen(want)) == 0, __FILE__, __LINE__,
                    "case %zu: got\n%swant\n%s", i, place.text, want);
    }
    dump_place_remove(&place);
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
    size_t size = dump_make_batch(batch, offset), at = BLOCK_HEADER_SIZE;
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
    struct dump_place place;
    struct journal_file file;
    dump_place_make(&place);
    journal_start(&file);
    journal_add(&file, 81, 12);
    dump_place_write(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(dump_place_run(&place, "journal-0", false), 0);
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
    dump_place_remove(&place);
}

TEST(dump, prints_where_a_log_begins_and_ends)
{
    struct dump_place place;
    struct journal_file file;
    dump_place_make(&place);
    journal_start(&file);
    uint8_t *block = file.bytes + JOURNAL_RING_BEGIN;
    struct journal_entry cut = {.id = 9, .offset = 12, .segment_base = 10, .position = 81};
    size_t at = BLOCK_HEADER_SIZE;
    at += entry_bind_encode(&(struct journal_entry){.id = 9, .topic_id = topic_id}, block + at);
    at += entry_start_encode(9, 11, block + at);
    at += entry_cut_encode(&cut, block + at);
    block_seal(block, &(struct block_header){
                          .length = (uint32_t)at, .salt = 77, .sequence = 1, .entry_count = 3});
    dump_place_write(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(dump_place_run(&place, "journal-0", false), 0);
    TRUE_(strstr(place.text, "\nstart id=9 offset=11\n"
                             "cut id=9 offset=12 segment=00000000000000000010 position=81\n"));
    dump_place_remove(&place);
}

TEST(dump, tells_a_torn_end_of_a_journal_from_rot)
{
    struct dump_place place;
    struct journal_file file;
    dump_place_make(&place);
    journal_start(&file);
    journal_add(&file, 0, 10);
    journal_add(&file, -1, 12);
    journal_add(&file, -1, 14);
    file.bytes[JOURNAL_RING_BEGIN + 2 * BLOCK_ALIGNMENT + 60] ^= 1;
    dump_place_write(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(dump_place_run(&place, "journal-0", true), 0);
    EQ_TEXT(place.text, "sound journal-0 live_blocks=2 live_bytes=8192 file_bytes=24576\n");
    file.bytes[JOURNAL_RING_BEGIN + 2 * BLOCK_ALIGNMENT + 60] ^= 1;
    file.bytes[JOURNAL_RING_BEGIN + BLOCK_ALIGNMENT + 60] ^= 1;
    dump_place_write(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(dump_place_run(&place, "journal-0", true), 1);
    EQ_TEXT(place.text,
            "fault journal-0 position=12288 reason=\"block 2 at position 12288 is damaged, and "
            "later ones are whole\"\n");
    dump_place_remove(&place);
}

TEST(dump, needs_one_anchor_and_a_bind)
{
    struct dump_place place;
    struct journal_file file;
    dump_place_make(&place);
    journal_start(&file);
    journal_add(&file, -1, 10);
    dump_place_write(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(dump_place_run(&place, "journal-0", true), 1);
    EQ_TEXT(place.text, "fault journal-0 position=8232 "
                        "reason=\"an entry of an id that no bind before it names\"\n");
    journal_start(&file);
    file.bytes[20] ^= 1;
    dump_place_write(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(dump_place_run(&place, "journal-0", true), 0);
    file.bytes[JOURNAL_ANCHOR_SLOT + 20] ^= 1;
    dump_place_write(&place, "journal-0", file.bytes, sizeof file.bytes);
    EQ(dump_place_run(&place, "journal-0", true), 1);
    EQ_TEXT(place.text, "fault journal-0 reason=\"both anchors (at 0 and 4096) are damaged\"\n");
    dump_place_remove(&place);
}

/* --- folders --------------------------------------------------------------------------------- */

/* A data directory: three batches in a segment, of which the journal holds those from `position`
 * on; -1: none. */
static void make_directory(struct dump_place *place, const struct dump_segment *segment,
                           int32_t position)
{
    struct journal_file journal;
    char text[PARTITION_METADATA_SIZE];
    static const char properties[] = "#\nversion=1\ncluster.id=abc\nnode.id=1\n";
    mkdir(dump_place_path(place, "t-0"), 0755);
    dump_place_write(place, "t-0/00000000000000000010.log", segment->bytes, segment->size);
    dump_place_write(place, "t-0/partition.metadata", text,
                     partition_metadata_encode(topic_id, text));
    dump_place_write(place, "meta.properties", properties, sizeof properties - 1);
    journal_start(&journal);
    if (position >= 0)
        journal_add(&journal, position, 12);
    dump_place_write(place, "journal-0", journal.bytes, sizeof journal.bytes);
}

TEST(dump, goes_through_a_data_directory)
{
    struct dump_place place;
    dump_place_make(&place);
    struct dump_segment segment = dump_make_segment();
    make_directory(&place, &segment, -1);
    dump_place_write(&place, "t-0/leader-epoch-checkpoint", "0\n1\n4 10\n", 9);
    EQ(dump_place_run(&place, ".", true), 0);
    EQ_TEXT(place.text,
            "sound ./journal-0 live_blocks=0 live_bytes=0 file_bytes=24576\n"
            "sound ./meta.properties cluster_id=abc node_id=1\n"
            "sound ./t-0/00000000000000000010.log batches=3 records=6 bytes=243 end_offset=16\n"
            "sound ./t-0/leader-epoch-checkpoint entries=1\n"
            "sound ./t-0/partition.metadata topic_id=AQIDBAUGBwgJCgsMDQ4PEA\n");
    dump_place_remove(&place);
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
        struct dump_place place;
        char want[200];
        dump_place_make(&place);
        struct dump_segment segment = dump_make_segment();
        make_directory(&place, &segment, cases[i].position);
        dump_place_write(&place, "t-0/leader-epoch-checkpoint", cases[i].text,
                         strlen(cases[i].text));
        dump_place_run(&place, ".", true);
        snprintf(want, sizeof want, " ./t-0/leader-epoch-checkpoint %s", cases[i].want);
        test_expect(strstr(place.text, want) != NULL, __FILE__, __LINE__, "case %zu: %s", i,
                    place.text);
        dump_place_remove(&place);
    }
}

TEST(dump, tells_damage_from_what_the_journal_holds)
{
    struct dump_place place;
    dump_place_make(&place);
    struct dump_segment segment = dump_make_segment();
    memset(segment.bytes + 85, 0, sizeof segment.bytes - 85); /* from within the second batch */
    segment.size = 512;
    make_directory(&place, &segment, 81);
    EQ(dump_place_run(&place, ".", true), 0);
    TRUE_(strstr(place.text, "left ./t-0/00000000000000000010.log position=81 "
                             "reason=\"no batch begins here; the journal holds the log from "
                             "position 81 on\"\n"));
    make_directory(&place, &segment, -1);
    EQ(dump_place_run(&place, ".", true), 1);
    TRUE_(strstr(place.text, "fault ./t-0/00000000000000000010.log position=81 "));
    segment = dump_make_segment();
    segment.bytes[70] ^= 1; /* before what the journal holds */
    make_directory(&place, &segment, 81);
    EQ(dump_place_run(&place, ".", true), 1);
    TRUE_(strstr(place.text, "fault ./t-0/00000000000000000010.log position=0 "));
    segment.size = 80; /* bytes are missing that nobody holds */
    make_directory(&place, &segment, 81);
    EQ(dump_place_run(&place, ".", true), 2);
    dump_place_remove(&place);
}

TEST(dump, judges_small_files)
{
    struct dump_place place;
    dump_place_make(&place);
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
        dump_place_write(&place, cases[i].name, cases[i].text, strlen(cases[i].text));
        int64_t faults = dump_place_run(&place, cases[i].name, true);
        test_expect(faults == cases[i].faults, __FILE__, __LINE__, "case %zu: got %lld\n%s", i,
                    (long long)faults, place.text);
    }
    dump_place_remove(&place);
}

TEST(dump, prints_a_snapshot_of_producers)
{
    struct dump_place place;
    dump_place_make(&place);
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
    dump_place_write(&place, name, file.data, (size_t)file.size);
    EQ(dump_place_run(&place, name, false), 0);
    EQ_TEXT(place.text,
            "file 00000000000000000009.snapshot\n"
            "producer id=7 epoch=2 last_sequence=6 last_offset=4 offset_delta=1 timestamp=1000 "
            "coordinator_epoch=-1 transaction_first_offset=3\n"
            "sound 00000000000000000009.snapshot producers=1\n");
    dump_place_write(&place, name, file.data, (size_t)file.size - 1); /* a start passes over it */
    EQ(dump_place_run(&place, name, true), 0);
    TRUE_(strncmp(place.text, "left ", 5) == 0);
    memory_free((void *)(uintptr_t)file.data);
    producers_done(&producers);
    dump_place_remove(&place);
}

TEST(dump, prints_aborted_transactions)
{
    struct dump_place place;
    dump_place_make(&place);
    uint8_t bytes[2 * TXN_INDEX_ENTRY];
    struct aborted_txn_entry entry = {7, 12, 15, 13};
    txn_index_encode(&entry, bytes);
    txn_index_encode(&entry, bytes + TXN_INDEX_ENTRY);
    static const char name[] = "00000000000000000010.txnindex";
    dump_place_write(&place, name, bytes, TXN_INDEX_ENTRY);
    EQ(dump_place_run(&place, name, false), 0);
    EQ_TEXT(place.text, "file 00000000000000000010.txnindex\n"
                        "aborted producer=7 first_offset=12 last_offset=15 last_stable_offset=13\n"
                        "sound 00000000000000000010.txnindex aborted=1\n");
    dump_place_write(&place, name, bytes, sizeof bytes); /* the same marker twice */
    EQ(dump_place_run(&place, name, true), 1);
    EQ_TEXT(place.text, "fault 00000000000000000010.txnindex position=34 "
                        "reason=\"this entry can't be\"\n");
    dump_place_remove(&place);
}
