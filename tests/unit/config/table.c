#include "config/settings.h"
#include "config/topic_settings.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

TEST(settings_table, knows_every_name_of_kafka)
{
    enum { BROKER = SETTING_BROKER, TOPIC = SETTING_TOPIC };
    int missing = 0;
#define NAME(scope, name)                                                                          \
    if (!setting_find((enum setting_scope)scope, STRING(name))) {                                  \
        missing++;                                                                                 \
        printf("missing: %s\n", name);                                                             \
    }
#include "kafka_names.def"
    EQ(missing, 0);
}

TEST(settings_table, accepts_its_own_defaults)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        union setting_value value;
        struct sentence sentence = {""};
        if (!setting->default_text)
            continue;
        enum error error =
            setting_accept(setting, string_of(setting->default_text), &value, &sentence);
        EQ_TEXT(sentence.text, "");
        EQ(error, ERROR_NONE);
    }
}

TEST(settings_table, has_each_name_once_and_a_text_for_each)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        TRUE_(setting_find(setting->scope, string_of(setting->name)) == setting);
        TRUE_(setting->text[0] != 0);
        TRUE_((setting->treatment == SETTING_HONOURED) == (setting->offset >= 0));
    }
}

TEST(settings_table, has_only_synonyms_that_exist)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        struct string rest = string_of(setting_table[i].synonyms), name;
        bool honoured = false;
        while (list_next_entry(&rest, &name)) {
            const struct setting *synonym = setting_find(SETTING_BROKER, name);
            TRUE_(synonym != NULL);
            honoured |= synonym && synonym->offset >= 0;
        }
        if (setting_table[i].scope == SETTING_TOPIC)
            EQ(honoured, setting_table[i].offset >= 0);
    }
}

/* Both ends of every numeric range are valid, and one beyond is not. */
TEST(settings_table, keeps_both_ends_of_every_range)
{
    int ranges = 0;
    for (int i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        const char *dots = strstr(setting->valid, ",...");
        if (!dots || setting->type == SETTING_DOUBLE || setting->valid[0] != '[')
            continue;
        ranges++;
        union setting_value value;
        struct sentence sentence;
        long long low = strtoll(setting->valid + 1, NULL, 10);
        char text[32];
        snprintf(text, sizeof text, "%lld", low);
        EQ(setting_parse(setting, string_of(text), &value, &sentence), ERROR_NONE);
        if (!strstr(setting->valid, " or ")) {
            snprintf(text, sizeof text, "%lld", low - 1);
            EQ(setting_parse(setting, string_of(text), &value, &sentence), ERROR_INVALID_CONFIG);
        }
        if (dots[4] != ',')
            continue;
        long long high = strtoll(dots + 5, NULL, 10);
        snprintf(text, sizeof text, "%lld", high);
        EQ(setting_parse(setting, string_of(text), &value, &sentence), ERROR_NONE);
        snprintf(text, sizeof text, "%lld", high + 1);
        EQ(setting_parse(setting, string_of(text), &value, &sentence), ERROR_INVALID_CONFIG);
    }
    TRUE_(ranges > 150);
}

TEST(setting, parses_values_of_every_type)
{
    static const struct {
        const char *name, *text;
        enum error error;
    } cases[] = {
        {"num.partitions", "1", ERROR_NONE},
        {"num.partitions", " 7\t", ERROR_NONE},
        {"num.partitions", "+7", ERROR_NONE},
        {"num.partitions", "0", ERROR_INVALID_CONFIG},
        {"num.partitions", "", ERROR_INVALID_CONFIG},
        {"num.partitions", "-", ERROR_INVALID_CONFIG},
        {"num.partitions", "1x", ERROR_INVALID_CONFIG},
        {"num.partitions", "1 2", ERROR_INVALID_CONFIG},
        {"num.partitions", "2147483647", ERROR_NONE},
        {"num.partitions", "2147483648", ERROR_INVALID_CONFIG},
        {"num.partitions", "99999999999999999999999", ERROR_INVALID_CONFIG},
        {"connections.max.idle.ms", "-9223372036854775808", ERROR_NONE},
        {"connections.max.idle.ms", "-9223372036854775809", ERROR_INVALID_CONFIG},
        {"connections.max.idle.ms", "9223372036854775807", ERROR_NONE},
        {"connections.max.idle.ms", "9223372036854775808", ERROR_INVALID_CONFIG},
        {"delete.topic.enable", "TRUE", ERROR_NONE},
        {"delete.topic.enable", "False", ERROR_NONE},
        {"delete.topic.enable", "yes", ERROR_INVALID_CONFIG},
        {"compression.type", "producer", ERROR_NONE},
        {"compression.type", "Producer", ERROR_INVALID_CONFIG},
        {"group.consumer.migration.policy", "UpGrade", ERROR_NONE},
        {"group.consumer.migration.policy", "sideways", ERROR_INVALID_CONFIG},
        {"compression.gzip.level", "-1", ERROR_NONE},
        {"compression.gzip.level", "0", ERROR_INVALID_CONFIG},
        {"compression.gzip.level", "9", ERROR_NONE},
        {"log.cleaner.min.cleanable.ratio", "0.25", ERROR_NONE},
        {"log.cleaner.min.cleanable.ratio", "1.01", ERROR_INVALID_CONFIG},
        {"log.cleaner.min.cleanable.ratio", "nan", ERROR_INVALID_CONFIG},
        {"offsets.topic.replication.factor", "32767", ERROR_NONE},
        {"offsets.topic.replication.factor", "32768", ERROR_INVALID_CONFIG},
        {"process.roles", "controller , broker", ERROR_NONE},
        {"process.roles", "broker,zookeeper", ERROR_INVALID_CONFIG},
        {"log.cleanup.policy", "delete", ERROR_NONE},
        {"log.cleanup.policy", "compact", ERROR_NONE},
        {"log.cleanup.policy", "compact, delete", ERROR_NONE},
        {"log.cleanup.policy", "compact,shred", ERROR_INVALID_CONFIG},
        {"log.cleanup.policy", "compact,compact", ERROR_INVALID_CONFIG},
        {"log.cleanup.policy", "", ERROR_NONE},
        {"authorizer.class.name", "", ERROR_NONE},
        {"authorizer.class.name", "org.example.Acl", ERROR_INVALID_CONFIG},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        union setting_value value;
        struct sentence sentence = {""};
        const struct setting *setting = setting_find(SETTING_BROKER, string_of(cases[i].name));
        enum error error = setting_accept(setting, string_of(cases[i].text), &value, &sentence);
        test_expect(error == cases[i].error, __FILE__, __LINE__, "%s=%s: got %d, want %d",
                    cases[i].name, cases[i].text, error, cases[i].error);
        EQ(sentence.text[0] != 0, error != ERROR_NONE);
    }
}
