#include "port/script.h"
#include "base/check.h"
#include <stdarg.h>
#include <stdio.h>

enum { TCP_PORTS = 64 }; /* tried before giving up */

static const char *const kind_names[OP_KIND_COUNT] = {
    [OP_LISTEN] = "listen",
    [OP_ACCEPT] = "accept",
    [OP_CONNECT] = "connect",
    [OP_RECEIVE] = "receive",
    [OP_SEND] = "send",
    [OP_SHUTDOWN] = "shutdown",
    [OP_OPEN] = "open",
    [OP_CLOSE] = "close",
    [OP_READ] = "read",
    [OP_WRITE] = "write",
    [OP_FLUSH] = "flush",
    [OP_FLUSH_ALL] = "flush all",
    [OP_ALLOCATE] = "allocate",
    [OP_TRUNCATE] = "truncate",
    [OP_LIST] = "list",
    [OP_STAT] = "stat",
    [OP_RENAME] = "rename",
    [OP_REMOVE] = "remove",
    [OP_MAKE_DIRECTORY] = "make directory",
    [OP_SPACE] = "space",
    [OP_WORK] = "work",
};

void script_run(void (*steps)(struct script *script), const char *expected)
{
    /* Small on purpose: queues and pools overflow in every larger script. */
    static const struct port_options options = {
        .queue_depth = 8, .pool_buffer_size = 4096, .pool_buffer_count = 4};
    for (int i = 0; i < port_rows_count; i++) {
        static struct script script;
        char why[256] = "";
        script = (struct script){.row_name = port_rows[i].name};
        enum error error = port_rows[i].open(&script.place, &options, why, sizeof why);
        test_expect(!error, __FILE__, __LINE__, "%s: %s", port_rows[i].name, why);
        if (error)
            continue;
        script.port = script.place.port;
        steps(&script);
        port_rows[i].close(&script.place);
        test_expect(strcmp(script.trace, expected) == 0, __FILE__, __LINE__,
                    "on %s: got\n%swant\n%s", script.row_name, script.trace, expected);
    }
}

void script_say(struct script *script, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(script->trace + script->trace_size, TRACE_MAX - script->trace_size, format,
                         arguments);
    va_end(arguments);
    script->trace_size += (size_t)size;
    check(script->trace_size + 2 < TRACE_MAX);
    script->trace[script->trace_size++] = '\n';
}

const char *script_path(struct script *script, const char *name)
{
    check(script->path_count < PATHS_MAX);
    char *path = script->paths[script->path_count++];
    snprintf(path, sizeof script->paths[0], "%s%s%s", script->place.folder, *name ? "/" : "", name);
    return path;
}

void script_say_op(struct script *script, const struct op *op)
{
    const char *below = op->path ? op->path + strlen(script->place.folder) : "";
    bool gives_handle = op->kind == OP_LISTEN || op->kind == OP_ACCEPT || op->kind == OP_CONNECT ||
                        op->kind == OP_OPEN;
    bool gives_count = op->kind == OP_RECEIVE || op->kind == OP_SEND || op->kind == OP_READ ||
                       op->kind == OP_WRITE || op->kind == OP_LIST;
    char count[24];
    snprintf(count, sizeof count, "%lld", (long long)op->result);
    const char *result = op->result < 0              ? error_name(op_error(op->result))
                         : gives_handle              ? "handle"
                         : gives_count || op->result ? count
                                                     : "ok";
    script_say(script, "%s%s%s -> %s", kind_names[op->kind], *below ? " " : "",
               *below == '/' ? below + 1 : below, result);
}

int64_t script_await(struct script *script, struct op *op)
{
    while (op->running)
        script->port->operations->wait(script->port, INT64_MAX);
    return op->result;
}

int64_t script_call(struct script *script, struct op *op)
{
    port_call(script->port, op);
    script_say_op(script, op);
    return op->result;
}

int32_t script_open(struct script *script, const char *name, uint32_t flags)
{
    struct op op = {.kind = OP_OPEN, .path = script_path(script, name), .flags = flags};
    return (int32_t)script_call(script, &op);
}

int64_t script_write(struct script *script, int32_t handle, int64_t offset, const char *text)
{
    struct iovec vector = {(void *)text, strlen(text)};
    struct op op = {.kind = OP_WRITE,
                    .handle = handle,
                    .offset = offset,
                    .vectors = &vector,
                    .vector_count = 1};
    return script_call(script, &op);
}

int64_t script_read(struct script *script, int32_t handle, int64_t offset, void *to, size_t size)
{
    struct op op = {.kind = OP_READ, .handle = handle, .offset = offset, .data = to, .size = size};
    return script_call(script, &op);
}

int64_t script_close(struct script *script, int32_t handle)
{
    struct op op = {.kind = OP_CLOSE, .handle = handle};
    return script_call(script, &op);
}

int64_t script_close_quiet(struct script *script, int32_t handle)
{
    struct op op = {.kind = OP_CLOSE, .handle = handle};
    return port_call(script->port, &op);
}

int32_t script_listen(struct script *script, struct address *ret_address)
{
    int64_t result = -1;
    uint16_t first = script->place.tcp_port_first;
    for (uint16_t port = first; port < first + TCP_PORTS && result < 0; port++) {
        *ret_address = (struct address){.family = 4, .bytes = {[12] = 127, [15] = 1}, .port = port};
        struct op op = {.kind = OP_LISTEN, .address = ret_address};
        result = port_call(script->port, &op);
        check(result >= 0 || op_error(result) == ERROR_ADDRESS_IN_USE);
    }
    check(result >= 0);
    return (int32_t)result;
}

void script_connect(struct script *script, int32_t listener, struct address *address,
                    int32_t *ret_near, int32_t *ret_far)
{
    struct op accept = {.kind = OP_ACCEPT, .handle = listener};
    struct op connect = {.kind = OP_CONNECT, .address = address};
    op_start(script->port, &accept);
    op_start(script->port, &connect);
    *ret_near = (int32_t)script_await(script, &connect);
    *ret_far = (int32_t)script_await(script, &accept);
    check(*ret_near >= 0 && *ret_far >= 0);
}
