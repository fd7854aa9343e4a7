/* SPDX-License-Identifier: MIT */
/* skua/datagram.h: sockets that carry datagrams: UDP, and unix sockets of the same kind. asyncio:
 * create_datagram_endpoint(), sock_recvfrom(), sock_sendto(). docs/datagrams.md has an example.
 *
 * skua_close(), skua_sockname(), skua_peername(), skua_poll_fd() work on them as on other sockets,
 * skua_read() and skua_write() as well where there is a peer. */
#ifndef SKUA_DATAGRAM_H
#define SKUA_DATAGRAM_H

#include <skua/base.h>
#include <skua/names.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Options of skua_datagram(). */
struct skua_datagram_opts {
    size_t size;      /* sizeof(struct skua_datagram_opts); the macro fills it in */
    const char *peer; /* the one address to talk with; NULL: any */
    bool reuseport;   /* SO_REUSEPORT: several sockets may have one port, and share what comes */
    bool broadcast;   /* SO_BROADCAST: broadcast addresses may be sent to */
};

/* Makes a socket for datagrams at the address `local`, "127.0.0.1:0" for instance; NULL leaves the
 * choice to the system when the first one is sent, and then there is a .peer. Addresses are those
 * of skua_addr_parse(). With a .peer only its datagrams are received, and what the network says of
 * it (-ECONNREFUSED) is reported by the next call. Never suspends. From: any thread.
 * Returns the descriptor, to be closed by skua_close(); -EINVAL (an address that does not parse,
 * two of different families, or none), -EADDRINUSE, -EADDRNOTAVAIL, -ECONNREFUSED (nobody has the
 * unix address), -EACCES, -EMFILE, -ENOMEM, ...
 * asyncio: create_datagram_endpoint(), whose names are to be looked up first here. */
SKUA_API int skua_datagram_with(const char *local, const struct skua_datagram_opts *opts);

/* Receives one datagram into buf. One that is longer than n loses its end, and *ret_is_cut says so.
 * Empty ones are datagrams too: 0 is no end of anything. ret_from gets the sender; .len is 0 when
 * it has no address. May suspend. From: task.
 * Returns how many bytes are in buf, -ECONNREFUSED (a datagram sent earlier found nobody; only with
 * a peer), -ETIMEDOUT, -ECANCELED, -EBADF, -EFAULT, -ENOTSOCK, -EPERM, ...
 * asyncio: loop.sock_recvfrom(), DatagramProtocol.datagram_received() and error_received(). */
SKUA_API ssize_t skua_recvfrom(int fd, void *buf, size_t n, double timeout, skua_addr *ret_from,
                               bool *ret_is_cut) SKUA_CHECKED;

/* Sends one datagram of n bytes, perhaps none, to an address; NULL: to the peer. It is sent as a
 * whole or not at all, and sent is not received. May suspend. From: task.
 * Returns n; -EMSGSIZE (too large), -EDESTADDRREQ or -ENOTCONN (no peer), -ECONNREFUSED (an earlier
 * one found nobody, or the unix address has none), -EACCES (broadcast), -ENETUNREACH, -ETIMEDOUT,
 * -ECANCELED, -EBADF, -EFAULT, -EINVAL, -ENOTSOCK, -EPERM, ...
 * asyncio: loop.sock_sendto(), DatagramTransport.sendto(). */
SKUA_API ssize_t skua_sendto(int fd, const void *buf, size_t n, const skua_addr *to,
                             double timeout) SKUA_CHECKED;

#ifndef __cplusplus
/* int skua_datagram(const char *local, [.peer = "127.0.0.1:5353", .broadcast = true, ...]) */
#define skua_datagram(...) \
    SKUA_DATAGRAM_(__VA_ARGS__, .size = sizeof(struct skua_datagram_opts))
#define SKUA_DATAGRAM_(local, ...) \
    skua_datagram_with((local), &(const struct skua_datagram_opts){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
