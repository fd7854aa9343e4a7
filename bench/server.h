/* SPDX-License-Identifier: MIT */
#ifndef SKUA_BENCH_SERVER_H
#define SKUA_BENCH_SERVER_H
/* A server in a process of its own and a load in another: what rows that drive a server share. */
#include "bench.h"
#include "load.h"

#include <sys/types.h>

struct server {
    pid_t pid;
    int port;
    int out; /* its standard output */
};

/* Calls serve(arg) in a child, which becomes the server: prints a line with "listening on
 * 127.0.0.1:PORT" and ends well at SIGTERM. */
bool server_start(struct server *server, void (*serve)(void *arg), void *arg);
void server_stop(struct server *server, struct bench_sample *s);

/* A peer as the server: it is run as for any row, and serves instead of printing figures. */
struct server_peer {
    const struct bench_peer *peer;
    const struct bench_row *row;
    int workers;
};
void server_become_peer(void *peer);

/* Runs l->run() in a child; results in *s. */
void server_measure(const struct bench_config *config, struct server *server, struct load *l,
                    struct bench_sample *s);
#endif
