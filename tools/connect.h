#pragma once
/* What the subcommands that talk to a broker share: the option -b, and opening a client. */
#include "client.h"
#include "tools/options.h"

#define OPTION_BROKER                                                                              \
    {                                                                                              \
        'b', "broker", "HOST:PORT", "the broker to ask (default 127.0.0.1:9092)"                   \
    }

/* Opens a client for what -b gave (null: the default). Says on stderr what is wrong. The client
 * must be closed in any case. */
enum exit_code connect_client(const struct options *options, const char *broker,
                              struct client *client);

/* Says why the client's last call failed; EXIT_FAILED. */
enum exit_code connect_failed(const struct options *options, const struct client *client);
