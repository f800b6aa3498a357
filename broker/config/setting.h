#pragma once
/* One setting as a row of settings.def, and what a value of it may be. Pure.
 *
 * Invariants:
 *  1. setting_table has SETTING_COUNT rows: those of the broker first, those of topics last, each
 *     scope sorted by name but for our own rows, which stand between.
 *  2. Every row that has a default accepts it.
 *  3. Only HONOURED rows have a field; its offset is within the struct of the row's scope. */
#include "base/bytes.h"
#include "base/error.h"

enum setting_scope { SETTING_BROKER, SETTING_TOPIC };

/* The numbers are those of DescribeConfigs' config_type; setting_wire_type() maps the others. */
enum setting_type {
    SETTING_BOOLEAN = 1,
    SETTING_STRING = 2,
    SETTING_INT = 3,
    SETTING_SHORT = 4,
    SETTING_LONG = 5,
    SETTING_DOUBLE = 6,
    SETTING_LIST = 7,
    SETTING_CLASS = 8,
    SETTING_PASSWORD = 9,
    SETTING_CHOICE = 10, /* a string out of a finite set, kept as its place in the set */
    SETTING_SET = 11,    /* a list out of a finite set, kept as bits by place; shown as a LIST */
};

enum setting_treatment { SETTING_HONOURED, SETTING_IGNORED, SETTING_REFUSED };

enum setting_dynamic { SETTING_STATIC, SETTING_CLUSTER, SETTING_PER_BROKER };

enum setting_importance { SETTING_HIGH, SETTING_MEDIUM, SETTING_LOW };

struct setting {
    const char *name;
    const char *default_text; /* null: no default */
    const char *valid;        /* Kafka's notation; "" is anything of the type */
    const char *synonyms;     /* names of the broker's settings, comma separated, first wins */
    const char *text;         /* what it does; of IGNORED and REFUSED rows why */
    enum setting_scope scope;
    enum setting_type type;
    enum setting_treatment treatment;
    enum setting_dynamic dynamic;
    enum setting_importance importance;
    bool internal; /* not shown to clients */
    int offset;    /* of the field in struct settings or struct topic_settings; -1: none */
};

enum {
    SETTING_COUNT = 0
#define HONOURED(...) +1
#define IGNORED(...)  +1
#define REFUSED(...)  +1
#include "config/settings.def"
#undef HONOURED
#undef IGNORED
#undef REFUSED
};

extern const struct setting setting_table[SETTING_COUNT];

/* What is wrong, in one sentence for a person, terminated; "" while nothing is. */
struct sentence {
    char text[512];
};

/* printf into the sentence, cut to its size. Returns `error`, so that a failure is one line. */
enum error sentence_say(struct sentence *sentence, enum error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A value after parsing. Of text types (STRING, LIST, CLASS, PASSWORD) `text` borrows from what was
 * parsed, without blanks at its ends. */
union setting_value {
    bool boolean;
    int16_t i16;
    int32_t i32; /* also CHOICE: the place in `valid`, from 0; SET: a bit for each place */
    int64_t i64;
    double real;
    struct string text;
};

/* The row of that exact name, or null. */
const struct setting *setting_find(enum setting_scope scope, struct string name);

/* The row whose name is nearest by edit distance, or null where none is near enough (a third of the
 * name) to be what was meant. */
const struct setting *setting_nearest(enum setting_scope scope, struct string name);

/* True for STRING, LIST, CLASS and PASSWORD: their field is an owned char *. */
bool setting_is_text(const struct setting *setting);

/* The number for DescribeConfigs' config_type. */
int8_t setting_wire_type(const struct setting *setting);

/* The name of the type as Kafka writes it: "INT". Static memory. */
const char *setting_type_name(const struct setting *setting);

/* Parses `text` by type and valid range, not looking at the treatment. On failure returns
 * INVALID_CONFIG and a sentence with name, value and what would be valid. */
enum error setting_parse(const struct setting *setting, struct string text,
                         union setting_value *ret_value, struct sentence *sentence);

/* As setting_parse, and refuses any value but the default of a REFUSED row, with its reason. */
enum error setting_accept(const struct setting *setting, struct string text,
                          union setting_value *ret_value, struct sentence *sentence);

/* INVALID_CONFIG and "x: no such setting; did you mean y?". */
enum error setting_unknown(enum setting_scope scope, struct string name, struct sentence *sentence);

/* `text` without blanks at its ends. */
struct string string_trimmed(struct string text);

/* Walks a comma separated list: the next entry, trimmed, and `rest` moved behind it. False at the
 * end; an empty or null list has no entry. */
bool list_next_entry(struct string *rest, struct string *ret_entry);

/* True where `text` is the zero-terminated `literal`, but for the case of ASCII letters. */
bool string_equal_ignoring_case(struct string text, const char *literal);

/* The milliseconds of its unit: by its name hours, minutes; else 1. */
int64_t setting_unit_ms(const struct setting *setting);
