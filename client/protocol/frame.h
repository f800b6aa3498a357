#pragma once
/* The APIs of the wire (apis.def), and the headers of requests and responses. A frame is an int32
 * length, a header and a body. Source: Kafka's protocol guide; KIP-482, KIP-511. */
#include "protocol/messages.h"

enum api_key {
#define API(key, oldest, newest, flexible, listeners, stability, constant, name, tables)           \
    API_##constant = key,
#include "protocol/apis.def"
#undef API
};

/* On which listeners a Kafka of today answers an API: bits. */
enum api_listeners { API_LISTENER_BROKER = 1, API_LISTENER_CONTROLLER = 2, API_LISTENER_BOTH = 3 };

struct api {
    const char *name; /* "Produce" */
    int16_t key;
    int16_t oldest, newest; /* versions of the tables */
    int16_t newest_stable;  /* what may be advertised */
    int16_t flexible;       /* first flexible version; INT16_MAX: never */
    uint8_t listeners;      /* enum api_listeners */
    const struct message *request, *response;
};

/* The API with this key; null if there is none. */
const struct api *api_find(int16_t key);

/* "Produce"; "UNKNOWN" for a key that is in no table. Static memory. */
const char *api_name(int16_t key);

/* Walks the APIs in order of keys: start with *position 0; null at the end. */
const struct api *api_next(int *position);

/* Version of the header before a request: 2 if the body is flexible, else 1. An unknown `api`
 * (null) or version is read with 1: its first three fields are the same in all. */
int16_t request_header_version(const struct api *api, int16_t version);

/* Version of the header before a response: 1 if the body is flexible, else 0; of ApiVersions always
 * 0, so that a client of any age can read it. */
int16_t response_header_version(const struct api *api, int16_t version);

/* Decodes the header of the request that the reader is at the beginning of (behind the length).
 * UNSUPPORTED_VERSION if the API or the version is unknown: then `header` holds key, version and
 * correlation id, and nothing behind them was read. */
enum error request_header_decode(struct reader *reader, struct arena *arena,
                                 struct request_header *header);

/* Appends the header of a request: key, version, correlation id and client id (null allowed). */
enum error request_header_encode(struct writer *writer, const struct api *api, int16_t version,
                                 int32_t correlation_id, struct string client_id);

/* Appends the header of a response. */
enum error response_header_encode(struct writer *writer, const struct api *api, int16_t version,
                                  int32_t correlation_id);
