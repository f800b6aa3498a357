#include "logic/epochs.h"
#include "support/test.h"
#include <stdio.h>

/* "2@10 5@30": epoch 2 from offset 10 on, 5 from 30 on. */
static void expect(const struct epochs *epochs, const char *text, int line)
{
    char have[200] = "";
    for (int i = 0, at = 0; i < epochs->count; i++)
        at += snprintf(have + at, sizeof have - (size_t)at, "%s%d@%lld", i ? " " : "",
                       epochs->entries[i].epoch, (long long)epochs->entries[i].start_offset);
    test_expect(strcmp(have, text) == 0, __FILE__, line, "got %s, want %s", have, text);
}
#define EPOCHS(text) expect(&epochs, text, __LINE__)

static struct epochs three(void)
{
    struct epochs epochs = {0};
    epochs_assign(&epochs, 2, 10);
    epochs_assign(&epochs, 5, 30);
    epochs_assign(&epochs, 6, 70);
    return epochs;
}

TEST(epochs, grow_with_each_new_leader)
{
    struct epochs epochs = {0};
    EQ(epochs_latest(&epochs), -1);
    TRUE_(!epochs_assign(&epochs, -1, 0));
    TRUE_(epochs_assign(&epochs, 2, 10));
    TRUE_(!epochs_assign(&epochs, 2, 10));
    TRUE_(!epochs_assign(&epochs, 2, 20));
    TRUE_(epochs_assign(&epochs, 5, 30));
    EPOCHS("2@10 5@30");
    TRUE_(epochs_assign(&epochs, 6, 30)); /* nothing was appended in 5 */
    EPOCHS("2@10 6@30");
    TRUE_(epochs_assign(&epochs, 4, 50)); /* older: what is newer was never so */
    EPOCHS("2@10 4@50");
    TRUE_(epochs_assign(&epochs, 4, 40)); /* it began earlier */
    EPOCHS("2@10 4@40");
    TRUE_(epochs_assign(&epochs, 7, 5));
    EPOCHS("7@5");
    EQ(epochs_latest(&epochs), 7);
    epochs_free(&epochs);
}

TEST(epochs, end_where_the_next_one_begins)
{
    static const struct {
        int32_t epoch;
        struct epoch_entry end;
    } cases[] = {
        {-1, {-1, -1}}, {0, {0, 10}}, {1, {1, 10}},  {2, {2, 30}},  {3, {2, 30}},
        {4, {2, 30}},   {5, {5, 70}}, {6, {6, 100}}, {7, {-1, -1}},
    };
    struct epochs epochs = three();
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        struct epoch_entry end = epochs_end(&epochs, cases[i].epoch, 100);
        test_expect(end.epoch == cases[i].end.epoch &&
                        end.start_offset == cases[i].end.start_offset,
                    __FILE__, __LINE__, "epoch %d: got %d, %lld", cases[i].epoch, end.epoch,
                    (long long)end.start_offset);
    }
    epochs_free(&epochs);
    EQ(epochs_end(&epochs, 0, 100).epoch, -1);
}

TEST(epochs, of_an_offset)
{
    struct epochs epochs = three();
    EQ(epochs_at(&epochs, 9), -1);
    EQ(epochs_at(&epochs, 10), 2);
    EQ(epochs_at(&epochs, 29), 2);
    EQ(epochs_at(&epochs, 30), 5);
    EQ(epochs_at(&epochs, 1000), 6);
    epochs_free(&epochs);
}

TEST(epochs, are_cut_with_the_log)
{
    static const struct {
        bool start;
        int64_t offset;
        const char *left;
    } cases[] = {
        {false, 100, "2@10 5@30 6@70"},
        {false, 71, "2@10 5@30 6@70"},
        {false, 70, "2@10 5@30"},
        {false, 31, "2@10 5@30"},
        {false, 30, "2@10"},
        {false, 10, ""},
        {true, 0, "2@10 5@30 6@70"},
        {true, 10, "2@10 5@30 6@70"},
        {true, 11, "2@11 5@30 6@70"},
        {true, 29, "2@29 5@30 6@70"},
        {true, 30, "5@30 6@70"},
        {true, 50, "5@50 6@70"},
        {true, 70, "6@70"},
        {true, 900, "6@900"},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        struct epochs epochs = three();
        bool changed = cases[i].start ? epochs_truncate_start(&epochs, cases[i].offset)
                                      : epochs_truncate_end(&epochs, cases[i].offset);
        EPOCHS(cases[i].left);
        EQ(changed, strcmp(cases[i].left, "2@10 5@30 6@70") != 0);
        epochs_free(&epochs);
    }
}

TEST(epochs, have_kafkas_file)
{
    struct epochs epochs = three();
    char text[256];
    size_t size = epochs_encode(&epochs, 100, text, sizeof text);
    text[size] = 0;
    EQ_TEXT(text, "0\n3\n2 10\n5 30\n6 70\n");
    size = epochs_encode(&epochs, 70, text, sizeof text); /* nothing of 6 is there yet */
    text[size] = 0;
    EQ_TEXT(text, "0\n2\n2 10\n5 30\n");
    EQ(epochs_encode(&epochs, 100, text, 100), 0);
    TRUE_(epochs_text_size(&epochs) <= sizeof text);
    epochs_free(&epochs);
}

TEST(epochs, come_back_only_from_a_whole_file)
{
    static const struct {
        const char *text;
        bool whole;
        const char *epochs;
    } cases[] = {
        {"0\n0\n", true, ""},
        {"0\n2\n2 10\n5 30\n", true, "2@10 5@30"},
        {"0\n1\n2147483647 9223372036854775807\n", true, "2147483647@9223372036854775807"},
        {"", false, ""},
        {"0\n", false, ""},
        {"0\n1\n2 10", false, ""}, /* cut: it may have been 100 */
        {"0\n2\n2 10\n", false, ""},
        {"0\n1\n2 10\n5 30\n", false, ""},
        {"1\n1\n2 10\n", false, ""},
        {"0\n2\n2 10\n2 30\n", false, ""},
        {"0\n2\n2 10\n5 10\n", false, ""},
        {"0\n1\n2  10\n", false, ""},
        {"0\n1\n-2 10\n", false, ""},
        {"0\n1\n2147483648 10\n", false, ""},
        {"0\n1\n1 9223372036854775808\n", false, ""},
        {"0\n99999999\n1 2\n", false, ""},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        struct epochs epochs = {0};
        const char *text = cases[i].text;
        bool whole =
            epochs_decode(&epochs, (struct bytes){(const uint8_t *)text, (int32_t)strlen(text)});
        test_expect(whole == cases[i].whole, __FILE__, __LINE__, "case %d: got %d", i, whole);
        EPOCHS(cases[i].epochs);
        epochs_free(&epochs);
    }
}
