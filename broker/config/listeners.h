#pragma once
/* Where a broker listens and what it tells clients to connect to, parsed from `listeners` and
 * `advertised.listeners`: NAME://host:port, comma separated. Pure. */
#include "config/settings.h"

enum { LISTENERS_MAX = 16, LISTENER_NAME_BYTES = 64, LISTENER_HOST_BYTES = 256 };

struct listener {
    char name[LISTENER_NAME_BYTES];            /* upper case, terminated */
    char host[LISTENER_HOST_BYTES];            /* without brackets; "": every address */
    char advertised_host[LISTENER_HOST_BYTES]; /* "": the address by which a client came */
    uint16_t port;                             /* 0: any free one */
    uint16_t advertised_port;                  /* 0: the port it listens on */
    bool is_controller;                        /* accepted and not to be opened */
};

struct listeners {
    struct listener items[LISTENERS_MAX];
    int count;
};

/* One "host:port", "[::1]:port", ":port"; `ret_host` gets the host without brackets, terminated. */
enum error endpoint_parse(struct string text, char ret_host[LISTENER_HOST_BYTES],
                          uint16_t *ret_port);

/* Parses both settings. INVALID_CONFIG and a sentence: bad syntax, a name twice, a port twice on
 * one host, a security protocol other than PLAINTEXT, an advertised name that does not listen, an
 * advertised host that is empty or 0.0.0.0, no listener for clients at all. */
enum error listeners_parse(const struct settings *settings, struct listeners *ret_listeners,
                           struct sentence *sentence);
