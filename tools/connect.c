#include "tools/connect.h"

enum { DEFAULT_PORT = 9092 };

bool target_take(struct options *options, int id, struct target *target, enum exit_code *ret_code)
{
    int64_t number;
    *ret_code = EXIT_OK;
    switch (id) {
    case 'b':
        target->broker = options->value;
        return true;
    case 't':
        target->topic = options->value;
        return true;
    case 'p':
        if (options_number(options, -1, INT32_MAX, &number))
            target->partition = (int32_t)number;
        else
            *ret_code = EXIT_USAGE;
        return true;
    default:
        return false;
    }
}

enum exit_code connect_failed(const struct options *options, const struct client *client)
{
    fprintf(stderr, "%s: %s\n", options->usage->command, client->reason);
    return EXIT_FAILED;
}

enum exit_code connect_client(const struct options *options, const char *broker,
                              struct client *client)
{
    *client = (struct client){0};
    struct client_settings settings = CLIENT_SETTINGS_DEFAULT;
    if (!host_port_parse(broker ? broker : "127.0.0.1", DEFAULT_PORT, &settings.bootstrap))
        return options_wrong(options, "-b takes HOST:PORT, not '%s'", broker);
    enum error error = client_open(client, settings);
    if (!error)
        return EXIT_OK;
    connect_failed(options, client);
    if (error == ERROR_CONNECTION_REFUSED)
        fprintf(stderr, "%s: is a broker running there? -b HOST:PORT names another\n",
                options->usage->command);
    return EXIT_FAILED;
}
