/* SPDX-License-Identifier: MIT */
/* floor 8: net. skua_listen, skua_accept, skua_connect. */
#include "net/sock.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/sys.h"
#include "net/addr.h"
#include "sched/queues.h"
#include "sched/wait.h"

enum { BACKLOG = 511 };

#define UNIX_RETRY_FIRST RT_NS_PER_MS
#define UNIX_RETRY_LAST  (50 * RT_NS_PER_MS)

void rt_sock_drop(int fd, uint32_t generation)
{
    struct rt_fifo out = {0};
    SKUA_IGNORE(
        rt_fd_close_generation(fd, generation, &out)); /* closed by its user already, or now */
    rt_ready_batch(&out);
}

/* Takes over a fresh descriptor; on failure it is closed. */
static int adopt(int fd, enum rt_fd_kind kind, uint32_t *ret_generation)
{
    struct rt_fifo out = {0};
    int r = rt_fd_adopt_fresh(fd, kind, ret_generation, &out);
    rt_ready_batch(&out);
    if (r < 0)
        SKUA_IGNORE(rt_sys_close(fd)); /* the first error is reported */
    return r;
}

static enum rt_fd_kind kind_of(const struct rt_addr *addr)
{
    return addr->sa.ss_family == AF_UNIX ? RT_FD_SOCKET : RT_FD_TCP;
}

static int stream_socket(const struct rt_addr *addr)
{
    return rt_sys_socket(addr->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int bind_to(int fd, const struct rt_addr *addr)
{
    return rt_sys_bind(fd, (const struct sockaddr *)&addr->sa, addr->len);
}

/* --- listen --- */

/* Connections inherit TCP_NODELAY from their listener. */
static int set_up_listener(int fd, const struct rt_addr *addr, const struct skua_listen_opts *opts)
{
    int r = 0;
    if (kind_of(addr) == RT_FD_TCP) {
        r = rt_sys_setsockopt_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (r == 0 && opts && opts->reuseport)
            r = rt_sys_setsockopt_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (r == 0)
            r = rt_sys_setsockopt_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (r == 0 && addr->sa.ss_family == AF_INET6)
        r = rt_sys_setsockopt_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (r == 0)
        r = bind_to(fd, addr);
    if (r == 0)
        r = rt_sys_listen(fd, opts && opts->backlog ? opts->backlog : BACKLOG);
    return r;
}

int skua_listen_with(const char *text, const struct skua_listen_opts *opts)
{
    struct rt_addr addr;
    uint32_t generation;
    if (opts && (opts->size != sizeof *opts || opts->backlog < 0))
        return -EINVAL;
    int r = rt_addr_parse(text, &addr);
    if (r < 0)
        return r;
    int fd = stream_socket(&addr);
    if (fd < 0)
        return fd;
    r = set_up_listener(fd, &addr, opts);
    if (r < 0) {
        SKUA_IGNORE(rt_sys_close(fd)); /* the first error is reported */
        return r;
    }
    r = adopt(fd, kind_of(&addr), &generation);
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
    int r = adopt(fd, io->owned ? (enum rt_fd_kind)io->rec->kind : RT_FD_SOCKET, ret_generation);
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

/* --- connect --- */

/* Asking again tells how it went, and whether the wake came too early. */
static int connect_inet(struct rt_io *io, const struct rt_addr *addr)
{
    for (;;) {
        SKUA_IGNORE(rt_io_try(io, RT_DIR_OUT));
        int r = rt_sys_connect(io->fd, (const struct sockaddr *)&addr->sa, addr->len);
        if (r == -EISCONN)
            return 0;
        if (r != -EINPROGRESS && r != -EALREADY)
            return r;
        rt_io_drained(io, RT_DIR_OUT);
        r = rt_io_wait(io, POLLOUT);
        if (r < 0)
            return r;
    }
}

static int pause_until(struct rt_io *io, uint64_t pause)
{
    struct rt_worker *w = rt_self();
    if (io->timeout <= 0)
        return -ETIMEDOUT;
    int r = io->has_deadline ? 0 : rt_deadline(w, io->timeout, &io->deadline);
    if (r < 0)
        return r;
    io->has_deadline = io->waited = true;
    uint64_t now = rt_timers_read_clock(&w->timers);
    if (now >= io->deadline)
        return -ETIMEDOUT;
    uint64_t until = rt_ns_add(now, pause);
    rt_io_pause(io);
    r = rt_wait_until(until < io->deadline ? until : io->deadline);
    return r < 0 ? r : rt_io_resume(io);
}

/* A full backlog of a unix socket gives EAGAIN, and no event when there is room again. */
static int connect_unix(struct rt_io *io, const struct rt_addr *addr)
{
    for (uint64_t pause = UNIX_RETRY_FIRST;;
         pause = pause * 2 < UNIX_RETRY_LAST ? pause * 2 : UNIX_RETRY_LAST) {
        int r = rt_sys_connect(io->fd, (const struct sockaddr *)&addr->sa, addr->len);
        if (r != -EAGAIN)
            return r;
        r = pause_until(io, pause);
        if (r < 0)
            return r;
    }
}

static int connect_fd(int fd, const struct rt_addr *addr, double timeout)
{
    struct rt_io io;
    int r = rt_io_begin(&io, fd, timeout);
    if (r < 0)
        return r;
    r = kind_of(addr) == RT_FD_TCP ? connect_inet(&io, addr) : connect_unix(&io, addr);
    return (int)rt_io_end(&io, r);
}

static int set_up_client(int fd, const struct rt_addr *addr, const struct rt_addr *local)
{
    int r = 0;
    if (kind_of(addr) == RT_FD_TCP)
        r = rt_sys_setsockopt_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (r == 0 && local)
        r = bind_to(fd, local);
    return r;
}

int skua_connect_with(const char *text, double timeout, const struct skua_connect_opts *opts)
{
    struct rt_addr addr;
    struct rt_addr local;
    uint32_t generation;
    bool has_local = opts && opts->local;
    if (!rt_current())
        return -EPERM;
    if (isnan(timeout) || (opts && opts->size != sizeof *opts))
        return -EINVAL;
    int r = rt_addr_parse(text, &addr);
    if (r == 0 && has_local)
        r = rt_addr_parse(opts->local, &local);
    if (r == 0 && has_local && local.sa.ss_family != addr.sa.ss_family)
        r = -EINVAL;
    if (r < 0)
        return r;
    int fd = stream_socket(&addr);
    if (fd < 0)
        return fd;
    r = set_up_client(fd, &addr, has_local ? &local : NULL);
    if (r < 0) {
        SKUA_IGNORE(rt_sys_close(fd)); /* the first error is reported */
        return r;
    }
    r = adopt(fd, kind_of(&addr), &generation);
    if (r < 0)
        return r;
    r = connect_fd(fd, &addr, timeout);
    if (r < 0)
        rt_sock_drop(fd, generation);
    return r < 0 ? r : fd;
}
