/* SPDX-License-Identifier: MIT */
/* Servers in processes of their own: started, loaded from another process, stopped. */
#include "server.h"
#include "measure.h"
#include "peer.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double warm_up_s = 0.2;

/* The server says where it listens in the first line it prints that has an address in it. */
static int read_port(int fd)
{
    char text[1024];
    size_t have = 0;
    double deadline = bench_now() + 10;
    while (have < sizeof text - 1 && bench_now() < deadline) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 100) <= 0)
            continue;
        ssize_t n = read(fd, text + have, sizeof text - 1 - have);
        if (n <= 0)
            return -1;
        have += (size_t)n;
        text[have] = '\0';
        const char *at = strstr(text, "listening on 127.0.0.1:");
        if (at != NULL && strchr(at, '\n') != NULL)
            return atoi(strchr(at, ':') + 1);
    }
    return -1;
}

bool server_start(struct server *server, void (*serve)(void *arg), void *arg)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    fflush(NULL);
    server->pid = fork();
    if (server->pid == 0) {
        close(ends[0]);
        child_settle();
        dup2(ends[1], STDOUT_FILENO);
        close(ends[1]);
        serve(arg);
        _exit(127);
    }
    close(ends[1]);
    server->out = ends[0];
    server->port = server->pid < 0 ? -1 : read_port(ends[0]);
    return server->port > 0;
}

void server_stop(struct server *server, struct bench_sample *s)
{
    struct rusage usage = {0};
    if (server->pid > 0) {
        kill(server->pid, SIGTERM);
        int status = child_status(server->pid, 5, &usage);
        s->is_absent = status == PEER_ABSENT;
        if (status != 0)
            bench_fail(s, "the server ended with status %d", status);
        s->rss_mb = (double)usage.ru_maxrss / 1024;
    }
    if (server->out >= 0)
        close(server->out);
}

void server_become_peer(void *arg)
{
    const struct server_peer *p = arg;
    peer_exec(p->peer, p->row, 0, p->workers);
}

static bool load_in_child(const struct bench_config *config, struct load *l)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        child_settle();
        _exit(!l->run(l));
    }
    return pid > 0 && child_wait(pid, 30 + 3 * config->seconds, NULL);
}

void server_measure(const struct bench_config *config, struct server *server, struct load *l,
                    struct bench_sample *s)
{
    l->port = server->port;
    l->warm_up = warm_up_s;
    l->seconds = config->seconds;
    if (clock_getcpuclockid(server->pid, &l->server_clock) != 0)
        bench_fail(s, "no CPU clock of the server");
    else if (!load_in_child(config, l))
        bench_fail(s, "%s", l->error[0] != '\0' ? l->error : "the load generator crashed or hung");
    if (s->error[0] != '\0' || !(l->requests > 0))
        return;
    s->value[0] =
        (struct bench_value){l->requests / l->wall, l->cpu * 1e9 / l->requests, l->cpu / l->wall};
    s->is_good = true;
}
