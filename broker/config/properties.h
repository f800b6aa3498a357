#pragma once
/* Java's properties files (java.util.Properties.load), as Kafka's server.properties is one: lines
 * of `key = value`, `key: value` or `key value`; comments begin with # or !; a backslash at the end
 * continues a line; \t \n \r \f \uXXXX are escapes, and a backslash before anything else stands for
 * that. One difference: bytes above 127 are taken as UTF-8, where Java takes Latin-1. Pure. */
#include "base/bytes.h"
#include "base/error.h"
#include <stddef.h>

struct properties {
    const char *next, *end;
    char *scratch; /* the unescaped name and value, owned */
    size_t capacity;
    int line;         /* the natural line read last, from 1 */
    enum error error; /* MALFORMED: an escape \u without four hexadecimal digits; sticky */
};

struct property {
    struct string name, value; /* valid until the next call; the value may end in blanks */
    int line;                  /* where it begins, from 1 */
};

/* Borrows `text` until the end. */
void properties_init(struct properties *properties, const char *text, size_t size);
void properties_done(struct properties *properties);

/* The next one; false at the end and on an error. */
bool properties_next(struct properties *properties, struct property *ret_property);
