#include "config/settings.h"
#include "base/random.h"
#include "config/describe.h"
#include "config/properties.h"
#include "config/topic_settings.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

/* Sets "key=value" on fresh settings and returns the sentence; "" when it was accepted. */
static struct sentence set(const char *pair)
{
    struct settings settings;
    struct sentence sentence = {""};
    settings_init(&settings);
    enum error error = settings_set_pair(&settings, pair, &sentence);
    EQ(error, sentence.text[0] ? ERROR_INVALID_CONFIG : ERROR_NONE);
    settings_done(&settings);
    return sentence;
}

TEST(settings, say_what_is_wrong)
{
    EQ_TEXT(set("num.partitions=3").text, "");
    EQ_TEXT(set("num.partition=3").text,
            "num.partition: no such setting; did you mean num.partitions?");
    EQ_TEXT(set("listener=PLAINTEXT://:1").text,
            "listener: no such setting; did you mean listeners?");
    EQ_TEXT(set("zzzzzzzzzzzzzzzzzzzzzzzzzz=3").text,
            "zzzzzzzzzzzzzzzzzzzzzzzzzz: no such setting");
    EQ_TEXT(set("num.partitions").text, "num.partitions: must be key=value");
    EQ_TEXT(set("num.partitions=0").text,
            "num.partitions=0: must be a whole number of 32 bits of [1,...]");
    EQ_TEXT(set("journal.bytes=65535").text,
            "journal.bytes=65535: must be a whole number of 64 bits of [65536,...,68719476736]");
    EQ_TEXT(set("reactor.port=kqueue").text,
            "reactor.port=kqueue: must be one of [auto, uring, epoll]");
    EQ_TEXT(set("log.cleanup.policy=compact").text, "");
    EQ_TEXT(set("log.cleanup.policy=compacted").text,
            "log.cleanup.policy=compacted: must be a comma separated list of [compact, delete]");
    EQ_TEXT(set("authorizer.class.name=kafka.Acl").text,
            "authorizer.class.name=kafka.Acl: refused, since access lists are not built yet, and a "
            "broker must not be open where it is told to be guarded");
    EQ_TEXT(set("ssl.keystore.password=hunter2").text, "");
    EQ_TEXT(set("delegation.token.secret.key=hunter2").text,
            "delegation.token.secret.key=(hidden): refused, since delegation tokens are not built "
            "yet");
}

TEST(settings, begin_with_the_defaults)
{
    struct settings settings;
    struct sentence sentence = {""};
    settings_init(&settings);
    EQ(settings.journal_bytes, 64 << 20);
    EQ(settings.journal_initial_bytes, 4 << 20);
    EQ(settings.log_message_timestamp_after_max_ms, 3600000);
    EQ(settings.message_max_bytes, 1048588);
    EQ(settings.reactor_port, REACTOR_PORT_AUTO);
    EQ(settings.compression_type, COMPRESSION_PRODUCER);
    EQ(settings.auto_create_topics_enable, true);
    EQ_TEXT(settings.listeners, "PLAINTEXT://:9092");
    TRUE_(settings.advertised_listeners == NULL);
    EQ(settings_check(&settings, &sentence), ERROR_NONE);
    EQ_TEXT(sentence.text, "");
    settings_done(&settings);
}

/* Sets all pairs and returns what settings_check says. */
static struct sentence checked(const char *const *pairs)
{
    struct settings settings;
    struct sentence sentence = {""};
    settings_init(&settings);
    for (; *pairs; pairs++)
        EQ(settings_set_pair(&settings, *pairs, &sentence), ERROR_NONE);
    enum error error = settings_check(&settings, &sentence);
    EQ(error, sentence.text[0] ? ERROR_INVALID_CONFIG : ERROR_NONE);
    settings_done(&settings);
    return sentence;
}
#define CHECKED(...) checked((const char *const[]){__VA_ARGS__, NULL}).text

TEST(settings, are_checked_against_each_other)
{
    EQ_TEXT(CHECKED("message.max.bytes=16769024"), "");
    EQ_TEXT(CHECKED("message.max.bytes=16769025"),
            "message.max.bytes=16769025: must be at most journal.bytes / 4 - 8192, which is "
            "16769024");
    EQ_TEXT(CHECKED("socket.request.max.bytes=1000"),
            "message.max.bytes=1048588: must be at most socket.request.max.bytes / 1, which is "
            "1000");
    EQ_TEXT(CHECKED("journal.initial.bytes=134217728"),
            "journal.initial.bytes=134217728: must be at most journal.bytes / 1, which is "
            "67108864");
    EQ_TEXT(CHECKED("journal.initial.bytes=65536"),
            "journal.block.bytes=1048576: must be at most journal.initial.bytes / 4, which is "
            "16384");
    EQ_TEXT(CHECKED("journal.bytes=65536", "journal.initial.bytes=65536",
                    "journal.block.bytes=16384", "message.max.bytes=8192", "drain.bytes=16384"),
            "");
    EQ_TEXT(CHECKED("process.roles=broker"),
            "process.roles=broker: must be broker,controller: a node of one role needs a quorum, "
            "which is not built yet");
    EQ_TEXT(CHECKED("controller.quorum.voters=1@a:1,2@b:1"),
            "controller.quorum.voters=1@a:1,2@b:1: more than one voter is not built yet");
    EQ_TEXT(CHECKED("node.id=3", "broker.id=4"),
            "broker.id=4 and node.id=3 must be equal where both are set");
    EQ_TEXT(CHECKED("log.dirs="), "log.dirs: names no directory");
    EQ_TEXT(CHECKED("compression.type=zstd"), "");
    EQ_TEXT(CHECKED("metrics.listener=[::1]:9644"), "");
    EQ_TEXT(CHECKED("metrics.listener=9644"), "metrics.listener=9644: must be host:port");
    EQ_TEXT(CHECKED("listeners=SSL://:9093"),
            "listeners: SSL asks for SSL, and TLS and SASL are not built yet; only PLAINTEXT is");
}

/* The server.properties that Kafka ships for a single node must just work. */
TEST(settings, take_the_file_that_kafka_ships)
{
    static const char file[] =
        "# The role of this server. Setting this puts us in KRaft mode\n"
        "process.roles=broker,controller\n"
        "node.id=1\n"
        "controller.quorum.bootstrap.servers=localhost:9093\n"
        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
        "inter.broker.listener.name=PLAINTEXT\n"
        "advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n"
        "controller.listener.names=CONTROLLER\n"
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,"
        "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n"
        "num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\n"
        "socket.receive.buffer.bytes=102400\nsocket.request.max.bytes=104857600\n"
        "log.dirs=/tmp/kraft-combined-logs\nnum.partitions=1\n"
        "num.recovery.threads.per.data.dir=1\noffsets.topic.replication.factor=1\n"
        "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
        "#log.flush.interval.messages=10000\nlog.retention.hours=168\n"
        "log.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n";
    struct settings settings;
    struct sentence sentence = {""};
    settings_init(&settings);
    EQ(settings_load(&settings, file, sizeof file - 1, &sentence), ERROR_NONE);
    EQ(settings_check(&settings, &sentence), ERROR_NONE);
    EQ_TEXT(sentence.text, "");
    EQ_TEXT(settings.log_dirs, "/tmp/kraft-combined-logs");
    int position = 0, ignored = 0;
    while (settings_next_ignored(&settings, &position))
        ignored++;
    EQ(ignored, 9);
    EQ(settings_set_pair(&settings, "num.partitions=9", &sentence), ERROR_NONE);
    EQ(settings.num_partitions, 9);
    settings_done(&settings);
}

TEST(settings, name_the_line_of_a_failure)
{
    struct settings settings;
    struct sentence sentence = {""};
    settings_init(&settings);
    static const char file[] = "# first\nnum.partitions=2\n\nnum.partitions=\\\n  none\n";
    EQ(settings_load(&settings, file, sizeof file - 1, &sentence), ERROR_INVALID_CONFIG);
    EQ_TEXT(sentence.text,
            "line 4: num.partitions=none: must be a whole number of 32 bits of [1,...]");
    EQ(settings.num_partitions, 2);
    static const char broken[] = "a=b\\u12x4";
    EQ(settings_load(&settings, broken, sizeof broken - 1, &sentence), ERROR_INVALID_CONFIG);
    EQ_TEXT(sentence.text, "line 1: malformed \\uXXXX escape");
    settings_done(&settings);
}

/* What every row's text is after it was set to its default or another value reads back the same. */
TEST(settings, read_back_as_they_were_set)
{
    struct settings settings, again;
    struct sentence sentence = {""};
    settings_init(&settings);
    settings_init(&again);
    for (int i = 0; i < SETTING_COUNT; i++) {
        const struct setting *row = &setting_table[i];
        if (row->scope != SETTING_BROKER || !row->default_text)
            continue;
        EQ(settings_set(&settings, string_of(row->name), string_of(row->default_text), &sentence),
           ERROR_NONE);
        struct string text = settings_text(&settings, row);
        EQ(settings_set(&again, string_of(row->name), text, &sentence), ERROR_NONE);
        TRUE_(string_equal(settings_text(&again, row), string_of(row->default_text)));
    }
    EQ(settings.journal_bytes, again.journal_bytes);
    EQ(settings_node_id(&again), 1);
    settings_done(&settings);
    settings_done(&again);
}

TEST(settings, take_the_old_names)
{
    struct settings settings;
    struct sentence sentence = {""};
    settings_init(&settings);
    EQ(settings_node_id(&settings), 1);
    EQ(settings_set_pair(&settings, "broker.id=7", &sentence), ERROR_NONE);
    EQ(settings_node_id(&settings), 7);
    EQ(settings_set_pair(&settings, "log.dir=/a", &sentence), ERROR_NONE);
    TRUE_(string_equal(settings_log_dirs(&settings), STRING("/a")));
    EQ(settings_set_pair(&settings, "log.dirs=/b, /c", &sentence), ERROR_NONE);
    TRUE_(string_equal(settings_log_dirs(&settings), STRING("/b, /c")));
    settings_done(&settings);
}

TEST(properties, follow_java)
{
    static const struct {
        const char *text, *want; /* want: name|value; for each */
    } cases[] = {
        {"", ""},
        {"\n\r\n \t\f\n# c\n  ! d", ""},
        {"a=b", "a|b;"},
        {"a = b \n", "a|b ;"},
        {"  a:b\n", "a|b;"},
        {"a\tb c", "a|b c;"},
        {"a  =  = b", "a|= b;"},
        {"a : : b", "a|: b;"},
        {"a", "a|;"},
        {"a=", "a|;"},
        {"=b", "|b;"},
        {"a=1\nb=2\rc=3\r\nd=4", "a|1;b|2;c|3;d|4;"},
        {"a=x\\\n   y", "a|xy;"},
        {"a=x\\\r\n   y\nb=1", "a|xy;b|1;"},
        {"a=x\\\\\nb=y", "a|x\\;b|y;"},
        {"a=x\\", "a|x;"},
        {"a\\\n  b=c", "ab|c;"},
        {"a\\=b\\:c\\ d=e", "a=b:c d|e;"},
        {"a=\\t\\n\\q\\#", "a|\t\nq#;"},
        {"a=\\u0041\\u00e9\\u20AC", "a|A\xc3\xa9\xe2\x82\xac;"},
        {"a=\\ud83d\\ude00", "a|\xf0\x9f\x98\x80;"},
        {"a=\\ud83dx", "a|\xef\xbf\xbdx;"},
        {"a=1 # not a comment\\\n# nor this", "a|1 # not a comment# nor this;"},
        {"# comment \\\na=b", "a|b;"},
        {"a=\\u00", "!"},
        {"a=b\nc=\\uzzzz", "a|b;!"},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        size_t size = strlen(cases[i].text);
        char *exact = malloc(size + 1); /* so that a sanitizer sees a read beyond the end */
        memcpy(exact, cases[i].text, size);
        struct properties properties;
        struct property property;
        properties_init(&properties, exact, size);
        char got[128] = "";
        size_t used = 0;
        while (properties_next(&properties, &property))
            used += (size_t)snprintf(got + used, sizeof got - used, "%.*s|%.*s;",
                                     (int)property.name.size, property.name.data,
                                     (int)property.value.size, property.value.data);
        if (properties.error)
            snprintf(got + used, sizeof got - used, "!");
        EQ_TEXT(got, cases[i].want);
        properties_done(&properties);
        free(exact);
    }
}

/* Any bytes are read or refused, within their bounds (the sanitizers watch), and always end. */
TEST(properties, survive_any_bytes)
{
    static const char alphabet[] = "ab\\\\u0D8=: \t\f\n\r#!\xff";
    struct random random;
    random_seed(&random, 11);
    for (int round = 0; round < 20000; round++) {
        size_t size = random_below(&random, 24);
        char *text = malloc(size + 1);
        for (size_t i = 0; i < size; i++)
            text[i] = alphabet[random_below(&random, sizeof alphabet)]; /* the final 0 too */
        struct properties properties;
        struct property property;
        properties_init(&properties, text, size);
        size_t count = 0, bytes = 0;
        while (properties_next(&properties, &property)) {
            count++;
            bytes += (size_t)(property.name.size + property.value.size);
        }
        TRUE_(count <= size && bytes <= size);
        properties_done(&properties);
        free(text);
    }
}

TEST(settings_describe, prints_every_row)
{
    struct writer count;
    writer_init(&count, NULL, 0);
    settings_describe(&count);
    char *text = malloc(count.size + 1);
    struct writer writer;
    writer_init(&writer, text, count.size);
    settings_describe(&writer);
    EQ(writer.error, ERROR_NONE);
    text[writer.size] = 0;
    TRUE_(strstr(text, "\njournal.bytes\n    LONG, default 67108864, valid "
                       "[65536,...,68719476736], read at the start\n    honoured: ") != NULL);
    TRUE_(strstr(text, "\nauthorizer.class.name\n    STRING, default empty, valid non-null string, "
                       "read at the start\n    refused: ") != NULL);
    for (int i = 0; i < SETTING_COUNT; i++)
        TRUE_(strstr(text, setting_table[i].name) != NULL);
    free(text);
}
