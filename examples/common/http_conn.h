/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_HTTP_CONN_H
#define EXAMPLES_HTTP_CONN_H
/* One HTTP/1.1 connection, spoken by the task that calls http_conn_run. */
#include "http_request.h"

#include <stdatomic.h>

enum {
    HTTP_IO_BYTES = 8 * 1024,           /* each way: what one read or one write moves at most */
    HTTP_LINGER_BYTES = 256 * 1024      /* what a refused peer may still send */
};

struct http_conn;

struct http_service {
    void (*route)(struct http_conn *c, const char *path, size_t n);  /* path may be NULL */
    double header_timeout, idle_timeout, write_timeout;              /* seconds */
    atomic_bool stopping;               /* every answer from now on closes its connection */
};

struct http_conn {
    struct http_request req;            /* first: its callbacks get back to the connection by it */
    struct http_service *service;
    struct http_conn *next, **link;     /* for whoever keeps a list of connections */
    double deadline;                    /* of the phase `timed` names, by skua_loop_time() */
    uint64_t timed;
    int fd, error;                      /* negative once nothing more can be written */
    bool closing;
    size_t out_len;
    char out[HTTP_IO_BYTES];
    char in[HTTP_IO_BYTES];
};

void http_conn_init(struct http_conn *c, int fd, struct http_service *service);

/* Reads, routes and answers requests until the peer, a time limit or an error ends it. Suspends. */
void http_conn_run(struct http_conn *c);

/* Answers with an error, ends the connection and drains what the peer still sends. Suspends. */
void http_refuse(struct http_conn *c, int status);

/* Each request is answered once. Answers are collected and written together when the input read
 * so far is used up; may suspend when the buffer is full. `type` is a media type. */
extern const char http_text[];          /* "text/plain", which is the quick way */
void http_answer(struct http_conn *c, int status, const char *type, const char *body, size_t n);
void http_answer_error(struct http_conn *c, int status);

/* Writes what was collected. Suspends. */
void http_flush(struct http_conn *c);

#endif
