/* SPDX-License-Identifier: MIT */
#ifndef PAIRS_IO_H
#define PAIRS_IO_H
/* Rows of the enumerator: descriptors. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pairs.h"

enum { NOBODY = -1, A_LOT = 4096 };

static void close_fd(struct scene *s)
{
    if (first(s))
        T_EXPECT_INT(skua_close(s->fd), 0);
}

/* ---- accept ---- */

static void accept_set_up(struct scene *s)
{
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    s->fd = skua_listen("127.0.0.1:0");
    T_EXPECT_INT(getsockname(s->fd, (struct sockaddr *)&at, &size), 0);
    s->peer = at.sin_port;
}

static int accept_wait(struct scene *s, int who, double timeout)
{
    int fd = skua_accept(s->fd, timeout);
    if (fd >= 0)
        T_EXPECT_INT(skua_close(fd), 0);
    return fd < 0 ? fd : 0;
}

/* A connection that nobody accepts is as good: it waits in line. */
static void accept_grant(struct scene *s)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = (in_port_t)s->peer };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        atomic_fetch_add(&s->helper_ok, 1);
    close(fd);
}

static void accept_check(struct scene *s)
{
    int fd, n = s->r[WAITER] == 0;
    while (!s->granted && (fd = skua_accept(s->fd, 0)) >= 0) {
        n++;
        T_EXPECT_INT(skua_close(fd), 0);
    }
    if (!s->granted)
        T_EXPECT_INT(n, s->helper_ok);
    close_fd(s);
}

/* ---- read and write ---- */

static void pair_set_up(struct scene *s)
{
    int fd[2] = { NOBODY, NOBODY };
    T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    s->fd = fd[0];
    s->peer = fd[1];
    T_EXPECT_INT(skua_fd_adopt(s->fd), 0);
}

static int read_wait(struct scene *s, int who, double timeout)
{
    char c;
    ssize_t n = skua_read(s->fd, &c, 1, timeout);
    T_EXPECT(n < 0 || (n == 1 && c == 'x'));
    return n < 0 ? (int)n : 0;
}

static void read_grant(struct scene *s)
{
    if (send(s->peer, "x", 1, MSG_NOSIGNAL) == 1)
        atomic_fetch_add(&s->helper_ok, 1);
}

static void read_check(struct scene *s)
{
    char c;
    int n = s->r[WAITER] == 0;
    while (!s->granted && skua_read(s->fd, &c, 1, 0) == 1)
        n++;
    if (!s->granted)
        T_EXPECT_INT(n, s->helper_ok);
    close_fd(s);
    T_EXPECT_INT(close(s->peer), 0);
}

static void write_set_up(struct scene *s)
{
    char some[A_LOT] = { 0 };
    pair_set_up(s);
    for (size_t size = sizeof some; size > 0; size /= 2) /* until not a byte fits */
        for (ssize_t n; (n = send(s->fd, some, size, MSG_NOSIGNAL)) > 0;)
            s->filled += (int)n;
}

static int write_wait(struct scene *s, int who, double timeout)
{
    ssize_t n = skua_write(s->fd, "y", 1, timeout);
    T_EXPECT(n < 0 || n == 1);
    return n < 0 ? (int)n : 0;
}

/* Takes everything out; `runs` counts. */
static void write_grant(struct scene *s)
{
    char some[A_LOT];
    for (ssize_t n; (n = recv(s->peer, some, sizeof some, 0)) > 0;)
        atomic_fetch_add(&s->runs, (int)n);
}

static void write_check(struct scene *s)
{
    write_grant(s);
    T_EXPECT_INT(s->runs, s->filled + (s->r[WAITER] == 0));
    close_fd(s);
    T_EXPECT_INT(close(s->peer), 0);
}

static int poll_wait(struct scene *s, int who, double timeout)
{
    int r = skua_poll_fd(s->fd, 1, timeout); /* POLLIN */
    return r < 0 ? r : 0;
}

static void poll_check(struct scene *s)
{
    s->r[WAITER] = NOBODY; /* it took nothing */
    read_check(s);
}

#define IO_ROWS(what, prepare, call, grants, checks)                                           \
    { .name = (what), .set_up = prepare, .wait = call, .grant = grants, .close = close_fd,     \
      .closed = -EBADF, .check = checks },                                                     \
    { .name = what ", its timeout", .set_up = prepare, .wait = call, .grant = grants,          \
      .close = close_fd, .closed = -EBADF, .check = checks, .has_timer = true }

static const struct row io_rows[] = {
    IO_ROWS("accept", accept_set_up, accept_wait, accept_grant, accept_check),
    IO_ROWS("read", pair_set_up, read_wait, read_grant, read_check),
    IO_ROWS("write", write_set_up, write_wait, write_grant, write_check),
    IO_ROWS("poll", pair_set_up, poll_wait, read_grant, poll_check),
};

#endif
