/* SPDX-License-Identifier: MIT */
/* floor 8: net. Datagrams: a socket for them, receiving, sending.
 *
 * Every EAGAIN is followed by a wait for the direction of the call, whatever the other one does.
 * Descriptors that are not ours are asked not to block by each call.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/sys.h"
#include "net/addr.h"
#include "net/sock.h"
#include "sched/wait.h"

#include <skua/datagram.h>

#define RETRY_FIRST RT_NS_PER_MS
#define RETRY_LAST  (50 * RT_NS_PER_MS)

/* --- making one --- */

static int set_up(int fd, const skua_addr *local, const skua_addr *peer,
                  const struct skua_datagram_opts *opts)
{
    const skua_addr *any = local ? local : peer;
    int r = 0;
    if (any->sa.ss_family == AF_INET6)
        r = rt_sys_setsockopt_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (r == 0 && opts && opts->reuseport)
        r = rt_sys_setsockopt_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (r == 0 && opts && opts->broadcast)
        r = rt_sys_setsockopt_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
    if (r == 0 && local)
        r = rt_sock_bind(fd, local);
    if (r < 0 || !peer)
        return r;
    r = rt_sys_connect(fd, (const struct sockaddr *)&peer->sa, peer->len);
    if (r < 0)
        rt_sock_unbind(local);
    return r;
}

static int make(const skua_addr *local, const skua_addr *peer,
                const struct skua_datagram_opts *opts)
{
    const skua_addr *any = local ? local : peer;
    uint32_t generation;
    int fd = rt_sys_socket(any->sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    int r = set_up(fd, local, peer, opts);
    if (r < 0) {
        SKUA_IGNORE(rt_sys_close(fd)); /* the first error is reported */
        return r;
    }
    r = rt_sock_adopt(fd, RT_FD_SOCKET, &generation);
    if (r < 0)
        rt_sock_unbind(local);
    return r < 0 ? r : fd;
}

int skua_datagram_with(const char *local, const struct skua_datagram_opts *opts)
{
    skua_addr at;
    skua_addr to;
    if (opts && opts->size != sizeof *opts)
        return -EINVAL;
    const char *peer = opts ? opts->peer : NULL;
    int r = local || peer ? 0 : -EINVAL;
    if (r == 0 && local)
        r = rt_addr_parse(local, &at);
    if (r == 0 && peer)
        r = rt_addr_parse(peer, &to);
    if (r == 0 && local && peer && at.sa.ss_family != to.sa.ss_family)
        r = -EINVAL;
    return r < 0 ? r : make(local ? &at : NULL, peer ? &to : NULL, opts);
}

/* --- receiving --- */

static ssize_t take(struct rt_io *io, struct msghdr *msg)
{
    const socklen_t room = msg->msg_namelen;
    for (;;) {
        if (!io->owned || rt_io_try(io, RT_DIR_IN)) {
            msg->msg_namelen = room;
            ssize_t got = rt_sys_recvmsg(io->fd, msg, MSG_DONTWAIT);
            if (got != -EAGAIN)
                return got;
            if (io->owned)
                rt_io_drained(io, RT_DIR_IN);
        }
        int r = io->owned ? rt_io_wait(io, POLLIN) : rt_io_poll(io, POLLIN);
        if (r < 0)
            return r;
    }
}

ssize_t skua_recvfrom(int fd, void *buf, size_t n, double timeout, skua_addr *ret_from,
                      bool *ret_is_cut)
{
    struct rt_io io;
    skua_addr from = {.len = 0};
    struct iovec piece = {.iov_base = buf, .iov_len = n};
    struct msghdr msg = {
        .msg_name = &from.sa, .msg_namelen = sizeof from.sa, .msg_iov = &piece, .msg_iovlen = 1};
    ssize_t r = rt_io_begin(&io, fd, timeout);
    if (r < 0)
        return r;
    r = n > 0 && !buf ? -EFAULT : take(&io, &msg);
    if (r >= 0 && ret_from) {
        from.len = msg.msg_namelen;
        *ret_from = from;
    }
    if (r >= 0 && ret_is_cut)
        *ret_is_cut = msg.msg_flags & MSG_TRUNC;
    return rt_io_end(&io, r);
}

/* --- sending --- */

/* A unix socket whose reader is full says EAGAIN, and gives no event when there is room again
 * unless it is the peer. */
static bool has_no_event(const skua_addr *to)
{
    return to && to->sa.ss_family == AF_UNIX;
}

static int wait_for_room(struct rt_io *io, const skua_addr *to, uint64_t *pause)
{
    if (has_no_event(to)) {
        uint64_t ns = *pause;
        *pause = ns * 2 < RETRY_LAST ? ns * 2 : RETRY_LAST;
        return rt_io_rest(io, ns);
    }
    if (!io->owned)
        return rt_io_poll(io, POLLOUT);
    rt_io_drained(io, RT_DIR_OUT);
    return rt_io_wait(io, POLLOUT);
}

static ssize_t put(struct rt_io *io, const void *buf, size_t n, const skua_addr *to)
{
    uint64_t pause = RETRY_FIRST;
    for (;;) {
        ssize_t r = -EAGAIN;
        if (!io->owned || has_no_event(to) || rt_io_try(io, RT_DIR_OUT))
            r = rt_sys_sendto(io->fd, buf, n, MSG_DONTWAIT,
                              to ? (const struct sockaddr *)&to->sa : NULL, to ? to->len : 0);
        if (r != -EAGAIN)
            return r;
        r = wait_for_room(io, to, &pause);
        if (r < 0)
            return r;
    }
}

ssize_t skua_sendto(int fd, const void *buf, size_t n, const skua_addr *to, double timeout)
{
    struct rt_io io;
    ssize_t r = rt_io_begin(&io, fd, timeout);
    if (r < 0)
        return r;
    if (n > 0 && !buf)
        r = -EFAULT;
    else if (to && (to->len == 0 || to->len > sizeof to->sa))
        r = -EINVAL;
    else
        r = put(&io, buf, n, to);
    return rt_io_end(&io, r);
}
