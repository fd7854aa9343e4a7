/* SPDX-License-Identifier: MIT */
/* Threads, epoll and eventfd by hand: what the kernel charges anyway. */
#include "peer.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { EVENTS = 256, BUFFER = 4096, THREADS_MAX = 256, TRIPS_A_LOOK = 100 };

/* ---- echo: one epoll a thread, connections dealt out in turn ---- */

static bool answer(int fd)
{
    char buf[BUFFER];
    ssize_t n = recv(fd, buf, sizeof buf, 0);
    return n > 0 && send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n;
}

static void *serve(void *arg)
{
    struct epoll_event event[EVENTS];
    int ep = *(int *)arg;
    for (;;) {
        int n = epoll_wait(ep, event, EVENTS, -1);
        for (int i = 0; i < n; i++)
            if (!answer(event[i].data.fd))
                close(event[i].data.fd);
    }
    return NULL;
}

static int listen_anywhere(int *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&at, n) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) != 0)
        return -1;
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static int echo(double seconds, int workers)
{
    static int ep[THREADS_MAX];
    pthread_t thread;
    int port;
    int fd = listen_anywhere(&port);
    (void)seconds;
    if (fd < 0 || workers > THREADS_MAX)
        return 1;
    for (int i = 0; i < workers; i++) {
        ep[i] = epoll_create1(0);
        if (ep[i] < 0 || pthread_create(&thread, NULL, serve, &ep[i]) != 0)
            return 1;
    }
    peer_announce(port);
    for (int next = 0;; next = (next + 1) % workers) {
        int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = conn};
        if (conn < 0)
            return 1;
        setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        epoll_ctl(ep[next], EPOLL_CTL_ADD, conn, &event);
    }
}

/* ---- queue_cross: two threads, each asleep in epoll_wait() on its eventfd ---- */

struct side {
    int ep;
    int mine;
    int theirs;
    bool begins;
    double until;
    uint64_t trips;
};

static bool wait_turn(const struct side *s)
{
    struct epoll_event event;
    uint64_t value = 0;
    return epoll_wait(s->ep, &event, 1, -1) == 1 &&
           read(s->mine, &value, sizeof value) == sizeof value && value == 1;
}

static bool give_turn(const struct side *s, uint64_t value)
{
    return write(s->theirs, &value, sizeof value) == sizeof value;
}

/* A value of 2 ends the match. */
static void *play(void *arg)
{
    struct side *s = arg;
    bool is_on = !s->begins || give_turn(s, 1);
    while (is_on && wait_turn(s)) {
        s->trips++;
        is_on = !s->begins || s->trips % TRIPS_A_LOOK != 0 || peer_now() < s->until;
        is_on = give_turn(s, is_on ? 1 : 2) && is_on;
    }
    return NULL;
}

static int queue_cross(double seconds, int workers)
{
    struct side side[2];
    pthread_t thread[2];
    if (workers < 2)
        return PEER_ABSENT;
    for (int i = 0; i < 2; i++)
        side[i] = (struct side){epoll_create1(0), eventfd(0, 0), -1, i == 0, 0, 0};
    struct peer_clock begin = peer_begin();
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN};
        side[i].theirs = side[1 - i].mine;
        side[i].until = begin.wall + seconds;
        if (epoll_ctl(side[i].ep, EPOLL_CTL_ADD, side[i].mine, &event) != 0)
            return 1;
    }
    for (int i = 0; i < 2; i++)
        if (pthread_create(&thread[i], NULL, play, &side[i]) != 0)
            return 1;
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    peer_print("queue_cross", NAN, begin, (double)side[0].trips);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct peer_row rows[] = {{"echo", echo}, {"queue_cross", queue_cross}};
    return peer_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
