#include "config/listeners.h"
#include "support/test.h"
#include <stdio.h>

/* Parses the two settings; prints each listener as NAME host:port advertised_host:port role. */
static struct sentence parsed(const char *listening, const char *advertised, const char *map)
{
    struct settings settings;
    struct sentence sentence = {""};
    settings_init(&settings);
    EQ(settings_set(&settings, STRING("listeners"), string_of(listening), &sentence), ERROR_NONE);
    if (advertised)
        EQ(settings_set(&settings, STRING("advertised.listeners"), string_of(advertised),
                        &sentence),
           ERROR_NONE);
    if (map)
        EQ(settings_set(&settings, STRING("listener.security.protocol.map"), string_of(map),
                        &sentence),
           ERROR_NONE);
    struct listeners listeners;
    if (listeners_parse(&settings, &listeners, &sentence) == ERROR_NONE) {
        size_t used = 0;
        for (int i = 0; i < listeners.count; i++) {
            const struct listener *l = &listeners.items[i];
            used += (size_t)snprintf(sentence.text + used, sizeof sentence.text - used,
                                     "%s <%s> %d <%s> %d%s;", l->name, l->host, l->port,
                                     l->advertised_host, l->advertised_port,
                                     l->is_controller ? " controller" : "");
        }
    }
    settings_done(&settings);
    return sentence;
}

TEST(listeners, are_parsed)
{
    static const struct {
        const char *listening, *advertised, *map, *want;
    } cases[] = {
        {"PLAINTEXT://:9092", NULL, NULL, "PLAINTEXT <> 9092 <> 0;"},
        {"plaintext://10.0.0.1:0", NULL, NULL, "PLAINTEXT <10.0.0.1> 0 <> 0;"},
        {"PLAINTEXT://[::1]:9092", "PLAINTEXT://[fe80::2]:1", NULL,
         "PLAINTEXT <::1> 9092 <fe80::2> 1;"},
        {"PLAINTEXT://:9092, CONTROLLER://:9093",
         "PLAINTEXT://k.example:19092,CONTROLLER://k.example:9093", NULL,
         "PLAINTEXT <> 9092 <k.example> 19092;CONTROLLER <> 9093 <k.example> 9093 controller;"},
        {"IN://:1,OUT://:2", NULL, "IN:PLAINTEXT,OUT:PLAINTEXT", "IN <> 1 <> 0;OUT <> 2 <> 0;"},
        {"IN://:1", NULL, NULL,
         "listeners: IN has no security protocol; name it in listener.security.protocol.map"},
        {"PLAINTEXT://:1,SASL_SSL://:2", NULL, NULL,
         "listeners: SASL_SSL asks for SASL_SSL, and TLS and SASL are not built yet; only "
         "PLAINTEXT is"},
        {"IN://:1", NULL, "IN:SSL",
         "listeners: IN asks for SSL, and TLS and SASL are not built yet; only PLAINTEXT is"},
        {"PLAINTEXT://:1,PLAINTEXT://:2", NULL, NULL, "listeners: PLAINTEXT is named twice"},
        {"A://:1,B://:1", NULL, "A:PLAINTEXT,B:PLAINTEXT",
         "listeners: A and B have the same address and port 1"},
        {"", NULL, NULL, "listeners: none is for clients"},
        {"CONTROLLER://:1", NULL, NULL, "listeners: none is for clients"},
        {"PLAINTEXT:9092", NULL, NULL, "listeners: PLAINTEXT:9092: must be NAME://host:port"},
        {"PLAINTEXT://", NULL, NULL, "listeners: PLAINTEXT://: must be NAME://host:port"},
        {"PLAINTEXT://a", NULL, NULL, "listeners: PLAINTEXT://a: must be NAME://host:port"},
        {"PLAINTEXT://a:", NULL, NULL, "listeners: PLAINTEXT://a:: must be NAME://host:port"},
        {"PLAINTEXT://a:65536", NULL, NULL,
         "listeners: PLAINTEXT://a:65536: must be NAME://host:port"},
        {"PLAINTEXT://a:-1", NULL, NULL, "listeners: PLAINTEXT://a:-1: must be NAME://host:port"},
        {"PLAINTEXT://::1:9092", NULL, NULL,
         "listeners: PLAINTEXT://::1:9092: must be NAME://host:port"},
        {"://a:1", NULL, NULL, "listeners: ://a:1: must be NAME://host:port"},
        {"PLAINTEXT://:9092", "PLAINTEXT://:9092", NULL,
         "advertised.listeners: PLAINTEXT://:9092: needs an address that clients can connect to"},
        {"PLAINTEXT://:9092", "PLAINTEXT://0.0.0.0:9092", NULL,
         "advertised.listeners: PLAINTEXT://0.0.0.0:9092: needs an address that clients can "
         "connect to"},
        {"PLAINTEXT://:9092", "OUT://h:1", NULL, "advertised.listeners: OUT is not in listeners"},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++)
        EQ_TEXT(parsed(cases[i].listening, cases[i].advertised, cases[i].map).text, cases[i].want);
}
