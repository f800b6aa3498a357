#include "storage/sidecar.h"
#include "base/memory.h"
#include "codec/crc32c.h"
#include "protocol/batch.h"
#include "storage/sidecar_format.h"
#include "support/test.h"

enum { BATCHES = 90, BATCH = 500, FILE_BYTES = BATCHES * BATCH };

/* A file of batches of one record and 500 bytes, from offset 1000 on. */
static void fill(uint8_t file[FILE_BYTES], int salt)
{
    memset(file, 0, FILE_BYTES);
    for (int i = 0; i < BATCHES; i++) {
        uint8_t *batch = file + (size_t)i * BATCH;
        store_be64(batch, 1000 + (uint64_t)i);
        store_be32(batch + BATCH_LENGTH_AT, BATCH - BATCH_OVERHEAD);
        store_be32(batch + BATCH_LEADER_EPOCH_AT, 7);
        batch[BATCH_MAGIC_AT] = 2;
        batch[BATCH_RECORDS_AT] = (uint8_t)(i + salt);
        store_be32(batch + BATCH_CRC_AT,
                   crc32c(0, batch + BATCH_ATTRIBUTES_AT, BATCH - BATCH_ATTRIBUTES_AT));
    }
}

static struct sidecar *noted(const uint8_t file[FILE_BYTES])
{
    struct sidecar *sidecar = sidecar_new(1000);
    for (int i = 0; i < BATCHES; i++)
        sidecar_note(sidecar, file + (size_t)i * BATCH);
    return sidecar;
}

static struct bytes whole(const uint8_t file[FILE_BYTES])
{
    return (struct bytes){file, FILE_BYTES};
}

TEST(sidecar, runs_begin_at_batches_and_cover_the_file)
{
    static uint8_t file[FILE_BYTES];
    fill(file, 0);
    struct sidecar *sidecar = noted(file);
    EQ(sidecar->size, FILE_BYTES);
    EQ(sidecar->first_offset, 1000);
    EQ(sidecar->end_offset, 1000 + BATCHES);
    EQ(sidecar->run_count, 3);
    EQ(sidecar->runs[1].position, 33 * BATCH); /* the first batch from 16 KiB on */
    EQ(sidecar_run_at(sidecar, 0), 0);
    EQ(sidecar_run_at(sidecar, 33 * BATCH - 1), 0);
    EQ(sidecar_run_at(sidecar, 33 * BATCH), 1);
    EQ(sidecar_run_at(sidecar, FILE_BYTES - 1), 2);
    EQ(sidecar_run_end(sidecar, 2), FILE_BYTES);
    TRUE_(sidecar_fits(sidecar, 1000, FILE_BYTES, INT64_MAX));
    TRUE_(!sidecar_fits(sidecar, 1000, FILE_BYTES - 1, INT64_MAX));
    TRUE_(!sidecar_fits(sidecar, 999, FILE_BYTES, INT64_MAX));
    TRUE_(!sidecar_fits(sidecar, 1000, FILE_BYTES, 1000 + BATCHES - 1));
    sidecar_free(sidecar);
}

TEST(sidecar, a_run_is_judged_by_its_headers)
{
    static uint8_t file[FILE_BYTES];
    fill(file, 0);
    struct sidecar *sidecar = noted(file);
    struct sidecar_fault fault;
    for (int run = 0; run < 3; run++)
        EQ(sidecar_judge(sidecar, run, whole(file), 0, &fault), SIDECAR_AGREES);
    struct bytes middle = {file + 16000, 33000 - 16000 + BATCH_RECORDS_AT - 500};
    EQ(sidecar_judge(sidecar, 1, middle, 16000, &fault), SIDECAR_AGREES);
    middle.size--;
    EQ(sidecar_judge(sidecar, 1, middle, 16000, &fault), SIDECAR_SHORT);
    EQ(fault.position, 32500 + BATCH_RECORDS_AT);
    sidecar_free(sidecar);
}

TEST(sidecar, each_flipped_bit_of_a_header_is_rot)
{
    static uint8_t file[FILE_BYTES];
    fill(file, 0);
    struct sidecar *sidecar = noted(file);
    for (int bit = 0; bit < 8 * BATCH_ATTRIBUTES_AT; bit++) {
        uint8_t *byte = &file[40 * BATCH + bit / 8];
        struct sidecar_fault fault = {.position = -1};
        *byte ^= (uint8_t)(1 << bit % 8);
        EQ(sidecar_judge(sidecar, 1, whole(file), 0, &fault), SIDECAR_ROT);
        TRUE_(fault.what && fault.position >= 33 * BATCH && fault.position <= 40 * BATCH);
        EQ(sidecar_judge(sidecar, 0, whole(file), 0, &fault), SIDECAR_AGREES);
        *byte ^= (uint8_t)(1 << bit % 8);
    }
    sidecar_free(sidecar);
}

TEST(sidecar, other_whole_batches_make_it_stale)
{
    static uint8_t file[FILE_BYTES], other[FILE_BYTES];
    fill(file, 0);
    fill(other, 1);
    struct sidecar *sidecar = noted(file);
    struct sidecar_fault fault;
    for (int run = 0; run < 3; run++)
        EQ(sidecar_judge(sidecar, run, whole(other), 0, &fault), SIDECAR_OTHER);
    other[100] ^= 1;
    EQ(sidecar_judge(sidecar, 0, whole(other), 0, &fault), SIDECAR_ROT);
    EQ(fault.position, 0);
    sidecar_free(sidecar);
}

TEST(sidecar, all_batches_are_compared_at_once)
{
    static uint8_t file[FILE_BYTES], other[FILE_BYTES];
    struct sidecar_fault fault = {0};
    fill(file, 0);
    fill(other, 1);
    struct sidecar *sidecar = noted(file), *another = noted(other);
    EQ(sidecar_compare(sidecar, sidecar, &fault), SIDECAR_AGREES);
    EQ(sidecar_compare(sidecar, another, &fault), SIDECAR_OTHER);
    file[40 * BATCH + 7] ^= 4;
    struct sidecar *rotten = noted(file);
    EQ(sidecar_compare(sidecar, rotten, &fault), SIDECAR_ROT);
    EQ(fault.position, 33 * BATCH);
    TRUE_(fault.heads);
    TRUE_(sidecar_find_bit(sidecar, 1, whole(file), 0, &fault));
    EQ(fault.position, 40 * BATCH);
    EQ_TEXT(fault.what, "a bit of its base offset is flipped");
    sidecar_free(sidecar);
    sidecar_free(another);
    sidecar_free(rotten);
}

TEST(sidecar, a_batch_larger_than_a_run_is_one)
{
    static uint8_t file[100000];
    memset(file, 0, sizeof file);
    store_be32(file + BATCH_LENGTH_AT, sizeof file - BATCH_OVERHEAD);
    file[BATCH_MAGIC_AT] = 2;
    struct sidecar *sidecar = sidecar_new(0);
    sidecar_note(sidecar, file);
    sidecar_note(sidecar, file);
    EQ(sidecar->run_count, 2);
    EQ(sidecar->size, 2 * (int64_t)sizeof file);
    struct sidecar_fault fault;
    struct bytes header = {file, BATCH_RECORDS_AT};
    EQ(sidecar_judge(sidecar, 0, header, 0, &fault), SIDECAR_AGREES);
    sidecar_free(sidecar);
}

/* ---- the file ---- */

static struct sidecar *a_sidecar(void)
{
    static uint8_t file[FILE_BYTES];
    fill(file, 0);
    struct sidecar *sidecar = noted(file);
    sidecar->files[SIDECAR_INDEX] = sidecar_cache_of((struct bytes){file, 80});
    sidecar->files[SIDECAR_TIMES] = sidecar_cache_of((struct bytes){file, 0});
    return sidecar;
}

TEST(sidecar_format, comes_back)
{
    struct sidecar *sidecar = a_sidecar(), *back = NULL;
    struct bytes file = sidecar_encode(sidecar);
    EQ(sidecar_decode(file, &back), ERROR_NONE);
    EQ(back->base_offset, 1000);
    EQ(back->first_offset, 1000);
    EQ(back->end_offset, 1000 + BATCHES);
    EQ(back->size, FILE_BYTES);
    EQ(back->run_count, 3);
    EQ(memcmp(back->runs, sidecar->runs, 3 * sizeof(struct sidecar_run)), 0);
    TRUE_(back->files[SIDECAR_INDEX].there && back->files[SIDECAR_INDEX].size == 80);
    EQ(back->files[SIDECAR_INDEX].crc, sidecar->files[SIDECAR_INDEX].crc);
    TRUE_(back->files[SIDECAR_TIMES].there && back->files[SIDECAR_TIMES].size == 0);
    TRUE_(!back->files[SIDECAR_TRANSACTIONS].there);
    memory_free((void *)(uintptr_t)file.data);
    sidecar_free(sidecar);
    sidecar_free(back);
}

/* The bytes of the head of a file, as the header says. */
TEST(sidecar_format, bytes_as_specified)
{
    struct sidecar *sidecar = sidecar_new(5);
    struct bytes file = sidecar_encode(sidecar);
    static const uint8_t begin[] = {'B', 'O', 'L', 'E', 'S', 'D', 'C', 1, 1, 0, 0, 0};
    EQ_BYTES(file.data, begin, sizeof begin);
    EQ(file.data[12], file.size - SIDECAR_FRAME);
    static const uint8_t map[] = {0x8b, 0xa4, 'b', 'a', 's', 'e', 5,
                                  0xa5, 'f',  'i', 'r', 's', 't', 5};
    EQ_BYTES(file.data + SIDECAR_FRAME, map, sizeof map);
    memory_free((void *)(uintptr_t)file.data);
    sidecar_free(sidecar);
}

TEST(sidecar_format, any_flipped_bit_is_noticed)
{
    struct sidecar *sidecar = a_sidecar(), *back = NULL;
    struct bytes file = sidecar_encode(sidecar);
    uint8_t *data = (uint8_t *)(uintptr_t)file.data;
    for (int64_t bit = 0; bit < 8 * (int64_t)file.size; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        EQ(sidecar_decode(file, &back), ERROR_MALFORMED);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int32_t size = 0; size < file.size; size++)
        EQ(sidecar_decode((struct bytes){data, size}, &back), ERROR_MALFORMED);
    memory_free(data);
    sidecar_free(sidecar);
}

static void seal(uint8_t *data, int32_t size)
{
    uint32_t crc = crc32c(crc32c(0, data, 16), data + SIDECAR_FRAME, (size_t)size - SIDECAR_FRAME);
    for (int i = 0; i < 4; i++)
        data[16 + i] = (uint8_t)(crc >> 8 * i);
}

TEST(sidecar_format, a_newer_version_is_named)
{
    struct sidecar *sidecar = a_sidecar(), *back = NULL;
    struct bytes file = sidecar_encode(sidecar);
    uint8_t *data = (uint8_t *)(uintptr_t)file.data;
    data[8] = 2;
    seal(data, file.size);
    EQ(sidecar_decode(file, &back), ERROR_NEWER_VERSION);
    memory_free(data);
    sidecar_free(sidecar);
}

/* Damage below a right CRC, as by a fault of ours: byte `at` of the map becomes `to`. */
TEST(sidecar_format, a_map_that_cannot_be_is_refused)
{
    static const struct {
        int at;
        uint8_t to;
        const char *what;
    } cases[] = {
        {0, 0x8a, "fewer names"},
        {0, 0x9b, "an array"},
        {0, 0xc0, "nil"},
        {2, 'B', "an unknown name"},
        {6, 0xff, "a negative number"},
        {6, 0xc0, "nil where a number is"},
        {6, 0xc1, "a byte that means nothing"},
        {6, 0x80, "a map within"},
        {6, 0xdd, "an array without end"},
        {13, 4, "a first offset below the base"},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        struct sidecar *sidecar = sidecar_new(5), *back = NULL;
        struct bytes file = sidecar_encode(sidecar);
        uint8_t *data = (uint8_t *)(uintptr_t)file.data;
        data[SIDECAR_FRAME + cases[i].at] = cases[i].to;
        seal(data, file.size);
        test_expect(sidecar_decode(file, &back) == ERROR_MALFORMED, __FILE__, __LINE__,
                    "%s is taken", cases[i].what);
        memory_free(data);
        sidecar_free(sidecar);
    }
}
