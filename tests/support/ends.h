/* SPDX-License-Identifier: MIT */
/* What the tests of readers and writers share: a socket pair, whose first end they watch and whose
 * second one is the peer's, and a count of calls. */
#ifndef ENDS_H
#define ENDS_H

#include "t.h"

#include <sys/socket.h>
#include <unistd.h>

static int end_a, end_b;
static int calls;

static inline void make_pair(bool owned)
{
    int fds[2];
    T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    end_a = fds[0];
    end_b = fds[1];
    if (owned)
        T_EXPECT_INT(skua_fd_adopt(end_a), 0);
}

static inline void drop_pair(void)
{
    T_EXPECT_INT(skua_close(end_a), 0);
    close(end_b);
}

/* With several workers an event may be found by another one: it is waited for. */
static inline void until_called(int want)
{
    for (double end = t_wall() + 20; calls < want && t_wall() < end;)
        T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT_INT(calls >= want, 1);
}

#endif
