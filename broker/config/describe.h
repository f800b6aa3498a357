#pragma once
/* What is told about settings: the whole table as text, and one setting of a broker or a topic with
 * its value, source and synonyms as DescribeConfigs and CreateTopics answer it. Pure. */
#include "base/arena.h"
#include "base/writer.h"
#include "config/settings.h"

/* The numbers are those of DescribeConfigs' config_source. */
enum setting_source {
    SETTING_SOURCE_TOPIC = 1,         /* DYNAMIC_TOPIC_CONFIG */
    SETTING_SOURCE_STATIC_BROKER = 4, /* STATIC_BROKER_CONFIG */
    SETTING_SOURCE_DEFAULT = 5,       /* DEFAULT_CONFIG */
};

struct setting_synonym {
    struct string name, value; /* value null: none, or hidden */
    enum setting_source source;
};

struct described_setting {
    const struct setting *setting;
    struct string value; /* null: none, or hidden, as passwords are */
    enum setting_source source;
    bool read_only, sensitive;
    struct setting_synonym
        synonyms[6]; /* what it would be, the first first; the first is in force */
    int synonym_count;
};

/* A setting that was set for a topic. */
struct setting_pair {
    struct string name, value;
};

/* One row of the broker. Values borrow from `settings`. */
void setting_describe_broker(const struct settings *settings, const struct setting *setting,
                             struct described_setting *ret_described);

/* One row of a topic whose own settings are `pairs`. Values borrow from `settings` and `pairs`;
 * those that are converted (hours to ms) are taken from `arena`. */
struct topic_source {
    const struct settings *broker;
    const struct setting_pair *pairs;
    int32_t pair_count;
    struct arena *arena;
};
void setting_describe_topic(const struct topic_source *source, const struct setting *setting,
                            struct described_setting *ret_described);

/* The table as text, a paragraph a row: name, type, default, range, treatment, what it does. What
 * `bole broker --describe-config` prints. */
void settings_describe(struct writer *writer);
