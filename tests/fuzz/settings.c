/* Texts that configure: one byte chooses. A properties file of the broker with all that must hold
 * between its settings (listeners among it), the settings of a topic, an endpoint, host and port.
 * Each is taken, or refused with a sentence; what was taken is set again from its own text. */
#include "fuzz/fuzz.h"
#include "base/memory.h"
#include "config/listeners.h"
#include "config/properties.h"
#include "config/topic_settings.h"
#include "host_port.h"

enum { FILE_OF_BROKER, SETTINGS_OF_TOPIC, ENDPOINT, HOST_PORT, CHOICES };

static void check_said(enum error error, const struct sentence *sentence)
{
    check(error == ERROR_NONE || error == ERROR_INVALID_CONFIG);
    check(error == ERROR_NONE || sentence->text[0]);
    check(memchr(sentence->text, 0, sizeof sentence->text));
}

static void try_file(struct bytes text)
{
    struct settings settings;
    struct sentence sentence = {""};
    struct listeners listeners;
    settings_init(&settings);
    enum error error =
        settings_load(&settings, (const char *)text.data, (size_t)text.size, &sentence);
    check_said(error, &sentence);
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (!settings.given[i])
            continue;
        char *copy = memory_zeroed(strlen(settings.given[i]) + 1);
        memcpy(copy, settings.given[i], strlen(settings.given[i]));
        check(settings_set(&settings, string_of(setting_table[i].name), string_of(copy),
                           &sentence) == ERROR_NONE);
        memory_free(copy);
    }
    sentence = (struct sentence){""};
    error = settings_check(&settings, &sentence);
    check_said(error, &sentence);
    if (error == ERROR_NONE) {
        check(listeners_parse(&settings, &listeners, &sentence) == ERROR_NONE);
        check(listeners.count > 0 && listeners.count <= LISTENERS_MAX);
    }
    settings_done(&settings);
}

static void try_topic(struct bytes text)
{
    struct settings settings;
    struct topic_settings topic;
    struct properties properties;
    struct property property;
    settings_init(&settings);
    topic_settings_init(&topic, &settings);
    properties_init(&properties, (const char *)text.data, (size_t)text.size);
    while (properties_next(&properties, &property)) {
        struct sentence sentence = {""};
        struct topic_settings before = topic;
        enum error error =
            topic_settings_set(&topic, &settings, property.name, property.value, &sentence);
        check_said(error, &sentence);
        check(error == ERROR_NONE || memcmp(&before, &topic, sizeof topic) == 0);
    }
    properties_done(&properties);
    settings_done(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    uint8_t choice = input_u8(&input) % CHOICES;
    struct bytes rest = input_rest(&input);
    char host[LISTENER_HOST_BYTES], text_again[HOST_PORT_BYTES];
    uint16_t port;
    struct host_port address, again;
    if (choice == FILE_OF_BROKER) {
        try_file(rest);
    } else if (choice == SETTINGS_OF_TOPIC) {
        try_topic(rest);
    } else if (choice == ENDPOINT) {
        struct string text = {(const char *)rest.data, rest.size};
        if (endpoint_parse(text, host, &port) == ERROR_NONE)
            check(memchr(host, 0, sizeof host));
    } else {
        char *text = memory_zeroed((size_t)rest.size + 1);
        if (rest.size > 0)
            memcpy(text, rest.data, (size_t)rest.size);
        if (host_port_parse(text, 9092, &address)) {
            host_port_format(&address, text_again);
            check(host_port_parse(text_again, 1, &again));
            check(again.port == address.port && strcmp(again.host, address.host) == 0);
        }
        memory_free(text);
    }
    return 0;
}
