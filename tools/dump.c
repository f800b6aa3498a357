#include "tools/dump.h"
#include "base/memory.h"
#include "reactor/port.h"
#include "storage/log_epochs.h"
#include "storage/segment.h"
#include "storage/aside.h"
#include "storage/sidecar_format.h"
#include "tools/format.h"
#include "tools/options.h"
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

enum { OPTION_VERIFY = 256 };

static const struct option_row rows[] = {
    {OPTION_VERIFY, "verify", NULL, "print only whether each file is sound, and what is wrong"},
    {'F', "form", "NAME",
     "write records alone, as consume does: json or msgpack; the rest to stderr"},
    {'o', "offset", "N", "only records from offset N on"},
    {0},
};

static const struct usage usage = {
    "bole dump", "[--verify] [-F NAME] [-o N] FILE...",
    "Prints a broker's files in readable form, one event a line, and checks every CRC: segments\n"
    "(*.log), indexes (*.index, against the segment beside them), snapshots of producers\n"
    "(*.snapshot), aborted transactions (*.txnindex), sidecars (*.sidecar, whose segment and\n"
    "indexes are judged by them), snapshots of the metadata log (*.checkpoint), journals\n"
    "(journal-N), what was set aside of one (*.journal), partition.metadata, meta.properties,\n"
    "*-offset-checkpoint, log-starts, the marks of a clean stop and of a running broker, the\n"
    "lock; of a folder, all that is in it. Lines that begin with sound, left and fault say what\n"
    "each file is worth; left is what the broker's next start writes or cuts by its journal. Exit\n"
    "code 1 if there is a fault. To be used on the directory of a broker that does not run.",
    rows};

/* --- judgements and events ------------------------------------------------------------------- */

void dump_begin(struct dump *dump, const char *path)
{
    dump->file_faults = 0;
    dump_event(dump, "file %s\n", path);
}

void dump_event(struct dump *dump, const char *format, ...)
{
    if (dump->is_verify)
        return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(dump->out, format, arguments);
    va_end(arguments);
}

static void judge(struct dump *dump, const char *judgement, const char *path, int64_t position)
{
    fprintf(dump->out, "%s %s ", judgement, path);
    if (position >= 0)
        fprintf(dump->out, "position=%lld ", (long long)position);
}

void dump_fault(struct dump *dump, const char *path, int64_t position, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    judge(dump, "fault", path, position);
    fputs("reason=\"", dump->out);
    vfprintf(dump->out, format, arguments);
    fputs("\"\n", dump->out);
    va_end(arguments);
    dump->faults++;
    dump->file_faults++;
}

void dump_left(struct dump *dump, const char *path, int64_t position, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    judge(dump, "left", path, position);
    fputs("reason=\"", dump->out);
    vfprintf(dump->out, format, arguments);
    fputs("\"\n", dump->out);
    va_end(arguments);
}

void dump_end(struct dump *dump, const char *path, const char *format, ...)
{
    if (dump->file_faults)
        return;
    va_list arguments;
    va_start(arguments, format);
    judge(dump, "sound", path, -1);
    vfprintf(dump->out, format, arguments);
    fputc('\n', dump->out);
    va_end(arguments);
}

/* --- by name --------------------------------------------------------------------------------- */

bool dump_path(struct dump *dump, const char *path)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    int64_t base;
    struct stat stat_of;
    if (stat(path, &stat_of) == 0 && S_ISDIR(stat_of.st_mode))
        dump_folder(dump, path);
    else if (segment_name_parse(name, ".log", &base))
        dump_segment(dump, path, base);
    else if (segment_name_parse(name, ".index", &base))
        dump_index(dump, path, base);
    else if (segment_name_parse(name, ".snapshot", &base))
        dump_producer_snapshot(dump, path, base);
    else if (segment_name_parse(name, ".txnindex", &base))
        dump_txn_index(dump, path, base);
    else if (segment_name_parse(name, ".timeindex", &base))
        dump_time_index(dump, path, base);
    else if (segment_name_parse(name, SIDECAR_SUFFIX, &base))
        dump_sidecar(dump, path, base);
    else if (segment_name_parse(name, ASIDE_SUFFIX, &base))
        dump_aside(dump, path);
    else if (strcmp(name, EPOCHS_FILE) == 0)
        dump_epochs(dump, path);
    else if (dump_snapshot(dump, path) || dump_log_starts(dump, path))
        return true;
    else if (strncmp(name, "journal-", 8) == 0)
        dump_journal(dump, path);
    else if (strcmp(name, "partition.metadata") == 0)
        dump_partition_metadata(dump, path);
    else if (strcmp(name, "meta.properties") == 0)
        dump_meta_properties(dump, path);
    else if (strcmp(name, ".kafka_cleanshutdown") == 0)
        dump_mark(dump, path, "the broker was stopped in order");
    else if (strcmp(name, ".bole_running") == 0)
        dump_mark(dump, path, "a broker runs, or has died");
    else if (dump_is_offsets(name))
        dump_offsets(dump, path);
    else if (strcmp(name, ".lock") == 0)
        dump_lock(dump, path);
    else
        return false;
    return true;
}

void dump_done(struct dump *dump)
{
    if (dump->port)
        dump->port->operations->close(dump->port);
    memory_free(dump->redos);
    dump->port = NULL;
    dump->redos = NULL;
}

static void dump_argument(struct dump *dump, const char *path)
{
    struct stat stat_of;
    if (stat(path, &stat_of) != 0)
        dump_fault(dump, path, -1, "it can't be read: %s", strerror(errno));
    else if (!dump_path(dump, path))
        dump_fault(dump, path, -1, "this is no name of a file that Bole writes");
}

static enum exit_code take_form(struct dump *dump, const struct options *options)
{
    if (strcmp(options->value, "json") == 0)
        dump->write_record = format_write_json;
    else if (strcmp(options->value, "msgpack") == 0)
        dump->write_record = format_write_msgpack;
    else
        return options_wrong(options, "-F takes json or msgpack, not '%s'", options->value);
    dump->is_verify = true;
    dump->out = stderr;
    return EXIT_OK;
}

/* Takes one option; EXIT_OK to go on. */
static enum exit_code take(struct dump *dump, int id, struct options *options)
{
    switch (id) {
    case OPTION_VERIFY:
        dump->is_verify = true;
        return EXIT_OK;
    case 'F':
        return take_form(dump, options);
    case 'o':
        return options_number(options, 0, INT64_MAX, &dump->from_offset) ? EXIT_OK : EXIT_USAGE;
    default:
        return EXIT_USAGE;
    }
}

enum exit_code command_dump(int count, char **arguments)
{
    struct dump dump = {.out = stdout, .records = stdout};
    for (int pass = 0; pass < 2; pass++) { /* --verify counts wherever it stands */
        struct options options;
        options_init(&options, &usage, count, arguments);
        int id, paths = 0;
        while ((id = options_next(&options)) != OPTION_END) {
            if (id == OPTION_HELP)
                return EXIT_OK;
            if (id == OPTION_ARGUMENT && pass == 1)
                dump_argument(&dump, options.value);
            paths += id == OPTION_ARGUMENT;
            enum exit_code code = id == OPTION_ARGUMENT ? EXIT_OK : take(&dump, id, &options);
            if (code)
                return code;
        }
        if (paths == 0)
            return options_wrong(&options, "which file? Name one or more, or a folder");
    }
    dump_done(&dump);
    fflush(stdout);
    return dump.faults || ferror(stdout) ? EXIT_FAILED : EXIT_OK;
}
