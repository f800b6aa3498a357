#pragma once
/* How `bole consume` prints a record. With -f, as kcat does:
 *   %s value   %S its size (-1 null)   %R its size as 4 bytes, big-endian   %k key   %K its size
 *   %o offset   %p partition   %t topic   %T timestamp (ms)   %h headers (name=value,...)
 *   %% a percent sign
 *   \n \t \r \\ \0 \xHH
 * Pure. */
#include "protocol/batch.h"
#include <stddef.h>

enum { FORMAT_PARTS_MAX = 64, FORMAT_TEXT_BYTES = 1024 };

struct format_part {
    char what;          /* the letter; 'l': text */
    int16_t begin, end; /* of text */
};

struct format {
    struct format_part parts[FORMAT_PARTS_MAX];
    int part_count;
    char text[FORMAT_TEXT_BYTES];
    bool names_null; /* a null key or value is printed as NULL, not as nothing */
};

/* Takes \n \t \r \\ \0 \xHH for what they mean; null, or what is wrong (static text). `to` has room
 * for as many bytes as `text`. */
const char *format_unescape(const char *text, char *to, size_t *ret_size);

/* Takes the format apart; null, or what is wrong with it (static text). */
const char *format_parse(struct format *format, const char *text);

/* Bytes that grow; free with text_done. Starts as zeroes. */
struct text {
    char *data;
    size_t size, capacity;
};

void text_add(struct text *text, const void *data, size_t size);
/* Room for `size` bytes behind what is there; whoever writes there adds them to text->size. */
char *text_reserve(struct text *text, size_t size);
void text_done(struct text *text);

struct format_record {
    const struct record *record;
    struct string topic;
    int32_t partition;
};

/* Appends the record to `text`. */
void format_write(const struct format *format, const struct format_record *record,
                  struct text *text);

/* Appends the record as one line of JSON: {"topic":"t","partition":0,"offset":7,"timestamp":ms,
 * "key":null,"value":"text","headers":[{"key":"a","value":"b"}]}; what is not UTF-8 is called
 * key_base64 or value_base64. */
void format_write_json(const struct format_record *record, struct text *text);

/* Appends the record as one msgpack map with the same names; key and value bin or nil, headers an
 * array of pairs [bin, bin or nil]. */
void format_write_msgpack(const struct format_record *record, struct text *text);
