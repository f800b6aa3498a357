#include "interop/proxy.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WIRES_MOST = 64, BUFFER_BYTES = 1 << 16, TURN_MS = 5 };

/* One connection: the client's end and the broker's. -1: none. */
struct wire {
    int client, broker;
};

struct proxy {
    pthread_t thread;
    pthread_mutex_t mutex; /* over all below, held while the thread does not poll */
    bool started, ending, holds;
    int listener;
    struct sockaddr_in to;
    char address[32];
    struct wire wires[WIRES_MOST];
    int wire_count;
};

/* ---- the thread ---------------------------------------------------------------------------- */

/* The peer gets a reset, and what lies in the socket is gone. */
static void cut(struct proxy *proxy, int number)
{
    struct linger at_once = {.l_onoff = 1};
    struct wire *wire = &proxy->wires[number];
    setsockopt(wire->client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    setsockopt(wire->broker, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(wire->client);
    close(wire->broker);
    *wire = proxy->wires[--proxy->wire_count];
}

static void take_connection(struct proxy *proxy)
{
    int client = accept(proxy->listener, NULL, NULL);
    int broker = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client >= 0 && proxy->wire_count < WIRES_MOST &&
        connect(broker, (struct sockaddr *)&proxy->to, sizeof proxy->to) == 0) {
        proxy->wires[proxy->wire_count++] = (struct wire){client, broker};
        return;
    }
    close(client);
    close(broker);
}

/* All of it; the sockets block, and both ends always read. False: the wire has ended. */
static bool pass(int from, int to)
{
    uint8_t data[BUFFER_BYTES];
    ssize_t got = recv(from, data, sizeof data, MSG_DONTWAIT);
    for (ssize_t at = 0; at < got;) {
        ssize_t sent = send(to, data + at, (size_t)(got - at), MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
    }
    return got > 0;
}

static void turn(struct proxy *proxy, const struct pollfd *polled, int count)
{
    for (int i = count - 1; i >= 0; i--) { /* from the end: a cut moves the last one */
        bool fine = true;
        if (polled[1 + 2 * i].revents)
            fine = pass(proxy->wires[i].client, proxy->wires[i].broker);
        if (fine && polled[2 + 2 * i].revents && !proxy->holds)
            fine = pass(proxy->wires[i].broker, proxy->wires[i].client);
        if (!fine)
            cut(proxy, i);
    }
    if (polled[0].revents)
        take_connection(proxy);
}

static void *run(void *argument)
{
    struct proxy *proxy = argument;
    for (bool ended = false; !ended;) {
        struct pollfd polled[1 + 2 * WIRES_MOST];
        pthread_mutex_lock(&proxy->mutex);
        int count = proxy->wire_count;
        polled[0] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        for (int i = 0; i < count; i++) {
            polled[1 + 2 * i] = (struct pollfd){.fd = proxy->wires[i].client, .events = POLLIN};
            polled[2 + 2 * i] =
                (struct pollfd){.fd = proxy->holds ? -1 : proxy->wires[i].broker, .events = POLLIN};
        }
        pthread_mutex_unlock(&proxy->mutex);
        bool any = poll(polled, (nfds_t)(1 + 2 * count), TURN_MS) > 0;
        pthread_mutex_lock(&proxy->mutex);
        if (any && count == proxy->wire_count) /* else they were cut meanwhile */
            turn(proxy, polled, count);
        ended = proxy->ending;
        pthread_mutex_unlock(&proxy->mutex);
    }
    return NULL;
}

/* ---- for the test -------------------------------------------------------------------------- */

static bool listen_somewhere(struct proxy *proxy)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t size = sizeof own;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(proxy->listener, (struct sockaddr *)&own, sizeof own) != 0 ||
        listen(proxy->listener, WIRES_MOST) != 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&own, &size) != 0)
        return false;
    snprintf(proxy->address, sizeof proxy->address, "127.0.0.1:%d", ntohs(own.sin_port));
    return true;
}

struct proxy *proxy_start(const struct process *broker)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);
    const char *port = strrchr(broker->address, ':');
    proxy->to = (struct sockaddr_in){.sin_family = AF_INET};
    proxy->to.sin_port = htons((uint16_t)strtol(port + 1, NULL, 10));
    proxy->to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    pthread_mutex_init(&proxy->mutex, NULL);
    proxy->started =
        listen_somewhere(proxy) && pthread_create(&proxy->thread, NULL, run, proxy) == 0;
    if (proxy->started)
        return proxy;
    perror("a proxy");
    proxy_end(proxy);
    return NULL;
}

void proxy_end(struct proxy *proxy)
{
    if (!proxy)
        return;
    pthread_mutex_lock(&proxy->mutex);
    proxy->ending = true;
    pthread_mutex_unlock(&proxy->mutex);
    if (proxy->started)
        pthread_join(proxy->thread, NULL);
    while (proxy->wire_count > 0)
        cut(proxy, 0);
    close(proxy->listener);
    pthread_mutex_destroy(&proxy->mutex);
    free(proxy);
}

const char *proxy_address(const struct proxy *proxy)
{
    return proxy->address;
}

void proxy_hold_answers(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->mutex);
    proxy->holds = true;
    pthread_mutex_unlock(&proxy->mutex);
}

int64_t proxy_cut(struct proxy *proxy)
{
    int64_t lost = 0;
    uint8_t data[BUFFER_BYTES];
    pthread_mutex_lock(&proxy->mutex);
    while (proxy->wire_count > 0) {
        ssize_t got = recv(proxy->wires[0].broker, data, sizeof data, MSG_DONTWAIT);
        lost += got > 0 ? got : 0;
        cut(proxy, 0);
    }
    proxy->holds = false;
    pthread_mutex_unlock(&proxy->mutex);
    return lost;
}
