/* The ports that every script runs against. */
#include "base/check.h"
#include "port/script.h"
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

const struct port_row port_rows[] = {
    {"uring", open_uring, close_real},
    {"epoll", open_epoll, close_real},
};
const int port_rows_count = ARRAY_COUNT(port_rows);
