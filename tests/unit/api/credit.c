#include "api/credit.h"
#include "support/test.h"

TEST(credit, passes_to_those_in_line_in_order)
{
    struct credit credit;
    struct list nodes[4];
    for (int i = 0; i < 4; i++)
        list_init(&nodes[i]);
    credit_init(&credit, 2);
    TRUE_(credit_take(&credit, &nodes[0]));
    TRUE_(credit_take(&credit, &nodes[1]));
    TRUE_(!credit_take(&credit, &nodes[2]));
    TRUE_(!credit_take(&credit, &nodes[3]));
    EQ(credit.in_flight, 2);
    TRUE_(credit_give(&credit) == &nodes[2]);
    TRUE_(!credit_take(&credit, &nodes[0])); /* behind the one that came before */
    TRUE_(credit_give(&credit) == &nodes[3]);
    TRUE_(credit_give(&credit) == &nodes[0]);
    EQ(credit.in_flight, 2);
    TRUE_(credit_give(&credit) == NULL);
    TRUE_(credit_give(&credit) == NULL);
    EQ(credit.in_flight, 0);
    TRUE_(credit_take(&credit, &nodes[1]));
}
