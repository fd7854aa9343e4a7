/* SPDX-License-Identifier: MIT */
/* Its counters are relaxed atomics: it must not order what the runtime forgot to order. */
#include "oracle.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "stage.h"

enum { ITEMS_MAX = 1024, CALLS_MAX = 512, NUMBERS = 100, WATCH_NUMBERS = 10, NUMBER_BITS = 4 };

typedef _Atomic int counter;

struct call {
    int number;
    counter ran, stopped;
    _Atomic uint64_t handle;
};

struct watch {
    int number;
    counter added, removed, ran;
};

struct item {
    int queue;
    counter in, failed, got;
};

static struct {
    counter begun[TASKS_MAX], ended[TASKS_MAX];
    int err[TASKS_MAX]; /* written by the task before it ends, read once it is done */
    intptr_t value[TASKS_MAX];
    counter inside[DOORS][THINGS_MAX], permits[THINGS_MAX];
    struct item item[ITEMS_MAX];
    counter items, puts[THINGS_MAX], dones[THINGS_MAX];
    counter winners[THINGS_MAX];
    int won_err[THINGS_MAX]; /* written by the winner alone */
    intptr_t won_value[THINGS_MAX];
    struct call call[CALLS_MAX];
    counter calls;
    _Atomic(struct call *) latest[NUMBERS];
    struct watch watch[TASKS_MAX + THINGS_MAX][WATCH_NUMBERS];
} seen;

static int add(counter *c, int n)
{
    return atomic_fetch_add_explicit(c, n, memory_order_relaxed) + n;
}

static int get(counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

bool holds(bool x, const char *text, const char *where, int line)
{
    if (!x)
        printf("breach %s (%s, line %d)\n", text, where, line);
    return x;
}

void oracle_begin(void)
{
    memset((void *)&seen, 0, sizeof seen); /* nothing runs yet */
    for (int t = 0; t < TASKS_MAX + THINGS_MAX; t++)
        for (int i = 0; i < WATCH_NUMBERS; i++)
            seen.watch[t][i].number = i;
}

/* ---- tasks ---- */

void task_begins(int k)
{
    HOLDS(add(&seen.begun[k], 1) == 1);
}

void task_ends(int k, int err, intptr_t value)
{
    HOLDS(add(&seen.ended[k], 1) == 1);
    seen.err[k] = err;
    seen.value[k] = value;
}

void task_seen(int k, int err, intptr_t value)
{
    if (err == -ECANCELED)
        return; /* where a cancel came the body's own outcome may be lost */
    HOLDS(get(&seen.ended[k]) == 1);
    HOLDS(seen.err[k] == err);
    HOLDS(err < 0 || seen.value[k] == value);
}

/* ---- doors ---- */

void enter_door(enum door d, int i, int most)
{
    HOLDS(add(&seen.inside[d][i], 1) <= most);
}

void leave_door(enum door d, int i)
{
    HOLDS(add(&seen.inside[d][i], -1) >= 0);
}

int permits_added(int i)
{
    return get(&seen.permits[i]);
}

void add_permit(int i)
{
    add(&seen.permits[i], 1);
}

/* ---- elements ---- */

static struct item *item_of(const void *item)
{
    intptr_t i = (intptr_t)item >> NUMBER_BITS;
    return HOLDS(i > 0 && i < ITEMS_MAX) ? &seen.item[i] : &seen.item[0];
}

void *item_new(int queue, int number)
{
    int i = add(&seen.items, 1);
    if (HOLDS(i < ITEMS_MAX))
        seen.item[i].queue = queue;
    return (void *)(((intptr_t)i << NUMBER_BITS) | number);
}

int item_number(const void *item)
{
    return (int)((intptr_t)item & ((1 << NUMBER_BITS) - 1));
}

void item_put(void *item, int r)
{
    struct item *it = item_of(item);
    if (r == 0) {
        add(&it->in, 1);
        add(&seen.puts[it->queue], 1);
    } else {
        add(&it->failed, 1);
        HOLDS(get(&it->got) == 0);
    }
}

void item_got(int queue, void *item)
{
    struct item *it = item_of(item);
    HOLDS(add(&it->got, 1) == 1);
    HOLDS(get(&it->failed) == 0);
    HOLDS(it->queue == queue);
}

void item_done(int queue, int r)
{
    if (r == 0)
        add(&seen.dones[queue], 1);
}

/* ---- futures ---- */

void future_won(int i, int err, intptr_t value)
{
    HOLDS(add(&seen.winners[i], 1) == 1);
    seen.won_err[i] = err;
    seen.won_value[i] = value;
}

/* ---- callbacks ---- */

struct call *call_new(int number)
{
    int i = add(&seen.calls, 1) - 1;
    struct call *c = &seen.call[HOLDS(i < CALLS_MAX) ? i : 0];
    c->number = number;
    atomic_store(&seen.latest[number], c);
    return c;
}

int call_number(const struct call *c)
{
    return c->number;
}

void call_runs(struct call *c)
{
    HOLDS(add(&c->ran, 1) == 1);
    HOLDS(get(&c->stopped) == 0);
}

struct call *call_latest(int number)
{
    return atomic_load(&seen.latest[number]);
}

void call_stopped(struct call *c, bool prevented)
{
    if (!prevented)
        return;
    HOLDS(add(&c->stopped, 1) == 1);
    HOLDS(get(&c->ran) == 0);
}

void call_set_handle(struct call *c, uint64_t handle)
{
    atomic_store(&c->handle, handle);
}

uint64_t call_handle(struct call *c)
{
    return atomic_load(&c->handle);
}

/* ---- done-callbacks ---- */

struct watch *watch_of(int thing, int number)
{
    return &seen.watch[thing][number];
}

int watch_number(const struct watch *w)
{
    return w->number;
}

void watch_added(struct watch *w)
{
    add(&w->added, 1);
}

void watch_removed(struct watch *w, int n)
{
    add(&w->removed, n);
}

void watch_runs(struct watch *w)
{
    add(&w->ran, 1);
}

/* ---- the end ---- */

static void check_tasks(struct player *p)
{
    for (int k = 1; k < TASKS_MAX; k++) {
        skua_task *t = p->task[k];
        void *value = NULL;
        HOLDS(get(&seen.begun[k]) == get(&seen.ended[k]));
        HOLDS(t || get(&seen.begun[k]) == 0);
        if (!t)
            continue;
        int r = skua_result(t, &value);
        HOLDS(r == -ECANCELED || get(&seen.begun[k]) == 1);
        task_seen(k, r, (intptr_t)value);
    }
}

static void check_doors(struct player *p)
{
    for (int i = 0; i < THINGS_MAX; i++) {
        for (int d = 0; d < DOORS; d++)
            HOLDS(get(&seen.inside[d][i]) == 0);
        HOLDS(skua_lock_try_acquire(&p->lock[i]) == 0);
        HOLDS(skua_lock_try_acquire(&p->cond_lock[i]) == 0);
        HOLDS(i >= p->s->barriers || skua_barrier_waiting(&p->barrier[i]) == 0);
        int left = 0;
        while (i < p->s->sems && skua_semaphore_try_acquire(&p->sem[i]) == 0)
            left++;
        HOLDS(i >= p->s->sems || left == p->s->sem[i] + get(&seen.permits[i]));
    }
}

static void check_queues(struct player *p)
{
    void *item;
    for (int i = 0; i < p->s->queues; i++) {
        while (skua_queue_get_nowait(&p->queue[i], &item) == 0)
            item_got(i, item);
        int left = get(&seen.puts[i]) - get(&seen.dones[i]);
        while (left > 0 && HOLDS(skua_queue_task_done(&p->queue[i]) == 0))
            left--;
        HOLDS(left == 0 && skua_queue_task_done(&p->queue[i]) == -EINVAL);
    }
    for (int i = 1; i <= get(&seen.items) && i < ITEMS_MAX; i++)
        HOLDS(get(&seen.item[i].in) == get(&seen.item[i].got));
}

static void check_futures(struct player *p)
{
    for (int i = 0; i < p->s->futures; i++) {
        void *value = NULL;
        int r = skua_result(p->future[i], &value);
        if (get(&seen.winners[i]) == 0)
            HOLDS(r == -EAGAIN || r == -ECANCELED); /* the cancel of a task that awaited it */
        else
            HOLDS(r == seen.won_err[i] && (r < 0 || (intptr_t)value == seen.won_value[i]));
    }
}

static void check_watches(void)
{
    for (int t = 0; t < TASKS_MAX + THINGS_MAX; t++)
        for (int i = 0; i < WATCH_NUMBERS; i++) {
            struct watch *w = &seen.watch[t][i];
            HOLDS(get(&w->added) == get(&w->removed) + get(&w->ran));
        }
}

void oracle_check(struct player *p, bool drains)
{
    check_tasks(p);
    check_doors(p);
    check_queues(p);
    check_futures(p);
    if (!drains)
        return;
    for (int i = 0; i < p->s->futures; i++)
        SKUA_IGNORE(skua_cancel(p->future[i], NULL));
    /* time goes on when nothing else can: then all callbacks have run */
    while (skua_sleep(1000) == -ECANCELED) {
    }
    check_watches();
}
