/* SPDX-License-Identifier: MIT */
/* The rows echo and streams: a TCP server that sends back what it got, in a process of its own,
 * loaded over the loopback from another. */
#include "measure.h"
#include "server.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE = 64, CONNECTIONS = 100 };

static void echo(int conn, void *arg)
{
    char buf[4096];
    ssize_t n;
    (void)arg;
    while ((n = skua_read(conn, buf, sizeof buf, INFINITY)) > 0)
        if (skua_write(conn, buf, (size_t)n, INFINITY) < 0)
            break;
}

static void echo_lines(skua_stream *conn, void *arg)
{
    char line[4096];
    ssize_t n;
    (void)arg;
    while ((n = skua_stream_read_line(conn, line, sizeof line, INFINITY)) > 0)
        if (skua_stream_write(conn, line, (size_t)n) < 0 || skua_stream_drain(conn, INFINITY) < 0)
            break;
}

static void stop(void *task)
{
    skua_cancel(task, NULL);
}

/* A server in its own words; it serves until it is cancelled. */
static void serve_bytes(int fd)
{
    SKUA_IGNORE(skua_serve(fd, echo, NULL));
}

static void serve_lines(int fd)
{
    SKUA_IGNORE(skua_serve_streams(fd, echo_lines, NULL));
}

struct kind {
    void (*serve)(int fd);
    int workers;
};

static void *serve_main(void *arg)
{
    struct kind *kind = arg;
    struct sockaddr_in at;
    socklen_t n = sizeof at;
    int fd = skua_listen("127.0.0.1:0", .backlog = 1024);
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&at, &n) < 0 ||
        skua_add_signal_handler(SIGTERM, stop, skua_current_task()) < 0)
        return skua_fail(-EIO);
    dprintf(STDOUT_FILENO, "listening on 127.0.0.1:%d\n", ntohs(at.sin_port));
    kind->serve(fd);
    skua_close(fd);
    return NULL;
}

static void become_server(void *arg)
{
    struct kind *kind = arg;
    SKUA_IGNORE(skua_run(serve_main, kind, .workers = kind->workers));
    _exit(0);
}

static void drive(const struct bench_config *config, const struct bench_row *row,
                  const struct bench_peer *peer, struct kind kind, struct bench_sample *s)
{
    struct server server = {-1, -1, -1};
    struct server_peer other = {peer, row, kind.workers};
    struct load *l = child_share(sizeof *l);
    if (l == NULL) {
        bench_fail(s, "out of memory");
        return;
    }
    l->run = load_run;
    l->connections = CONNECTIONS;
    l->message = MESSAGE;
    if (peer != NULL ? server_start(&server, server_become_peer, &other)
                     : server_start(&server, become_server, &kind))
        server_measure(config, &server, l, s);
    else
        bench_fail(s, "the server did not say where it listens");
    server_stop(&server, s);
    child_share_free(l, sizeof *l);
}

static void drive_echo(const struct bench_config *config, const struct bench_row *row,
                       const struct bench_peer *peer, int workers, struct bench_sample *s)
{
    drive(config, row, peer, (struct kind){serve_bytes, workers}, s);
}

static void drive_streams(const struct bench_config *config, const struct bench_row *row,
                          const struct bench_peer *peer, int workers, struct bench_sample *s)
{
    drive(config, row, peer, (struct kind){serve_lines, workers}, s);
}

static const struct bench_row rows[] = {
    {.figure = {{"echo", "64-byte messages echoed over TCP, 100 connections"}},
     .unit = "msg/s",
     .is_higher_better = true,
     .drive = drive_echo},
    {.figure = {{"streams", "64-byte lines echoed through buffered streams, 100 connections"}},
     .unit = "msg/s",
     .is_higher_better = true,
     .drive = drive_streams},
};
BENCH_ROWS(850, rows);
