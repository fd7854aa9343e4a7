/* SPDX-License-Identifier: MIT */
/* A parallel HTTP/1.1 server: one free task per connection, any worker runs any of them.
 * `http --port 8080`, then `curl http://127.0.0.1:8080/plaintext`. */
#include "common/http_conn.h"

#include <argp.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <skua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    OVER_LIMIT = 64,                    /* connections past the limit that may be told so at once */
    WORKERS_MAX = 256,
    CPU_ROUNDS = 155 * 1000             /* 256 us where a round takes 1.65 ns */
};

struct server {
    struct http_service service;
    const char *listen;
    int port, workers, max_connections;
    double drain;
    bool quiet, stats;
    int fd;
    atomic_int connections;
    pthread_mutex_t lock;               /* guards the list; never held across a suspension */
    struct http_conn *list;
};

static const char hello_body[] = "Hello, World!";
static const char index_body[] =
    "skua's example server\n"
    "  /plaintext  the shortest answer\n"
    "  /cpu        an answer that takes a fixed amount of work\n"
    "  /delay/N    an answer after N seconds, fractions allowed\n"
    "  /stats      what each worker has done, as JSON\n";
static const char delay_body[] =
    "This answer was ready at once and kept back as long as its address asked for.\n"
    "While it waited, its task held no thread: the worker went on with other connections.\n"
    "The text is the same for every delay, so whoever fetches it can count its bytes.\n";

static void get_index(struct http_conn *c, const char *rest, size_t n)
{
    http_answer(c, 200, http_text, index_body, sizeof(index_body) - 1);
}

static void get_plaintext(struct http_conn *c, const char *rest, size_t n)
{
    http_answer(c, 200, http_text, hello_body, sizeof(hello_body) - 1);
}

/* The same rounds for every request, whatever the machine and the number of workers. */
static __attribute__((noinline)) uint64_t work(uint64_t x)
{
    for (int i = 0; i < CPU_ROUNDS; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}

static void get_cpu(struct http_conn *c, const char *rest, size_t n)
{
    char body[32];
    volatile uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
    int len = snprintf(body, sizeof(body), "%016" PRIx64 "\n", work(seed));
    http_answer(c, 200, http_text, body, (size_t)len);
}

static void get_delay(struct http_conn *c, const char *rest, size_t n)
{
    char text[16], *end = text;
    double seconds = 0;
    if (n > 0 && n < sizeof(text) && strspn(rest, "0123456789.") >= n) {
        memcpy(text, rest, n);
        text[n] = '\0';
        seconds = strtod(text, &end);
    }
    if (end == text || *end != '\0' || seconds > 3600) {
        http_answer_error(c, 400);
        return;
    }
    http_flush(c);                           /* answers already owed do not wait for this one */
    int r = skua_sleep(seconds);
    if (r < 0)
        c->error = r;
    else
        http_answer(c, 200, http_text, delay_body, sizeof(delay_body) - 1);
}

static void get_stats(struct http_conn *c, const char *rest, size_t n)
{
    struct skua_stats all = { .size = sizeof(all) };
    struct timespec cpu;
    char *body = NULL;
    size_t len = 0;
    FILE *f = skua_stats_get(&all) < 0 ? NULL : open_memstream(&body, &len);
    if (!f) {
        http_answer_error(c, 500);
        return;
    }
    fputs("{\"workers\":[", f);
    for (int i = 0; i < all.workers + all.spares; i++) {
        struct skua_worker_stats w = { .size = sizeof(w) };
        if (skua_worker_stats_get(i, &w) < 0)
            break;
        fprintf(f, "%s{\"tasks\":%" PRIu64 ",\"steals\":%" PRIu64 ",\"polls\":%" PRIu64
                ",\"connections\":%" PRIu64 "}", i ? "," : "", w.tasks, w.steals, w.polls,
                w.connections);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    fprintf(f, "],\"cpu_seconds\":%.6f}\n", (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9);
    if (fclose(f) == 0)
        http_answer(c, 200, "application/json", body, len);
    else
        http_answer_error(c, 500);
    free(body);
}

static const struct route {
    const char *path;
    bool more;                          /* the path goes on with an argument */
    void (*get)(struct http_conn *c, const char *rest, size_t n);
} routes[] = {
    { "/plaintext", false, get_plaintext },
    { "/cpu", false, get_cpu },
    { "/delay/", true, get_delay },
    { "/stats", false, get_stats },
    { "/", false, get_index },
};

static void route(struct http_conn *c, const char *path, size_t n)
{
    const struct route *end = routes + sizeof(routes) / sizeof(routes[0]), *at = routes;
    for (; path && at < end; at++) {
        size_t len = strlen(at->path);
        if ((at->more ? n >= len : n == len) && memcmp(path, at->path, len) == 0)
            break;
    }
    if (!path || at == end)
        http_answer_error(c, 404);
    else if (c->req.parser.method != HTTP_GET && c->req.parser.method != HTTP_HEAD)
        http_answer_error(c, 405);
    else
        at->get(c, path + strlen(at->path), n - strlen(at->path));
}

static void join_list(struct server *s, struct http_conn *c)
{
    pthread_mutex_lock(&s->lock);
    c->link = &s->list;
    c->next = s->list;
    if (c->next)
        c->next->link = &c->next;
    s->list = c;
    if (atomic_load(&s->service.stopping))
        shutdown(c->fd, SHUT_RD);
    pthread_mutex_unlock(&s->lock);
}

static void leave_list(struct server *s, struct http_conn *c)
{
    pthread_mutex_lock(&s->lock);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    pthread_mutex_unlock(&s->lock);
}

static void handle(int fd, void *arg)
{
    struct server *s = arg;
    struct http_conn c;
    http_conn_init(&c, fd, &s->service);
    join_list(s, &c);
    if (atomic_fetch_add(&s->connections, 1) < s->max_connections)
        http_conn_run(&c);
    else
        http_refuse(&c, 503);
    atomic_fetch_sub(&s->connections, 1);
    leave_list(s, &c);
}

/* On SIGINT and SIGTERM. Ending the reading side of every connection wakes the idle ones with an
 * end of file; a request already received is still answered. skua_serve ends with its socket. */
static void stop(void *arg)
{
    struct server *s = arg;
    if (atomic_load(&s->service.stopping))
        return;
    if (!s->quiet)
        fprintf(stderr, "http: finishing %d connections\n", s->connections);
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->service.stopping, true);
    for (struct http_conn *c = s->list; c; c = c->next)
        shutdown(c->fd, SHUT_RD);
    pthread_mutex_unlock(&s->lock);
    skua_close(s->fd);
}

static void print_stats(void)
{
    struct skua_stats all = { .size = sizeof(all) };
    if (skua_stats_get(&all) < 0)
        return;
    for (int i = 0; i < all.workers + all.spares; i++) {
        struct skua_worker_stats w = { .size = sizeof(w) };
        if (skua_worker_stats_get(i, &w) == 0)
            printf("worker %d: tasks %" PRIu64 " steals %" PRIu64 " polls %" PRIu64
                   " connections %" PRIu64 "\n", i, w.tasks, w.steals, w.polls, w.connections);
    }
}

static int listen_and_say(struct server *s)
{
    char addr[128];
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    int one = 1;
    bool six = strchr(s->listen, ':') != NULL;
    snprintf(addr, sizeof(addr), six ? "[%s]:%d" : "%s:%d", s->listen, s->port);
    s->fd = skua_listen(addr, .backlog = 1024);
    if (s->fd < 0)
        return s->fd;
    /* Accepted sockets inherit it: an answer never waits for the acknowledgement of another. */
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (getsockname(s->fd, (struct sockaddr *)&ss, &len) < 0)
        return -errno;
    in_port_t port = ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ss)->sin6_port
                                              : ((struct sockaddr_in *)&ss)->sin_port;
    printf(six ? "listening on [%s]:%d\n" : "listening on %s:%d\n", s->listen, ntohs(port));
    fflush(stdout);
    return 0;
}

static void *serve(void *arg)
{
    struct server *s = arg;
    int r = skua_add_signal_handler(SIGINT, stop, s);
    if (r == 0)
        r = skua_add_signal_handler(SIGTERM, stop, s);
    if (r == 0)
        r = listen_and_say(s);
    if (r < 0) {
        fprintf(stderr, "http: cannot listen on %s port %d: %s\n", s->listen, s->port,
                strerror(-r));
        return skua_fail(r);
    }
    r = skua_serve(s->fd, handle, s, .max_connections = s->max_connections + OVER_LIMIT,
                   .drain = s->drain);
    if (s->stats)
        print_stats();
    return atomic_load(&s->service.stopping) ? NULL : skua_fail(r);
}

enum { OPT_PORT = 'p', OPT_WORKERS = 'w', OPT_QUIET = 'q', OPT_LISTEN = 256, OPT_MAX, OPT_HEADER,
       OPT_IDLE, OPT_WRITE, OPT_DRAIN, OPT_STATS };

static const struct argp_option options[] = {
    { "port", OPT_PORT, "PORT", 0, "port to listen on; 0 picks a free one (8080)", 0 },
    { "listen", OPT_LISTEN, "ADDR", 0, "address to listen on (127.0.0.1)", 0 },
    { "workers", OPT_WORKERS, "N", 0, "worker threads; 1 = single-thread mode (one per core)", 0 },
    { "max-connections", OPT_MAX, "N", 0, "more are answered 503 (10000)", 0 },
    { "header-timeout", OPT_HEADER, "S", 0, "seconds for the head of a request (10)", 0 },
    { "idle-timeout", OPT_IDLE, "S", 0, "seconds between requests, and for a body (60)", 0 },
    { "write-timeout", OPT_WRITE, "S", 0, "seconds for the peer to take an answer (10)", 0 },
    { "drain", OPT_DRAIN, "S", 0, "seconds for open requests after SIGINT or SIGTERM (5)", 0 },
    { "stats", OPT_STATS, NULL, 0, "print what each worker did, at the end", 0 },
    { "quiet", OPT_QUIET, NULL, 0, "say nothing but where it listens", 0 },
    { 0 }
};

static double number(struct argp_state *state, const char *arg, double min, double max)
{
    char *end;
    double x = strtod(arg, &end);
    if (end == arg || *end != '\0' || !(x >= min && x <= max))
        argp_error(state, "'%s' is not a number from %g to %g", arg, min, max);
    return x;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct server *s = state->input;
    switch (key) {
    case OPT_PORT: s->port = (int)number(state, arg, 0, 65535); return 0;
    case OPT_LISTEN: s->listen = arg; return 0;
    case OPT_WORKERS: s->workers = (int)number(state, arg, 1, WORKERS_MAX); return 0;
    case OPT_MAX: s->max_connections = (int)number(state, arg, 1, 1000000); return 0;
    case OPT_HEADER: s->service.header_timeout = number(state, arg, 0.001, 86400); return 0;
    case OPT_IDLE: s->service.idle_timeout = number(state, arg, 0.001, 86400); return 0;
    case OPT_WRITE: s->service.write_timeout = number(state, arg, 0.001, 86400); return 0;
    case OPT_DRAIN: s->drain = number(state, arg, 0, 86400); return 0;
    case OPT_STATS: s->stats = true; return 0;
    case OPT_QUIET: s->quiet = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = { options, parse_option, NULL,
        "A parallel HTTP/1.1 server on skua.", NULL, NULL, NULL };
    static struct server s = {
        .service = { .route = route, .header_timeout = 10, .idle_timeout = 60,
                     .write_timeout = 10 },
        .listen = "127.0.0.1", .port = 8080, .max_connections = 10000, .drain = 5,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    if (argp_parse(&argp, argc, argv, 0, NULL, &s) != 0)
        return 2;
    http_request_setup();
    int r = skua_run(serve, &s, .workers = s.workers);
    if (r < 0 && s.fd >= 0)             /* not being able to listen has been told */
        fprintf(stderr, "http: %s\n", strerror(-r));
    return r < 0;
}
