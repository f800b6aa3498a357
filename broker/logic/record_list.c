#include "logic/record_list.h"

void record_list_init(struct record_list *list, struct arena *arena)
{
    *list = (struct record_list){.arena = arena};
}

void *record_list_add(struct record_list *list, const struct message *message)
{
    struct metadata_record *record = arena_take(list->arena, sizeof *record);
    void *value = arena_take(list->arena, message->size);
    if (!record || !value) {
        list->overflowed = true;
        return NULL;
    }
    message_set_defaults(message, value);
    *record = (struct metadata_record){.message = message, .value = value};
    if (list->last)
        list->last->next = record;
    else
        list->first = record;
    list->last = record;
    list->count++;
    return value;
}

struct record_mark record_list_mark(const struct record_list *list)
{
    return (struct record_mark){list->last, list->count};
}

void record_list_return(struct record_list *list, struct record_mark mark)
{
    list->last = mark.last;
    list->count = mark.count;
    if (mark.last)
        mark.last->next = NULL;
    else
        list->first = NULL;
}
