#include "config/topic_settings.h"
#include "base/check.h"
#include "config/settings.h"

/* The first synonym that the broker was given, else the last that has a default. */
static const struct setting *choose_synonym(const struct setting *setting,
                                            const struct settings *broker)
{
    struct string rest = string_of(setting->synonyms), name;
    const struct setting *last = NULL;
    while (list_next_entry(&rest, &name)) {
        const struct setting *synonym = setting_find(SETTING_BROKER, name);
        check(synonym != NULL);
        if (synonym->offset < 0)
            continue;
        if (broker->given[synonym - setting_table])
            return synonym;
        last = synonym->default_text ? synonym : last;
    }
    check(last != NULL); /* tests/unit/config/table.c */
    return last;
}

/* Takes the broker's value; hours and minutes become milliseconds. */
static void inherit(const struct setting *setting, struct topic_settings *topic,
                    const struct settings *broker)
{
    const struct setting *synonym = choose_synonym(setting, broker);
    const char *from = (const char *)broker + synonym->offset;
    if (setting->type == SETTING_LONG && synonym->type == SETTING_INT) {
        int32_t value;
        memcpy(&value, from, sizeof value);
        union setting_value converted = {.i64 = value < 0 ? -1 : value * setting_unit_ms(synonym)};
        setting_store(setting, topic, &converted);
        return;
    }
    check(synonym->type == setting->type);
    bool wide = setting->type == SETTING_LONG || setting->type == SETTING_DOUBLE;
    size_t size = wide ? 8 : setting->type == SETTING_BOOLEAN ? sizeof(bool) : 4;
    memcpy((char *)topic + setting->offset, from, size);
}

void topic_settings_init(struct topic_settings *topic, const struct settings *broker)
{
    *topic = (struct topic_settings){0};
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (setting_table[i].scope == SETTING_TOPIC && setting_table[i].offset >= 0)
            inherit(&setting_table[i], topic, broker);
    }
}

/* What must hold beyond a single row. */
static enum error check_topic(const struct topic_settings *topic, struct sentence *sentence)
{
    if (topic->min_compaction_lag_ms > topic->max_compaction_lag_ms)
        return sentence_say(sentence, ERROR_INVALID_CONFIG,
                            "min.compaction.lag.ms=%lld: must be at most max.compaction.lag.ms, "
                            "which is %lld",
                            (long long)topic->min_compaction_lag_ms,
                            (long long)topic->max_compaction_lag_ms);
    return ERROR_NONE;
}

enum error topic_settings_set(struct topic_settings *topic, const struct settings *broker,
                              struct string name, struct string value, struct sentence *sentence)
{
    const struct setting *setting = setting_find(SETTING_TOPIC, name);
    if (!setting)
        return setting_unknown(SETTING_TOPIC, name, sentence);
    struct topic_settings changed = *topic;
    if (value.size < 0) {
        if (setting->offset >= 0)
            inherit(setting, &changed, broker);
    } else {
        union setting_value parsed;
        enum error error = setting_accept(setting, value, &parsed, sentence);
        if (error)
            return error;
        if (setting->offset >= 0)
            setting_store(setting, &changed, &parsed);
    }
    enum error error =
        settings_check_batch(broker, "max.message.bytes", changed.max_message_bytes, sentence);
    if (!error)
        error = check_topic(&changed, sentence);
    if (!error)
        *topic = changed;
    return error;
}
