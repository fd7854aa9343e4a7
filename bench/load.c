/* SPDX-License-Identifier: MIT */
/*
 * The load generator. Level-triggered epoll and one request in flight a connection: a readable
 * socket always has something to read, so that no call has to be repeated. Answers are checked:
 * status 200 and the announced length.
 */
#include "load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 4096, EVENTS_MAX = 64 };

struct connection {
    int fd;
    size_t have;
    char buf[ANSWER_MAX];
};

static int dial(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 10};
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The length of the first answer in the buffer, 0: not all there yet, -1: not what was asked for.
 */
static ssize_t answer_length(const char *buf, size_t have)
{
    static const char status[] = "HTTP/1.1 200";
    const char *end = memmem(buf, have, "\r\n\r\n", 4);
    if (end == NULL)
        return have >= ANSWER_MAX - 1 ? -1 : 0;
    const char *length = strcasestr(buf, "\r\ncontent-length:");
    if (memcmp(buf, status, sizeof status - 1) != 0 || length == NULL || length > end)
        return -1;
    size_t total = (size_t)(end - buf) + 4 + strtoul(length + 17, NULL, 10);
    if (total >= ANSWER_MAX)
        return -1;
    return total <= have ? (ssize_t)total : 0;
}

/* What is sent, and how its answer is known. */
struct question {
    char text[ANSWER_MAX / 2];
    size_t length;
    bool is_echo;
};

static void ask(struct question *q, const struct load *l)
{
    q->is_echo = l->message > 0;
    if (q->is_echo) {
        q->length = l->message < sizeof q->text ? l->message : sizeof q->text;
        for (size_t i = 0; i < q->length; i++)
            q->text[i] = i + 1 < q->length ? (char)('a' + i % 26) : '\n'; /* a line */
    } else {
        q->length = (size_t)snprintf(q->text, sizeof q->text,
                                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", l->target);
    }
}

static ssize_t echo_length(const struct question *q, const char *buf, size_t have)
{
    if (have > q->length || memcmp(buf, q->text, have) != 0)
        return -1;
    return have == q->length ? (ssize_t)have : 0;
}

/* Complete answers consumed, -1: broken. */
static int take_answers(const struct question *q, struct connection *c)
{
    ssize_t n = recv(c->fd, c->buf + c->have, ANSWER_MAX - 1 - c->have, 0);
    if (n <= 0)
        return -1;
    c->have += (size_t)n;
    c->buf[c->have] = '\0';
    ssize_t length = q->is_echo ? echo_length(q, c->buf, c->have) : answer_length(c->buf, c->have);
    if (length <= 0)
        return (int)length;
    if ((size_t)length != c->have)
        return -1;
    c->have = 0;
    return 1;
}

static bool send_request(const struct connection *c, const struct question *q)
{
    return send(c->fd, q->text, q->length, MSG_NOSIGNAL) == (ssize_t)q->length;
}

static double clock_seconds(clockid_t clock)
{
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Requests answered until the time; -1: broken. */
static double drive(int ep, const struct question *q, double until)
{
    struct epoll_event event[EVENTS_MAX];
    double done = 0;
    while (bench_now() < until) {
        int count = epoll_wait(ep, event, EVENTS_MAX, 100);
        for (int i = 0; i < count; i++) {
            struct connection *c = event[i].data.ptr;
            int answers = take_answers(q, c);
            if (answers < 0 || (answers > 0 && !send_request(c, q)))
                return -1;
            done += answers;
        }
    }
    return done;
}

static bool measure(struct load *l, int ep, const struct question *q)
{
    double begin = bench_now();
    if (drive(ep, q, begin + l->warm_up) < 0)
        return false;
    begin = bench_now();
    double cpu = clock_seconds(l->server_clock);
    l->requests = drive(ep, q, begin + l->seconds);
    l->wall = bench_now() - begin;
    l->cpu = clock_seconds(l->server_clock) - cpu;
    return l->requests > 0;
}

/* Opens connections and asks on each; returns how many. */
static int open_all(const struct load *l, const struct question *q, int ep, struct connection *c)
{
    int count = 0;
    for (; count < l->connections; count++) {
        struct connection *one = &c[count];
        one->fd = dial(l->port);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
        if (one->fd < 0)
            return count;
        if (epoll_ctl(ep, EPOLL_CTL_ADD, one->fd, &event) < 0 || !send_request(one, q)) {
            close(one->fd);
            return count;
        }
    }
    return count;
}

bool load_run(struct load *l)
{
    struct question q;
    struct connection *c = calloc((size_t)l->connections, sizeof *c);
    int ep = epoll_create1(EPOLL_CLOEXEC);
    ask(&q, l);
    int open_count = c != NULL && ep >= 0 ? open_all(l, &q, ep, c) : 0;
    bool is_good = open_count == l->connections;
    if (!is_good) {
        snprintf(l->error, sizeof l->error, "only %d connections could be opened", open_count);
    } else if (!measure(l, ep, &q)) {
        is_good = false;
        snprintf(l->error, sizeof l->error, "a connection broke, or %s",
                 q.is_echo ? "what came back was not what was sent"
                           : "a request gave something else than a 200");
    }
    if (is_good && !q.is_echo && !load_get(l->port, "/stats", l->stats, sizeof l->stats))
        l->stats[0] = '\0';
    for (int i = 0; i < open_count; i++)
        close(c[i].fd);
    if (ep >= 0)
        close(ep);
    free(c);
    return is_good;
}

bool load_get(int port, const char *target, char *body, size_t n)
{
    char text[LOAD_TEXT_MAX + 1024];
    size_t have = 0;
    int fd = dial(port);
    if (fd < 0)
        return false;
    int length =
        snprintf(text, sizeof text,
                 "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", target);
    if (send(fd, text, (size_t)length, MSG_NOSIGNAL) == length) {
        ssize_t got;
        while (have < sizeof text - 1 &&
               (got = recv(fd, text + have, sizeof text - 1 - have, 0)) > 0)
            have += (size_t)got;
    }
    close(fd);
    text[have] = '\0';
    const char *begin = strstr(text, "\r\n\r\n");
    if (begin == NULL || strncmp(text, "HTTP/1.1 200", 12) != 0)
        return false;
    snprintf(body, n, "%s", begin + 4);
    return true;
}
