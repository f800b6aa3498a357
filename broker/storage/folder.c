#include "storage/folder.h"
#include <stdio.h>

enum { UUID_CHARACTER_BITS = 6 }; /* of an id, in a character of its text */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void uuid_encode(struct uuid uuid, char *text)
{
    uint32_t bits = 0;
    int held = 0, at = 0;
    for (int i = 0; i < 16; i++) {
        bits = (bits << 8) | uuid.bytes[i];
        for (held += 8; held >= 6; held -= 6)
            text[at++] = digits[(bits >> (held - 6)) & 63];
    }
    text[at++] = digits[(bits << (6 - held)) & 63];
    text[at] = 0;
}

bool uuid_decode(const char *text, struct uuid *ret)
{
    uint32_t bits = 0;
    int held = 0, at = 0;
    for (int i = 0; i < 22; i++) {
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
        if (!digit)
            return false;
        bits = (bits << 6) | (uint32_t)(digit - digits);
        held += 6;
        if (held >= 8) {
            held -= 8;
            ret->bytes[at++] = (uint8_t)(bits >> held);
        }
    }
    return at == 16;
}

size_t partition_metadata_encode(struct uuid topic_id, char *text)
{
    char id[UUID_TEXT_SIZE];
    uuid_encode(topic_id, id);
    return (size_t)snprintf(text, PARTITION_METADATA_SIZE, "version: 0\ntopic_id: %s\n", id);
}

static const char prefix[] = "version: 0\ntopic_id: ";

bool partition_metadata_is_torn(struct bytes text)
{
    int32_t size = (int32_t)sizeof prefix - 1 + 22; /* Kafka's has no newline at its end */
    return text.size < size || text.data[size - 1] == 0 || text.data[text.size - 1] == 0;
}

bool partition_metadata_decode(struct bytes text, struct uuid *ret_topic_id)
{
    size_t size = sizeof prefix - 1;
    if (text.size < (int32_t)size + 22 || memcmp(text.data, prefix, size) != 0)
        return false;
    return uuid_decode((const char *)text.data + size, ret_topic_id);
}

bool folder_name_parse(const char *name, struct string *ret_topic, int32_t *ret_partition)
{
    const char *dash = strrchr(name, '-');
    if (!dash || dash == name || !dash[1] || strlen(dash + 1) > 9)
        return false;
    if (dash[1] == '0' && dash[2])
        return false; /* "topic-07" is not the folder of partition 7 */
    int32_t partition = 0;
    for (const char *at = dash + 1; *at; at++) {
        if (*at < '0' || *at > '9')
            return false;
        partition = 10 * partition + (*at - '0');
    }
    *ret_topic = (struct string){name, (int32_t)(dash - name)};
    *ret_partition = partition;
    return true;
}

bool folder_name_is_deleted(const char *name)
{
    static const char suffix[] = "-delete";
    enum { SUFFIX = sizeof suffix - 1, ID = 32 };
    size_t size = strlen(name);
    if (size < SUFFIX + ID + 1 + 3 || strcmp(name + size - SUFFIX, suffix) != 0)
        return false;
    const char *id = name + size - SUFFIX - ID;
    return id[-1] == '.' && strspn(id, "0123456789abcdef") == ID;
}

bool uuid_is_nearly(struct uuid a, struct uuid b)
{
    int different = 0;
    for (size_t i = 0; i < sizeof a.bytes; i++)
        different += __builtin_popcount((unsigned)(a.bytes[i] ^ b.bytes[i]));
    return different > 0 && different <= UUID_CHARACTER_BITS;
}
