#include "host_port.h"
#include "support/test.h"

TEST(host_port, takes_what_users_write)
{
    static const struct {
        const char *text, *want; /* want null: refused */
    } cases[] = {
        {"localhost:9092", "localhost:9092"},
        {"localhost", "localhost:9092"},
        {"10.0.0.1:1", "10.0.0.1:1"},
        {"[::1]:29092", "[::1]:29092"},
        {"[fe80::1]", "[fe80::1]:9092"},
        {"h:65535", "h:65535"},
        {"h:65536", NULL},
        {"h:0", NULL},
        {"h:", NULL},
        {":9092", NULL},
        {"", NULL},
        {"::1:9092", NULL},
        {"[::1", NULL},
        {"[::1]x", NULL},
        {"h:12x", NULL},
        {"h:-1", NULL},
        {"[]:1", NULL},
        {"h:99999999999999999999", NULL},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        struct host_port address;
        char text[HOST_PORT_BYTES] = "refused";
        if (host_port_parse(cases[i].text, 9092, &address))
            host_port_format(&address, text);
        EQ_TEXT(text, cases[i].want ? cases[i].want : "refused");
    }
}
