#include "protocol/json.h"
#include "protocol/hash.h"
#include "protocol/messages.h"
#include "support/test.h"

static void prints(const struct message *message, int16_t version, const void *value,
                   const char *want)
{
    char text[512];
    struct writer writer;
    writer_init(&writer, text, sizeof text - 1);
    EQ(message_print_json(message, version, value, &writer), ERROR_NONE);
    text[writer.size] = 0;
    EQ_TEXT(text, want);
}

TEST(json, prints_the_fields_of_the_version)
{
    struct heartbeat_request request;
    message_set_defaults(&heartbeat_request_message, &request);
    request.group_id = STRING("a \"group\"\n");
    prints(&heartbeat_request_message, 2, &request,
           "{\"groupId\":\"a \\\"group\\\"\\u000a\",\"generationId\":0,\"memberId\":\"\"}");
    prints(&heartbeat_request_message, 3, &request,
           "{\"groupId\":\"a \\\"group\\\"\\u000a\",\"generationId\":0,\"memberId\":\"\","
           "\"groupInstanceId\":null}");
}

TEST(json, bytes_are_base64_and_int64_exact)
{
    struct sasl_authenticate_response response;
    message_set_defaults(&sasl_authenticate_response_message, &response);
    response.auth_bytes = (struct bytes){(const uint8_t *)"\xff\xfe"
                                                          "1",
                                         2};
    response.session_lifetime_ms = INT64_MAX;
    prints(&sasl_authenticate_response_message, 1, &response,
           "{\"errorCode\":0,\"errorMessage\":\"\",\"authBytes\":\"//4=\","
           "\"sessionLifetimeMs\":9223372036854775807}");
}

TEST(json, a_tagged_field_is_there_only_when_it_is_sent)
{
    struct begin_transaction_record record;
    message_set_defaults(&begin_transaction_record_message, &record);
    prints(&begin_transaction_record_message, 0, &record, "{}");
    record.name = STRING("moved");
    prints(&begin_transaction_record_message, 0, &record, "{\"name\":\"moved\"}");
}

TEST(hash, names_and_keys_find_their_partition)
{
    EQ(hash_java_string(STRING("bole")), 3029638);
    EQ(hash_java_string(STRING("\xf0\x9f\xaa\xb5")), 0xd83e * 31 + 0xdeb5); /* two units */
    EQ(hash_partition_of_name(STRING(""), 50), 0);
    EQ(hash_murmur2("", 0), 275646681);
    EQ(hash_partition_of_key("", 0, 12), 9);
}
