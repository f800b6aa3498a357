#pragma once
/* The settings of one broker: a typed field for each HONOURED row, named as the row with _ for the
 * dots, and the text of every setting that was given, honoured or not. Pure.
 *
 * Set up with defaults, then file, then the command line; the last one wins. Read-only once the
 * broker runs, so that every core may read it. */
#include "config/setting.h"

struct settings {
#define SETTINGS_C_BOOLEAN           bool
#define SETTINGS_C_INT               int32_t
#define SETTINGS_C_SHORT             int16_t
#define SETTINGS_C_LONG              int64_t
#define SETTINGS_C_DOUBLE            double
#define SETTINGS_C_CHOICE            int32_t
#define SETTINGS_C_SET               int32_t
#define SETTINGS_C_STRING            char * /* owned; null where the setting has no value */
#define SETTINGS_C_LIST              char *
#define SETTINGS_C_CLASS             char *
#define SETTINGS_C_PASSWORD          char *
#define FIELD_OF_BROKER(field, type) SETTINGS_C_##type field;
#define FIELD_OF_TOPIC(field, type)
#define HONOURED(scope, field, type, ...) FIELD_OF_##scope(field, type)
#define IGNORED(...)
#define REFUSED(...)
#include "config/settings.def"
#undef FIELD_OF_BROKER
#undef FIELD_OF_TOPIC
#undef HONOURED
#undef IGNORED
#undef REFUSED
    char *given[SETTING_COUNT]; /* by row of setting_table, owned; null: not given */
};

/* The choices of reactor.port, in the order of its row. */
enum reactor_port { REACTOR_PORT_AUTO, REACTOR_PORT_URING, REACTOR_PORT_EPOLL };

/* Every setting at its default. */
void settings_init(struct settings *settings);

/* Frees what it owns. */
void settings_done(struct settings *settings);

/* Sets one by its text. On failure nothing changes, the error is INVALID_CONFIG and the sentence
 * names the setting, the value, what is valid or why it is refused, or the nearest known name. */
enum error settings_set(struct settings *settings, struct string name, struct string value,
                        struct sentence *sentence);

/* As settings_set, from "key=value" as it stands after -X. */
enum error settings_set_pair(struct settings *settings, const char *pair,
                             struct sentence *sentence);

/* Sets everything of a properties file (properties.h). The sentence begins with the line. What came
 * before a failing line stays set. */
enum error settings_load(struct settings *settings, const char *text, size_t size,
                         struct sentence *sentence);

/* The largest batch, in bytes, that any journal of this size can take. */
int64_t settings_largest_batch(const struct settings *settings);

/* Is a limit on batches, by the name of its setting, no larger than that? INVALID_CONFIG with a
 * sentence. */
enum error settings_check_batch(const struct settings *settings, const char *name, int64_t value,
                                struct sentence *sentence);

/* What must hold between settings, and what their texts must parse to (listeners). Call it once all
 * are set; the sentence says the first thing that is wrong. */
enum error settings_check(const struct settings *settings, struct sentence *sentence);

/* The node's id: node.id, or broker.id where only that was given. */
int32_t settings_node_id(const struct settings *settings);

/* The list of log directories: log.dirs, or log.dir. Walk it with list_next_entry. */
struct string settings_log_dirs(const struct settings *settings);

/* How many it names. */
int32_t settings_log_dirs_count(const struct settings *settings);

/* The text of a row's value: as given, else the default; null where there is neither. */
struct string settings_text(const struct settings *settings, const struct setting *setting);

/* Walks the rows that were given and have no effect: start with *position 0; null at the end. For
 * one warning line at the start. */
const struct setting *settings_next_ignored(const struct settings *settings, int *position);

/* Stores a parsed value in the field at the row's offset of `base` (struct settings or struct
 * topic_settings). Texts are copied; the old one is freed. `value` null: a text field becomes null.
 */
void setting_store(const struct setting *setting, void *base, const union setting_value *value);
