/* SPDX-License-Identifier: MIT */
#include "http_conn.h"

#include <skua.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* What every plain 200 begins with, rendered once a second by each worker for itself: nothing is
 * shared, and no call suspends between finding a page and copying from it. */
#define OK_START "HTTP/1.1 200 OK\r\nServer: skua\r\nDate: "
#define OK_REST "\r\nContent-Type: text/plain\r\nContent-Length: "
enum { PAGES = 1024, DATE_AT = sizeof(OK_START) - 1, DATE_LEN = 29 };
struct page {
    _Alignas(64) time_t second;
    size_t ok_len;
    char ok[144];
};
static struct page pages[PAGES];

const char http_text[] = "text/plain";

static const struct page *current_page(void)
{
    struct page *page = &pages[(unsigned)skua_worker_index() % PAGES];
    time_t now = time(NULL);
    if (page->second != now) {
        struct tm tm;
        page->second = now;
        page->ok_len = strftime(page->ok, sizeof(page->ok),
                                OK_START "%a, %d %b %Y %H:%M:%S GMT" OK_REST, gmtime_r(&now, &tm));
    }
    return page;
}

void http_flush(struct http_conn *c)
{
    if (c->error == 0 && c->out_len > 0) {
        ssize_t n = skua_write(c->fd, c->out, c->out_len, c->service->write_timeout);
        if (n < 0)
            c->error = (int)n;
    }
    c->out_len = 0;
}

static void put(struct http_conn *c, const char *data, size_t n)
{
    while (n > 0 && c->error == 0) {
        size_t room = sizeof(c->out) - c->out_len, part = n < room ? n : room;
        memcpy(c->out + c->out_len, data, part);
        c->out_len += part;
        data += part;
        n -= part;
        if (n > 0)
            http_flush(c);
    }
}

/* The head of a 200 that needs no line of its own, without printf. */
static void put_ok(struct http_conn *c, size_t n)
{
    char digits[24], *end = digits + sizeof(digits), *at = end;
    memcpy(at -= 4, "\r\n\r\n", 4);
    do
        *--at = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    if (sizeof(c->out) - c->out_len < sizeof(pages->ok))
        http_flush(c);
    const struct page *page = current_page();
    memcpy(c->out + c->out_len, page->ok, page->ok_len);
    c->out_len += page->ok_len;
    put(c, at, (size_t)(end - at));
}

void http_answer(struct http_conn *c, int status, const char *type, const char *body, size_t n)
{
    const http_parser *p = &c->req.parser;
    if (atomic_load_explicit(&c->service->stopping, memory_order_relaxed))
        c->closing = true;
    if (status == 200 && type == http_text && !c->closing && p->http_minor > 0) {
        put_ok(c, n);
    } else {
        char head[320];
        int len = snprintf(head, sizeof(head),
            "HTTP/1.1 %d %s\r\nServer: skua\r\nDate: %.*s\r\nContent-Type: %s\r\n"
            "Content-Length: %zu\r\n%s%s\r\n", status, http_status_str((enum http_status)status),
            DATE_LEN, current_page()->ok + DATE_AT, type, n,
            status == 405 ? "Allow: GET, HEAD\r\n" : "",
            c->closing ? "Connection: close\r\n"
                : p->http_minor == 0 ? "Connection: keep-alive\r\n" : "");
        put(c, head, (size_t)len);
    }
    if (c->req.error != 0 || p->method != HTTP_HEAD)
        put(c, body, n);
}

void http_answer_error(struct http_conn *c, int status)
{
    char body[96];
    int n = snprintf(body, sizeof(body), "%d %s\n", status,
                     http_status_str((enum http_status)status));
    http_answer(c, status, http_text, body, (size_t)n);
}

/* Closing a socket with unread input resets it, and the reset may overtake the answer: so end our
 * side, then take in what the peer was still sending, within limits. */
void http_refuse(struct http_conn *c, int status)
{
    c->closing = true;
    c->req.error = status;
    http_answer_error(c, status);
    http_flush(c);
    if (c->error < 0 || shutdown(c->fd, SHUT_WR) < 0)
        return;
    double end = skua_loop_time() + 1;
    ssize_t n = 1;
    for (size_t sum = 0; n > 0 && sum < HTTP_LINGER_BYTES; sum += (size_t)n)
        n = skua_read(c->fd, c->in, sizeof(c->in), end - skua_loop_time());
}

static int on_request(struct http_request *r)
{
    struct http_conn *c = (struct http_conn *)r;
    size_t n = 0;
    const char *path = http_request_path(r, &n);
    c->closing = !r->keep_alive;
    c->service->route(c, path, n);
    return c->closing || c->error < 0;
}

static void on_continue(struct http_request *r)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    put((struct http_conn *)r, line, sizeof(line) - 1);
}

/* How long to wait for more bytes. Head and body have a deadline each, which no trickle of bytes
 * moves; the clock is read for requests that come in pieces and not at all for others. */
static double patience(struct http_conn *c)
{
    const struct http_service *s = c->service;
    if (c->req.phase == HTTP_IDLE)
        return s->idle_timeout;
    uint64_t phase = c->req.serial * 4 + c->req.phase;
    double now = skua_loop_time();
    if (c->timed != phase) {
        c->timed = phase;
        c->deadline = now + (c->req.phase == HTTP_IN_HEAD ? s->header_timeout : s->idle_timeout);
    }
    return c->deadline - now;
}

void http_conn_run(struct http_conn *c)
{
    while (c->error == 0 && !c->closing) {
        ssize_t n = skua_read(c->fd, c->in, sizeof(c->in), patience(c));
        bool midway = c->req.phase != HTTP_IDLE;
        if (n > 0 && http_request_feed(&c->req, c->in, (size_t)n) != 0)
            http_refuse(c, c->req.error);
        else if (n > 0)
            http_flush(c);
        else if (n == 0 && midway)
            http_refuse(c, atomic_load(&c->service->stopping) ? 503 : 400);
        else if (n == -ETIMEDOUT && midway)
            http_refuse(c, 408);
        else
            return;
    }
}

/* Field by field: the buffers are not touched before they are used. */
void http_conn_init(struct http_conn *c, int fd, struct http_service *service)
{
    http_request_init(&c->req);
    c->req.on_request = on_request;
    c->req.on_continue = on_continue;
    c->service = service;
    c->next = NULL;
    c->link = NULL;
    c->deadline = 0;
    c->timed = 0;
    c->fd = fd;
    c->error = 0;
    c->closing = false;
    c->out_len = 0;
}
