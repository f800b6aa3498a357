#include "base/utf8.h"
#include "support/test.h"

static bool valid(const char *text)
{
    return utf8_is_valid(text, strlen(text));
}

TEST(utf8, takes_every_length)
{
    TRUE_(valid(""));
    TRUE_(valid("plain text that is longer than eight bytes"));
    TRUE_(valid("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
    TRUE_(utf8_is_valid("a\0b", 3));
}

TEST(utf8, refuses_what_is_malformed)
{
    static const char *const cases[] = {
        "\x80",             /* a continuation first */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xff",
        "\xc3",             /* cut */
        "12345678\xe6\x9c", /* cut, behind eight plain bytes */
        "1234567\xe6\x9c.", /* no continuation */
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++)
        TRUE_(!valid(cases[i]));
}
