/* SPDX-License-Identifier: MIT */
/* floor 8: net. Making sockets ours, and accepting, for the calls that do. */
#ifndef RT_NET_SOCK_H
#define RT_NET_SOCK_H

#include <skua/names.h>

#include "net/io.h"

/* Errors in a row that are one connection's and not the listener's. */
enum { RT_ACCEPT_RETRIES = 64 };

/* One accept4; the connection is owned. Its descriptor, or -errno: -EAGAIN for nobody there. */
int rt_sock_accept(struct rt_io *io, uint32_t *ret_generation);
/* The error belongs to the connection that was taken: take the next. */
bool rt_sock_is_transient(int err);
/* Out of something that comes back: wait a little. */
bool rt_sock_is_shortage(int err);
/* A fresh socket for streams to or from the address. */
int rt_sock_stream(const skua_addr *addr);
int rt_sock_bind(int fd, const skua_addr *addr);
/* What was bound is of no use: the file of a unix path goes. NULL is ignored. */
void rt_sock_unbind(const skua_addr *addr);
/* How a socket of streams with such an address behaves. */
enum rt_fd_kind rt_sock_kind(const skua_addr *addr);
/* Takes over a fresh descriptor; on failure it is closed. */
int rt_sock_adopt(int fd, enum rt_fd_kind kind, uint32_t *ret_generation);
/* Closes what was adopted with this generation, if it still is that. */
void rt_sock_drop(int fd, uint32_t generation);

#endif
