/* SPDX-License-Identifier: MIT */
/* skua/names.h: socket addresses, their text, and the names behind them. asyncio:
 * loop.getaddrinfo(), loop.getnameinfo(). docs/names.md tells the whole story. */
#ifndef SKUA_NAMES_H
#define SKUA_NAMES_H

#include <netdb.h>
#include <skua/base.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- addresses ---- */

/* A socket address of any family: a value, copied as one. (struct sockaddr *)&a.sa and a.len are
 * what system calls take. */
typedef struct skua_addr {
    struct sockaddr_storage sa; /* .ss_family tells the kind */
    socklen_t len; /* bytes of sa that count; 0: no address */
} skua_addr;

/* The text of every address fits into so many bytes, the zero included. */
#define SKUA_ADDR_TEXT 128

/* Reads "127.0.0.1:8080", "[::1]:0", "[fe80::1%eth0]:80", "unix:/path" or "unix:@abstract". Hosts
 * are numeric: nothing is looked up but the number of an interface. Never suspends. From: any
 * thread. Returns 0 or -EINVAL. asyncio has none: its addresses are tuples. */
SKUA_API int skua_addr_parse(const char *text, skua_addr *ret_addr);

/* Writes what skua_addr_parse() reads into buf. A unix socket without a name is "unix:"; bytes of
 * an abstract name that a text cannot hold (zeroes) become '@'. Never suspends. From: any thread.
 * Returns the length of the text, -ENOSPC (n bytes are too few: SKUA_ADDR_TEXT are enough), or
 * -EINVAL (no address, or of another family). asyncio has none. */
SKUA_API int skua_addr_text(const skua_addr *addr, char *buf, size_t n);

/* The address that a socket is bound to, and the one that it is connected to. Never suspends. From:
 * any thread. Returns 0, -EBADF, -ENOTSOCK, -ENOTCONN, -EINVAL.
 * asyncio: get_extra_info("sockname"), get_extra_info("peername"). */
SKUA_API int skua_sockname(int fd, skua_addr *ret_addr);
SKUA_API int skua_peername(int fd, skua_addr *ret_addr);

/* ---- names to addresses ---- */

/* One answer. */
struct skua_addrinfo {
    int family;      /* AF_INET or AF_INET6 */
    int type;        /* SOCK_STREAM, SOCK_DGRAM, ... */
    int protocol;    /* IPPROTO_TCP, ... */
    skua_addr addr;  /* with the port */
    const char *canonname; /* with AI_CANONNAME in the first one; else NULL. It lives as long */
};

/* Options of skua_getaddrinfo(). */
struct skua_getaddrinfo_opts {
    size_t size;  /* sizeof(struct skua_getaddrinfo_opts); the macro fills it in */
    int family;   /* AF_INET or AF_INET6; 0: both */
    int type;     /* SOCK_STREAM or SOCK_DGRAM; 0: an answer for each */
    int protocol; /* 0: any */
    int flags;    /* AI_PASSIVE, AI_NUMERICHOST, ... of <netdb.h> */
};

/* Looks a host and a service up, as getaddrinfo(3) does. Numeric hosts ("192.0.2.1", "2001:db8::1",
 * "fe80::1%eth0"), NULL (any address with AI_PASSIVE, else the loopback) and "localhost" are
 * answered at once; for other names, and for services that are no numbers, the C library is asked
 * on a thread of the lane "dns". Cancelled or out of time, the call returns at once; what the
 * thread finds later is dropped. A host made of numbers that is no full address ("127.1") is not a
 * name: -EINVAL. service may be NULL: port 0.
 * May suspend. From: task.
 * Returns how many answers *ret_list has (> 0), best first; the caller gives it to
 * skua_freeaddrinfo(). -ENOENT: no such name. -ENODATA: it has no such address. -EAGAIN: the
 * servers gave no answer, later they may (or no thread is to be had). -EREMOTEIO: they failed.
 * -EPROTONOSUPPORT: no such service for the type. -EAFNOSUPPORT, -ESOCKTNOSUPPORT, -ENAMETOOLONG
 * (hosts have up to 255 bytes, services 31), -EINVAL, -ETIMEDOUT, -ECANCELED, -ENOMEM, -ESHUTDOWN,
 * -EPERM, and what the system says. asyncio: loop.getaddrinfo(). */
SKUA_API int skua_getaddrinfo_with(const char *host, const char *service, double timeout,
                                   struct skua_addrinfo **ret_list,
                                   const struct skua_getaddrinfo_opts *opts) SKUA_CHECKED;

/* Frees a list of skua_getaddrinfo() with its names; NULL is ignored. Never suspends. From: any
 * thread. asyncio has none: Python frees. */
SKUA_API void skua_freeaddrinfo(struct skua_addrinfo *list);

/* ---- addresses to names ---- */

/* What skua_getnameinfo() found, as text. */
struct skua_nameinfo {
    char host[1025];  /* NI_MAXHOST */
    char service[32]; /* NI_MAXSERV */
};

/* Looks up what host and service an address belongs to, as getnameinfo(3) does; flags are
 * NI_NUMERICHOST, NI_NUMERICSERV, NI_NAMEREQD, ... of <netdb.h>. With both NI_NUMERIC flags it is
 * answered at once, otherwise on a thread of the lane "dns", as by skua_getaddrinfo(). May suspend.
 * From: task.
 * Returns 0; -ENOENT (NI_NAMEREQD: it has none), -EAGAIN, -EREMOTEIO, -EAFNOSUPPORT (neither
 * AF_INET nor AF_INET6), -EOVERFLOW, -EINVAL, -ETIMEDOUT, -ECANCELED, -ENOMEM, -ESHUTDOWN, -EPERM.
 * asyncio: loop.getnameinfo(). */
SKUA_API int skua_getnameinfo(const skua_addr *addr, int flags, double timeout,
                              struct skua_nameinfo *ret_info) SKUA_CHECKED;

#ifndef __cplusplus
/* int skua_getaddrinfo(const char *host, const char *service, double timeout,
 *                      struct skua_addrinfo **ret_list, [.family = AF_INET, ...]) */
#define skua_getaddrinfo(host, service, timeout, ...) \
    SKUA_GETADDRINFO_(host, service, timeout, __VA_ARGS__, \
                      .size = sizeof(struct skua_getaddrinfo_opts))
#define SKUA_GETADDRINFO_(host, service, timeout, ret_list, ...) \
    skua_getaddrinfo_with((host), (service), (timeout), (ret_list), \
                          &(const struct skua_getaddrinfo_opts){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
