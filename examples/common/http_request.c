/* SPDX-License-Identifier: MIT */
/* The glue between http_parser's callbacks and struct http_request. */
#include "http_request.h"

#include <string.h>
#include <strings.h>

enum { HEADER_OTHER, HEADER_HOST, HEADER_EXPECT, HEADER_CODING };

static int fail(struct http_request *r, int status)
{
    r->error = status;
    return -1;
}

static bool equals(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

/* A callback may bring any slice of a name or value: both are collected as far as they matter. */
static void collect(char *to, size_t room, size_t *len, const char *at, size_t n)
{
    if (*len < room)
        memcpy(to + *len, at, n < room - *len ? n : room - *len);
    *len += n;
}

static int on_message_begin(http_parser *p)
{
    struct http_request *r = p->data;
    r->phase = HTTP_IN_HEAD;
    r->serial++;
    r->url_len = r->name_len = r->value_len = 0;
    r->body_len = 0;
    r->hosts = 0;
    r->in_value = r->has_coding = r->wants_continue = false;
    r->header = HEADER_OTHER;
    return 0;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
    struct http_request *r = p->data;
    collect(r->url, sizeof(r->url), &r->url_len, at, n);
    return r->url_len > HTTP_URL_MAX ? fail(r, 414) : 0;
}

static unsigned char which_header(const struct http_request *r)
{
    if (equals(r->name, r->name_len, "host"))
        return HEADER_HOST;
    if (equals(r->name, r->name_len, "expect"))
        return HEADER_EXPECT;
    if (equals(r->name, r->name_len, "transfer-encoding"))
        return HEADER_CODING;
    return HEADER_OTHER;
}

static int header_end(struct http_request *r)
{
    if (!r->in_value)
        return 0;
    if (r->header == HEADER_EXPECT) {
        if (!equals(r->value, r->value_len, "100-continue"))
            return fail(r, 417);
        r->wants_continue = true;
    } else if (r->header == HEADER_CODING) {
        r->has_coding = true;
        if (!equals(r->value, r->value_len, "chunked"))
            return fail(r, 501);
    }
    r->in_value = false;
    r->name_len = r->value_len = 0;
    return 0;
}

static int on_header_field(http_parser *p, const char *at, size_t n)
{
    struct http_request *r = p->data;
    if (header_end(r) != 0)
        return -1;
    /* The packaged parser lets blanks into names: "Content-Length : 5" would mean one thing here
     * and another to a proxy in front. */
    if (memchr(at, ' ', n))
        return fail(r, 400);
    collect(r->name, sizeof(r->name), &r->name_len, at, n);
    return 0;
}

static int on_header_value(http_parser *p, const char *at, size_t n)
{
    struct http_request *r = p->data;
    if (!r->in_value) {
        r->in_value = true;
        r->header = which_header(r);
        if (r->header == HEADER_HOST && ++r->hosts > 1)
            return fail(r, 400);
    }
    if (r->header != HEADER_OTHER)
        collect(r->value, sizeof(r->value), &r->value_len, at, n);
    return 0;
}

static int on_headers_complete(http_parser *p)
{
    struct http_request *r = p->data;
    if (header_end(r) != 0)
        return -1;
    if (p->http_major != 1)
        return fail(r, 505);
    if (p->http_minor == 0 && r->has_coding)
        return fail(r, 400);
    if (p->http_minor > 0 && r->hosts == 0)
        return fail(r, 400);
    bool sized = (p->flags & F_CONTENTLENGTH) != 0;
    if (sized && p->content_length > HTTP_BODY_MAX)
        return fail(r, 413);
    /* Offers to switch protocols are declined by answering as if they were not there. */
    p->upgrade = 0;
    r->phase = HTTP_IN_BODY;
    if (r->wants_continue && p->http_minor > 0 && (r->has_coding || (sized && p->content_length)))
        r->on_continue(r);
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
    struct http_request *r = p->data;
    (void)at;
    r->body_len += n;
    return r->body_len > HTTP_BODY_MAX ? fail(r, 413) : 0;
}

static int on_message_complete(http_parser *p)
{
    struct http_request *r = p->data;
    r->keep_alive = http_should_keep_alive(p) != 0 && p->method != HTTP_CONNECT;
    r->phase = HTTP_IDLE;
    return r->on_request(r);
}

static const http_parser_settings settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void http_request_setup(void)
{
    http_parser_set_max_header_size(HTTP_HEAD_MAX);
}

void http_request_init(struct http_request *r)
{
    memset(r, 0, sizeof(*r));
    http_parser_init(&r->parser, HTTP_REQUEST);
    r->parser.data = r;
}

int http_request_feed(struct http_request *r, const char *data, size_t n)
{
    http_parser_execute(&r->parser, &settings, data, n);
    switch (HTTP_PARSER_ERRNO(&r->parser)) {
    case HPE_OK:
    case HPE_CB_message_complete:
        return 0;
    case HPE_HEADER_OVERFLOW:
        r->error = 431;
        break;
    case HPE_INVALID_TRANSFER_ENCODING:
        r->error = 501;
        break;
    default:
        if (r->error == 0)
            r->error = 400;
    }
    return r->error;
}

const char *http_request_path(const struct http_request *r, size_t *ret_len)
{
    size_t kept = r->url_len < HTTP_URL_KEPT ? r->url_len : HTTP_URL_KEPT;
    const char *at = r->url, *end = r->url + kept;
    if (end - at > 7 && strncasecmp(at, "http://", 7) == 0) {
        at = memchr(at + 7, '/', (size_t)(end - at) - 7);
        if (!at)
            return NULL;
    }
    const char *query = memchr(at, '?', (size_t)(end - at));
    if (!query && r->url_len > HTTP_URL_KEPT)
        return NULL;
    *ret_len = (size_t)((query ? query : end) - at);
    return at;
}
