/* Each API in each advertised version, over a real socket, against a real broker: a valid request,
 * one a byte short, one a byte long, and each enum out of its range. What the broker advertises is
 * what is asked; an API without a row here is a missing cell, and fails.
 *
 *   ok   as it must be: an answer without error; a closed connection for a frame that is short or
 *        long; the error that belongs to the enum
 *   -    the version has no enum
 *   gone advertised for the sake of old clients and not served: the connection is closed */
#include "interop/conformance.h"
#include "support/test.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* -- the matrix ---------------------------------------------------------------------------- */

static const struct conformance_row *find_row(int16_t key)
{
    for (int i = 0; i < conformance_rows_count; i++)
        if (conformance_rows[i].key == key)
            return &conformance_rows[i];
    return NULL;
}

static const char *cell(bool good, const struct api *api, int16_t version, const char *what)
{
    test_expect(good, __FILE__, __LINE__, "%s version %d: %s", api->name, version, what);
    return good ? "ok" : "FAIL";
}

static void *right_request(struct wire *wire, const struct conformance_row *row, int16_t version)
{
    const struct api *api = api_find(row->key);
    arena_reset(&wire->arena, WIRE_ARENA_BYTES);
    void *request = wire_take(wire, api->request);
    row->fill(wire, version, request);
    return request;
}

static const char *try_valid(struct wire *wire, const struct conformance_row *row, int16_t version)
{
    const struct api *api = api_find(row->key);
    const void *response = wire_call(wire, api, version, right_request(wire, row, version));
    return cell(response && row->error_of(response) == 0, api, version, "a valid request");
}

/* A frame with so many bytes more, or less, than it should have. */
static const char *try_length(struct wire *wire, const struct conformance_row *row, int16_t version,
                              int by)
{
    const struct api *api = api_find(row->key);
    const void *request = right_request(wire, row, version);
    size_t size = wire_encode(wire, api, version, request);
    int handle = wire_dial(wire);
    if (by > 0)
        wire->frame[size] = 0;
    bool closed = wire_exchange(wire, handle, size + (size_t)by) == 0;
    close(handle);
    return cell(closed, api, version, by < 0 ? "a byte short" : "a byte long");
}

static const char *try_enums(struct wire *wire, const struct conformance_row *row, int16_t version)
{
    const struct api *api = api_find(row->key);
    const char *result = "MISSING";
    for (int i = 0; i < conformance_spoilings_count; i++) {
        const struct conformance_spoiling *spoiling = &conformance_spoilings[i];
        if (spoiling->key != row->key || version < spoiling->since || version > spoiling->until)
            continue;
        if (!spoiling->spoil)
            return "-";
        void *request = right_request(wire, row, version);
        spoiling->spoil(wire, request);
        const void *response = wire_call(wire, api, version, request);
        int got = response ? row->error_of(response) : INCOMPLETE;
        if (test_expect(got == (int)spoiling->want, __FILE__, __LINE__,
                        "%s version %d: an enum out of range: got %d, want %s", api->name, version,
                        got, error_name(spoiling->want)))
            result = strcmp(result, "FAIL") == 0 ? result : "ok";
        else
            result = "FAIL";
    }
    test_expect(strcmp(result, "MISSING") != 0, __FILE__, __LINE__,
                "%s version %d has no row in spoilings", api->name, version);
    return result;
}

/* A version that is advertised and not served. */
static const char *try_gone(struct wire *wire, const struct api *api, int16_t version)
{
    struct writer writer;
    writer_init(&writer, wire->frame + 4, WIRE_FRAME_BYTES - 4);
    write_i16(&writer, api->key);
    write_i16(&writer, version);
    write_i32(&writer, WIRE_CORRELATION);
    write_i16(&writer, -1);
    int handle = wire_dial(wire);
    bool closed = wire_exchange(wire, handle, writer.size + 4) == 0;
    close(handle);
    return strcmp(cell(closed, api, version, "not served"), "ok") == 0 ? "gone" : "FAIL";
}

static void try_version(struct wire *wire, const struct api *api, int16_t version)
{
    const struct conformance_row *row = find_row(api->key);
    const char *valid = "MISSING", *cut = "MISSING", *longer = "MISSING", *enums = "MISSING";
    test_expect(row != NULL, __FILE__, __LINE__, "%s has no row here", api->name);
    if (row && version < row->served_from) {
        valid = cut = longer = enums = try_gone(wire, api, version);
    } else if (row) {
        valid = try_valid(wire, row, version);
        cut = try_length(wire, row, version, -1);
        longer = try_length(wire, row, version, 1);
        enums = try_enums(wire, row, version);
    }
    printf("  %-24s %7d  %-8s %-8s %-8s %s\n", api->name, version, valid, cut, longer, enums);
}

TEST(conformance, every_api_in_every_advertised_version)
{
    struct wire *wire = wire_start(NULL);
    struct api_versions_response_api_version keys[128];
    if (!wire)
        return;
    struct api_versions_request *request = TAKE(wire, api_versions_request);
    const struct api_versions_response *advertised =
        wire_call(wire, api_find(API_API_VERSIONS), 0, request);
    int32_t count = advertised ? advertised->api_keys_count : 0;
    if (TRUE_(count > 0 && count < 128))
        memcpy(keys, advertised->api_keys, (size_t)count * sizeof *keys);
    printf("  %-24s version  %-8s %-8s %-8s enums\n", "API", "valid", "short", "long");
    for (int32_t i = 0; i < count && i < 128; i++)
        for (int16_t v = keys[i].min_version; v <= keys[i].max_version; v++)
            try_version(wire, api_find(keys[i].api_key), v);
    EQ(count, conformance_rows_count);
    wire_end(wire);
}
