#include "config/setting.h"
#include "base/check.h"
#include "config/settings.h"
#include "config/topic_settings.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { SCOPE_BROKER, SCOPE_BROKER_INTERNAL, SCOPE_TOPIC, SCOPE_TOPIC_INTERNAL };

#define OFFSET_BROKER(field) (int)offsetof(struct settings, field)
#define OFFSET_TOPIC(field)  (int)offsetof(struct topic_settings, field)
#define ROW(treatment_, offset_, scope_, type_, name_, default_, valid_, dynamic_, importance_,    \
            synonyms_, text_)                                                                      \
    {.name = name_,                                                                                \
     .default_text = default_,                                                                     \
     .valid = valid_,                                                                              \
     .synonyms = synonyms_,                                                                        \
     .text = text_,                                                                                \
     .scope = SCOPE_##scope_ >= SCOPE_TOPIC ? SETTING_TOPIC : SETTING_BROKER,                      \
     .type = SETTING_##type_,                                                                      \
     .treatment = SETTING_##treatment_,                                                            \
     .dynamic = SETTING_##dynamic_,                                                                \
     .importance = SETTING_##importance_,                                                          \
     .internal = SCOPE_##scope_ % 2 == 1,                                                          \
     .offset = offset_},

const struct setting setting_table[SETTING_COUNT] = {
#define HONOURED(scope, field, ...) ROW(HONOURED, OFFSET_##scope(field), scope, __VA_ARGS__)
#define IGNORED(scope, field, ...)  ROW(IGNORED, -1, scope, __VA_ARGS__)
#define REFUSED(scope, field, ...)  ROW(REFUSED, -1, scope, __VA_ARGS__)
#include "config/settings.def"
#undef HONOURED
#undef IGNORED
#undef REFUSED
};

enum error sentence_say(struct sentence *sentence, enum error error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence->text, sizeof sentence->text, format, arguments);
    va_end(arguments);
    return error;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f' || c == '\r' || c == '\n';
}

struct string string_trimmed(struct string text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

bool list_next_entry(struct string *rest, struct string *ret_entry)
{
    if (rest->size <= 0)
        return false;
    const char *comma = memchr(rest->data, ',', (size_t)rest->size);
    int32_t size = comma ? (int32_t)(comma - rest->data) : rest->size;
    *ret_entry = string_trimmed((struct string){rest->data, size});
    int32_t step = comma ? size + 1 : size;
    rest->data += step;
    rest->size -= step;
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool string_equal_ignoring_case(struct string text, const char *literal)
{
    if (text.size != (int32_t)strlen(literal))
        return false;
    for (int32_t i = 0; i < text.size; i++) {
        if (lower(text.data[i]) != lower(literal[i]))
            return false;
    }
    return true;
}

const struct setting *setting_find(enum setting_scope scope, struct string name)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (setting_table[i].scope == scope && string_equal(string_of(setting_table[i].name), name))
            return &setting_table[i];
    }
    return NULL;
}

/* Levenshtein's distance; both at most 64 long. */
static int edit_distance(struct string a, struct string b)
{
    uint8_t row[65];
    for (int j = 0; j <= b.size; j++)
        row[j] = (uint8_t)j;
    for (int i = 1; i <= a.size; i++) {
        uint8_t diagonal = row[0];
        row[0] = (uint8_t)i;
        for (int j = 1; j <= b.size; j++) {
            int replaced = diagonal + (a.data[i - 1] != b.data[j - 1]);
            diagonal = row[j];
            int shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            row[j] = (uint8_t)(replaced < shorter + 1 ? replaced : shorter + 1);
        }
    }
    return row[b.size];
}

const struct setting *setting_nearest(enum setting_scope scope, struct string name)
{
    const struct setting *nearest = NULL;
    if (name.size > 64)
        return NULL;
    int least = name.size / 3 + 1;
    for (int i = 0; i < SETTING_COUNT; i++) {
        struct string known = string_of(setting_table[i].name);
        if (setting_table[i].scope != scope || known.size > 64)
            continue;
        int distance = edit_distance(name, known);
        if (distance < least) {
            least = distance;
            nearest = &setting_table[i];
        }
    }
    return nearest;
}

bool setting_is_text(const struct setting *setting)
{
    return setting->type == SETTING_STRING || setting->type == SETTING_LIST ||
           setting->type == SETTING_CLASS || setting->type == SETTING_PASSWORD;
}

int8_t setting_wire_type(const struct setting *setting)
{
    if (setting->type == SETTING_SET)
        return SETTING_LIST;
    return setting->type == SETTING_CHOICE ? SETTING_STRING : (int8_t)setting->type;
}

const char *setting_type_name(const struct setting *setting)
{
    static const char *const names[] = {"",     "BOOLEAN", "STRING", "INT",   "SHORT",
                                        "LONG", "DOUBLE",  "LIST",   "CLASS", "PASSWORD"};
    return names[setting_wire_type(setting)];
}

/* What `valid` says of numbers: "[1,...,9] or -1", "[0,...]". */
struct range {
    double low, high;
    double besides; /* one value that is valid too; equal to low where there is none */
    bool bounded;   /* `valid` speaks of numbers at all */
};

static struct range range_of(const char *valid)
{
    struct range range = {.low = -__builtin_inf(), .high = __builtin_inf()};
    const char *dots = strstr(valid, ",...");
    if (valid[0] != '[' || !dots)
        return range;
    range.bounded = true;
    range.low = range.besides = strtod(valid + 1, NULL);
    if (dots[4] == ',')
        range.high = strtod(dots + 5, NULL);
    const char * or = strstr(dots, "or ");
    if (or)
        range.besides = strtod(or +3, NULL);
    return range;
}

static bool range_has(const struct range *range, double value)
{
    return (value >= range->low && value <= range->high) ||
           (range->bounded && value == range->besides);
}

/* The place of `text` in "[a, b, c]" (with "(case insensitive) " in front: whatever the case), or
 * -1. -2: `valid` is no such list. */
static int place_in_set(const char *valid, struct string text)
{
    bool any_case = strncmp(valid, "(case insensitive) ", 19) == 0;
    if (any_case)
        valid += 19;
    if (valid[0] != '[' || strstr(valid, "..."))
        return -2;
    struct string rest = {valid + 1, (int32_t)strlen(valid) - 2}, entry;
    for (int place = 0; list_next_entry(&rest, &entry); place++) {
        if (string_equal(entry, text))
            return place;
        char copy[64];
        snprintf(copy, sizeof copy, "%.*s", (int)entry.size, entry.data);
        if (any_case && string_equal_ignoring_case(text, copy))
            return place;
    }
    return -1;
}

static bool text_is_valid(const struct setting *setting, struct string text)
{
    const char *valid = setting->valid;
    if (memchr(text.data, 0, (size_t)text.size))
        return false;
    if (strncmp(valid, "non-empty", 9) == 0)
        return text.size > 0;
    if (setting->type != SETTING_LIST)
        return place_in_set(valid, text) != -1;
    struct string entry;
    while (list_next_entry(&text, &entry)) {
        if (entry.size == 0 || place_in_set(valid, entry) == -1)
            return false;
    }
    return true;
}

static bool parse_set(const struct setting *setting, struct string text, int32_t *ret_bits)
{
    struct string entry;
    *ret_bits = 0;
    while (list_next_entry(&text, &entry)) {
        int place = place_in_set(setting->valid, entry);
        if (place < 0 || *ret_bits >> place & 1)
            return false;
        *ret_bits |= 1 << place;
    }
    return true;
}

/* A whole number in all of `text`, within [low, high]. */
static bool parse_whole(struct string text, int64_t low, int64_t high, int64_t *ret_value)
{
    int32_t at = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+');
    bool negative = at && text.data[0] == '-';
    if (text.size == at)
        return false;
    int64_t value = 0;
    for (; at < text.size; at++) {
        int digit = text.data[at] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) /* downwards: INT64_MIN has no positive */
            return false;
    }
    if (!negative && value == INT64_MIN)
        return false;
    value = negative ? value : -value;
    if (value < low || value > high)
        return false;
    *ret_value = value;
    return true;
}

static bool parse_real(struct string text, double *ret_value)
{
    char copy[64];
    if (text.size <= 0 || text.size >= (int32_t)sizeof copy)
        return false;
    memcpy(copy, text.data, (size_t)text.size);
    copy[text.size] = 0;
    char *end;
    double value = strtod(copy, &end);
    if (*end || value != value || value - value != 0) /* neither a NaN nor infinite */
        return false;
    *ret_value = value;
    return true;
}

static bool parse_number(const struct setting *setting, struct string text,
                         union setting_value *ret_value)
{
    struct range range = range_of(setting->valid);
    int64_t whole;
    switch (setting->type) {
    case SETTING_DOUBLE:
        return parse_real(text, &ret_value->real) && range_has(&range, ret_value->real);
    case SETTING_SHORT:
        if (!parse_whole(text, INT16_MIN, INT16_MAX, &whole) || !range_has(&range, (double)whole))
            return false;
        ret_value->i16 = (int16_t)whole;
        return true;
    case SETTING_INT:
        if (!parse_whole(text, INT32_MIN, INT32_MAX, &whole) || !range_has(&range, (double)whole))
            return false;
        ret_value->i32 = (int32_t)whole;
        return true;
    default:
        if (!parse_whole(text, INT64_MIN, INT64_MAX, &whole) || !range_has(&range, (double)whole))
            return false;
        ret_value->i64 = whole;
        return true;
    }
}

static bool parse(const struct setting *setting, struct string text, union setting_value *ret_value)
{
    switch (setting->type) {
    case SETTING_BOOLEAN:
        ret_value->boolean = string_equal_ignoring_case(text, "true");
        return ret_value->boolean || string_equal_ignoring_case(text, "false");
    case SETTING_CHOICE:
        ret_value->i32 = place_in_set(setting->valid, text);
        return ret_value->i32 >= 0;
    case SETTING_SET:
        return parse_set(setting, text, &ret_value->i32);
    case SETTING_STRING:
    case SETTING_LIST:
    case SETTING_CLASS:
    case SETTING_PASSWORD:
        ret_value->text = text;
        return text_is_valid(setting, text);
    default:
        return parse_number(setting, text, ret_value);
    }
}

static const char *kind_of_value(const struct setting *setting)
{
    switch (setting->type) {
    case SETTING_BOOLEAN:
        return "true or false";
    case SETTING_SHORT:
        return "a whole number of 16 bits";
    case SETTING_INT:
        return "a whole number of 32 bits";
    case SETTING_LONG:
        return "a whole number of 64 bits";
    case SETTING_DOUBLE:
        return "a number";
    case SETTING_LIST:
    case SETTING_SET:
        return "a comma separated list";
    default:
        return setting->valid[0] == '[' || setting->valid[0] == '(' ? "one" : "text";
    }
}

/* What may be shown of a value: at most 100 bytes, and nothing of a password. */
static struct string shown(const struct setting *setting, struct string text)
{
    if (setting->type == SETTING_PASSWORD)
        return STRING("(hidden)");
    return (struct string){text.data, text.size < 100 ? text.size : 100};
}

enum error setting_parse(const struct setting *setting, struct string text,
                         union setting_value *ret_value, struct sentence *sentence)
{
    check(text.size >= 0);
    union setting_value value;
    text = string_trimmed(text);
    if (parse(setting, text, &value)) {
        *ret_value = value;
        return ERROR_NONE;
    }
    struct string show = shown(setting, text);
    bool of = setting->valid[0] != 0;
    return sentence_say(sentence, ERROR_INVALID_CONFIG, "%s=%.*s: must be %s%s%s", setting->name,
                        (int)show.size, show.data, kind_of_value(setting), of ? " of " : "",
                        setting->valid);
}

enum error setting_accept(const struct setting *setting, struct string text,
                          union setting_value *ret_value, struct sentence *sentence)
{
    enum error error = setting_parse(setting, text, ret_value, sentence);
    if (error || setting->treatment != SETTING_REFUSED)
        return error;
    text = string_trimmed(text);
    const char *only = setting->default_text ? setting->default_text : "";
    bool same = setting->type == SETTING_BOOLEAN ? string_equal_ignoring_case(text, only)
                                                 : string_equal(text, string_of(only));
    if (same)
        return ERROR_NONE;
    struct string show = shown(setting, text);
    return sentence_say(sentence, ERROR_INVALID_CONFIG, "%s=%.*s: refused, since %s%s%s",
                        setting->name, (int)show.size, show.data, setting->text,
                        *only ? "; only its default is accepted: " : "", only);
}

enum error setting_unknown(enum setting_scope scope, struct string name, struct sentence *sentence)
{
    const struct setting *nearest = setting_nearest(scope, name);
    int size = name.size < 100 ? (int)name.size : 100;
    return sentence_say(sentence, ERROR_INVALID_CONFIG, "%.*s: no such setting%s%s%s", size,
                        name.data, nearest ? "; did you mean " : "", nearest ? nearest->name : "",
                        nearest ? "?" : "");
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name), end_size = strlen(end);
    return size >= end_size && strcmp(name + size - end_size, end) == 0;
}

int64_t setting_unit_ms(const struct setting *setting)
{
    if (ends_with(setting->name, ".hours"))
        return 3600000;
    return ends_with(setting->name, ".minutes") ? 60000 : 1;
}
