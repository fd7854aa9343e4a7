/* SPDX-License-Identifier: MIT */
/*
 * fd_churn: loopback connections come and go all the time, so that descriptor numbers are reused at
 * once. Every frame carries the identity of its connection. Caught: a read or a wake-up that went
 * to the next owner of a number, a waiter left behind by close, data lost by a cancelled or
 * timed-out read, a connection served twice or never, a leak of descriptors.
 */
#include "churn.h"

#include <dirent.h>
#include <math.h>

enum { CLIENTS = 16, CONNECTIONS = 6, ECHOES_MAX = 5, MODES = 6, FD_SLACK = 32 };
enum command { ECHO, BYE, SILENT };

struct frame {
    uint64_t id;
    uint64_t seq;
    uint64_t command;
};

struct churn {
    struct stress_run *run;
    uint64_t seed;
    int listener;
    char address[STRESS_ADDRESS];
    atomic_ullong next_id;
    atomic_uint next_stream;
    atomic_uint opened;
    atomic_uint begun;
    atomic_uint ended;
};

/* One connection of a client. */
struct line {
    struct churn *churn;
    int fd;
    uint64_t id;
    uint64_t seq;
};

/* All of it, or 0 at the end of the stream, or the error. */
static ssize_t read_frame(int fd, struct frame *f)
{
    size_t have = 0;
    while (have < sizeof *f) {
        ssize_t n = skua_read(fd, (char *)f + have, sizeof *f - have, INFINITY);
        if (n <= 0)
            return n;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static ssize_t serve_frames(struct churn *c, int fd)
{
    struct frame f;
    uint64_t id = 0;
    ssize_t n;
    while ((n = read_frame(fd, &f)) > 0) {
        STRESS_CHECK(c->run, f.id != 0 && (id == 0 || f.id == id),
                     "server: connection %ju got a frame of %ju", (uintmax_t)id, (uintmax_t)f.id);
        id = f.id;
        if (f.command == SILENT)
            continue;
        f.seq = ~f.seq;
        ssize_t sent = skua_write(fd, &f, sizeof f, INFINITY);
        if (sent < 0)
            return sent;
        if (f.command == BYE)
            return 0;
    }
    return n;
}

static void on_connection(int fd, void *arg)
{
    struct churn *c = arg;
    atomic_fetch_add(&c->begun, 1);
    ssize_t n = serve_frames(c, fd);
    STRESS_CHECK(c->run, n == 0 || n == -ECONNRESET || n == -EPIPE,
                 "server: a connection ended with %zd", n);
    atomic_fetch_add(&c->ended, 1);
    stress_op(c->run);
}

static void *serve(void *arg)
{
    struct churn *c = arg;
    int err = skua_serve(c->listener, on_connection, c);
    return err < 0 ? skua_fail(err) : NULL;
}

static bool send_frame(struct line *l, enum command command)
{
    struct frame f = {l->id, ++l->seq, command};
    ssize_t n = skua_write(l->fd, &f, sizeof f, INFINITY);
    STRESS_CHECK(l->churn->run, n == (ssize_t)sizeof f, "client: a write ended with %zd", n);
    return n == (ssize_t)sizeof f;
}

static bool converse(struct line *l, enum command command)
{
    struct frame f = {0};
    if (!send_frame(l, command))
        return false;
    ssize_t n = read_frame(l->fd, &f);
    bool is_mine = n == (ssize_t)sizeof f && f.id == l->id && f.seq == ~l->seq;
    STRESS_CHECK(l->churn->run, is_mine,
                 "client: connection %ju frame %ju: read %zd, frame %ju of %ju", (uintmax_t)l->id,
                 (uintmax_t)l->seq, n, (uintmax_t)~f.seq, (uintmax_t)f.id);
    return is_mine;
}

static void do_bye(struct line *l)
{
    char byte;
    if (!converse(l, BYE))
        return;
    ssize_t n = skua_read(l->fd, &byte, 1, INFINITY);
    STRESS_CHECK(l->churn->run, n == 0,
                 "client: after the end of the server's side a read gave %zd", n);
}

static void do_timeout(struct line *l)
{
    char byte;
    if (!send_frame(l, SILENT))
        return;
    ssize_t n = skua_read(l->fd, &byte, 1, 300e-6);
    STRESS_CHECK(l->churn->run, n == -ETIMEDOUT, "client: a read of a silent line gave %zd", n);
    converse(l, ECHO);
}

struct reader {
    int fd;
    skua_future *waiting;
};

static void on_reader_waiting(void *arg)
{
    struct reader *r = arg;
    skua_future_set_result(r->waiting, NULL);
}

/* In a pinned group nothing runs between call_soon and the suspension of the read, and the callback
 * only after it. */
static void *read_silence(void *arg)
{
    struct reader *r = arg;
    char byte;
    skua_call_soon(on_reader_waiting, r);
    ssize_t n = skua_read(r->fd, &byte, 1, INFINITY);
    return n < 0 ? skua_fail((int)n) : NULL;
}

/* Starts a task that certainly waits in a read of the line when this returns. */
static skua_task *start_reader(struct line *l, struct reader *r, struct stress_rng *rng)
{
    struct stress_run *run = l->churn->run;
    skua_group *g = run->group[stress_below(rng, (unsigned)run->group_count)];
    *r = (struct reader){l->fd, stress_task(run, skua_future_new())};
    skua_task *t = stress_task(run, skua_spawn(read_silence, r, .group = g));
    int err = skua_await(r->waiting, NULL);
    STRESS_CHECK(run, err == 0, "client: waiting for a reader: %d", err);
    skua_release(r->waiting);
    return t;
}

static void do_cancel(struct line *l, struct stress_rng *rng)
{
    struct reader r;
    skua_task *t = start_reader(l, &r, rng);
    skua_cancel(t, NULL);
    int err = skua_join(t, NULL);
    STRESS_CHECK(l->churn->run, err == -ECANCELED, "client: a cancelled read ended with %d", err);
    converse(l, ECHO);
}

static void close_line(struct line *l)
{
    int err = skua_close(l->fd);
    STRESS_CHECK(l->churn->run, err == 0, "client: close of descriptor %d: %d", l->fd, err);
    l->fd = -1;
}

static void do_close_under_reader(struct line *l, struct stress_rng *rng)
{
    struct reader r;
    skua_task *t = start_reader(l, &r, rng);
    close_line(l);
    int err = skua_join(t, NULL);
    STRESS_CHECK(l->churn->run, err == -EBADF,
                 "client: a read of a closed descriptor ended with %d", err);
}

static void do_abandon(struct line *l, struct stress_rng *rng)
{
    for (unsigned i = 1 + stress_below(rng, 4); i > 0; i--)
        if (!send_frame(l, ECHO))
            return;
}

static int dial(struct churn *c)
{
    for (int tries = 0;; tries++) {
        int fd = skua_connect(c->address, 10.0);
        /* All local ports may be waiting out their last connection. */
        if (fd != -EADDRNOTAVAIL || tries == 100)
            return fd;
        SKUA_IGNORE(skua_sleep(0.02));
    }
}

static void use_connection(struct churn *c, struct stress_rng *rng)
{
    struct line l = {.churn = c, .fd = dial(c), .id = atomic_fetch_add(&c->next_id, 1) + 1};
    STRESS_CHECK(c->run, l.fd >= 0, "client: connect ended with %d", l.fd);
    if (l.fd < 0)
        return;
    atomic_fetch_add(&c->opened, 1);
    bool is_well = true;
    for (unsigned i = stress_below(rng, ECHOES_MAX); i > 0 && is_well; i--)
        is_well = converse(&l, ECHO);
    switch (is_well ? stress_below(rng, MODES) : 0) {
    case 1:
        do_bye(&l);
        break;
    case 2:
        do_abandon(&l, rng);
        break;
    case 3:
        do_close_under_reader(&l, rng);
        break;
    case 4:
        do_timeout(&l);
        break;
    case 5:
        do_cancel(&l, rng);
        break;
    default:
        break;
    }
    if (l.fd >= 0)
        close_line(&l);
    stress_op(c->run);
}

static void *client(void *arg)
{
    struct churn *c = arg;
    struct stress_rng rng = stress_rng_new(c->seed, 1 + atomic_fetch_add(&c->next_stream, 1));
    for (int i = 0; i < CONNECTIONS && !stress_interrupted(); i++)
        use_connection(c, &rng);
    return NULL;
}

static long count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    long n = 0;
    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void check_end(struct churn *c)
{
    unsigned opened = atomic_load(&c->opened);
    double deadline = stress_now() + 10;
    while (atomic_load(&c->ended) < opened && stress_now() < deadline)
        SKUA_IGNORE(skua_sleep(200e-6));
    unsigned begun = atomic_load(&c->begun);
    unsigned ended = atomic_load(&c->ended);
    STRESS_CHECK(c->run, begun == opened && ended == opened,
                 "%u connections opened, %u begun, %u ended", opened, begun, ended);
}

static void check_descriptors(struct stress_run *run)
{
    long now = count_descriptors();
    if (run->fd_base == 0)
        run->fd_base = now;
    STRESS_CHECK(run, now <= run->fd_base + FD_SLACK,
                 "%ld descriptors open, %ld after the first round", now, run->fd_base);
}

static void fd_churn_round(struct stress_run *run, uint64_t seed)
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
        t[i] = stress_start(run, client, &c, &rng);
    for (int i = 0; i < CLIENTS; i++) {
        int err = skua_join(t[i], NULL);
        STRESS_CHECK(run, err == 0, "a client ended with %d", err);
    }
    check_end(&c);
    skua_cancel(server, NULL);
    int err = skua_join(server, NULL);
    STRESS_CHECK(run, err == 0 || err == -ECANCELED, "the server ended with %d", err);
    SKUA_IGNORE(skua_close(c.listener));
    check_descriptors(run);
}

STRESS_CASE(
    600, "fd_churn",
    "connections opened and closed all the time, descriptor numbers reused, identities checked",
    fd_churn_round);
