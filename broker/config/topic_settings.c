#include "config/topic_settings.h"
#include "base/check.h"
#include "config/settings.h"

/* Copies the field of the first synonym that has one. Every HONOURED row of a topic has such a
 * synonym of the same type (tests/unit/config/table.c). */
static void inherit(const struct setting *setting, struct topic_settings *topic,
                    const struct settings *broker)
{
    struct string rest = string_of(setting->synonyms), name;
    while (list_next_entry(&rest, &name)) {
        const struct setting *synonym = setting_find(SETTING_BROKER, name);
        check(synonym != NULL);
        if (synonym->offset < 0)
            continue;
        check(synonym->type == setting->type);
        bool wide = setting->type == SETTING_LONG;
        size_t size = wide ? 8 : setting->type == SETTING_BOOLEAN ? sizeof(bool) : 4;
        memcpy((char *)topic + setting->offset, (const char *)broker + synonym->offset, size);
        return;
    }
    check(!"an honoured setting of a topic has an honoured synonym");
}

void topic_settings_init(struct topic_settings *topic, const struct settings *broker)
{
    *topic = (struct topic_settings){0};
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (setting_table[i].scope == SETTING_TOPIC && setting_table[i].offset >= 0)
            inherit(&setting_table[i], topic, broker);
    }
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
        *topic = changed;
    return error;
}
