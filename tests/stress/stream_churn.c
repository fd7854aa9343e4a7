/* SPDX-License-Identifier: MIT */
/*
 * stream_churn: buffered streams come and go; on each a writer and a reader, on any worker, use
 * every call at random while others cancel them and their waits time out. Each byte is known by its
 * connection and its place. Caught: a byte lost, doubled or out of place, by a cancel, a timeout, a
 * full buffer or a change of who sends; a byte of another connection; a waiter left behind by the
 * end of a stream.
 */
#include "churn.h"

#include <math.h>
#include <string.h>

enum { CLIENTS = 10, CONNECTIONS = 3, BYTES_MAX = 60000, PIECE_MAX = 3000, LINES = 40 };
enum ending { HALF_CLOSE, ABORT, CLOSE, ENDINGS };

struct churn {
    struct stress_run *run;
    uint64_t seed;
    char address[STRESS_ADDRESS];
    int listener;
    atomic_ullong next_id;
    atomic_uint next_stream;
    atomic_uint begun, ended, opened;
};

struct line {
    struct churn *churn;
    skua_stream *s;
    uint64_t id;
    uint64_t seed;
    size_t total;           /* bytes to be written */
    enum ending ending;
    atomic_uint begun;      /* tasks: one that is cancelled before never runs */
    atomic_bool done;       /* the reader is */
};

static char byte_at(uint64_t id, size_t place)
{
    uint64_t x = stress_mix(id * 1000003 + place);
    return x % LINES == 0 ? '\n' : (char)('a' + x % 26);
}

/* A wait that ends early, in one of three ways: the calls go on. */
static bool is_interruption(ssize_t r)
{
    if (r == -ECANCELED)
        skua_uncancel(skua_current_task());
    return r == -ECANCELED || r == -ETIMEDOUT || r == -EINTR;
}

static double some_time(struct stress_rng *rng)
{
    switch (stress_below(rng, 4)) {
    case 0:
        return 0;
    case 1:
        return 1e-6 * (1 + stress_below(rng, 300));
    default:
        return INFINITY;
    }
}

/* One call that reads, any of them. Bytes, 0 at the end, or an error. */
static ssize_t read_somehow(skua_stream *s, char *buf, struct stress_rng *rng)
{
    double timeout = some_time(rng);
    size_t n = 1 + stress_below(rng, PIECE_MAX);
    ssize_t r;
    switch (stress_below(rng, 4)) {
    case 0:
        r = skua_stream_read_exactly(s, buf, n, timeout);
        break;
    case 1:
        r = skua_stream_read_line(s, buf, PIECE_MAX + 1, timeout);
        break;
    case 2:
        r = skua_stream_read_until(s, "\n", 1, buf, 2 + n / 100, timeout);
        break;
    default:
        r = skua_stream_read(s, buf, n, timeout);
        break;
    }
    size_t partial = skua_stream_partial(s);
    if (r == -EMSGSIZE)
        return skua_stream_read_exactly(s, buf, partial, INFINITY);
    return r == -ENODATA ? (ssize_t)partial : r;
}

static int write_all(skua_stream *s, const char *buf, size_t n, struct stress_rng *rng)
{
    for (;;) {
        char *at = (char *)(uintptr_t)buf;
        struct iovec half[3] = {{at, n / 2}, {NULL, 0}, {at + n / 2, n - n / 2}};
        int r = stress_below(rng, 2) ? skua_stream_write(s, buf, n)
                                     : skua_stream_writelines(s, half, 3);
        int drained = 0;
        if (r == -ENOBUFS || stress_below(rng, 2))
            drained = skua_stream_drain(s, some_time(rng));
        if (r != -ENOBUFS)
            return r;
        if (drained < 0 && !is_interruption(drained))
            return drained;
    }
}

/* --- the server: everything back --- */

static void on_stream(skua_stream *s, void *arg)
{
    struct churn *c = arg;
    struct stress_rng rng = stress_rng_new(c->seed, 1 + atomic_fetch_add(&c->next_stream, 1));
    char buf[PIECE_MAX + 2];
    ssize_t n;
    atomic_fetch_add(&c->begun, 1);
    while ((n = read_somehow(s, buf, &rng)) != 0) {
        if (n < 0 && is_interruption(n))
            continue;
        if (n > 0)
            n = write_all(s, buf, (size_t)n, &rng);
        if (n < 0)
            break;
    }
    STRESS_CHECK(c->run, n == 0 || n == -ECONNRESET || n == -EPIPE,
                 "server: a stream ended with %zd", n);
    atomic_fetch_add(&c->ended, 1);
    stress_op(c->run);
}

static void *serve(void *arg)
{
    struct churn *c = arg;
    int err = skua_serve_streams(c->listener, on_stream, c, .high_water = 3000, .limit = 500,
                                 .drain = 20);
    return err < 0 ? skua_fail(err) : NULL;
}

/* --- a client: two tasks a stream --- */

static void end_stream(struct line *l)
{
    int err = l->ending == HALF_CLOSE ? skua_stream_write_eof(l->s)
              : l->ending == ABORT    ? skua_stream_abort(l->s)
                                      : skua_stream_close(l->s);
    STRESS_CHECK(l->churn->run, err == 0, "client: the end of a stream gave %d", err);
}

static void *write_line(void *arg)
{
    struct line *l = arg;
    struct stress_rng rng = stress_rng_new(l->seed, 1);
    atomic_fetch_add(&l->begun, 1);
    char buf[PIECE_MAX];
    int err = 0;
    for (size_t at = 0; at < l->total && err == 0;) {
        size_t n = 1 + stress_below(&rng, PIECE_MAX);
        n = n < l->total - at ? n : l->total - at;
        for (size_t i = 0; i < n; i++)
            buf[i] = byte_at(l->id, at + i);
        err = write_all(l->s, buf, n, &rng);
        at += n;
    }
    STRESS_CHECK(l->churn->run, err == 0, "client: a write ended with %d", err);
    end_stream(l);
    return NULL;
}

static void *read_line(void *arg)
{
    struct line *l = arg;
    struct stress_rng rng = stress_rng_new(l->seed, 2);
    atomic_fetch_add(&l->begun, 1);
    char buf[PIECE_MAX + 2];
    size_t got = 0;
    ssize_t n;
    while ((n = read_somehow(l->s, buf, &rng)) != 0) {
        if (n < 0 && is_interruption(n))
            continue;
        if (n < 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            if (buf[i] != byte_at(l->id, got + (size_t)i)) {
                stress_violation(l->churn->run, "client: byte %zu of stream %ju is another",
                                 got + (size_t)i, (uintmax_t)l->id);
                n = -EIO;
                break;
            }
        if (n < 0)
            break;
        got += (size_t)n;
    }
    bool is_well = l->ending == HALF_CLOSE ? n == 0 && got == l->total
                                           : (n == -EBADF || n == 0) && got <= l->total;
    STRESS_CHECK(l->churn->run, is_well, "client: %zu of %zu bytes came back, ending %d: %zd", got,
                 l->total, l->ending, n);
    atomic_store(&l->done, true);
    return NULL;
}

static void meddle(struct line *l, skua_task *writer, skua_task *reader, struct stress_rng *rng)
{
    for (int i = 0; i < 20 && !atomic_load(&l->done); i++) {
        SKUA_IGNORE(skua_sleep(1e-6 * stress_below(rng, 500)));
        skua_cancel(stress_below(rng, 2) ? writer : reader, NULL);
    }
}

static void use_stream(struct churn *c, struct stress_rng *rng)
{
    struct line l = {.churn = c, .id = atomic_fetch_add(&c->next_id, 1) + 1};
    l.seed = stress_next(rng);
    l.total = stress_below(rng, BYTES_MAX);
    l.ending = stress_below(rng, 3) ? HALF_CLOSE : (enum ending)stress_below(rng, ENDINGS);
    int err = skua_stream_open_connection(c->address, 20.0, &l.s,
                                          .high_water = 1 + stress_below(rng, 20000));
    STRESS_CHECK(c->run, err == 0, "client: connect ended with %d", err);
    if (err < 0)
        return;
    atomic_fetch_add(&c->opened, 1);
    skua_task *reader = stress_start(c->run, read_line, &l, rng);
    skua_task *writer = stress_start(c->run, write_line, &l, rng);
    while (atomic_load(&l.begun) < 2)
        SKUA_IGNORE(skua_sleep(20e-6));
    if (stress_below(rng, 2))
        meddle(&l, writer, reader, rng);
    int wrote = skua_join(writer, NULL);
    int read = skua_join(reader, NULL);
    /* -ECANCELED: told when it was through. */
    STRESS_CHECK(c->run, (wrote == 0 || wrote == -ECANCELED) && (read == 0 || read == -ECANCELED),
                 "client: writer %d, reader %d", wrote, read);
    skua_stream_release(l.s);
    stress_op(c->run);
}

static void *client(void *arg)
{
    struct churn *c = arg;
    struct stress_rng rng = stress_rng_new(c->seed, 1000 + atomic_fetch_add(&c->next_stream, 1));
    for (int i = 0; i < CONNECTIONS && !stress_interrupted(); i++)
        use_stream(c, &rng);
    return NULL;
}

static void stream_churn_round(struct stress_run *run, uint64_t seed)
{
    struct churn c = {.run = run, .seed = seed};
    struct stress_rng rng = stress_rng_new(seed, 0);
    skua_task *t[CLIENTS];
    c.listener = stress_listen(run, c.address);
    if (c.listener < 0)
        return;
    skua_task *server =
        stress_task(run, stress_below(&rng, 2) == 0 ? skua_go(serve, &c) : skua_spawn(serve, &c));
    for (int i = 0; i < CLIENTS; i++)
        t[i] = stress_task(run, stress_below(&rng, 2) ? skua_spawn(client, &c)
                                                      : skua_go(client, &c));
    for (int i = 0; i < CLIENTS; i++) {
        int err = skua_join(t[i], NULL);
        STRESS_CHECK(run, err == 0, "a client ended with %d", err);
    }
    SKUA_IGNORE(skua_close(c.listener)); /* the server ends when the last handler has */
    int err = skua_join(server, NULL);
    STRESS_CHECK(run, err == 0, "the server ended with %d", err);
    unsigned opened = atomic_load(&c.opened), begun = atomic_load(&c.begun);
    STRESS_CHECK(run, begun <= opened && atomic_load(&c.ended) == begun,
                 "%u streams opened, %u begun, %u ended", opened, begun, atomic_load(&c.ended));
}

STRESS_CASE(610, "stream_churn",
            "buffered streams opened and closed all the time, every byte known by its place",
            stream_churn_round);
