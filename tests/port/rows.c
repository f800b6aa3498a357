/* The ports that every script runs against. */
#include "base/check.h"
#include "port/script.h"
#include "sim/world.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TCP_PORT_FIRST = 20100, TCP_PORT_END = 28100, TCP_PORTS_EACH = 8 };

/* Each process listens elsewhere, lest two that run at once find each other. */
static void choose_ports(struct place *place)
{
    int choices = (TCP_PORT_END - TCP_PORT_FIRST) / TCP_PORTS_EACH;
    place->tcp_port_first = (uint16_t)(TCP_PORT_FIRST + getpid() % choices * TCP_PORTS_EACH);
}

/* $BOLE_TEST_FOLDER or /var/tmp, which is rarely in memory: direct I/O needs a disk. */
static void make_folder(struct place *place)
{
    const char *parent = getenv("BOLE_TEST_FOLDER");
    snprintf(place->folder, sizeof place->folder, "%s/bole-port-XXXXXX",
             parent ? parent : "/var/tmp");
    check(mkdtemp(place->folder));
}

static void prepare(struct place *place)
{
    choose_ports(place);
    make_folder(place);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    return remove(path);
}

static void close_real(struct place *place)
{
    place->port->operations->close(place->port);
    check(nftw(place->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static enum error open_uring(struct place *place, const struct port_options *options, char *why,
                             size_t why_size)
{
    enum error error = uring_open(options, &place->port, why, why_size);
    if (!error)
        prepare(place);
    return error;
}

static enum error open_epoll(struct place *place, const struct port_options *options, char *why,
                             size_t why_size)
{
    enum error error = epoll_open(options, &place->port, why, why_size);
    if (!error)
        prepare(place);
    return error;
}

/* The simulated world, calm: the scripts wait by hand, so there is no core. */
static enum error open_world(struct place *place, const struct port_options *options, char *why,
                             size_t why_size)
{
    struct world_settings settings = world_settings_default();
    settings.short_transfer_once_in = settings.split_once_in = 0;
    settings.pool_buffer_size = options->pool_buffer_size;
    settings.pool_buffer_count = options->pool_buffer_count;
    settings.socket_buffer_bytes = 1 << 20;
    struct world *world = world_create(1, &settings);
    int machine = world_add_machine(world);
    place->owner = world;
    place->port = world_port(world, machine, 0);
    place->tcp_port_first = TCP_PORT_FIRST;
    snprintf(place->folder, sizeof place->folder, "/place");
    struct op make = {.kind = OP_MAKE_DIRECTORY, .path = place->folder};
    port_call(place->port, &make);
    return op_error(make.result);
}

static void close_world(struct place *place)
{
    struct world *world = place->owner;
    place->port->operations->close(place->port);
    EQ(world->violation_count, 0);
    world_destroy(world);
}

const struct port_row port_rows[] = {
    {"world", open_world, close_world},
    {"uring", open_uring, close_real},
    {"epoll", open_epoll, close_real},
};
const int port_rows_count = ARRAY_COUNT(port_rows);
