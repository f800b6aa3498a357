#include "config/settings.h"
#include "base/check.h"
#include "base/memory.h"
#include "config/listeners.h"
#include "config/properties.h"
#include "config/topic_settings.h"

static char *copy_text(struct string text)
{
    char *copy = memory_zeroed((size_t)text.size + 1);
    if (text.size)
        memcpy(copy, text.data, (size_t)text.size);
    return copy;
}

void setting_store(const struct setting *setting, void *base, const union setting_value *value)
{
    check(setting->offset >= 0);
    void *field = (char *)base + setting->offset;
    switch (setting->type) {
    case SETTING_BOOLEAN:
        *(bool *)field = value->boolean;
        break;
    case SETTING_SHORT:
        *(int16_t *)field = value->i16;
        break;
    case SETTING_INT:
    case SETTING_CHOICE:
    case SETTING_SET:
        *(int32_t *)field = value->i32;
        break;
    case SETTING_LONG:
        *(int64_t *)field = value->i64;
        break;
    case SETTING_DOUBLE:
        *(double *)field = value->real;
        break;
    default:
        memory_free(*(char **)field);
        *(char **)field = value ? copy_text(value->text) : NULL;
    }
}

void settings_init(struct settings *settings)
{
    *settings = (struct settings){0};
    for (int i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        if (setting->scope != SETTING_BROKER || setting->offset < 0 || !setting->default_text)
            continue;
        union setting_value value;
        struct sentence sentence;
        check(setting_parse(setting, string_of(setting->default_text), &value, &sentence) ==
              ERROR_NONE);
        setting_store(setting, settings, &value);
    }
}

void settings_done(struct settings *settings)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_table[i];
        if (setting->scope == SETTING_BROKER && setting->offset >= 0 && setting_is_text(setting))
            memory_free(*(char **)((char *)settings + setting->offset));
        memory_free(settings->given[i]);
    }
    *settings = (struct settings){0};
}

enum error settings_set(struct settings *settings, struct string name, struct string value,
                        struct sentence *sentence)
{
    const struct setting *setting = setting_find(SETTING_BROKER, name);
    if (!setting)
        return setting_unknown(SETTING_BROKER, name, sentence);
    union setting_value parsed;
    enum error error = setting_accept(setting, value, &parsed, sentence);
    if (error)
        return error;
    if (setting->offset >= 0)
        setting_store(setting, settings, &parsed);
    char **given = &settings->given[setting - setting_table];
    memory_free(*given);
    *given = copy_text(string_trimmed(value));
    return ERROR_NONE;
}

enum error settings_set_pair(struct settings *settings, const char *pair, struct sentence *sentence)
{
    const char *equals = strchr(pair, '=');
    if (!equals)
        return sentence_say(sentence, ERROR_INVALID_CONFIG, "%.100s: must be key=value", pair);
    struct string name = string_trimmed((struct string){pair, (int32_t)(equals - pair)});
    return settings_set(settings, name, string_of(equals + 1), sentence);
}

enum error settings_load(struct settings *settings, const char *text, size_t size,
                         struct sentence *sentence)
{
    struct properties properties;
    struct property property;
    properties_init(&properties, text, size);
    enum error error = ERROR_NONE;
    struct sentence inner;
    while (!error && properties_next(&properties, &property))
        error = settings_set(settings, property.name, property.value, &inner);
    if (error)
        sentence_say(sentence, error, "line %d: %.480s", property.line, inner.text);
    else if ((error = properties.error))
        sentence_say(sentence, error, "line %d: malformed \\uXXXX escape", properties.line);
    properties_done(&properties);
    return error ? ERROR_INVALID_CONFIG : ERROR_NONE;
}

static bool was_given(const struct settings *settings, const char *name)
{
    const struct setting *setting = setting_find(SETTING_BROKER, string_of(name));
    check(setting != NULL);
    return settings->given[setting - setting_table] != NULL;
}

int32_t settings_node_id(const struct settings *settings)
{
    bool old_name_only = !was_given(settings, "node.id") && settings->broker_id >= 0;
    return old_name_only ? settings->broker_id : settings->node_id;
}

struct string settings_log_dirs(const struct settings *settings)
{
    return string_of(settings->log_dirs ? settings->log_dirs : settings->log_dir);
}

struct string settings_text(const struct settings *settings, const struct setting *setting)
{
    const char *given = settings->given[setting - setting_table];
    return string_of(given ? given : setting->default_text);
}

const struct setting *settings_next_ignored(const struct settings *settings, int *position)
{
    while (*position < SETTING_COUNT) {
        int row = (*position)++;
        if (settings->given[row] && setting_table[row].treatment == SETTING_IGNORED)
            return &setting_table[row];
    }
    return NULL;
}

static int count_entries(const char *list)
{
    struct string rest = string_of(list), entry;
    int count = 0;
    while (list_next_entry(&rest, &entry))
        count++;
    return count;
}

static enum error check_roles(const struct settings *settings, struct sentence *sentence)
{
    if (!strstr(settings->process_roles, "broker") ||
        !strstr(settings->process_roles, "controller"))
        return sentence_say(sentence, ERROR_INVALID_CONFIG,
                            "process.roles=%.100s: must be broker,controller: a node of one role "
                            "needs a quorum, which is not built yet",
                            settings->process_roles);
    if (count_entries(settings->controller_quorum_voters) > 1)
        return sentence_say(sentence, ERROR_INVALID_CONFIG,
                            "controller.quorum.voters=%.200s: more than one voter is not built yet",
                            settings->controller_quorum_voters);
    if (count_entries(settings->controller_quorum_bootstrap_servers) > 1)
        return sentence_say(sentence, ERROR_INVALID_CONFIG,
                            "controller.quorum.bootstrap.servers=%.200s: more than one controller "
                            "is not built yet",
                            settings->controller_quorum_bootstrap_servers);
    if (was_given(settings, "broker.id") && was_given(settings, "node.id") &&
        settings->broker_id != settings->node_id)
        return sentence_say(sentence, ERROR_INVALID_CONFIG,
                            "broker.id=%d and node.id=%d must be equal where both are set",
                            settings->broker_id, settings->node_id);
    if (was_given(settings, "broker.id") && settings->broker_id < 0)
        return sentence_say(sentence, ERROR_INVALID_CONFIG,
                            "broker.id=%d: must be 0 or more: ids are not generated",
                            settings->broker_id);
    if (settings_log_dirs_count(settings) < 1)
        return sentence_say(sentence, ERROR_INVALID_CONFIG, "log.dirs: names no directory");
    return ERROR_NONE;
}

/* What a batch takes of its quarter of the journal beyond its own bytes (journal_largest of
 * storage): headers, the rest of a sector, and the anchors' share, which the ring does not have. */
enum { JOURNAL_REST_BYTES = 8192 };

int64_t settings_largest_batch(const struct settings *settings)
{
    return settings->journal_bytes / 4 - JOURNAL_REST_BYTES;
}

int32_t settings_log_dirs_count(const struct settings *settings)
{
    return count_entries(settings_log_dirs(settings).data);
}

enum error settings_check_batch(const struct settings *settings, const char *name, int64_t value,
                                struct sentence *sentence)
{
    int64_t most = settings_largest_batch(settings);
    if (value <= most)
        return ERROR_NONE;
    return sentence_say(sentence, ERROR_INVALID_CONFIG,
                        "%s=%lld: must be at most journal.bytes / 4 - %d, which is %lld", name,
                        (long long)value, JOURNAL_REST_BYTES, (long long)most);
}

/* a <= b, or the sentence: "a=9 must be at most b / divisor = 4". */
struct at_most {
    const char *name;
    int64_t value;
    const char *limit_name;
    int64_t limit, divisor;
};

static enum error check_sizes(const struct settings *settings, struct sentence *sentence)
{
    const struct settings *s = settings;
    const struct at_most rows[] = {
        {"message.max.bytes", s->message_max_bytes, "socket.request.max.bytes",
         s->socket_request_max_bytes, 1},
        {"journal.initial.bytes", s->journal_initial_bytes, "journal.bytes", s->journal_bytes, 1},
        {"journal.block.bytes", s->journal_block_bytes, "journal.initial.bytes",
         s->journal_initial_bytes, 4},
        {"drain.bytes", s->drain_bytes, "journal.bytes", s->journal_bytes, 4},
    };
    for (int i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct at_most *row = &rows[i];
        if (row->value <= row->limit / row->divisor)
            continue;
        return sentence_say(sentence, ERROR_INVALID_CONFIG,
                            "%s=%lld: must be at most %s / %lld, which is %lld", row->name,
                            (long long)row->value, row->limit_name, (long long)row->divisor,
                            (long long)(row->limit / row->divisor));
    }
    return ERROR_NONE;
}

enum error settings_check(const struct settings *settings, struct sentence *sentence)
{
    enum error error = check_roles(settings, sentence);
    if (!error)
        error = settings_check_batch(settings, "message.max.bytes", settings->message_max_bytes,
                                     sentence);
    if (!error)
        error = check_sizes(settings, sentence);
    if (error)
        return error;
    char host[LISTENER_HOST_BYTES];
    uint16_t port;
    if (settings->metrics_listener &&
        endpoint_parse(string_of(settings->metrics_listener), host, &port) != ERROR_NONE)
        return sentence_say(sentence, ERROR_INVALID_CONFIG,
                            "metrics.listener=%.200s: must be host:port",
                            settings->metrics_listener);
    struct listeners listeners;
    return listeners_parse(settings, &listeners, sentence);
}
