/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_HTTP_REQUEST_H
#define EXAMPLES_HTTP_REQUEST_H
/* Requests out of a byte stream, on Debian's http_parser. Knows nothing of sockets. */
#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_URL_MAX = 8000,                /* bytes of request target, else 414 */
    HTTP_HEAD_MAX = 16 * 1024,          /* bytes of request line and headers, else 431 */
    HTTP_BODY_MAX = 1024 * 1024,        /* bytes of body that are drained, else 413 */
    HTTP_URL_KEPT = 256                 /* bytes of request target that are remembered */
};

enum http_phase { HTTP_IDLE, HTTP_IN_HEAD, HTTP_IN_BODY };

struct http_request {
    http_parser parser;
    enum http_phase phase;
    int error;                          /* the status a bad request is answered with; 0 = none */
    uint64_t serial;                    /* requests begun on this connection */

    size_t url_len;                     /* true length; only HTTP_URL_KEPT bytes are in url[] */
    uint64_t body_len;
    unsigned hosts;
    bool keep_alive;                    /* valid in on_request */
    bool in_value, has_coding, wants_continue;
    unsigned char header;               /* which header the value being read belongs to */
    size_t name_len, value_len;
    char name[20], value[16];
    char url[HTTP_URL_KEPT];

    int (*on_request)(struct http_request *r);      /* whole request read; non-zero stops parsing */
    void (*on_continue)(struct http_request *r);    /* the peer waits for "100 Continue" */
};

/* Sets process-wide parser limits; call once before the first request. */
void http_request_setup(void);
void http_request_init(struct http_request *r);

/* Parses `n` bytes, calling the hooks on the way. 0, or the status of the error met; after an
 * error or a stop the connection is to be answered and closed. */
int http_request_feed(struct http_request *r, const char *data, size_t n);

/* The path without origin and query; NULL if it is longer than any path served here. */
const char *http_request_path(const struct http_request *r, size_t *ret_len);

#endif
