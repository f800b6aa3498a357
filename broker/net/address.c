#include "net/address.h"
#include <stdio.h>

/* RFC 5952: the longest run of two and more zero groups is left out. */
static void format_v6(const uint8_t *bytes, char *to)
{
    int best = -1, best_count = 1;
    for (int i = 0; i < 8; i++) {
        int count = 0;
        while (i + count < 8 && load_be16(bytes + 2 * (i + count)) == 0)
            count++;
        if (count > best_count) {
            best = i;
            best_count = count;
        }
    }
    size_t at = 0;
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            at += (size_t)snprintf(to + at, ADDRESS_TEXT_BYTES - at, "::");
            i += best_count - 1;
            continue;
        }
        const char *colon = i > 0 && at > 0 && to[at - 1] != ':' ? ":" : "";
        at += (size_t)snprintf(to + at, ADDRESS_TEXT_BYTES - at, "%s%x", colon,
                               load_be16(bytes + 2 * i));
    }
}

const char *address_format_host(const struct address *address, char *to)
{
    const uint8_t *last = address->bytes + 12;
    if (address->family == 4)
        snprintf(to, ADDRESS_TEXT_BYTES, "%d.%d.%d.%d", last[0], last[1], last[2], last[3]);
    else
        format_v6(address->bytes, to);
    return to;
}

const char *address_format(const struct address *address, char *to)
{
    char host[ADDRESS_TEXT_BYTES];
    address_format_host(address, host);
    snprintf(to, ADDRESS_TEXT_BYTES, address->family == 4 ? "%.46s:%d" : "[%.46s]:%d", host,
             address->port);
    return to;
}

bool address_is_wildcard(const struct address *address)
{
    const uint8_t *bytes = address->bytes + (address->family == 4 ? 12 : 0);
    int size = address->family == 4 ? 4 : 16;
    for (int i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}
