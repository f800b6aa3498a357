#include "config/topic_settings.h"
#include "config/describe.h"
#include "support/test.h"

TEST(topic_settings, begin_with_the_brokers)
{
    struct settings broker;
    struct sentence sentence = {""};
    struct topic_settings topic;
    settings_init(&broker);
    topic_settings_init(&topic, &broker);
    EQ(settings_set_pair(&broker, "log.segment.bytes=2097152", &sentence), ERROR_NONE);
    EQ(settings_set_pair(&broker, "message.max.bytes=999", &sentence), ERROR_NONE);
    EQ(settings_set_pair(&broker, "log.message.timestamp.type=LogAppendTime", &sentence),
       ERROR_NONE);
    EQ(topic.message_timestamp_before_max_ms, INT64_MAX);
    EQ(settings_set_pair(&broker, "log.message.timestamp.before.max.ms=5000000000", &sentence),
       ERROR_NONE);
    topic_settings_init(&topic, &broker);
    EQ(topic.message_timestamp_before_max_ms, 5000000000);
    EQ(topic.segment_bytes, 2097152);
    EQ(topic.max_message_bytes, 999);
    EQ(topic.message_timestamp_type, TIMESTAMP_LOG_APPEND_TIME);
    EQ(topic.compression_type, COMPRESSION_PRODUCER);
    EQ(topic.min_insync_replicas, 1);
    settings_done(&broker);
}

TEST(topic_settings, say_how_a_topic_is_compacted)
{
    struct settings broker;
    struct topic_settings topic;
    struct sentence sentence = {""};
    settings_init(&broker);
    topic_settings_init(&topic, &broker);
    EQ(topic.cleanup_policy, CLEANUP_DELETE);
    TRUE_(topic.min_cleanable_dirty_ratio == 0.5);
    EQ(topic.max_compaction_lag_ms, INT64_MAX);
    EQ(settings_set_pair(&broker, "log.cleanup.policy=compact", &sentence), ERROR_NONE);
    EQ(settings_set_pair(&broker, "log.cleaner.min.cleanable.ratio=0.25", &sentence), ERROR_NONE);
    EQ(settings_set_pair(&broker, "log.cleaner.delete.retention.ms=7", &sentence), ERROR_NONE);
    topic_settings_init(&topic, &broker);
    EQ(topic.cleanup_policy, CLEANUP_COMPACT);
    TRUE_(topic.min_cleanable_dirty_ratio == 0.25);
    EQ(topic.delete_retention_ms, 7);
    EQ(topic_settings_set(&topic, &broker, STRING("cleanup.policy"), STRING("delete, compact"),
                          &sentence),
       ERROR_NONE);
    EQ(topic.cleanup_policy, CLEANUP_COMPACT | CLEANUP_DELETE);
    EQ(topic_settings_set(&topic, &broker, STRING("max.compaction.lag.ms"), STRING("100"),
                          &sentence),
       ERROR_NONE);
    EQ(topic_settings_set(&topic, &broker, STRING("min.compaction.lag.ms"), STRING("101"),
                          &sentence),
       ERROR_INVALID_CONFIG);
    EQ_TEXT(sentence.text, "min.compaction.lag.ms=101: must be at most max.compaction.lag.ms, "
                           "which is 100");
    settings_done(&broker);
}

TEST(topic_settings, are_set_and_refused)
{
    static const struct {
        const char *name, *value, *want;
    } cases[] = {
        {"segment.bytes", "1048576", ""},
        {"segment.bytes", "1048575",
         "segment.bytes=1048575: must be a whole number of 32 bits of [1048576,...]"},
        {"segment.byte", "1048576", "segment.byte: no such setting; did you mean segment.bytes?"},
        {"log.segment.bytes", "1048576",
         "log.segment.bytes: no such setting; did you mean segment.bytes?"},
        {"retention.ms", "1000", ""},
        {"cleanup.policy", "delete", ""},
        {"cleanup.policy", "compact,delete", ""},
        {"cleanup.policy", "compact,shred",
         "cleanup.policy=compact,shred: must be a comma separated list of [compact, delete]"},
        {"min.compaction.lag.ms", "5", ""},
        {"min.cleanable.dirty.ratio", "1.5",
         "min.cleanable.dirty.ratio=1.5: must be a number of [0,...,1]"},
        {"compression.type", "uncompressed", ""},
        {"compression.type", "gzip", ""},
        {"max.message.bytes", "16777217",
         "max.message.bytes=16777217: must be at most journal.bytes / 4 - 8192, which is 16769024"},
        {"max.message.bytes", "16769024", ""},
        {"remote.storage.enable", "false", ""},
        {"remote.storage.enable", "true",
         "remote.storage.enable=true: refused, since there is no tiered storage; only its default "
         "is accepted: false"},
    };
    struct settings broker;
    settings_init(&broker);
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        struct topic_settings topic, before;
        struct sentence sentence = {""};
        memset(&topic, 0, sizeof topic);
        topic_settings_init(&topic, &broker);
        before = topic;
        enum error error = topic_settings_set(&topic, &broker, string_of(cases[i].name),
                                              string_of(cases[i].value), &sentence);
        EQ_TEXT(sentence.text, cases[i].want);
        EQ(error, cases[i].want[0] ? ERROR_INVALID_CONFIG : ERROR_NONE);
        if (error) {
            EQ(topic.segment_bytes, before.segment_bytes);
            EQ(topic.compression_type, before.compression_type);
            EQ(topic.max_message_bytes, before.max_message_bytes);
        }
    }
    settings_done(&broker);
}

TEST(topic_settings, go_back_to_the_brokers_with_null)
{
    struct settings broker;
    struct topic_settings topic;
    struct sentence sentence;
    settings_init(&broker);
    topic_settings_init(&topic, &broker);
    EQ(topic_settings_set(&topic, &broker, STRING("segment.bytes"), STRING("2000000"), &sentence),
       ERROR_NONE);
    EQ(topic.segment_bytes, 2000000);
    EQ(topic_settings_set(&topic, &broker, STRING("segment.bytes"), STRING_NULL, &sentence),
       ERROR_NONE);
    EQ(topic.segment_bytes, 1 << 30);
    settings_done(&broker);
}

static bool text_is(struct string text, const char *want)
{
    return string_equal(text, string_of(want));
}

TEST(topic_settings, are_described_with_source_and_synonyms)
{
    struct settings broker;
    struct sentence sentence;
    struct arena arena;
    settings_init(&broker);
    arena_init(&arena, 4096);
    EQ(settings_set_pair(&broker, "log.retention.hours=2", &sentence), ERROR_NONE);
    EQ(settings_set_pair(&broker, "log.segment.bytes=2000000", &sentence), ERROR_NONE);
    struct setting_pair own = {STRING("segment.bytes"), STRING("3000000")};
    struct topic_source source = {&broker, &own, 1, &arena};
    struct described_setting described;

    setting_describe_topic(&source, setting_find(SETTING_TOPIC, STRING("segment.bytes")),
                           &described);
    TRUE_(text_is(described.value, "3000000"));
    EQ(described.source, SETTING_SOURCE_TOPIC);
    EQ(described.synonym_count, 3);
    TRUE_(text_is(described.synonyms[1].name, "log.segment.bytes"));
    TRUE_(text_is(described.synonyms[1].value, "2000000"));
    EQ(described.synonyms[1].source, SETTING_SOURCE_STATIC_BROKER);
    TRUE_(text_is(described.synonyms[2].value, "1073741824"));
    EQ(described.synonyms[2].source, SETTING_SOURCE_DEFAULT);
    EQ(described.read_only, false);

    setting_describe_topic(&source, setting_find(SETTING_TOPIC, STRING("retention.ms")),
                           &described);
    TRUE_(text_is(described.value, "7200000"));
    EQ(described.source, SETTING_SOURCE_STATIC_BROKER);

    setting_describe_topic(&source, setting_find(SETTING_TOPIC, STRING("flush.messages")),
                           &described);
    TRUE_(text_is(described.value, "1"));
    EQ(described.source, SETTING_SOURCE_DEFAULT);
    arena_done(&arena);
    settings_done(&broker);
}

TEST(settings_describe, hides_passwords)
{
    struct settings broker;
    struct sentence sentence;
    struct described_setting described;
    settings_init(&broker);
    EQ(settings_set_pair(&broker, "ssl.key.password=hunter2", &sentence), ERROR_NONE);
    setting_describe_broker(&broker, setting_find(SETTING_BROKER, STRING("ssl.key.password")),
                            &described);
    EQ(described.value.size, -1);
    EQ(described.sensitive, true);
    EQ(described.source, SETTING_SOURCE_STATIC_BROKER);
    EQ(described.synonyms[0].value.size, -1);
    setting_describe_broker(&broker, setting_find(SETTING_BROKER, STRING("node.id")), &described);
    TRUE_(text_is(described.value, "1"));
    EQ(described.source, SETTING_SOURCE_DEFAULT);
    settings_done(&broker);
}

TEST(topic_settings, take_the_first_synonym_that_was_given)
{
    static const struct {
        const char *given[2];
        int64_t segment_ms;
    } cases[] = {
        {{NULL, NULL}, 604800000},
        {{"log.roll.hours=2", NULL}, 7200000},
        {{"log.roll.ms=5", NULL}, 5},
        {{"log.roll.ms=5", "log.roll.hours=2"}, 5},
        {{"log.roll.hours=2147483647", NULL}, INT64_C(7730941129200000)},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        struct settings broker;
        struct sentence sentence;
        settings_init(&broker);
        for (int j = 0; j < 2; j++)
            if (cases[i].given[j])
                EQ(settings_set_pair(&broker, cases[i].given[j], &sentence), ERROR_NONE);
        struct topic_settings topic;
        topic_settings_init(&topic, &broker);
        EQ(topic.segment_ms, cases[i].segment_ms);
        EQ(topic.segment_jitter_ms, 0);
        settings_done(&broker);
    }
}
