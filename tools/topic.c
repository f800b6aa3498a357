/* `bole topic create|list|describe|delete|alter`. */
#include "admin.h"
#include "tools/connect.h"
#include <string.h>

enum { CONFIGS_MAX = 64 };

static const struct option_row rows[] = {
    OPTION_BROKER,
    {'p', "partitions", "N",
     "create: number of partitions (default: as the broker is set); alter: the new total"},
    {'r', "replicas", "N", "create: number of replicas (default: as the broker is set)"},
    {'c', "config", "KEY=VALUE",
     "create, alter: a setting of the topic; may be given several times"},
    {'d', "delete-config", "KEY", "alter: a setting goes back to the broker's; several times"},
    {0},
};

static const struct usage usage = {
    "bole topic", "create|list|describe|delete|alter [NAME] [OPTIONS]",
    "create NAME    makes a topic and waits until every partition has a leader\n"
    "list           prints the names of all topics, one a line\n"
    "describe NAME  prints a line for the topic, one for each partition, and its own settings\n"
    "delete NAME    removes a topic and its records\n"
    "alter NAME     adds partitions, until there are as many as --partitions says, and changes\n"
    "               settings",
    rows};

struct topic_command {
    struct options options;
    const char *broker, *verb, *name;
    struct admin_config configs[CONFIGS_MAX];
    struct admin_topic topic;
    char given[5]; /* letters of the options that were given, but for -b */
};

/* KEY=VALUE of --config, or the KEY of --delete-config. */
static enum exit_code add_config(struct topic_command *command, bool is_removal)
{
    const char *text = command->options.value, *equals = strchr(text, '=');
    if (!is_removal && (!equals || equals == text))
        return options_wrong(&command->options, "--config takes KEY=VALUE, not '%s'", text);
    if (is_removal && (equals || !*text))
        return options_wrong(&command->options, "--delete-config takes a KEY, not '%s'", text);
    if (command->topic.configs_count == CONFIGS_MAX)
        return options_wrong(&command->options, "at most %d settings", CONFIGS_MAX);
    command->configs[command->topic.configs_count++] =
        is_removal ? (struct admin_config){string_of(text), STRING_NULL}
                   : (struct admin_config){{text, (int32_t)(equals - text)}, string_of(equals + 1)};
    return EXIT_OK;
}

/* EXIT_OK: go on, unless *ret_help. */
static enum exit_code parse(struct topic_command *command, bool *ret_help)
{
    struct options *options = &command->options;
    int64_t number;
    for (;;) {
        int id = options_next(options);
        if (id > 0 && id != 'b' && !strchr(command->given, id))
            command->given[strlen(command->given)] = (char)id;
        switch (id) {
        case 'b':
            command->broker = options->value;
            break;
        case 'p':
            if (!options_number(options, 1, 1000000, &number))
                return EXIT_USAGE;
            command->topic.partitions = (int32_t)number;
            break;
        case 'r':
            if (!options_number(options, 1, 1000, &number))
                return EXIT_USAGE;
            command->topic.replication = (int16_t)number;
            break;
        case 'c':
        case 'd':
            if (add_config(command, id == 'd'))
                return EXIT_USAGE;
            break;
        case OPTION_ARGUMENT:
            if (command->name)
                return options_wrong(options, "'%s' is one argument too many", options->value);
            *(command->verb ? &command->name : &command->verb) = options->value;
            break;
        case OPTION_HELP:
            *ret_help = true;
            return EXIT_OK;
        case OPTION_WRONG:
            return EXIT_USAGE;
        case OPTION_END:
            return EXIT_OK;
        }
    }
}

static enum exit_code run_create(struct topic_command *command, struct client *client)
{
    command->topic.name = command->name;
    command->topic.configs = command->configs;
    if (admin_create(client, &command->topic))
        return connect_failed(&command->options, client);
    return EXIT_OK;
}

static enum exit_code run_delete(struct topic_command *command, struct client *client)
{
    return admin_delete(client, command->name) ? connect_failed(&command->options, client)
                                               : EXIT_OK;
}

/* Settings first: they are refused as a whole, while partitions that are there stay. */
static enum exit_code run_alter(struct topic_command *command, struct client *client)
{
    int32_t count = command->topic.configs_count;
    if (count > 0 && admin_set(client, command->name, command->configs, count))
        return connect_failed(&command->options, client);
    if (command->topic.partitions > 0 &&
        admin_grow(client, command->name, command->topic.partitions))
        return connect_failed(&command->options, client);
    return EXIT_OK;
}

static enum exit_code run_list(struct topic_command *command, struct client *client)
{
    if (client_refresh(client, NULL, false))
        return connect_failed(&command->options, client);
    for (int32_t i = 0; i < client->metadata.topic_count; i++)
        printf("%s\n", client->metadata.topics[i].name);
    return EXIT_OK;
}

static void print_nodes(const char *name, const int32_t *nodes, int32_t count)
{
    printf("  %s ", name);
    for (int32_t i = 0; i < count; i++)
        printf("%s%d", i ? "," : "", nodes[i]);
    if (count <= 0)
        printf("-");
}

static void print_topic(const struct metadata_response_topic *topic)
{
    printf("%.*s  partitions %d  id ", (int)topic->name.size, topic->name.data,
           topic->partitions_count);
    for (int i = 0; i < 16; i++)
        printf(i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", topic->topic_id.bytes[i]);
    printf("\n");
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        const struct metadata_response_partition *partition = &topic->partitions[i];
        printf("  %d  leader %d  epoch %d", partition->partition_index, partition->leader_id,
               partition->leader_epoch);
        print_nodes("replicas", partition->replica_nodes, partition->replica_nodes_count);
        print_nodes("isr", partition->isr_nodes, partition->isr_nodes_count);
        if (partition->offline_replicas_count > 0)
            print_nodes("offline", partition->offline_replicas, partition->offline_replicas_count);
        if (partition->error_code)
            printf("  %s", error_name(error_from_wire(partition->error_code)));
        printf("\n");
    }
}

enum { SOURCE_TOPIC = 1 }; /* of DescribeConfigs */

/* The settings that are the topic's own. */
static enum exit_code print_settings(struct topic_command *command, struct client *client)
{
    const struct describe_configs_response_describe_configs_result *settings;
    if (admin_settings(client, command->name, &settings))
        return connect_failed(&command->options, client);
    for (int32_t i = 0; i < settings->configs_count; i++) {
        const struct describe_configs_response_describe_configs_resource_result *config =
            &settings->configs[i];
        if (config->config_source == SOURCE_TOPIC)
            printf("  %.*s=%.*s\n", (int)config->name.size, config->name.data,
                   config->value.size > 0 ? (int)config->value.size : 0, config->value.data);
    }
    return EXIT_OK;
}

static enum exit_code run_describe(struct topic_command *command, struct client *client)
{
    struct metadata_request_topic wanted;
    message_set_defaults(&metadata_request_topic_message, &wanted);
    wanted.name = string_of(command->name);
    struct metadata_request request;
    message_set_defaults(&metadata_request_message, &request);
    request.topics = &wanted;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    const void *answer;
    if (client_call(client, CLIENT_BOOTSTRAP, API_METADATA, &request, &answer))
        return connect_failed(&command->options, client);
    const struct metadata_response *response = answer;
    enum error error = response->topics_count == 1 ? error_from_wire(response->topics[0].error_code)
                                                   : ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (error) {
        client_fail(client, error, "can't describe topic '%s': %s", command->name,
                    error == ERROR_UNKNOWN_TOPIC_OR_PARTITION
                        ? "there is none of that name; 'bole topic list' shows what there is"
                        : error_text(error));
        return connect_failed(&command->options, client);
    }
    /* Partitions come in any order. */
    struct metadata_response_topic *topic = &response->topics[0];
    for (int32_t i = 1; i < topic->partitions_count; i++)
        for (int32_t k = i; k > 0 && topic->partitions[k].partition_index <
                                         topic->partitions[k - 1].partition_index;
             k--) {
            struct metadata_response_partition moved = topic->partitions[k];
            topic->partitions[k] = topic->partitions[k - 1];
            topic->partitions[k - 1] = moved;
        }
    print_topic(topic);
    return print_settings(command, client);
}

static const struct verb {
    const char *name;
    enum exit_code (*run)(struct topic_command *command, struct client *client);
    bool has_name;
    const char *letters; /* the options it takes beside -b */
} verbs[] = {
    {"create", run_create, true, "prc"},  {"list", run_list, false, ""},
    {"describe", run_describe, true, ""}, {"delete", run_delete, true, ""},
    {"alter", run_alter, true, "pcd"},
};

/* Is the command line one that the verb understands? */
static enum exit_code check_verb(const struct topic_command *command, const struct verb *verb)
{
    const struct options *options = &command->options;
    if (verb->has_name != (command->name != NULL))
        return options_wrong(
            options, verb->has_name ? "%s needs the topic's name" : "%s takes no name", verb->name);
    for (const struct option_row *row = rows; row->id; row++)
        if (strchr(command->given, row->id) && !strchr(verb->letters, row->id))
            return options_wrong(options, "%s takes no --%s", verb->name, row->name);
    if (verb->run == run_alter && !command->given[0])
        return options_wrong(options, "alter needs --partitions N, --config KEY=VALUE or "
                                      "--delete-config KEY");
    return EXIT_OK;
}

enum exit_code command_topic(int count, char **arguments)
{
    struct topic_command command = {.topic = {.partitions = -1, .replication = -1}};
    options_init(&command.options, &usage, count, arguments);
    bool is_help = false;
    enum exit_code code = parse(&command, &is_help);
    if (code || is_help)
        return code;
    if (!command.verb)
        return options_wrong(&command.options,
                             "what to do: create, list, describe, delete or alter?");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, command.verb) != 0)
            continue;
        struct client client = {0};
        code = check_verb(&command, &verbs[i]);
        if (!code)
            code = connect_client(&command.options, command.broker, &client);
        if (!code)
            code = verbs[i].run(&command, &client);
        client_close(&client);
        return code;
    }
    return options_wrong(&command.options, "'%s' is not create, list, describe, delete or alter",
                         command.verb);
}
