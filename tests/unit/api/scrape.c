#include "api/scrape.h"
#include "support/test.h"

TEST(scrape, judges_what_has_arrived_of_a_request)
{
    static const struct {
        const char *text;
        enum scrape_verdict verdict;
    } cases[] = {
        {"", SCRAPE_MORE},
        {"GET /metrics HTTP/1.1\r\nHost: x\r\n", SCRAPE_MORE},
        {"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", SCRAPE_METRICS},
        {"GET /metrics HTTP/1.0\n\n", SCRAPE_METRICS},
        {"GET /metrics?x=1 HTTP/1.0\r\n\r\n", SCRAPE_METRICS},
        {"GET /metrics\r\n\r\n", SCRAPE_METRICS},
        {"GET /metrics\n\n", SCRAPE_NOT_FOUND}, /* HTTP/0.9: no end of a word */
        {"GET /metricsx HTTP/1.0\r\n\r\n", SCRAPE_NOT_FOUND},
        {"GET /metric HTTP/1.0\r\n\r\n", SCRAPE_NOT_FOUND},
        {"GET / HTTP/1.0\r\n\r\n", SCRAPE_NOT_FOUND},
        {"GET \r\n\r\n", SCRAPE_NOT_FOUND},
        {"POST /metrics HTTP/1.0\r\n\r\n", SCRAPE_NOT_ALLOWED},
        {"GETS /metrics HTTP/1.0\r\n\r\n", SCRAPE_NOT_ALLOWED},
        {" GET /metrics HTTP/1.0\r\n\r\n", SCRAPE_BAD},
        {"\r\n\r\n", SCRAPE_BAD},
        {"\n\n", SCRAPE_BAD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        test_expect(scrape_judge(cases[i].text, strlen(cases[i].text)) == cases[i].verdict,
                    __FILE__, __LINE__, "case %zu: %s", i, cases[i].text);
}

TEST(scrape, gives_up_on_a_head_without_end)
{
    static char text[SCRAPE_REQUEST_BYTES];
    memset(text, 'a', sizeof text);
    EQ(scrape_judge(text, sizeof text - 1), SCRAPE_MORE);
    EQ(scrape_judge(text, sizeof text), SCRAPE_BAD);
}
