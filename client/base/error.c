#include "base/error.h"

const char *error_name(enum error error)
{
    switch (error) {
#define ERROR(name, code, retriable, refreshes)                                                    \
    case ERROR_##name:                                                                             \
        return #name;
#define LOCAL(name, code, text)                                                                    \
    case ERROR_##name:                                                                             \
        return #name;
#include "base/error.def"
#undef ERROR
#undef LOCAL
    }
    return "UNKNOWN";
}

const char *error_text(enum error error)
{
    switch (error) {
#define ERROR(name, code, retriable, refreshes)
#define LOCAL(name, code, text)                                                                    \
    case ERROR_##name:                                                                             \
        return text;
#include "base/error.def"
#undef ERROR
#undef LOCAL
    default:
        return error_name(error);
    }
}

bool error_is_retriable(enum error error)
{
    switch (error) {
#define ERROR(name, code, retriable, refreshes)                                                    \
    case ERROR_##name:                                                                             \
        return retriable;
#define LOCAL(name, code, text)
#include "base/error.def"
#undef ERROR
#undef LOCAL
    default:
        return false;
    }
}

enum error error_for_wire(enum error error)
{
    if (error < 1000)
        return error;
    switch (error) {
    case ERROR_NO_SPACE:
    case ERROR_INPUT_OUTPUT:
    case ERROR_FENCED:
    case ERROR_CHECKSUM:
    case ERROR_TOO_MANY_FILES:
    case ERROR_STOPPED:
        return ERROR_KAFKA_STORAGE_ERROR;
    case ERROR_TIMED_OUT:
        return ERROR_REQUEST_TIMED_OUT;
    default:
        return ERROR_UNKNOWN_SERVER_ERROR;
    }
}
