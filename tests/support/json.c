#include "support/json.h"
#include "base/check.h"
#include <stdlib.h>

struct parser {
    struct arena *arena;
    const char *at, *end;
    int depth;
};

static struct json *parse_value(struct parser *p);

static void skip_space(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

static bool skip(struct parser *p, char c)
{
    skip_space(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

static bool skip_word(struct parser *p, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(p->end - p->at) < size || memcmp(p->at, word, size) != 0)
        return false;
    p->at += size;
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Four hex digits; -1 if they are none. */
static int32_t parse_unit(struct parser *p)
{
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = p->at < p->end ? hex_digit(*p->at++) : -1;
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static char *put_utf8(char *to, uint32_t point)
{
    if (point < 0x80) {
        *to++ = (char)point;
        return to;
    }
    int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    *to++ = (char)((0xf00 >> more & 0xff) | point >> (6 * more));
    for (more--; more >= 0; more--)
        *to++ = (char)(0x80 | (point >> (6 * more) & 0x3f));
    return to;
}

/* What follows a backslash; null if it is no escape. */
static char *parse_escape(struct parser *p, char *to)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char c = *p->at++;
    if (c != 'u') {
        const char *found = memchr(letters, c, sizeof letters - 1);
        if (found)
            *to = meanings[found - letters];
        return found ? to + 1 : NULL;
    }
    int32_t unit = parse_unit(p);
    if (unit < 0)
        return NULL;
    uint32_t point = (uint32_t)unit;
    if (unit >= 0xd800 && unit < 0xdc00 && skip_word(p, "\\u")) {
        int32_t low = parse_unit(p);
        if (low < 0xdc00 || low > 0xdfff)
            return NULL;
        point = 0x10000 + ((point - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    }
    return put_utf8(to, point);
}

/* Behind the opening quote. A string is never longer than what it is written as. */
static bool parse_string(struct parser *p, struct string *ret_text)
{
    const char *close = p->at;
    while (close < p->end && *close != '"')
        close += *close == '\\' ? 2 : 1;
    if (close >= p->end)
        return false;
    char *text = arena_take(p->arena, (size_t)(close - p->at) + 1), *to = text;
    check(text);
    while (to && p->at < close) {
        if (*p->at == '\\') {
            p->at++;
            to = parse_escape(p, to);
        } else {
            *to++ = *p->at++;
        }
    }
    if (!to || p->at != close)
        return false;
    p->at++;
    *ret_text = (struct string){text, (int32_t)(to - text)};
    return true;
}

static bool parse_members(struct parser *p, struct json *parent, char close)
{
    struct json **link = &parent->first;
    if (skip(p, close))
        return true;
    do {
        struct string name = {0};
        if (parent->kind == JSON_OBJECT &&
            !(skip(p, '"') && parse_string(p, &name) && skip(p, ':')))
            return false;
        struct json *child = parse_value(p);
        if (!child)
            return false;
        child->name = name;
        *link = child;
        link = &child->next;
    } while (skip(p, ','));
    return skip(p, close);
}

static bool parse_into(struct parser *p, struct json *json)
{
    if (skip(p, '{')) {
        json->kind = JSON_OBJECT;
        return parse_members(p, json, '}');
    }
    if (skip(p, '[')) {
        json->kind = JSON_ARRAY;
        return parse_members(p, json, ']');
    }
    if (skip(p, '"')) {
        json->kind = JSON_STRING;
        return parse_string(p, &json->text);
    }
    json->kind = JSON_NULL;
    if (skip_word(p, "null"))
        return true;
    json->kind = JSON_TRUE;
    if (skip_word(p, "true"))
        return true;
    json->kind = JSON_FALSE;
    if (skip_word(p, "false"))
        return true;
    json->kind = JSON_NUMBER;
    json->text.data = p->at;
    while (p->at < p->end && memchr("0123456789+-.eE", *p->at, 15))
        p->at++;
    json->text.size = (int32_t)(p->at - json->text.data);
    return json->text.size > 0;
}

static struct json *parse_value(struct parser *p)
{
    struct json *json = arena_take(p->arena, sizeof *json);
    check(json);
    p->depth++;
    bool good = p->depth < 64 && parse_into(p, json);
    p->depth--;
    return good ? json : NULL;
}

struct json *json_parse(struct arena *arena, struct string text)
{
    struct parser parser = {arena, text.data, text.data + text.size, 0};
    struct json *json = parse_value(&parser);
    skip_space(&parser);
    return parser.at == parser.end ? json : NULL;
}

const struct json *json_get(const struct json *object, const char *name)
{
    if (!object || object->kind != JSON_OBJECT)
        return NULL;
    const struct json *member = object->first;
    while (member && !string_equal(member->name, string_of(name)))
        member = member->next;
    return member;
}

struct string json_text(const struct json *object, const char *name)
{
    const struct json *member = json_get(object, name);
    return member && member->kind == JSON_STRING ? member->text : STRING_NULL;
}

static double number_of(const struct json *json)
{
    char digits[64] = {0};
    int32_t size = json->text.size < 63 ? json->text.size : 63;
    memcpy(digits, json->text.data, (size_t)size);
    return strtod(digits, NULL);
}

int64_t json_number(const struct json *object, const char *name, int64_t otherwise)
{
    const struct json *member = json_get(object, name);
    if (!member || member->kind != JSON_NUMBER)
        return otherwise;
    char digits[32] = {0};
    check(member->text.size < 32);
    memcpy(digits, member->text.data, (size_t)member->text.size);
    return strtoll(digits, NULL, 10);
}

static bool is_float(const struct json *json)
{
    for (int32_t i = 0; i < json->text.size; i++) {
        if (memchr(".eE", json->text.data[i], 3))
            return true;
    }
    return false;
}

static bool members_equal(const struct json *a, const struct json *b)
{
    int count_a = 0, count_b = 0;
    const struct json *in_b = b->first;
    for (const struct json *in_a = a->first; in_a; in_a = in_a->next, count_a++) {
        if (a->kind == JSON_OBJECT) {
            in_b = b->first;
            while (in_b && !string_equal(in_a->name, in_b->name))
                in_b = in_b->next;
        }
        if (!in_b || !json_equal(in_a, in_b))
            return false;
        in_b = in_b->next;
    }
    for (in_b = b->first; in_b; in_b = in_b->next)
        count_b++;
    return count_a == count_b;
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (!a || !b || a->kind != b->kind)
        return false;
    switch (a->kind) {
    case JSON_NUMBER:
        return string_equal(a->text, b->text) ||
               ((is_float(a) || is_float(b)) && number_of(a) == number_of(b));
    case JSON_STRING:
        return string_equal(a->text, b->text);
    case JSON_ARRAY:
    case JSON_OBJECT:
        return members_equal(a, b);
    default:
        return true;
    }
}

struct bytes json_hex(struct arena *arena, struct string hex)
{
    if (hex.size < 0)
        return BYTES_NULL;
    uint8_t *data = arena_take(arena, (size_t)hex.size / 2 + 1);
    check(data && hex.size % 2 == 0);
    for (int32_t i = 0; i < hex.size / 2; i++) {
        int high = hex_digit(hex.data[2 * i]), low = hex_digit(hex.data[2 * i + 1]);
        check(high >= 0 && low >= 0);
        data[i] = (uint8_t)(high << 4 | low);
    }
    return (struct bytes){data, hex.size / 2};
}
