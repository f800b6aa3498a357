#include "port/script.h"

static struct op receiving(int32_t handle, void *data, size_t size)
{
    return (struct op){.kind = OP_RECEIVE, .handle = handle, .data = data, .size = size};
}

/* Two hundred sends at once, where the queue holds eight: their bytes arrive in order. */
static void keeps_order(struct script *s)
{
    enum { COUNT = 200 };
    struct address address;
    int32_t near, far, listener = script_listen(s, &address);
    static struct op sends[COUNT];
    static struct iovec vectors[COUNT];
    static char text[COUNT], got[COUNT];
    script_connect(s, listener, &address, &near, &far);
    for (int i = 0; i < COUNT; i++) {
        text[i] = (char)i;
        vectors[i] = (struct iovec){text + i, 1};
        sends[i] =
            (struct op){.kind = OP_SEND, .handle = near, .vectors = &vectors[i], .vector_count = 1};
        op_start(s->port, &sends[i]);
    }
    for (int i = 0; i < COUNT; i++)
        EQ(script_await(s, &sends[i]), 1);
    for (int64_t total = 0; total < COUNT;) {
        struct op receive = receiving(far, got + total, (size_t)(COUNT - total));
        int64_t size = port_call(s->port, &receive);
        TRUE_(size > 0);
        total += size > 0 ? size : COUNT;
    }
    EQ_BYTES(got, text, COUNT);
    script_close(s, near);
    script_close(s, far);
    script_close(s, listener);
}

TEST(order, is_that_of_sending)
{
    script_run(keeps_order, "close -> ok\nclose -> ok\nclose -> ok\n");
}

/* Several receives wait on one socket; what comes for one leaves the others waiting. */
static void shares_a_socket(struct script *s)
{
    enum { COUNT = 3 };
    struct address address;
    int32_t near, far, listener = script_listen(s, &address);
    struct op receives[COUNT];
    char got[COUNT] = {0}, text[COUNT] = {1, 2, 4};
    script_connect(s, listener, &address, &near, &far);
    for (int i = 0; i < COUNT; i++) {
        receives[i] = receiving(far, got + i, 1);
        op_start(s->port, &receives[i]);
    }
    s->port->operations->wait(s->port, 0);
    for (int i = 0; i < COUNT; i++) {
        struct iovec vector = {text + i, 1};
        struct op send = {.kind = OP_SEND, .handle = near, .vectors = &vector, .vector_count = 1};
        EQ(port_call(s->port, &send), 1);
        int over = 0;
        while (over <= i) {
            over = 0;
            for (int j = 0; j < COUNT; j++)
                over += !receives[j].running;
            if (over <= i)
                s->port->operations->wait(s->port, INT64_MAX);
        }
        EQ(over, i + 1);
    }
    EQ(got[0] + got[1] + got[2], 7);
    script_close(s, near);
    script_close(s, far);
    script_close(s, listener);
}

TEST(order, leaves_other_receives_waiting)
{
    script_run(shares_a_socket, "close -> ok\nclose -> ok\nclose -> ok\n");
}
