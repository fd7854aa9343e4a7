/* SPDX-License-Identifier: MIT */
/* System calls on sockets, and the resolver of the C library. */
#include "base/sys_door.h"

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* ---- bytes ---- */

RT_NOINLINE ssize_t rt_sys_recv(int fd, void *buf, size_t n, int flags)
{
    return RT_SYS_RETRY(RT_SYS_RECV, recv(fd, buf, rt_sys_capped(n), flags));
}

RT_NOINLINE ssize_t rt_sys_send(int fd, const void *buf, size_t n, int flags)
{
    return RT_SYS_RETRY(RT_SYS_SEND, send(fd, buf, rt_sys_capped(n), flags | MSG_NOSIGNAL));
}

RT_NOINLINE ssize_t rt_sys_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from,
                                    socklen_t *from_len)
{
    return RT_SYS_RETRY(RT_SYS_RECVFROM, recvfrom(fd, buf, n, flags, from, from_len));
}

RT_NOINLINE ssize_t rt_sys_sendto(int fd, const void *buf, size_t n, int flags,
                                  const struct sockaddr *to, socklen_t to_len)
{
    return RT_SYS_RETRY(RT_SYS_SENDTO, sendto(fd, buf, n, flags | MSG_NOSIGNAL, to, to_len));
}

RT_NOINLINE ssize_t rt_sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
    return RT_SYS_RETRY(RT_SYS_RECVMSG, recvmsg(fd, msg, flags));
}

RT_NOINLINE ssize_t rt_sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    return RT_SYS_RETRY(RT_SYS_SENDMSG, sendmsg(fd, msg, flags | MSG_NOSIGNAL));
}

RT_NOINLINE ssize_t rt_sys_sendfile(int out_fd, int in_fd, off_t offset, size_t n)
{
    off_t at = offset;
    return RT_SYS_RETRY(RT_SYS_SENDFILE, sendfile(out_fd, in_fd, &at, rt_sys_capped(n)));
}

/* ---- sockets ---- */

RT_NOINLINE int rt_sys_socket(int domain, int type, int protocol)
{
    return (int)RT_SYS_ONCE(RT_SYS_SOCKET, socket(domain, type, protocol));
}

RT_NOINLINE int rt_sys_socketpair(int domain, int type, int protocol, int ret_fds[2])
{
    return (int)RT_SYS_ONCE(RT_SYS_SOCKETPAIR, socketpair(domain, type, protocol, ret_fds));
}

RT_NOINLINE int rt_sys_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    return (int)RT_SYS_ONCE(RT_SYS_BIND, bind(fd, addr, len));
}

RT_NOINLINE int rt_sys_listen(int fd, int backlog)
{
    return (int)RT_SYS_ONCE(RT_SYS_LISTEN, listen(fd, backlog));
}

RT_NOINLINE int rt_sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    int64_t rc = RT_SYS_ONCE(RT_SYS_CONNECT, connect(fd, addr, len));
    return rc == -EINTR ? -EINPROGRESS : (int)rc;
}

RT_NOINLINE int rt_sys_accept4(int fd, struct sockaddr *peer, socklen_t *peer_len, int flags)
{
    return (int)RT_SYS_RETRY(RT_SYS_ACCEPT4, accept4(fd, peer, peer_len, flags));
}

RT_NOINLINE int rt_sys_getsockopt_int(int fd, int level, int name, int *ret_value)
{
    socklen_t len = sizeof(*ret_value);
    return (int)RT_SYS_ONCE(RT_SYS_GETSOCKOPT, getsockopt(fd, level, name, ret_value, &len));
}

RT_NOINLINE int rt_sys_setsockopt_int(int fd, int level, int name, int value)
{
    return (int)RT_SYS_ONCE(RT_SYS_SETSOCKOPT, setsockopt(fd, level, name, &value, sizeof(value)));
}

RT_NOINLINE int rt_sys_getsockname(int fd, struct sockaddr *ret_addr, socklen_t *len)
{
    return (int)RT_SYS_ONCE(RT_SYS_GETSOCKNAME, getsockname(fd, ret_addr, len));
}

RT_NOINLINE int rt_sys_getpeername(int fd, struct sockaddr *ret_addr, socklen_t *len)
{
    return (int)RT_SYS_ONCE(RT_SYS_GETPEERNAME, getpeername(fd, ret_addr, len));
}

RT_NOINLINE int rt_sys_shutdown(int fd, int how)
{
    return (int)RT_SYS_ONCE(RT_SYS_SHUTDOWN, shutdown(fd, how));
}

/* ---- names ---- */

/* What the C library says, as errno values; the table is in docs/names.md. errno still holds what
 * EAI_SYSTEM speaks of. */
static RT_NOINLINE int resolver_error(int eai)
{
    switch (eai) {
    case 0:
        return 0;
    case EAI_NONAME:
        return -ENOENT;
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return -ENODATA;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_FAIL:
        return -EREMOTEIO;
    case EAI_FAMILY:
        return -EAFNOSUPPORT;
    case EAI_SOCKTYPE:
        return -ESOCKTNOSUPPORT;
    case EAI_SERVICE:
        return -EPROTONOSUPPORT;
    case EAI_BADFLAGS:
        return -EINVAL;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_OVERFLOW:
        return -EOVERFLOW;
    case EAI_IDN_ENCODE:
        return -EILSEQ;
    case EAI_SYSTEM:
        return errno ? rt_sys_failure() : -EIO;
    default:
        return -EIO;
    }
}

#ifdef RT_TESTING

static RT_ATOMIC(const struct rt_resolver *) substitute;

void rt_sys_resolver_set(const struct rt_resolver *resolver)
{
    rt_store_relaxed(&substitute, resolver); /* relaxed: what it points to never changes */
}

static const struct rt_resolver *resolver(void)
{
    static const struct rt_resolver c_library = {
        .getaddrinfo = getaddrinfo,
        .freeaddrinfo = freeaddrinfo,
        .getnameinfo = getnameinfo,
    };
    const struct rt_resolver *r = rt_load_relaxed(&substitute); /* relaxed: as above */
    return r ? r : &c_library;
}

#define RESOLVER(call) resolver()->call
#else
#define RESOLVER(call) call
#endif

RT_NOINLINE int rt_sys_getaddrinfo(const char *host, const char *service,
                                   const struct addrinfo *hints, struct addrinfo **ret_list)
{
    int before = errno;
    int r;
    do {
        r = rt_sys_fault(RT_SYS_GETADDRINFO);
        errno = 0;
        if (r == 0)
            r = resolver_error(RESOLVER(getaddrinfo)(host, service, hints, ret_list));
    } while (r == -EINTR);
    errno = before;
    return r;
}

void rt_sys_freeaddrinfo(struct addrinfo *list)
{
    RESOLVER(freeaddrinfo)(list);
}

RT_NOINLINE int rt_sys_getnameinfo(const struct sockaddr *addr, socklen_t len, char *ret_host,
                                   size_t host_n, char *ret_service, size_t service_n, int flags)
{
    int before = errno;
    int r;
    do {
        r = rt_sys_fault(RT_SYS_GETNAMEINFO);
        errno = 0;
        if (r == 0)
            r = resolver_error(RESOLVER(getnameinfo)(addr, len, ret_host, (socklen_t)host_n,
                                                     ret_service, (socklen_t)service_n, flags));
    } while (r == -EINTR);
    errno = before;
    return r;
}

RT_NOINLINE unsigned rt_sys_interface_index(const char *name)
{
    int before = errno;
    unsigned index = if_nametoindex(name);
    errno = before; /* the caller's own */
    return index;
}
