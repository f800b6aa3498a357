#pragma once
/* A wire that can be cut: a thread that takes connections at an address of its own and passes bytes
 * on to a broker and back. A broker behind it names it in advertised.listeners, so that clients
 * never see another address. */
#include "interop/process.h"

struct proxy;

/* Starts one before `broker`, which need not run yet. Null, having said why, if it can't. */
struct proxy *proxy_start(const struct process *broker);
void proxy_end(struct proxy *proxy);

/* 127.0.0.1:port */
const char *proxy_address(const struct proxy *proxy);

/* From here on no answer comes back; requests still go through. */
void proxy_hold_answers(struct proxy *proxy);

/* Cuts every connection, what was held is lost, and lets answers through again. Returns how many
 * bytes of answers were lost. */
int64_t proxy_cut(struct proxy *proxy);
