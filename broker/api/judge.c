#include "api/judge.h"
#include "api/api.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"

/* What fits into a step, in terms of produce.inline.bytes (128 KiB): bytes and records that are
 * only read go some 16 times as fast as gzip is decompressed, and it is compressed some 8 times as
 * slow. */
enum {
    PLAIN_TIMES = 16,
    RECORD_BYTES = 8,
    RECODED_PART = 16,
    STORED_PART = 2,
};

/* The codec that a topic wants, unless it keeps the producer's, and its level. */
static enum codec wanted_codec(const struct topic_settings *settings, int *ret_level)
{
    *ret_level = 0;
    switch ((enum compression_type)settings->compression_type) {
    case COMPRESSION_GZIP:
        *ret_level = settings->compression_gzip_level;
        return CODEC_GZIP;
    case COMPRESSION_SNAPPY:
        return CODEC_SNAPPY;
    case COMPRESSION_LZ4:
        *ret_level = settings->compression_lz4_level;
        return CODEC_LZ4;
    case COMPRESSION_ZSTD:
        *ret_level = settings->compression_zstd_level;
        return CODEC_ZSTD;
    default:
        return CODEC_NONE;
    }
}

void judgement_init(struct judgement *judgement, struct bytes batches,
                    const struct batch_rules *rules, const struct topic_settings *settings)
{
    *judgement = (struct judgement){.batches = batches,
                                    .rules = *rules,
                                    .recodes = settings->compression_type != COMPRESSION_PRODUCER,
                                    .stored = batches};
    judgement->codec = wanted_codec(settings, &judgement->level);
}

static bool changes_codec(const struct judgement *judgement, const struct batch *batch)
{
    return judgement->recodes && (batch->attributes & BATCH_CODEC_MASK) != (int)judgement->codec;
}

bool judgement_is_short(const struct judgement *judgement, int32_t inline_bytes, size_t *ret_budget)
{
    struct bytes batches = judgement->batches;
    struct batch batch;
    *ret_budget = (size_t)inline_bytes;
    if (batches.size <= 0 || batch_view(batches.data, (size_t)batches.size, &batch))
        return true; /* refused for what its header says */
    if (changes_codec(judgement, &batch)) {
        *ret_budget = (size_t)inline_bytes / 4; /* what it was and what it becomes */
        return batches.size <= inline_bytes / RECODED_PART;
    }
    if ((batch.attributes & BATCH_CODEC_MASK) == CODEC_NONE)
        return batches.size / PLAIN_TIMES <= inline_bytes &&
               batch.count <= inline_bytes / RECORD_BYTES;
    return batches.size <= inline_bytes / STORED_PART;
}

/* As Kafka does, the size counts anew. */
static enum error recode(struct judgement *judgement, struct arena *arena)
{
    struct bytes recoded;
    enum error error =
        batch_recode(&judgement->report.batch, judgement->codec, judgement->level, arena, &recoded);
    if (error)
        return error;
    if (MUTANT(recompress_keeps_old_crc))
        store_be32((uint8_t *)recoded.data + BATCH_CRC_AT, judgement->report.batch.crc);
    if (recoded.size > judgement->rules.size_max_bytes)
        return ERROR_MESSAGE_TOO_LARGE;
    if (recoded.size > judgement->rules.segment_max_bytes)
        return ERROR_RECORD_LIST_TOO_LARGE;
    judgement->stored = recoded;
    return ERROR_NONE;
}

bool judge(struct judgement *judgement, struct arena *arena)
{
    struct batch_report *report = &judgement->report;
    *report = (struct batch_report){0};
    struct bytes batches = judgement->stored = judgement->batches;
    judgement->error = ERROR_INVALID_RECORD;
    if (batches.size <= 0) {
        report->text = "there are no records";
        return true;
    }
    enum error error = batch_validate(batches, &judgement->rules, arena, report);
    if (!error && report->batch.attributes & BATCH_TRANSACTIONAL) {
        error = ERROR_INVALID_TXN_STATE;
        report->text = "there is no such transaction"; /* no coordinator has begun one */
    }
    if (!error && changes_codec(judgement, &report->batch))
        error = recode(judgement, arena);
    if (error == ERROR_NO_MEMORY)
        return false;
    /* The frame is the request's own memory: the leader's timestamp goes into it in place. */
    if (!error)
        batch_stamp((void *)judgement->stored.data, (size_t)judgement->stored.size,
                    judgement->rules.append_time, report->max_timestamp);
    if (MUTANT(recompress_loses_timestamp) && judgement->stored.data != batches.data)
        batch_stamp((void *)judgement->stored.data, (size_t)judgement->stored.size,
                    judgement->rules.append_time, -1);
    judgement->error = error;
    return true;
}

void judge_refuse(struct judgement *judgement)
{
    judgement->error = ERROR_MESSAGE_TOO_LARGE;
    judgement->report.text = "the batch is too large when decompressed";
    judgement->report.records_count = 0;
    judgement->stored = judgement->batches;
}

int64_t judge_apart(void *data)
{
    struct judgement *judgement = data;
    struct arena arena;
    arena_init(&arena, DECOMPRESSED_BYTES_MAX);
    if (!judge(judgement, &arena))
        judge_refuse(judgement);
    if (judgement->stored.data != judgement->batches.data) {
        uint8_t *kept = memory_zeroed((size_t)judgement->stored.size);
        memcpy(kept, judgement->stored.data, (size_t)judgement->stored.size);
        judgement->stored.data = kept;
    }
    arena_done(&arena);
    return 0;
}
