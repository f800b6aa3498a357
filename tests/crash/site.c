#include "crash/site.h"
#include "base/check.h"
#include "support/test.h"

void site_init(struct site *site, uint64_t seed, struct disk *disk)
{
    struct sentence sentence;
    *site = (struct site){.world = world_create(seed, NULL)};
    site->world->quiet = true;
    world_add_machine(site->world);
    settings_init(&site->settings);
    check(settings_set(&site->settings, STRING("log.dirs"), STRING("data"), &sentence) == 0);
    site->settings.journal_bytes = site->settings.journal_initial_bytes = 1 << 16;
    site->settings.drain_bytes = 512;
    site->settings.metadata_log_max_record_bytes_between_snapshots = 400;
    site->settings.metadata_log_segment_bytes = 600;
    site->settings.metadata_max_retention_bytes = 3000;
    if (disk)
        world_load_disk(site->world, 0, disk);
}

void site_done(struct site *site)
{
    world_destroy(site->world);
    settings_done(&site->settings);
}

bool site_boot(struct site *site)
{
    struct port *ports[SITE_CORES];
    if (!site->world->machines[0]->running)
        world_start(site->world, 0);
    for (int i = 0; i < SITE_CORES; i++)
        ports[i] = world_port(site->world, 0, i);
    site->broker = (struct broker){0};
    enum error error =
        broker_open(&site->broker, &site->settings, ports, SITE_CORES,
                    site->world->seed * 1000 + ++site->boots, site->why, sizeof site->why);
    for (int i = 0; i < SITE_CORES && !error; i++)
        world_add_core(site->world, 0, &site->broker.shards[i].core);
    if (error)
        world_kill(site->world, 0);
    return !error;
}

static bool have_stopped(void *argument)
{
    const struct site *site = argument;
    return site->broker.shards[0].core.stopping && site->broker.shards[1].core.stopping;
}

void site_stop(struct site *site)
{
    broker_stop_cores(&site->broker);
    for (int i = 0; i < SITE_CORES; i++)
        world_notice(site->world, &site->broker.shards[i].core);
    TRUE_(world_run(site->world, (struct world_stop){have_stopped, site, SITE_EVENTS_MAX, 0}));
    broker_close(&site->broker);
    world_stop_machine(site->world, 0);
    EQ(site->world->violation_count, 0);
}
