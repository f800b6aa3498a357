#include "api/credit.h"
#include "base/check.h"
#include "base/reached.h"

void credit_init(struct credit *credit, int32_t limit)
{
    check(limit > 0);
    *credit = (struct credit){.limit = limit};
    list_init(&credit->waiting);
}

bool credit_take(struct credit *credit, struct list *node)
{
    check(list_is_empty(node));
    if (credit->in_flight < credit->limit) {
        credit->in_flight++;
        return true;
    }
    REACHED("credit wait");
    list_push(&credit->waiting, node);
    return false;
}

struct list *credit_give(struct credit *credit)
{
    check(credit->in_flight > 0);
    struct list *next = list_pop(&credit->waiting);
    if (!next)
        credit->in_flight--;
    return next;
}
