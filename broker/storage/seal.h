#pragma once
/* The seal of a closed segment outside of a checkpoint. */
#include <stdbool.h>
#include <stdint.h>

struct segment;

/* A rolled segment that was whole and closed before the roll is in no checkpoint's list: if that is
 * so it is sealed now. True: *ret_handle, if not -1, is to be closed by the caller. */
bool seal_closed_segment(struct segment *segment, int32_t *ret_handle);
