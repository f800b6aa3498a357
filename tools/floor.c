/* `bole floor`: options, and all measurements in turn. */
#include "tools/floor.h"
#include "base/memory.h"
#include "tools/options.h"
#include <string.h>
#include <unistd.h>

static const struct option_row rows[] = {
    {256, "dir", "DIRECTORY", "where to write, on the disk to measure (default .)"},
    {257, "pin", "CPU,CPU", "broker's side and generator's (default 0,1; none: not pinned)"},
    {258, "repeat", "N", "repetitions, of which the median is taken (default 5)"},
    {259, "milliseconds", "N", "of each measurement in each repetition (default 400)"},
    {260, "only", "NAME", "only the measurements whose name begins so"},
    {261, "json", NULL, "print one JSON object"},
    {0},
};

static const struct usage usage = {
    "bole floor", "[OPTIONS]",
    "Measures what this machine can do: loopback sockets, an io_uring echo, durable writes of a\n"
    "journal and of a file per partition, receive + durable write + answer in one process, reads.\n"
    "Needs 128 MiB of disk while it runs.",
    rows};

static const struct {
    bool (*run)(const struct floor_settings *, struct floor_report *, int64_t);
    int64_t parameter;
    const char *name;
} measurements[] = {
#define FLOOR(function, parameter, row) {floor_##function, parameter, row},
#include "tools/floor.def"
#undef FLOOR
};

static enum exit_code parse(struct options *options, struct floor_settings *settings)
{
    for (;;) {
        switch (options_next(options)) {
        case 256:
            settings->directory = options->value;
            break;
        case 257: {
            if (strcmp(options->value, "none") == 0) {
                settings->server_cpu = settings->client_cpu = -1;
                break;
            }
            char end;
            if (sscanf(options->value, "%d,%d%c", &settings->server_cpu, &settings->client_cpu,
                       &end) != 2)
                return options_wrong(options, "--pin takes two CPUs, such as 0,1, or none");
            break;
        }
        case 258:
            if (!options_number(options, 1, FLOOR_SAMPLES_MAX, &settings->repetitions))
                return EXIT_USAGE;
            break;
        case 259:
            if (!options_number(options, 10, 600000, &settings->measure_ms))
                return EXIT_USAGE;
            break;
        case 260:
            settings->only = options->value;
            break;
        case 261:
            settings->is_json = true;
            break;
        case OPTION_ARGUMENT:
            return options_wrong(options, "'%s' is not an option", options->value);
        case OPTION_WRONG:
            return EXIT_USAGE;
        case OPTION_HELP:
            return EXIT_OK;
        case OPTION_END:
            return EXIT_FAILED; /* go on */
        }
    }
}

enum exit_code command_floor(int count, char **arguments)
{
    struct floor_settings settings = {
        .directory = ".", .repetitions = 5, .measure_ms = 400, .server_cpu = 0, .client_cpu = 1};
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        settings.client_cpu = 0;
    struct options options;
    options_init(&options, &usage, count, arguments);
    enum exit_code parsed = parse(&options, &settings);
    if (parsed != EXIT_FAILED)
        return parsed;
    struct floor_report *report = memory_zeroed(sizeof *report);
    bool is_well = floor_pin(settings.server_cpu);
    for (int64_t i = 0; i < settings.repetitions && is_well; i++)
        for (size_t m = 0; m < sizeof measurements / sizeof *measurements && is_well; m++) {
            const char *name = measurements[m].name;
            if (settings.only && strncmp(name, settings.only, strlen(settings.only)) != 0)
                continue;
            is_well = measurements[m].run(&settings, report, measurements[m].parameter);
        }
    floor_files_remove(settings.directory);
    if (is_well && report->row_count == 0)
        say("floor", "no measurement's name begins with '%s'", settings.only);
    is_well = is_well && report->row_count;
    if (is_well)
        floor_print(report, settings.is_json);
    memory_free(report);
    return is_well ? EXIT_OK : EXIT_FAILED;
}
