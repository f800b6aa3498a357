#include "config/properties.h"
#include "base/memory.h"

void properties_init(struct properties *properties, const char *text, size_t size)
{
    *properties = (struct properties){.next = text, .end = text + size};
}

void properties_done(struct properties *properties)
{
    memory_free(properties->scratch);
    properties->scratch = NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool is_end_of_line(char c)
{
    return c == '\n' || c == '\r';
}

static void skip_blanks(struct properties *properties)
{
    while (properties->next < properties->end && is_blank(*properties->next))
        properties->next++;
}

/* Past the end of the line that begins at `next`: \n, \r or \r\n. */
static void skip_end_of_line(struct properties *properties)
{
    const char *at = properties->next;
    if (at < properties->end)
        at += *at == '\r' && at + 1 < properties->end && at[1] == '\n' ? 2 : 1;
    properties->next = at;
    properties->line++;
}

/* At a backslash before an end of line: moves to the first non-blank of the next line. */
static bool skip_continuation(struct properties *properties)
{
    const char *at = properties->next;
    if (*at != '\\' || (at + 1 < properties->end && !is_end_of_line(at[1])))
        return false;
    properties->next++;
    skip_end_of_line(properties);
    skip_blanks(properties);
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits at `next`, taken; -1 and the error where they are not. */
static int take_code_unit(struct properties *properties)
{
    int unit = 0;
    for (int i = 0; i < 4; i++) {
        const char *at = properties->next;
        int digit = at < properties->end ? hex_digit(*at) : -1;
        if (digit < 0) {
            properties->error = ERROR_MALFORMED;
            return -1;
        }
        unit = unit * 16 + digit;
        properties->next++;
    }
    return unit;
}

/* The code point of \uXXXX (behind the u) as UTF-8; two escapes where they are a surrogate pair. A
 * surrogate alone becomes U+FFFD. Never longer than the escape. */
static char *unescape_unicode(struct properties *properties, char *to)
{
    int code = take_code_unit(properties);
    if (code < 0)
        return to;
    const char *at = properties->next;
    bool pair = code >= 0xd800 && code < 0xdc00 && properties->end - at >= 6 && at[0] == '\\' &&
                at[1] == 'u';
    if (pair) {
        properties->next += 2;
        int low = take_code_unit(properties);
        if (low < 0)
            return to;
        if (low >= 0xdc00 && low < 0xe000)
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        else
            properties->next = at;
    }
    if (code >= 0xd800 && code < 0xe000)
        code = 0xfffd;
    int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t first[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(first[more] | (code >> (6 * more)));
    while (more-- > 0)
        *to++ = (char)(0x80 | ((code >> (6 * more)) & 0x3f));
    return to;
}

/* One character or escape at `next`, written to `to`. Returns behind what was written. */
static char *take_character(struct properties *properties, char *to)
{
    char c = *properties->next++;
    if (c != '\\') {
        *to++ = c;
        return to;
    }
    c = *properties->next++; /* not the end: that was a continuation */
    switch (c) {
    case 'u':
        return unescape_unicode(properties, to);
    case 't':
        c = '\t';
        break;
    case 'n':
        c = '\n';
        break;
    case 'r':
        c = '\r';
        break;
    case 'f':
        c = '\f';
        break;
    }
    *to++ = c;
    return to;
}

/* Unescapes up to the end of the logical line or, of a name, up to its separator. */
static char *take_part(struct properties *properties, char *to, bool is_name)
{
    while (properties->next < properties->end && !properties->error) {
        char c = *properties->next;
        if (is_end_of_line(c) || (is_name && (c == '=' || c == ':' || is_blank(c))))
            break;
        if (!skip_continuation(properties))
            to = take_character(properties, to);
    }
    return to;
}

static void skip_blanks_and_continuations(struct properties *properties)
{
    do {
        skip_blanks(properties);
    } while (properties->next < properties->end && skip_continuation(properties));
}

/* To the first character of the next line that is neither blank nor a comment. */
static bool find_line(struct properties *properties)
{
    for (;;) {
        skip_blanks(properties);
        if (properties->next == properties->end)
            return false;
        if (*properties->next == '#' || *properties->next == '!') {
            while (properties->next < properties->end && !is_end_of_line(*properties->next))
                properties->next++;
        } else if (!is_end_of_line(*properties->next)) {
            return true;
        }
        skip_end_of_line(properties);
    }
}

bool properties_next(struct properties *properties, struct property *ret_property)
{
    if (properties->error || !find_line(properties))
        return false;
    size_t most = (size_t)(properties->end - properties->next);
    if (properties->capacity < most) { /* once, as what is left only shrinks */
        properties->scratch = memory_resized(properties->scratch, most);
        properties->capacity = most;
    }
    int line = properties->line + 1;
    char *name = properties->scratch, *value = take_part(properties, name, true);
    skip_blanks_and_continuations(properties);
    if (properties->next < properties->end &&
        (*properties->next == '=' || *properties->next == ':')) {
        properties->next++;
        skip_blanks_and_continuations(properties);
    }
    char *end = take_part(properties, value, false);
    if (properties->error) {
        properties->line = line;
        return false;
    }
    skip_end_of_line(properties);
    *ret_property = (struct property){.name = {name, (int32_t)(value - name)},
                                      .value = {value, (int32_t)(end - value)},
                                      .line = line};
    return true;
}
