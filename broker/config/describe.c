#include "config/describe.h"
#include "base/check.h"
#include <stdio.h>

static struct string shown(const struct setting *setting, struct string value)
{
    return setting->type == SETTING_PASSWORD ? STRING_NULL : value;
}

static void add_synonym(struct described_setting *described, const char *name, struct string value,
                        enum setting_source source)
{
    check(described->synonym_count < ARRAY_COUNT(described->synonyms));
    described->synonyms[described->synonym_count++] =
        (struct setting_synonym){string_of(name), shown(described->setting, value), source};
}

/* The first synonym is the one in force. */
static void settle(struct described_setting *described)
{
    bool any = described->synonym_count > 0;
    described->value = any ? described->synonyms[0].value : STRING_NULL;
    described->source = any ? described->synonyms[0].source : SETTING_SOURCE_DEFAULT;
}

static struct string given_text(const struct settings *settings, const struct setting *setting)
{
    return string_of(settings->given[setting - setting_table]);
}

void setting_describe_broker(const struct settings *settings, const struct setting *setting,
                             struct described_setting *ret_described)
{
    check(setting->scope == SETTING_BROKER);
    *ret_described = (struct described_setting){
        .setting = setting, .read_only = true, .sensitive = setting->type == SETTING_PASSWORD};
    struct string given = given_text(settings, setting);
    if (given.size >= 0)
        add_synonym(ret_described, setting->name, given, SETTING_SOURCE_STATIC_BROKER);
    if (setting->default_text)
        add_synonym(ret_described, setting->name, string_of(setting->default_text),
                    SETTING_SOURCE_DEFAULT);
    settle(ret_described);
}

/* A broker's value in the unit of the topic's setting: hours and minutes become milliseconds. */
static struct string converted(struct arena *arena, const struct setting *from, struct string value)
{
    int64_t unit_ms = setting_unit_ms(from);
    union setting_value parsed;
    struct sentence sentence;
    if (unit_ms == 1 || setting_parse(from, value, &parsed, &sentence) != ERROR_NONE)
        return value;
    return arena_format(arena, "%lld", parsed.i32 < 0 ? -1LL : parsed.i32 * (long long)unit_ms);
}

void setting_describe_topic(const struct topic_source *source, const struct setting *setting,
                            struct described_setting *ret_described)
{
    check(setting->scope == SETTING_TOPIC);
    *ret_described = (struct described_setting){.setting = setting};
    for (int32_t i = source->pair_count - 1; i >= 0; i--) { /* of a name given twice, the last */
        if (string_equal(source->pairs[i].name, string_of(setting->name))) {
            add_synonym(ret_described, setting->name, source->pairs[i].value, SETTING_SOURCE_TOPIC);
            break;
        }
    }
    const struct setting *last = NULL;
    struct string rest = string_of(setting->synonyms), name;
    while (list_next_entry(&rest, &name)) {
        const struct setting *synonym = setting_find(SETTING_BROKER, name);
        check(synonym != NULL);
        struct string given = given_text(source->broker, synonym);
        if (given.size >= 0)
            add_synonym(ret_described, synonym->name, converted(source->arena, synonym, given),
                        SETTING_SOURCE_STATIC_BROKER);
        last = synonym->default_text ? synonym : last;
    }
    if (setting->default_text)
        add_synonym(ret_described, last ? last->name : setting->name,
                    string_of(setting->default_text), SETTING_SOURCE_DEFAULT);
    settle(ret_described);
}

static void write_text(struct writer *writer, const char *text)
{
    write_raw(writer, text, strlen(text));
}

static void describe_row(struct writer *writer, const struct setting *setting)
{
    static const char *const treatments[] = {"honoured", "no effect", "refused"};
    bool is_topic = setting->scope == SETTING_TOPIC;
    char head[640];
    snprintf(head, sizeof head, "%s%s\n    %s, default %s%s%s, %s\n    %s: %s\n", setting->name,
             setting->internal ? " (internal)" : "", setting_type_name(setting),
             !setting->default_text    ? "none"
             : !*setting->default_text ? "empty"
                                       : setting->default_text,
             *setting->valid ? ", valid " : "", setting->valid,
             is_topic ? "may be changed at any time" : "read at the start",
             treatments[setting->treatment], setting->text);
    write_text(writer, head);
}

void settings_describe(struct writer *writer)
{
    write_text(writer, "Settings of the broker\n\n");
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (i > 0 && setting_table[i].scope != setting_table[i - 1].scope)
            write_text(writer, "\nSettings of topics\n\n");
        describe_row(writer, &setting_table[i]);
    }
}
