#pragma once
/* What a start of the broker has to tell its operator. */
#include "cluster/broker.h"

/* On stderr: what was recovered, cut, set aside, is missing. */
void start_say(const struct broker *broker);

/* The part of it that is there after a start that failed, too. */
void start_say_sentences(const struct broker *broker);

/* An event: what it has read of the metadata log. */
void start_note_metadata(struct broker *broker);
