#include "host_port.h"
#include <stdio.h>

bool host_port_set(struct host_port *address, struct string host, int32_t port)
{
    if (host.size <= 0 || host.size >= HOST_BYTES || port < 1 || port > 65535)
        return false;
    if (memchr(host.data, 0, (size_t)host.size))
        return false;
    memcpy(address->host, host.data, (size_t)host.size);
    address->host[host.size] = 0;
    address->port = port;
    return true;
}

/* 1 to 65535, or -1. */
static int32_t port_of(const char *text)
{
    int32_t port = 0;
    if (!*text)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        port = 10 * port + (*text - '0');
        if (port > 65535)
            return -1;
    }
    return port ? port : -1;
}

bool host_port_parse(const char *text, int32_t default_port, struct host_port *ret_address)
{
    const char *end = strrchr(text, ':');
    struct string host = {text, end ? (int32_t)(end - text) : (int32_t)strlen(text)};
    if (text[0] == '[') {
        const char *bracket = strchr(text, ']');
        if (!bracket || (bracket[1] && bracket[1] != ':'))
            return false;
        host = (struct string){text + 1, (int32_t)(bracket - text - 1)};
        end = bracket[1] ? bracket + 1 : NULL;
    } else if (end && strchr(text, ':') != end) {
        return false; /* an IPv6 address without brackets */
    }
    return host_port_set(ret_address, host, end ? port_of(end + 1) : default_port);
}

const char *host_port_format(const struct host_port *address, char *text)
{
    bool is_v6 = strchr(address->host, ':') != NULL;
    snprintf(text, HOST_PORT_BYTES, is_v6 ? "[%s]:%d" : "%s:%d", address->host, address->port);
    return text;
}
