/* Snapshots of the metadata log, and control records, of `bole dump`. */
#include "cluster/snapshot_file.h"
#include "protocol/batch.h"
#include "tools/dump.h"
#include <inttypes.h>
#include <string.h>

/* The snapshot that a file's name says, and the suffix. */
static bool parse_name(const char *name, struct snapshot_id *id, const char **ret_suffix)
{
    static const char *const suffixes[] = {SNAPSHOT_SUFFIX, SNAPSHOT_PART_SUFFIX,
                                           SNAPSHOT_DAMAGED_SUFFIX};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        *ret_suffix = suffixes[i];
        if (snapshot_name_parse(name, suffixes[i], id))
            return true;
    }
    return false;
}

static void judge_whole(struct dump *dump, const char *path, struct dump_file *file)
{
    struct snapshot_report report;
    const uint8_t *data = dump_file_at(file, 0, file->size);
    if (!data) {
        dump_fault(dump, path, 0, file->size ? "it can't be read" : "it is empty");
        return;
    }
    for (int64_t at = 0; at < file->size;) { /* in pieces that struct bytes can name */
        int64_t size = file->size - at > INT32_MAX ? INT32_MAX : file->size - at;
        (void)dump_batches(dump, path, at, (struct bytes){data + at, (int32_t)size}, 0, true);
        at += size;
    }
    if (!snapshot_check(data, (size_t)file->size, &report) && dump->file_faults == 0)
        dump_fault(dump, path, report.position, "%s", report.fault);
    dump_end(dump, path, "records=%" PRId64 " bytes=%" PRId64 " last_timestamp=%" PRId64,
             report.records, file->size, report.last_ms);
}

bool dump_snapshot(struct dump *dump, const char *path)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *suffix;
    struct snapshot_id id;
    struct dump_file file;
    if (!parse_name(name, &id, &suffix))
        return false;
    dump_begin(dump, path);
    if (strcmp(suffix, SNAPSHOT_SUFFIX) != 0) {
        dump_left(dump, path, -1,
                  strcmp(suffix, SNAPSHOT_PART_SUFFIX) == 0
                      ? "it was being written; the next start removes it"
                      : "a start has put it aside: it was damaged");
        return true;
    }
    bool was_metadata_log = dump->is_metadata_log;
    dump->is_metadata_log = true;
    if (dump_file_open(dump, &file, path))
        judge_whole(dump, path, &file);
    dump_file_close(&file);
    dump->is_metadata_log = was_metadata_log;
    return true;
}

bool dump_control_record(struct dump *dump, const struct record *record)
{
    static const char *const names[] = {"abort",           "commit",          "leader_change",
                                        "snapshot_header", "snapshot_footer", "kraft_version",
                                        "kraft_voters"};
    if (record->key.size < 4)
        return false;
    uint32_t type = load_be16(record->key.data + 2);
    if (type >= sizeof names / sizeof names[0])
        return false;
    dump_event(dump, "record offset=%" PRId64 " timestamp=%" PRId64 " control=%s value_size=%d\n",
               record->offset, record->timestamp, names[type], record->value.size);
    return true;
}
