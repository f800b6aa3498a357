#pragma once
/* UTF-8 as of RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. U+0000 is
 * allowed. */
#include <stdbool.h>
#include <stddef.h>

/* True if the `size` bytes at `text` are well-formed UTF-8. */
bool utf8_is_valid(const void *text, size_t size);
