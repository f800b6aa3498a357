#pragma once
/* A client of one cluster: its metadata, and a connection to each broker it talks to. Calls wait.
 * Not thread safe. */
#include "driver.h"
#include "metadata.h"

struct client_settings {
    struct host_port bootstrap;
    struct session_settings session;
    int32_t timeout_ms; /* for a connection, and for each answer */
    int32_t retry_ms;   /* pause before what failed for now is tried again */
};

#define CLIENT_SETTINGS_DEFAULT                                                                    \
    ((struct client_settings){                                                                     \
        .session = SESSION_SETTINGS_DEFAULT, .timeout_ms = 30000, .retry_ms = 100})

enum { CLIENT_BOOTSTRAP = -1, CLIENT_REASON_BYTES = 600 };

struct client_link {
    int32_t node; /* CLIENT_BOOTSTRAP: the address that was given */
    struct driver driver;
};

struct client {
    struct client_settings settings;
    struct metadata metadata;
    struct client_link **links;
    int32_t link_count;
    char reason[CLIENT_REASON_BYTES]; /* why the last call failed, a sentence */
};

/* Connects to the bootstrap address. The client must be closed even after an error. */
enum error client_open(struct client *client, struct client_settings settings);
void client_close(struct client *client);

/* Writes the reason and returns `error`. */
enum error client_fail(struct client *client, enum error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The connection to a node (CLIENT_BOOTSTRAP: to any), opened if need be. Good until client_drop.
 */
enum error client_driver(struct client *client, int32_t node, struct driver **ret_driver);

/* Closes the connection to a node after it failed with `error`, whose reason becomes the client's;
 * returns `error`. */
enum error client_drop(struct client *client, int32_t node, enum error error);

/* One request to a node and its answer, good until the next call for that node. */
enum error client_call(struct client *client, int32_t node, enum api_key key, const void *message,
                       const void **ret_response);

/* Asks for the metadata of one topic, or of all if `topic` is null. An unknown topic is no error:
 * its entry carries one. `may_create`: the broker may create it, if it is set to. */
enum error client_refresh(struct client *client, const char *topic, bool may_create);

/* Asks until the topic is there and all its partitions have leaders, or an answer says that it will
 * not come, or the client's time-out is over. On error the reason tells what to do. */
enum error client_topic(struct client *client, const char *topic, bool may_create,
                        const struct metadata_topic **ret_topic);

/* True for errors of a connection: the request may be tried again over another one. */
bool client_may_reconnect(enum error error);

/* Sleeps for the pause between two tries. */
void client_pause(const struct client *client);
