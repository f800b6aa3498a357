#pragma once
/* What both real ports ask of Linux in the same way: the table of errno, the clocks, and sockets up
 * to the point where they would wait. */
#include "reactor/port.h"
#include <netinet/in.h>
#include <stdbool.h>

/* What a positive errno is called above the seam; ERROR_INPUT_OUTPUT for one that is in no row. */
enum error error_of_errno(int number);

/* -(enum error) of errno: the result of an operation whose call has just failed. */
int64_t result_of_errno(void);

/* Reads both clocks. */
void system_clock(struct now *now);

/* An IPv4 or IPv6 address of the kernel. IPv6 is the larger; both begin with their family. */
union socket_address {
    struct sockaddr plain;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

/* Writes `address` in the kernel's form and returns its size in bytes; 0 if the family is neither
 * 4 nor 6. */
socklen_t socket_address_write(union socket_address *to, const struct address *address);

/* The way back. An IPv4 address mapped into IPv6 becomes family 4. */
void socket_address_read(struct address *address, const union socket_address *from);

/* The address of this end of a connection into `address`, left as it is where that can't be told.
 */
void socket_local_address(int32_t handle, struct address *address);

/* OP_LISTEN, which never waits: binds `address`, listens, writes the port that was chosen into it.
 * `flags` are added to the type of the socket (SOCK_NONBLOCK). Returns the result of the operation.
 * TCP_NODELAY is set here, for Linux hands it on to accepted connections. */
int64_t socket_listen(struct address *address, int flags);

/* A socket to connect from, with TCP_NODELAY. Returns it or the operation's result. */
int64_t socket_create(const struct address *address, int flags);

/* OP_SHUTDOWN, which never waits. A connection that the peer has reset counts as shut down. */
int64_t socket_shutdown(int32_t handle);
