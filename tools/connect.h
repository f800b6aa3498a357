#pragma once
/* What the subcommands that talk to a broker share: the option -b, and opening a client. */
#include "client.h"
#include "tools/options.h"

#define OPTION_BROKER                                                                              \
    {                                                                                              \
        'b', "broker", "HOST:PORT", "the broker to ask (default 127.0.0.1:9092)"                   \
    }

/* The options that say which records: -b, -t and -p. */
struct target {
    const char *broker, *topic; /* null: not given */
    int32_t partition;          /* -1: not given, or any */
};

#define TARGET_NONE ((struct target){.partition = -1})

/* Takes one of them. False: `id` is another. A bad value is said on stderr and in *ret_code. */
bool target_take(struct options *options, int id, struct target *target, enum exit_code *ret_code);

/* Opens a client for what -b gave (null: the default). Says on stderr what is wrong. The client
 * must be closed in any case. */
enum exit_code connect_client(const struct options *options, const char *broker,
                              struct client *client);

/* Says why the client's last call failed; EXIT_FAILED. */
enum exit_code connect_failed(const struct options *options, const struct client *client);
