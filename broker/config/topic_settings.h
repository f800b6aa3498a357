#pragma once
/* The settings of one topic: a field for each HONOURED row of that scope. Plain values, owning
 * nothing, so they may be copied. Pure. */
#include "config/setting.h"

struct settings;

/* The choices of compression.type and message.timestamp.type, in the order of their rows. */
enum compression_type {
    COMPRESSION_UNCOMPRESSED,
    COMPRESSION_ZSTD,
    COMPRESSION_LZ4,
    COMPRESSION_SNAPPY,
    COMPRESSION_GZIP,
    COMPRESSION_PRODUCER,
};
/* The bits of cleanup.policy. */
enum cleanup_policy { CLEANUP_COMPACT = 1, CLEANUP_DELETE = 2 };
enum timestamp_type { TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME };

struct topic_settings {
#define TOPIC_C_BOOLEAN bool
#define TOPIC_C_INT     int32_t
#define TOPIC_C_LONG    int64_t
#define TOPIC_C_DOUBLE  double
#define TOPIC_C_CHOICE  int32_t
#define TOPIC_C_SET     int32_t
#define FIELD_OF_BROKER(field, type)
#define FIELD_OF_TOPIC(field, type)       TOPIC_C_##type field;
#define HONOURED(scope, field, type, ...) FIELD_OF_##scope(field, type)
#define IGNORED(...)
#define REFUSED(...)
#include "config/settings.def"
#undef FIELD_OF_BROKER
#undef FIELD_OF_TOPIC
#undef HONOURED
#undef IGNORED
#undef REFUSED
};

/* What a topic without settings of its own has: the fields of the broker's synonyms. */
void topic_settings_init(struct topic_settings *topic, const struct settings *broker);

/* Sets one by its text; null as value sets it back to the broker's. On failure nothing changes, the
 * error is INVALID_CONFIG and the sentence is for the client. */
enum error topic_settings_set(struct topic_settings *topic, const struct settings *broker,
                              struct string name, struct string value, struct sentence *sentence);
