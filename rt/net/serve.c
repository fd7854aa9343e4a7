/* SPDX-License-Identifier: MIT */
/* floor 8: net. skua_serve: one acceptor, a task for each connection, an orderly end.
 *
 * A connection is on one of three lists under the server's lock: live, told (to end), ended.
 * Whatever ends its task, a cancel before it ever ran included, the completion moves it to `ended`;
 * only the serving task frees it, so that task may use any connection without the lock. The serving
 * task looks after the ended ones whenever it accepts, and is kicked when they pile up. Both ways
 * of waiting, for connections and for the end of all handlers, are ended under the lock, so the
 * frame of the serving task outlives every use of it.
 */
#include <errno.h>
#include <math.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/sys.h"
#include "net/sock.h"
#include "sched/cancel.h"
#include "sched/finish.h"
#include "sched/queues.h"
#include "sched/runtime.h"
#include "sched/spawn.h"
#include "sched/wait.h"

enum {
    ACCEPT_BATCH = 16, /* connections between two turns of others */
    ENDED_MAX = 64,    /* ended connections that wait to be freed  */
    AT_LIMIT = 1,
};

#define BACKOFF_FIRST (5 * RT_NS_PER_MS)
#define BACKOFF_LAST  RT_NS_PER_SEC

struct server {
    struct rt_io io;
    skua_conn_fn handler;
    void *arg;
    struct skua_group *group;
    size_t max;          /* connections at a time; 0: any number        */
    uint64_t backoff;    /* the next pause, after a shortage            */
    unsigned next;       /* worker of the next connection               */
    struct rt_lock lock; /* the fields below                            */
    struct rt_list live;
    struct rt_list told;
    struct rt_list ended;
    size_t n_live; /* on live and told                            */
    size_t n_ended;
    bool kick_on_end; /* accepting waits for a connection to end  */
    bool kicked;
    uint64_t name; /* of the wait for the last handler; 0: none   */
};

struct conn {
    struct rt_list link;
    struct rt_waiter waiter;
    struct server *server;
    struct skua_task *task;
    int fd; /* -1 once the handler has it */
    uint32_t generation;
};

/* --- one connection --- */

static void *conn_main(void *arg)
{
    struct conn *c = arg;
    struct server *s = c->server;
    int fd = c->fd;
    uint32_t generation = c->generation;
    c->fd = -1;
    RT_STAT_INC(&rt_self()->accepted);
    s->handler(fd, s->arg);
    rt_sock_drop(fd, generation);
    bool cancelled = rt_cw_count(&rt_current()->cancels) > 0;
    return cancelled ? skua_fail(-ECANCELED) : NULL;
}

/* The task is done, or its memory is: under the lock of its state word, or on the serving task. */
static void conn_end(struct conn *c, struct rt_fifo *out)
{
    struct server *s = c->server;
    rt_lock(&s->lock);
    rt_list_remove(&c->link);
    rt_list_push_back(&s->ended, &c->link);
    s->n_live--;
    s->n_ended++;
    if (s->n_live == 0 && s->name) {
        (void)rt_name_claim(s->name, 0, out);
    } else if ((s->kick_on_end || s->n_ended >= ENDED_MAX) && !s->kicked) {
        s->kicked = true;
        rt_fd_kick(s->io.rec, RT_DIR_IN, out);
    }
    rt_unlock(&s->lock);
}

static void conn_fire(struct rt_waiter *self, struct skua_task *done, struct rt_fifo *out)
{
    (void)done;
    conn_end(rt_container_of(self, struct conn, waiter), out);
}

static void conn_free(struct conn *c)
{
    if (c->fd >= 0)
        rt_sock_drop(c->fd, c->generation); /* its task never ran */
    if (c->task)
        rt_task_unref(rt_self(), c->task);
    rt_free(c);
}

static void free_ended(struct server *s)
{
    struct rt_list ended = RT_LIST_INIT(ended);
    struct rt_list *at;
    rt_lock(&s->lock);
    rt_list_splice_back(&ended, &s->ended);
    s->n_ended = 0;
    s->kicked = false;
    rt_unlock(&s->lock);
    while ((at = rt_list_pop_front(&ended)) != NULL)
        conn_free(rt_list_entry(at, struct conn, link));
}

static struct skua_task *spawn_task(struct server *s, struct conn *c)
{
    static const char where[] = "skua_serve";
    struct rt_worker *w = rt_self();
    struct rt_runtime *rt = w->rt;
    struct skua_spawn_opts opts = {.size = sizeof opts, .where = where};
    int err;
    if (s->group)
        return rt_spawn(w, rt, s->group, conn_main, c, &opts, &err);
    return rt_spawn_on(rt->workers[s->next++ % rt->n], conn_main, c, where, true);
}

/* 0, or -ENOMEM and the connection is closed. */
static int conn_start(struct server *s, int fd, uint32_t generation)
{
    struct rt_fifo out = {0};
    struct conn *c = rt_calloc(1, sizeof *c);
    if (!c) {
        rt_sock_drop(fd, generation);
        return -ENOMEM;
    }
    *c = (struct conn){.waiter.fire = conn_fire, .server = s, .fd = fd, .generation = generation};
    rt_lock(&s->lock);
    rt_list_push_back(&s->live, &c->link);
    s->n_live++;
    rt_unlock(&s->lock);
    struct skua_task *t = spawn_task(s, c);
    c->task = t;
    if (!t || !rt_waiter_add(t, &c->waiter))
        conn_end(c, &out);
    rt_ready_batch(&out);
    return t ? 0 : -ENOMEM;
}

/* --- accepting --- */

/* Whether accepting has to wait until a connection ends. */
static bool at_limit(struct server *s)
{
    rt_lock(&s->lock);
    bool full = s->max && s->n_live >= s->max;
    s->kick_on_end = full;
    rt_unlock(&s->lock);
    return full;
}

/* Nobody is there. */
static int wait_for_connection(struct server *s)
{
    free_ended(s);
    return rt_io_wait(&s->io, POLLIN);
}

/* Connections stay in the backlog until one that was accepted ends, which kicks. The descriptor
 * counts as drained although it is not: the same wait is ended by a close. */
static int wait_at_limit(struct server *s)
{
    (void)rt_fd_try(s->io.rec, RT_DIR_IN, &s->io.seen);
    free_ended(s);
    if (!at_limit(s))
        return 0;
    rt_io_drained(&s->io, RT_DIR_IN);
    return rt_io_wait(&s->io, POLLIN);
}

/* True: a connection has ended since; otherwise the descriptor counts as drained. */
static bool has_kick(struct server *s)
{
    (void)rt_fd_try(s->io.rec, RT_DIR_IN, &s->io.seen);
    rt_lock(&s->lock);
    bool kicked = s->kicked;
    rt_unlock(&s->lock);
    if (!kicked)
        rt_io_drained(&s->io, RT_DIR_IN);
    return kicked;
}

/* There is no memory to wait for the listener with. */
static int rest(struct server *s, uint64_t until)
{
    rt_io_pause(&s->io);
    int r = rt_wait_until(until);
    if (r == -ENOMEM)
        SKUA_IGNORE(rt_sys_sched_yield()); /* nor for the time */
    else if (r < 0)
        return r;
    return rt_io_resume(&s->io);
}

/* Out of descriptors or memory: connections stay in the backlog until something is given back, or
 * for a while. */
static int back_off(struct server *s)
{
    uint64_t until = rt_ns_add(rt_timers_read_clock(&rt_self()->timers), s->backoff);
    int r = 0;
    s->backoff = s->backoff * 2 < BACKOFF_LAST ? s->backoff * 2 : BACKOFF_LAST;
    free_ended(s);
    rt_lock(&s->lock);
    s->kick_on_end = true;
    rt_unlock(&s->lock);
    s->io.deadline = until;
    while (r == 0 && rt_timers_read_clock(&rt_self()->timers) < until && !has_kick(s))
        r = rt_io_wait(&s->io, POLLIN);
    s->io.deadline = RT_NEVER;
    if (rt_sock_is_shortage(r))
        return rest(s, until);
    return r == -ETIMEDOUT ? rt_io_resume(&s->io) : r;
}

/* Up to 16 connections. 0: go on; AT_LIMIT; -EAGAIN: nobody is there; otherwise what is wrong. */
static int accept_batch(struct server *s)
{
    unsigned retries = 0;
    for (int i = 0; i < ACCEPT_BATCH;) {
        uint32_t generation;
        if (at_limit(s))
            return AT_LIMIT;
        if (!rt_io_try(&s->io, RT_DIR_IN))
            return -EAGAIN;
        int fd = rt_sock_accept(&s->io, &generation);
        if (rt_sock_is_transient(fd) && ++retries < RT_ACCEPT_RETRIES)
            continue;
        if (fd == -EAGAIN)
            rt_io_drained(&s->io, RT_DIR_IN);
        if (fd < 0)
            return fd;
        int r = conn_start(s, fd, generation);
        if (r < 0)
            return r;
        s->backoff = BACKOFF_FIRST;
        i++;
    }
    return 0;
}

/* Until closed (0), cancelled (-ECANCELED) or something is wrong with the listener. */
static int accept_all(struct server *s)
{
    for (;;) {
        int r = accept_batch(s);
        if (r == -EAGAIN) {
            r = wait_for_connection(s);
        } else if (r == AT_LIMIT) {
            r = wait_at_limit(s);
        } else if (r == 0) {
            free_ended(s);
            rt_io_pause(&s->io);
            r = rt_wait_turn(rt_self());
            if (r == 0 || r == -ENOMEM) /* then without a turn of others */
                r = rt_io_resume(&s->io);
        }
        if (rt_sock_is_shortage(r))
            r = back_off(s);
        if (r < 0)
            return r == -EBADF ? 0 : r;
    }
}

/* --- the end --- */

/* 0: the last handler has ended; -ETIMEDOUT, -ECANCELED, -ENOMEM. */
static int wait_for_handlers(struct server *s, uint64_t deadline)
{
    uint64_t name;
    struct rt_worker *w = rt_self();
    int r = rt_wait_begin(w, &name);
    if (r < 0)
        return r;
    rt_lock(&s->lock);
    bool none = s->n_live == 0;
    s->name = none ? 0 : name;
    rt_unlock(&s->lock);
    if (none)
        return rt_wait_abandon(name);
    r = rt_wait_timer(w, deadline);
    if (r == 0) {
        r = rt_wait_park();
        rt_wait_timer_end(r);
    } else {
        r = rt_wait_give_up(name, r);
    }
    rt_lock(&s->lock);
    s->name = 0;
    none = s->n_live == 0;
    rt_unlock(&s->lock);
    if (r >= 0)
        r = none ? 0 : -ETIMEDOUT;
    return r;
}

static void cancel_handlers(struct server *s)
{
    for (;;) {
        rt_lock(&s->lock);
        struct rt_list *at = rt_list_pop_front(&s->live);
        if (at)
            rt_list_push_back(&s->told, at);
        rt_unlock(&s->lock);
        if (!at)
            return;
        (void)rt_cancel(rt_list_entry(at, struct conn, link)->task);
    }
}

/* Returns r, or -ECANCELED when a cancel came meanwhile. */
static int finish(struct server *s, double drain, int r)
{
    struct rt_worker *w = rt_self();
    uint64_t deadline;
    int waited = -ETIMEDOUT;
    if (drain > 0 && rt_deadline(w, drain, &deadline) == 0)
        waited = wait_for_handlers(s, deadline);
    if (waited == -ECANCELED)
        r = waited;
    if (waited < 0) {
        cancel_handlers(s);
        do {
            waited = wait_for_handlers(s, RT_NEVER);
            if (waited == -ECANCELED)
                r = waited; /* all have been told: it changes nothing more */
            else if (waited < 0)
                SKUA_IGNORE(rt_sys_sched_yield()); /* no memory to wait with */
        } while (waited < 0);
    }
    free_ended(s);
    return r;
}

static int check(int fd, const struct skua_serve_opts *opts, struct rt_io *io)
{
    if (opts && (opts->size != sizeof *opts || opts->max_connections < 0 || isnan(opts->drain) ||
                 opts->drain < 0))
        return -EINVAL;
    int r = rt_io_begin(io, fd, HUGE_VAL);
    if (r < 0)
        return r;
    if (!io->owned) {
        r = rt_sys_fcntl_getfl(fd);
        r = r < 0 ? r : -EINVAL; /* somebody else's, unless it is nobody's */
    }
    if (opts && opts->group && !rt_group_is_ours(opts->group))
        r = -EINVAL;
    return r < 0 ? (int)rt_io_end(io, r) : 0;
}

int skua_serve_with(int fd, skua_conn_fn handler, void *arg, const struct skua_serve_opts *opts)
{
    struct server s = {.handler = handler, .arg = arg, .backoff = BACKOFF_FIRST};
    if (!handler)
        return -EINVAL;
    int r = check(fd, opts, &s.io);
    if (r < 0)
        return r;
    if (opts) {
        s.group = opts->group;
        s.max = (size_t)opts->max_connections;
    }
    rt_lock_init(&s.lock, RT_RANK_OBJECT);
    rt_list_init(&s.live);
    rt_list_init(&s.told);
    rt_list_init(&s.ended);
    s.io.waited = true; /* nobody counts its operations: it takes turns after each batch */
    s.io.has_deadline = true;
    s.io.deadline = RT_NEVER;
    r = accept_all(&s);
    rt_fd_doubt(s.io.rec, RT_DIR_IN); /* the backlog may not be empty: whoever accepts next looks */
    SKUA_IGNORE(rt_io_end(&s.io, 0));
    return finish(&s, opts ? opts->drain : 0, r);
}
