/* `bole dump` on a sidecar, and on rot that only a sidecar tells of. */
#include "base/memory.h"
#include "protocol/batch.h"
#include "storage/sidecar_format.h"
#include "support/test.h"
#include "tools/dump.h"
#include "unit/tools/dump_place.h"

/* The segment of three batches, and its sidecar. */
static void make_sidecar(struct dump_place *place, struct dump_segment *file)
{
    *file = dump_make_segment();
    struct sidecar *sidecar = sidecar_new(10);
    for (int i = 0; i < 3; i++)
        sidecar_note(sidecar, file->bytes + (size_t)i * file->batch_size);
    sidecar->files[SIDECAR_TRANSACTIONS] = sidecar_cache_of((struct bytes){file->bytes, 34});
    struct bytes bytes = sidecar_encode(sidecar);
    dump_place_write(place, LOG_NAME, file->bytes, file->size);
    dump_place_write(place, "00000000000000000010.txnindex", file->bytes, 34);
    dump_place_write(place, "00000000000000000010.sidecar", bytes.data, (size_t)bytes.size);
    memory_free((void *)(uintptr_t)bytes.data);
    sidecar_free(sidecar);
}

TEST(dump, prints_a_sidecar)
{
    static const char name[] = "00000000000000000010.sidecar";
    struct dump_place place;
    struct dump_segment file;
    dump_place_make(&place);
    make_sidecar(&place, &file);
    EQ(dump_place_run(&place, name, false), 0);
    TRUE_(strstr(place.text,
                 "file 00000000000000000010.sidecar\n"
                 "sidecar base_offset=10 first_offset=10 end_offset=16 size=243 runs=1\n"
                 "run position=0 heads=") == place.text);
    TRUE_(strstr(place.text, "\ncache suffix=.txnindex size=34 crc=") != NULL);
    TRUE_(strstr(place.text, "\nsound 00000000000000000010.sidecar runs=1 end_offset=16\n"));
    dump_place_remove(&place);
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
    struct dump_place place;
    struct dump_segment file;
    dump_place_make(&place);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_sidecar(&place, &file);
        if (cases[i].at < 0)
            dump_place_write(&place, "00000000000000000010.txnindex", "?", 1);
        else
            file.bytes[file.batch_size + (size_t)cases[i].at] ^= 64;
        if (cases[i].at == 70) /* the batch is another one, and damaged */
            file.bytes[file.batch_size + BATCH_CRC_AT] ^= 1;
        dump_place_write(&place, LOG_NAME, file.bytes, file.size);
        EQ(dump_place_run(&place, name, true), 1);
        test_expect(strstr(place.text, cases[i].want) != NULL, __FILE__, __LINE__, "case %zu: %s",
                    i, place.text);
    }
    dump_place_remove(&place);
}

TEST(dump, a_stale_sidecar_is_no_fault)
{
    static const char name[] = "00000000000000000010.sidecar";
    struct dump_place place;
    struct dump_segment file;
    dump_place_make(&place);
    make_sidecar(&place, &file);
    dump_place_write(&place, LOG_NAME, file.bytes, file.size - file.batch_size);
    EQ(dump_place_run(&place, name, true), 0);
    EQ_TEXT(place.text, "left 00000000000000000010.sidecar reason=\"it is of an earlier segment of "
                        "this name: it is made anew\"\n");
    dump_place_write(&place, name, "BOLE", 4);
    EQ(dump_place_run(&place, name, true), 1);
    EQ_TEXT(place.text, "fault 00000000000000000010.sidecar reason=\"it is damaged (a sidecar is a "
                        "cache: it is made anew)\"\n");
    dump_place_remove(&place);
}
