/* SPDX-License-Identifier: MIT */
/* libuv: one loop, callbacks; a second loop on a thread of its own for queue_cross. */
#include "peer.h"

#include <stdatomic.h>
#include <uv.h>

enum { PENDING = 100000, CHURN_BATCH = 1000, TRIPS_A_LOOK = 100, CALLERS = 64 };

/* ---- echo ---- */

struct conn {
    uv_tcp_t tcp;
    char buf[4096];
};

struct answer {
    uv_write_t request;
    char text[];
};

static void on_closed(uv_handle_t *h)
{
    free(h);
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
    struct conn *c = (struct conn *)h;
    (void)n;
    *buf = uv_buf_init(c->buf, sizeof c->buf);
}

static void on_written(uv_write_t *request, int status)
{
    (void)status;
    free(request);
}

/* Straight to the socket when it takes all, else what is left is queued. */
static void answer(uv_stream_t *stream, const char *text, size_t n)
{
    uv_buf_t buf = uv_buf_init((char *)text, (unsigned)n);
    int sent = uv_try_write(stream, &buf, 1);
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done == n)
        return;
    struct answer *a = malloc(sizeof *a + n - done);
    if (a == NULL)
        abort();
    memcpy(a->text, text + done, n - done);
    buf = uv_buf_init(a->text, (unsigned)(n - done));
    uv_write(&a->request, stream, &buf, 1, on_written);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    if (n < 0)
        uv_close((uv_handle_t *)stream, on_closed);
    else if (n > 0)
        answer(stream, buf->base, (size_t)n);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct conn *c = status == 0 ? malloc(sizeof *c) : NULL;
    if (c == NULL)
        return;
    uv_tcp_init(listener->loop, &c->tcp);
    if (uv_accept(listener, (uv_stream_t *)c) != 0) {
        uv_close((uv_handle_t *)c, on_closed);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)c, on_alloc, on_read);
}

static int echo(double seconds, int workers)
{
    struct sockaddr_in at;
    int n = sizeof at;
    uv_tcp_t listener;
    (void)seconds;
    if (workers > 1)
        return PEER_ABSENT;
    uv_ip4_addr("127.0.0.1", 0, &at);
    uv_tcp_init(uv_default_loop(), &listener);
    if (uv_tcp_bind(&listener, (struct sockaddr *)&at, 0) != 0 ||
        uv_listen((uv_stream_t *)&listener, 1024, on_connection) != 0 ||
        uv_tcp_getsockname(&listener, (struct sockaddr *)&at, &n) != 0)
        return 1;
    peer_announce(ntohs(at.sin_port));
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

/* ---- queue_cross: uv_async_send() between two loops ---- */

static struct {
    uv_loop_t other;
    uv_async_t here;
    uv_async_t there;
    double until;
    uint64_t trips;
    atomic_bool is_over;
} match;

static void on_there(uv_async_t *h)
{
    if (atomic_load(&match.is_over))
        uv_close((uv_handle_t *)h, NULL);
    else
        uv_async_send(&match.here);
}

static void on_here(uv_async_t *h)
{
    match.trips++;
    if (match.trips % TRIPS_A_LOOK == 0 && peer_now() >= match.until) {
        atomic_store(&match.is_over, true);
        uv_close((uv_handle_t *)h, NULL);
    }
    uv_async_send(&match.there);
}

static void run_other(void *arg)
{
    (void)arg;
    uv_run(&match.other, UV_RUN_DEFAULT);
}

static int queue_cross(double seconds, int workers)
{
    uv_thread_t thread;
    if (workers < 2)
        return PEER_ABSENT;
    uv_loop_init(&match.other);
    uv_async_init(uv_default_loop(), &match.here, on_here);
    uv_async_init(&match.other, &match.there, on_there);
    uv_thread_create(&thread, run_other, NULL);
    struct peer_clock begin = peer_begin();
    match.until = begin.wall + seconds;
    uv_async_send(&match.there);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    uv_thread_join(&thread);
    peer_print("queue_cross", NAN, begin, (double)match.trips);
    return 0;
}

/* ---- timers ---- */

static int rung;

static void on_timer(uv_timer_t *t)
{
    (void)t;
    rung++;
}

static int later(const char *name, int count, int delay_s)
{
    uv_timer_t *timer = malloc((size_t)count * sizeof *timer);
    char figure[64];
    if (timer == NULL)
        return 1;
    double before = peer_memory();
    struct peer_clock begin = peer_begin();
    for (int i = 0; i < count; i++) {
        uv_timer_init(uv_default_loop(), &timer[i]);
        uv_timer_start(&timer[i], on_timer, (uint64_t)delay_s * 1000, 0);
    }
    double during = peer_memory();
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    peer_print(name, peer_now() - begin.wall - delay_s, begin, count);
    snprintf(figure, sizeof figure, "%s_mem", name);
    peer_print(figure, (during - before) / count, begin, count);
    return rung == count ? 0 : 1;
}

static int later_100k(double seconds, int workers)
{
    (void)seconds;
    return workers > 1 ? PEER_ABSENT : later("later_100k", 100000, 2);
}

static int later_1m(double seconds, int workers)
{
    (void)seconds;
    return workers > 1 ? PEER_ABSENT : later("later_1m", 1000000, 4);
}

/* 100 to 200 s in ms: none fires. */
static uint64_t random_delay(uint64_t *state)
{
    return 100000 + peer_random(state) % 100000;
}

static int timer_churn(double seconds, int workers)
{
    static uv_timer_t timer[PENDING];
    uint64_t state = 88172645463325252u;
    double ops = 0;
    if (workers > 1)
        return PEER_ABSENT;
    for (int i = 0; i < PENDING; i++) {
        uv_timer_init(uv_default_loop(), &timer[i]);
        uv_timer_start(&timer[i], on_timer, random_delay(&state), 0);
    }
    struct peer_clock begin = peer_begin();
    do {
        for (int i = 0; i < CHURN_BATCH; i++) {
            uv_timer_t *t = &timer[peer_random(&state) % PENDING];
            uv_timer_stop(t);
            uv_timer_start(t, on_timer, random_delay(&state), 0);
        }
        ops += CHURN_BATCH;
        uv_run(uv_default_loop(), UV_RUN_NOWAIT);
    } while (peer_now() - begin.wall < seconds);
    peer_print("timer_churn", NAN, begin, ops);
    return rung == 0 ? 0 : 1;
}

/* ---- to_thread: uv_queue_work(), the next call from the callback of the one before ---- */

struct caller {
    uv_work_t work; /* first: libuv hands it back */
    double until;
    uint64_t calls;
};

static void on_work(uv_work_t *work)
{
    (void)work;
}

static void on_worked(uv_work_t *work, int status)
{
    struct caller *c = (struct caller *)work;
    c->calls++;
    if (status == 0 && (c->calls % TRIPS_A_LOOK != 0 || peer_now() < c->until))
        uv_queue_work(uv_default_loop(), work, on_work, on_worked);
}

static int call(const char *name, int callers, double seconds)
{
    static struct caller caller[CALLERS];
    struct peer_clock begin = peer_begin();
    double calls = 0;
    for (int i = 0; i < callers; i++) {
        caller[i].until = begin.wall + seconds;
        uv_queue_work(uv_default_loop(), &caller[i].work, on_work, on_worked);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    for (int i = 0; i < callers; i++)
        calls += (double)caller[i].calls;
    peer_print(name, NAN, begin, calls);
    return 0;
}

static int to_thread(double seconds, int workers)
{
    return workers > 1 ? PEER_ABSENT : call("to_thread", 1, seconds);
}

static int to_thread_busy(double seconds, int workers)
{
    return workers > 1 ? PEER_ABSENT : call("to_thread_busy", CALLERS, seconds);
}

int main(int argc, char **argv)
{
    static const struct peer_row rows[] = {{"echo", echo},
                                           {"queue_cross", queue_cross},
                                           {"to_thread", to_thread},
                                           {"to_thread_busy", to_thread_busy},
                                           {"later_100k", later_100k},
                                           {"later_1m", later_1m},
                                           {"timer_churn", timer_churn}};
    return peer_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
