/* OP_WORK: a function that a helper thread runs. */
#include "base/check.h"
#include "port/script.h"

struct sum {
    int64_t to, total;
    int runs;
};

static int64_t add_up(void *data)
{
    struct sum *sum = data;
    sum->runs++;
    for (int64_t i = 1; i <= sum->to; i++)
        sum->total += i;
    return sum->total;
}

static int64_t refuse(void *data)
{
    return -(int64_t)ERROR_MALFORMED;
}

static void works(struct script *s)
{
    struct sum sums[8];
    struct op ops[8];
    for (int i = 0; i < ARRAY_COUNT(ops); i++) {
        sums[i] = (struct sum){.to = 1000 * (i + 1)};
        ops[i] = (struct op){.kind = OP_WORK, .work = add_up, .data = &sums[i]};
        op_start(s->port, &ops[i]);
        TRUE_(ops[i].running);
    }
    for (int i = 0; i < ARRAY_COUNT(ops); i++) {
        EQ(script_await(s, &ops[i]), 500ll * (i + 1) * (1000 * (i + 1) + 1));
        EQ(sums[i].runs, 1);
    }
    struct op refused = {.kind = OP_WORK, .work = refuse};
    op_start(s->port, &refused);
    EQ(script_await(s, &refused), -(int64_t)ERROR_MALFORMED);
    script_say_op(s, &refused);
}

TEST(work, is_done_once_and_its_result_comes_as_a_completion)
{
    script_run(works, "work -> MALFORMED\n");
}

/* What nobody has begun with ends as cancelled, what was begun ends as it would have. */
static void is_cancelled(struct script *s)
{
    struct sum sums[16];
    struct op ops[16];
    for (int i = 0; i < ARRAY_COUNT(ops); i++) {
        sums[i] = (struct sum){.to = 100000};
        ops[i] = (struct op){.kind = OP_WORK, .work = add_up, .data = &sums[i]};
        op_start(s->port, &ops[i]);
    }
    for (int i = 0; i < ARRAY_COUNT(ops); i++)
        s->port->operations->cancel(s->port, &ops[i]);
    for (int i = 0; i < ARRAY_COUNT(ops); i++) {
        int64_t result = script_await(s, &ops[i]);
        TRUE_(result == -(int64_t)ERROR_CANCELLED ? sums[i].runs == 0
                                                  : sums[i].runs == 1 && result == 5000050000);
    }
}

TEST(work, that_is_cancelled_is_done_or_not_begun)
{
    script_run(is_cancelled, "");
}
