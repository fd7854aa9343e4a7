/* SPDX-License-Identifier: MIT */
/* floor 8: net. skua_listen, skua_accept, skua_shutdown. */
#include "net/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include "base/sys.h"
#include "net/addr.h"
#include "sched/queues.h"

enum { BACKLOG = 511 };

void rt_sock_drop(int fd, uint32_t generation)
{
    struct rt_fifo out = {0};
    SKUA_IGNORE(
        rt_fd_close_generation(fd, generation, &out)); /* closed by its user already, or now */
    rt_ready_batch(&out);
}

int rt_sock_adopt(int fd, enum rt_fd_kind kind, uint32_t *ret_generation)
{
    struct rt_fifo out = {0};
    int r = rt_fd_adopt_fresh(fd, kind, ret_generation, &out);
    rt_ready_batch(&out);
    if (r < 0)
        SKUA_IGNORE(rt_sys_close(fd)); /* the first error is reported */
    return r;
}

enum rt_fd_kind rt_sock_kind(const skua_addr *addr)
{
    return addr->sa.ss_family == AF_UNIX ? RT_FD_SOCKET : RT_FD_TCP;
}

int rt_sock_stream(const skua_addr *addr)
{
    return rt_sys_socket(addr->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int rt_sock_bind(int fd, const skua_addr *addr)
{
    return rt_sys_bind(fd, (const struct sockaddr *)&addr->sa, addr->len);
}

void rt_sock_unbind(const skua_addr *addr)
{
    if (!addr || addr->sa.ss_family != AF_UNIX)
        return;
    const char *path = ((const struct sockaddr_un *)&addr->sa)->sun_path; /* ends with a zero */
    if (path[0])
        SKUA_IGNORE(rt_sys_path_unlink(path)); /* the first error is reported */
}

/* --- listen --- */

/* Connections inherit TCP_NODELAY from their listener. */
static int set_up_listener(int fd, const skua_addr *addr, const struct skua_listen_opts *opts)
{
    int r = 0;
    if (rt_sock_kind(addr) == RT_FD_TCP) {
        r = rt_sys_setsockopt_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (r == 0 && opts && opts->reuseport)
            r = rt_sys_setsockopt_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (r == 0)
            r = rt_sys_setsockopt_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (r == 0 && addr->sa.ss_family == AF_INET6)
        r = rt_sys_setsockopt_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (r == 0)
        r = rt_sock_bind(fd, addr);
    if (r < 0)
        return r;
    r = rt_sys_listen(fd, opts && opts->backlog ? opts->backlog : BACKLOG);
    if (r < 0)
        rt_sock_unbind(addr);
    return r;
}

int skua_listen_with(const char *text, const struct skua_listen_opts *opts)
{
    skua_addr addr;
    uint32_t generation;
    if (opts && (opts->size != sizeof *opts || opts->backlog < 0))
        return -EINVAL;
    int r = rt_addr_parse(text, &addr);
    if (r < 0)
        return r;
    int fd = rt_sock_stream(&addr);
    if (fd < 0)
        return fd;
    r = set_up_listener(fd, &addr, opts);
    if (r < 0) {
        SKUA_IGNORE(rt_sys_close(fd)); /* the first error is reported */
        return r;
    }
    r = rt_sock_adopt(fd, rt_sock_kind(&addr), &generation);
    if (r < 0)
        rt_sock_unbind(&addr);
    return r < 0 ? r : fd;
}

/* --- accept --- */

bool rt_sock_is_transient(int err)
{
    switch (err) {
    case -ECONNABORTED:
    case -EPROTO:
    case -EPERM:
    case -ENETDOWN:
    case -ENOPROTOOPT:
    case -EHOSTDOWN:
    case -ENONET:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
        return true;
    default:
        return false;
    }
}

bool rt_sock_is_shortage(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM;
}

int rt_sock_accept(struct rt_io *io, uint32_t *ret_generation)
{
    int fd = rt_sys_accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return fd;
    enum rt_fd_kind kind = io->owned ? (enum rt_fd_kind)io->rec->kind : RT_FD_SOCKET;
    int r = rt_sock_adopt(fd, kind, ret_generation);
    return r < 0 ? r : fd;
}

static int wait_for_connection(struct rt_io *io)
{
    int r;
    if (!io->owned) {
        r = rt_io_poll(io, POLLIN);
        return r < 0 ? r : 0;
    }
    rt_io_drained(io, RT_DIR_IN);
    return rt_io_wait(io, POLLIN);
}

static int accept_next(struct rt_io *io)
{
    unsigned retries = 0;
    for (;;) {
        uint32_t generation;
        int fd = -EAGAIN;
        if (!io->owned || rt_io_try(io, RT_DIR_IN))
            fd = rt_sock_accept(io, &generation);
        if (rt_sock_is_transient(fd) && ++retries < RT_ACCEPT_RETRIES)
            continue;
        if (fd != -EAGAIN)
            return fd;
        int r = wait_for_connection(io);
        if (r < 0)
            return r;
    }
}

int skua_accept(int fd, double timeout)
{
    struct rt_io io;
    int r = rt_io_begin(&io, fd, timeout);
    if (r < 0)
        return r;
    if (!io.owned) {
        int flags = rt_sys_fcntl_getfl(fd);
        if (flags < 0 || !(flags & O_NONBLOCK))
            return (int)rt_io_end(&io, flags < 0 ? flags : -EINVAL);
    }
    return (int)rt_io_end(&io, accept_next(&io));
}

/* --- shutdown --- */

int skua_shutdown(int fd, int how)
{
    return rt_sys_shutdown(fd, how);
}
