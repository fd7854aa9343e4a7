/* SPDX-License-Identifier: MIT */
#ifndef SKUA_BENCH_PEER_H
#define SKUA_BENCH_PEER_H
/*
 * Programs of other systems that measure the same as a row does.
 *
 *     PEER --list                  the names of its rows, one a line
 *     PEER ROW SECONDS WORKERS     a line "FIGURE VALUE CPU_NS_PER_OP CORES" for each figure; exit
 *                                  status 77: not with this number of workers
 *
 * A row that is loaded from outside makes the peer serve until SIGTERM, after the line
 * "listening on 127.0.0.1:PORT".
 */
#include "bench.h"

enum { PEERS_MAX = 8, PEER_LIST_MAX = 1024, PEER_ABSENT = 77 };

struct bench_peer {
    char name[32];
    char path[512];
    char list[PEER_LIST_MAX]; /* "\nrow\nrow\n" */
};

/* The peers in a directory; names those that are not there. Returns how many. */
int peers_find(const char *directory, struct bench_peer *peers);

bool peer_has(const struct bench_peer *peer, const struct bench_row *row);

/* In a child: becomes the peer. Returns only when that fails. */
void peer_exec(const struct bench_peer *peer, const struct bench_row *row, double seconds,
               int workers);

void peer_measure(const struct bench_config *config, const struct bench_row *row,
                  const struct bench_peer *peer, int workers, struct bench_sample *s);
#endif
