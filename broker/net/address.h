#pragma once
/* Addresses as text. Numbers only: names are resolved by whoever starts the process. */
#include "base/error.h"
#include "base/bytes.h"
#include "reactor/port.h"
#include <stddef.h>

enum { ADDRESS_TEXT_BYTES = 64 };

/* "127.0.0.1:9092", "[::1]:9092" into `to`, at least ADDRESS_TEXT_BYTES. Returns `to`. */
const char *address_format(const struct address *address, char *to);

/* The host alone: "127.0.0.1", "::1". */
const char *address_format_host(const struct address *address, char *to);

/* True for 0.0.0.0 and ::, which nobody can connect to. */
bool address_is_wildcard(const struct address *address);
