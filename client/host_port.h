#pragma once
/* HOST:PORT, as users write it and brokers advertise it. */
#include "base/bytes.h"

enum { HOST_BYTES = 256, HOST_PORT_BYTES = HOST_BYTES + 10 };

struct host_port {
    char host[HOST_BYTES]; /* terminated; of [::1]:9092 the part within the brackets */
    int32_t port;          /* 1 to 65535 */
};

/* Takes "host:port", "[v6]:port", or a host alone with `default_port`. False if it is neither. */
bool host_port_parse(const char *text, int32_t default_port, struct host_port *ret_address);

/* A broker's host and port; false if they can't be an address. */
bool host_port_set(struct host_port *address, struct string host, int32_t port);

/* "host:port" or "[v6]:port" into `text` of HOST_PORT_BYTES. Returns `text`. */
const char *host_port_format(const struct host_port *address, char *text);
