#pragma once
/* Scripts: the same operations run against every port, and what comes back is written down as lines
 * of text and compared with what the test says. A port is a row of the table in rows.c; adding one
 * is adding a row. Scripts assume nothing of the system but the port: no clock, no path outside
 * place.folder, no thread.
 *
 * A line is the kind of the operation, its path below the folder if it has one, and "-> result":
 * "ok", the name of the error, "handle", or a count. */
#include "reactor/port.h"
#include "support/test.h"

/* A port opened for one script. */
struct place {
    struct port *port;
    char folder[256];        /* empty, ends without slash; removed by the row's close */
    uint16_t tcp_port_first; /* where scripts listen: at this one or a few behind it */
    void *owner;             /* the row's */
};

struct port_row {
    const char *name;
    /* Opens a port and an empty folder. On an error `why` says it in a sentence. */
    enum error (*open)(struct place *place, const struct port_options *options, char *why,
                       size_t why_size);
    void (*close)(struct place *place); /* closes both */
};

extern const struct port_row port_rows[];
extern const int port_rows_count;

enum { TRACE_MAX = 16384, PATHS_MAX = 64 };

struct script {
    struct place place;
    struct port *port; /* of place */
    const char *row_name;
    char trace[TRACE_MAX];
    size_t trace_size;
    char paths[PATHS_MAX][512]; /* of script_path */
    int path_count;
};

/* Runs `steps` on every port; each time the trace must be `expected`. */
void script_run(void (*steps)(struct script *script), const char *expected);

/* Adds a line to the trace, without a newline in `format`. */
void script_say(struct script *script, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* `name` below the folder; lives as long as the script. The folder itself for "". */
const char *script_path(struct script *script, const char *name);

/* Writes down how `op`, which has completed, ended. */
void script_say_op(struct script *script, const struct op *op);

/* Runs `op` to its end and writes it down. Returns its result. */
int64_t script_call(struct script *script, struct op *op);

/* Waits until `op` has completed, without writing it down. Returns its result. */
int64_t script_await(struct script *script, struct op *op);

/* Shorthands of script_call; `_quiet` writes nothing down. */
int32_t script_open(struct script *script, const char *name, uint32_t flags);
int64_t script_write(struct script *script, int32_t handle, int64_t offset, const char *text);
int64_t script_read(struct script *script, int32_t handle, int64_t offset, void *to, size_t size);
int64_t script_close(struct script *script, int32_t handle);
int64_t script_close_quiet(struct script *script, int32_t handle);

/* A listener at 127.0.0.1 on a port from tcp_port_first up that nobody uses, and a connection to
 * it: the side that connected and the one that was accepted. Nothing is written down. */
int32_t script_listen(struct script *script, struct address *ret_address);
void script_connect(struct script *script, int32_t listener, struct address *address,
                    int32_t *ret_near, int32_t *ret_far);
