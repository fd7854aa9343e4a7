/* SPDX-License-Identifier: MIT */
/* What the cases of connections that come and go share. */
#include "churn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

int stress_listen(struct stress_run *run, char ret_address[STRESS_ADDRESS])
{
    struct sockaddr_in at = {0};
    socklen_t n = sizeof at;
    int fd = skua_listen("127.0.0.1:0", .backlog = 256);
    bool is_open = fd >= 0 && getsockname(fd, (struct sockaddr *)&at, &n) == 0;
    STRESS_CHECK(run, is_open, "listen: %d", fd);
    snprintf(ret_address, STRESS_ADDRESS, "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
    return is_open || fd < 0 ? fd : -EBADF;
}

skua_task *stress_start(struct stress_run *run, skua_fn fn, void *arg, struct stress_rng *rng)
{
    unsigned at = stress_below(rng, 2 * (unsigned)run->group_count);
    skua_task *t = (int)at < run->group_count ? skua_spawn(fn, arg, .group = run->group[at])
                                              : skua_go(fn, arg);
    return stress_task(run, t);
}
