/* Directories of earlier versions, as they have left them (golden/). What must be read was written
 * down with the version that made them: a CRC-32C of a line "offset key:value" for each record,
 * as `kcat -f '%o %k:%s\n'` prints it. */
#include "crash/golden.h"
#include "base/memory.h"
#include "support/test.h"
#include <stdio.h>

struct wanted {
    const char *topic;
    int32_t partition, core;
    const char *topic_id;
    int64_t start, end, records, producers;
    uint32_t crc;
};

static void run(const char *name, const struct wanted *wanted, int count, int cores,
                uint64_t journal_bytes)
{
    struct golden_files *files = memory_zeroed(sizeof *files);
    struct golden_log logs[GOLDEN_LOGS_MAX] = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/%s.tar.gz", GOLDEN_FOLDER, name);
    if (!TRUE_(golden_unpack(files, path)))
        count = 0;
    for (int replays = 0; replays < 2 && count > 0; replays++) {
        for (int i = 0; i < count; i++)
            logs[i] = (struct golden_log){.topic = wanted[i].topic,
                                          .partition = wanted[i].partition,
                                          .topic_id = wanted[i].topic_id,
                                          .core = wanted[i].core};
        struct golden_start start = {
            .files = files, .logs = logs, .log_count = count, .cores = cores, .replays = replays};
        golden_run(&start);
        EQ_TEXT(start.why, "");
        EQ(start.fenced, false);
        EQ(start.found_bytes, journal_bytes);
        for (int i = 0; i < count; i++) {
            EQ_TEXT(error_text(logs[i].error), error_text(ERROR_NONE));
            EQ(logs[i].start, wanted[i].start);
            EQ(logs[i].end, wanted[i].end);
            EQ(logs[i].records, wanted[i].records);
            EQ(logs[i].producers, wanted[i].producers);
            EQ(logs[i].last_stable, wanted[i].end);
            EQ(logs[i].epochs, 1);
            EQ(logs[i].crc, wanted[i].crc);
        }
    }
    golden_free(files);
    memory_free(files);
}

TEST(golden, version_1_killed_with_live_blocks)
{
    static const struct wanted wanted[] = {
        {"plain", 0, 0, "HllClhdDS3GQ6ZpVcO8sxw", 0, 220, 220, 0, 0x6adde270},
        {"plain", 1, 1, "HllClhdDS3GQ6ZpVcO8sxw", 0, 40, 40, 0, 0xdff6d8df},
        {"idem", 0, 0, "RcRG_EM7RZC7mU1Yd2iRMQ", 0, 80, 80, 4, 0x0bdcb680},
        {"compacted", 0, 1, "QykfBhl8QCeYciT4qfdS9A", 0, 170, 29, 0, 0x4cde2e8b},
    };
    run("v1-killed", wanted, 4, 2, 17918);
}

/* Stopped cleanly: compacted, with snapshots of producers, one core. */
TEST(golden, version_1_stopped)
{
    static const struct wanted wanted[] = {
        {"plain", 0, 0, "hqV8o41dQlydkjsIEDf21A", 0, 220, 220, 0, 0x6adde270},
        {"plain", 1, 0, "hqV8o41dQlydkjsIEDf21A", 0, 40, 40, 0, 0xdff6d8df},
        {"idem", 0, 0, "SvSLa08bRgKaB5SikqYEtA", 0, 80, 80, 4, 0x0bdcb680},
        {"compacted", 0, 0, "pQ_WPtEbSC-9Ma7sYZ1BTg", 0, 170, 29, 0, 0x4cde2e8b},
    };
    run("v1-stopped", wanted, 4, 1, 0);
}

/* The same, as version 2 of the journal leaves it: with sidecars and offsets for Kafka. */
TEST(golden, version_2_killed_with_live_blocks)
{
    static const struct wanted wanted[] = {
        {"plain", 0, 0, "KINtLhu4SwCXtdoz9PYLyw", 0, 220, 220, 0, 0x6adde270},
        {"plain", 1, 1, "KINtLhu4SwCXtdoz9PYLyw", 0, 40, 40, 0, 0xdff6d8df},
        {"idem", 0, 0, "5SICGVLzTXy1pDzuPWrqnA", 0, 80, 80, 4, 0x0bdcb680},
        {"compacted", 0, 1, "ZJdQjUPsR_CgkzMmhOaYXg", 0, 170, 29, 0, 0x4cde2e8b},
    };
    run("v2-killed", wanted, 4, 2, 39145);
}

TEST(golden, version_2_stopped)
{
    static const struct wanted wanted[] = {
        {"plain", 0, 0, "N67Lfz-2SE-_7xT43mmPnw", 0, 220, 220, 0, 0x6adde270},
        {"plain", 1, 0, "N67Lfz-2SE-_7xT43mmPnw", 0, 40, 40, 0, 0xdff6d8df},
        {"idem", 0, 0, "N44hZpFeQ6Kqte5dw8Er7Q", 0, 80, 80, 4, 0x0bdcb680},
        {"compacted", 0, 0, "wV-4SbaUQv2yrK6_u3uWtA", 0, 170, 29, 0, 0x4cde2e8b},
    };
    run("v2-stopped", wanted, 4, 1, 0);
}
