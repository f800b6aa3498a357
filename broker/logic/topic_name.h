#pragma once
/* What a topic may be called, and which names are the broker's own. Pure. */
#include "base/arena.h"
#include "base/bytes.h"

enum { TOPIC_NAME_MAX = 249 };

/* True for [a-zA-Z0-9._-]{1,249} but not "." and "..". */
bool topic_name_is_valid(struct string name);

/* Why it is not, in Kafka's words, in the arena. */
struct string topic_name_complaint(struct arena *arena, struct string name);

/* The topics that coordinators keep their state in: clients don't make them by asking for them. */
bool topic_name_is_internal(struct string name);
