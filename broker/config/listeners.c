#include "config/listeners.h"
#include <stdio.h>

enum error endpoint_parse(struct string text, char ret_host[LISTENER_HOST_BYTES],
                          uint16_t *ret_port)
{
    int32_t colon = text.size - 1;
    while (colon >= 0 && text.data[colon] != ':')
        colon--;
    if (colon < 0 || text.size - colon - 1 < 1 || text.size - colon - 1 > 5)
        return ERROR_INVALID_CONFIG;
    int port = 0;
    for (int32_t i = colon + 1; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return ERROR_INVALID_CONFIG;
        port = port * 10 + (text.data[i] - '0');
    }
    struct string host = {text.data, colon};
    bool bracketed = host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
    if (bracketed)
        host = (struct string){host.data + 1, host.size - 2};
    bool address_needs_brackets = !bracketed && memchr(host.data, ':', (size_t)host.size);
    if (port > 65535 || host.size >= LISTENER_HOST_BYTES || address_needs_brackets ||
        (bracketed && host.size == 0))
        return ERROR_INVALID_CONFIG;
    for (int32_t i = 0; i < host.size; i++) {
        if (host.data[i] <= ' ' || host.data[i] == '/' || host.data[i] == '[' ||
            host.data[i] == ']')
            return ERROR_INVALID_CONFIG;
    }
    memcpy(ret_host, host.data, (size_t)host.size);
    ret_host[host.size] = 0;
    *ret_port = (uint16_t)port;
    return ERROR_NONE;
}

/* NAME://host:port into the listening half of `ret_listener`. */
static enum error parse_one(struct string text, struct listener *ret_listener)
{
    int32_t at = 0;
    while (at + 3 <= text.size && memcmp(text.data + at, "://", 3) != 0)
        at++;
    if (at + 3 > text.size || at == 0 || at >= LISTENER_NAME_BYTES)
        return ERROR_INVALID_CONFIG;
    *ret_listener = (struct listener){0};
    for (int32_t i = 0; i < at; i++) {
        char c = text.data[i];
        ret_listener->name[i] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    }
    struct string endpoint = {text.data + at + 3, text.size - at - 3};
    return endpoint_parse(endpoint, ret_listener->host, &ret_listener->port);
}

static struct listener *find(struct listeners *listeners, const char *name)
{
    for (int i = 0; i < listeners->count; i++) {
        if (strcmp(listeners->items[i].name, name) == 0)
            return &listeners->items[i];
    }
    return NULL;
}

/* The security protocol that listener.security.protocol.map gives the name; size -1: none. */
static struct string mapped_protocol(const struct settings *settings, const char *name)
{
    struct string rest = string_of(settings->listener_security_protocol_map), entry;
    while (list_next_entry(&rest, &entry)) {
        const char *colon = entry.size > 0 ? memchr(entry.data, ':', (size_t)entry.size) : NULL;
        if (!colon)
            continue;
        struct string key = {entry.data, (int32_t)(colon - entry.data)};
        if (string_equal_ignoring_case(string_trimmed(key), name))
            return string_trimmed(
                (struct string){colon + 1, entry.size - (int32_t)(colon + 1 - entry.data)});
    }
    return STRING_NULL;
}

static bool is_controller_name(const struct settings *settings, const char *name)
{
    struct string rest = string_of(settings->controller_listener_names), entry;
    while (list_next_entry(&rest, &entry)) {
        if (string_equal_ignoring_case(entry, name))
            return true;
    }
    return false;
}

static enum error check_protocol(const struct settings *settings, const struct listener *listener,
                                 struct sentence *sentence)
{
    struct string protocol = mapped_protocol(settings, listener->name);
    if (protocol.size < 0) {
        if (listener->is_controller) /* as Kafka, PLAINTEXT unless it is mapped */
            return ERROR_NONE;
        return sentence_say(sentence, ERROR_INVALID_CONFIG,
                            "listeners: %s has no security protocol; name it in "
                            "listener.security.protocol.map",
                            listener->name);
    }
    if (string_equal_ignoring_case(protocol, "PLAINTEXT") || listener->is_controller)
        return ERROR_NONE;
    return sentence_say(sentence, ERROR_INVALID_CONFIG,
                        "listeners: %s asks for %.*s, and TLS and SASL are not built yet; only "
                        "PLAINTEXT is",
                        listener->name, (int)(protocol.size < 40 ? protocol.size : 40),
                        protocol.data);
}

static enum error check_twins(struct listeners *listeners, const struct listener *listener,
                              struct sentence *sentence)
{
    if (find(listeners, listener->name))
        return sentence_say(sentence, ERROR_INVALID_CONFIG, "listeners: %s is named twice",
                            listener->name);
    for (int i = 0; i < listeners->count; i++) {
        const struct listener *other = &listeners->items[i];
        if (other->port == listener->port && listener->port != 0 &&
            strcmp(other->host, listener->host) == 0)
            return sentence_say(sentence, ERROR_INVALID_CONFIG,
                                "listeners: %s and %s have the same address and port %d",
                                other->name, listener->name, listener->port);
    }
    return ERROR_NONE;
}

static enum error parse_listening(const struct settings *settings, struct listeners *listeners,
                                  struct sentence *sentence)
{
    struct string rest = string_of(settings->listeners), entry;
    int for_clients = 0;
    while (list_next_entry(&rest, &entry)) {
        struct listener listener;
        if (parse_one(entry, &listener) != ERROR_NONE)
            return sentence_say(sentence, ERROR_INVALID_CONFIG,
                                "listeners: %.*s: must be NAME://host:port",
                                (int)(entry.size < 100 ? entry.size : 100), entry.data);
        listener.is_controller = is_controller_name(settings, listener.name);
        enum error error = check_protocol(settings, &listener, sentence);
        if (!error)
            error = check_twins(listeners, &listener, sentence);
        if (error)
            return error;
        if (listeners->count == LISTENERS_MAX)
            return sentence_say(sentence, ERROR_INVALID_CONFIG, "listeners: at most %d",
                                LISTENERS_MAX);
        listeners->items[listeners->count++] = listener;
        for_clients += !listener.is_controller;
    }
    if (for_clients == 0)
        return sentence_say(sentence, ERROR_INVALID_CONFIG, "listeners: none is for clients");
    return ERROR_NONE;
}

static enum error parse_advertised(const struct settings *settings, struct listeners *listeners,
                                   struct sentence *sentence)
{
    struct string rest = string_of(settings->advertised_listeners), entry;
    while (list_next_entry(&rest, &entry)) {
        struct listener advertised;
        int size = entry.size < 100 ? (int)entry.size : 100;
        if (parse_one(entry, &advertised) != ERROR_NONE)
            return sentence_say(sentence, ERROR_INVALID_CONFIG,
                                "advertised.listeners: %.*s: must be NAME://host:port", size,
                                entry.data);
        struct listener *listener = find(listeners, advertised.name);
        if (!listener && is_controller_name(settings, advertised.name))
            continue;
        if (!listener)
            return sentence_say(sentence, ERROR_INVALID_CONFIG,
                                "advertised.listeners: %s is not in listeners", advertised.name);
        if (advertised.host[0] == 0 || strcmp(advertised.host, "0.0.0.0") == 0 ||
            strcmp(advertised.host, "::") == 0)
            return sentence_say(sentence, ERROR_INVALID_CONFIG,
                                "advertised.listeners: %.*s: needs an address that clients can "
                                "connect to",
                                size, entry.data);
        memcpy(listener->advertised_host, advertised.host, sizeof advertised.host);
        listener->advertised_port = advertised.port;
    }
    return ERROR_NONE;
}

enum error listeners_parse(const struct settings *settings, struct listeners *ret_listeners,
                           struct sentence *sentence)
{
    *ret_listeners = (struct listeners){0};
    enum error error = parse_listening(settings, ret_listeners, sentence);
    return error ? error : parse_advertised(settings, ret_listeners, sentence);
}
