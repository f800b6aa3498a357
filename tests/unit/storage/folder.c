#include "storage/folder.h"
#include "support/test.h"

TEST(folder, names)
{
    static const struct {
        const char *name, *topic;
        int32_t partition;
    } cases[] = {{"a-0", "a", 0},
                 {"a-b-12", "a-b", 12},
                 {"__cluster_metadata-0", "__cluster_metadata", 0},
                 {"a", NULL, 0},
                 {"-1", NULL, 0},
                 {"a-", NULL, 0},
                 {"a-1x", NULL, 0},
                 {"x-7.abc-delete", NULL, 0},
                 {"a-1234567890", NULL, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct string topic = {NULL, 0};
        int32_t partition = -1;
        bool is_one = folder_name_parse(cases[i].name, &topic, &partition);
        EQ(is_one, cases[i].topic != NULL);
        if (!is_one || !cases[i].topic)
            continue;
        TRUE_(string_equal(topic, string_of(cases[i].topic)));
        EQ(partition, cases[i].partition);
    }
}

TEST(folder, metadata_comes_back_and_torn_is_not_damaged)
{
    char text[PARTITION_METADATA_SIZE];
    struct uuid id, back;
    for (int i = 0; i < 16; i++)
        id.bytes[i] = (uint8_t)(17 * i + 200);
    int32_t size = (int32_t)partition_metadata_encode(id, text);
    struct bytes bytes = {(const uint8_t *)text, size};
    TRUE_(partition_metadata_decode(bytes, &back));
    TRUE_(uuid_equal(id, back));
    TRUE_(!partition_metadata_is_torn(bytes));
    TRUE_(partition_metadata_is_torn((struct bytes){bytes.data, 20}));
    struct bytes kafkas = {bytes.data, size - 1}; /* it writes no newline at the end */
    TRUE_(!partition_metadata_is_torn(kafkas));
    TRUE_(partition_metadata_decode(kafkas, &back) && uuid_equal(id, back));
    TRUE_(partition_metadata_is_torn((struct bytes){bytes.data, size - 2}));
    for (int bit = 0; bit < 8 * 9; bit++) { /* "version: " */
        text[bit / 8] ^= (char)(1 << bit % 8);
        TRUE_(!partition_metadata_decode(bytes, &back));
        TRUE_(!partition_metadata_is_torn(bytes));
        text[bit / 8] ^= (char)(1 << bit % 8);
    }
    memset(text, 0, sizeof text);
    TRUE_(partition_metadata_is_torn(bytes));
}

TEST(folder, an_id_with_a_wrong_character_is_nearly_the_same)
{
    struct uuid id = {{0}}, other;
    for (int i = 0; i < 16; i++)
        id.bytes[i] = (uint8_t)(17 * i + 200);
    TRUE_(!uuid_is_nearly(id, id));
    for (int at = 0; at < UUID_TEXT_SIZE - 1; at++) {
        char text[UUID_TEXT_SIZE];
        uuid_encode(id, text);
        text[at] = text[at] == 'A' ? '_' : 'A';
        if (uuid_decode(text, &other) && !uuid_equal(id, other))
            TRUE_(uuid_is_nearly(id, other));
    }
    for (int i = 0; i < 16; i++)
        other.bytes[i] = (uint8_t)(91 * i + 3);
    TRUE_(!uuid_is_nearly(id, other));
}

TEST(folder, of_a_partition_that_kafka_has_deleted_is_known)
{
    TRUE_(folder_name_is_deleted("gone-0.1d4b0d40704541dfb4fc10970fa16dcb-delete"));
    TRUE_(folder_name_is_deleted("a-1.00000000000000000000000000000000-delete"));
    TRUE_(!folder_name_is_deleted("gone-0.1d4b0d40704541dfb4fc10970fa16dcb-stray"));
    TRUE_(!folder_name_is_deleted("gone-0.1d4b0d40704541dfb4fc10970fa16dcB-delete"));
    TRUE_(!folder_name_is_deleted("gone-01d4b0d40704541dfb4fc10970fa16dcb-delete"));
    TRUE_(!folder_name_is_deleted("1d4b0d40704541dfb4fc10970fa16dcb-delete"));
    TRUE_(!folder_name_is_deleted("my-delete"));
    TRUE_(!folder_name_is_deleted(""));
}
