#pragma once
/* Names and small files of a data directory, in Kafka's formats. Pure. */
#include "base/bytes.h"
#include <stdbool.h>
#include <stddef.h>

#define PARTITION_METADATA_FILE "partition.metadata"

enum { PARTITION_METADATA_SIZE = 128, UUID_TEXT_SIZE = 23 };

/* "version: 0\ntopic_id: <22 characters>\n" (Kafka leaves the last newline out) into
 * text[PARTITION_METADATA_SIZE]; returns its size.
 */
size_t partition_metadata_encode(struct uuid topic_id, char *text);

/* False if it is not such a text of version 0. */
bool partition_metadata_decode(struct bytes text, struct uuid *ret_topic_id);

/* Was its write lost in a crash: it is short, or ends in zeros? What is neither that nor decodes is
 * rot. */
bool partition_metadata_is_torn(struct bytes text);

/* Do two different ids have all but a few bits in common? Ids are random: one was the other, and a
 * bit of it, or a character, has changed. */
bool uuid_is_nearly(struct uuid a, struct uuid b);

/* Base64url without padding, as Kafka prints ids: 22 characters and a NUL. */
void uuid_encode(struct uuid uuid, char *text);
bool uuid_decode(const char *text, struct uuid *ret);

/* "topic-7" -> topic, 7. False for other names (".lock", "journal-0", "x-7.abc-delete"). */
bool folder_name_parse(const char *name, struct string *ret_topic, int32_t *ret_partition);

/* "topic-7.<32 hexadecimal digits>-delete": what Kafka renames a deleted partition's folder to, to
 * remove it later. */
bool folder_name_is_deleted(const char *name);
