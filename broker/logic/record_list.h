#pragma once
/* The records that a decision wants in a log, in order, in an arena: what x_handle hands to whoever
 * appends and then applies them. Pure. */
#include "base/arena.h"
#include "protocol/message.h"

struct metadata_record {
    struct metadata_record *next;
    const struct message *message; /* type and how to encode it */
    void *value;                   /* the struct of messages.h, in the arena */
};

struct record_list {
    struct arena *arena;
    struct metadata_record *first, *last;
    int32_t count;
    bool overflowed; /* the arena's budget was used up: the list is not to be used */
};

/* A point to go back to. */
struct record_mark {
    struct metadata_record *last;
    int32_t count;
};

void record_list_init(struct record_list *list, struct arena *arena);

/* Appends one record with every field at its default, for the caller to fill in; what it points to
 * must live as long as the arena. Null, and overflowed, when the budget is used up. */
void *record_list_add(struct record_list *list, const struct message *message);

struct record_mark record_list_mark(const struct record_list *list);

/* Forgets all records after the mark. */
void record_list_return(struct record_list *list, struct record_mark mark);
