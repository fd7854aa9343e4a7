/* SPDX-License-Identifier: MIT */
/* Goal: the tasks of a pinned group run one at a time on exactly one thread, first in, first out,
 * whoever spawns them from wherever; a group lives as long as somebody needs it. */
#include "scale.h"
#include "t.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "base/mem.h"
#include "sched/worker.h"

enum { EACH = T_SCALE(2000, 500), SPAWNERS = 3 };

/* Plain on purpose: the group is what guards it, and a sanitizer sees when it does not. */
struct ledger {
    int tid, inside, sum, order_errors;
    int last[SPAWNERS];
};

struct entry {
    struct ledger *ledger;
    int            spawner, number;
};

static void *book(void *arg)
{
    struct entry  *e = arg;
    struct ledger *l = e->ledger;
    if (l->tid == 0)
        l->tid = (int)gettid();
    T_EXPECT_INT(gettid(), l->tid);
    l->order_errors += l->last[e->spawner] + 1 != e->number;
    l->last[e->spawner] = e->number;
    int sum = l->sum;
    T_EXPECT_INT(l->inside++, 0);
    l->sum = sum + 1;
    l->inside--;
    if (e->number % 4 == 0)
        (void)skua_yield();
    T_EXPECT_INT(gettid(), l->tid);
    return NULL;
}

struct spawner {
    skua_group    *group;
    struct ledger *ledger;
    int            number;
};

static void spawn_entries(const struct spawner *s)
{
    for (int i = 1; i <= EACH; i++) {
        struct entry e = { s->ledger, s->number, i };
        skua_task   *t = skua_spawn(book, &e, .group = s->group, .copy = sizeof e);
        T_EXPECT(t != NULL);
        skua_release(t);
        if (i % 64 == 0 && skua_current_task())
            (void)skua_yield();
    }
}

static void *spawn_in_task(void *arg)
{
    spawn_entries(arg);
    return NULL;
}

static void *last_one(void *arg)
{
    return arg;
}

/* Spawners: the task in main's group, a free task, a plain thread. */
static void *many_spawners(void *arg)
{
    struct ledger  ledger = { 0 };
    skua_group    *g = skua_group_new(.worker = T_NUM(arg), .name = "ledger");
    struct spawner s[SPAWNERS] = { { g, &ledger, 0 }, { g, &ledger, 1 }, { g, &ledger, 2 } };
    pthread_t      thread;
    T_EXPECT(g != NULL);
    T_EXPECT_INT(pthread_create(&thread, NULL, spawn_in_task, &s[2]), 0);
    skua_task *t[2] = { skua_spawn(spawn_in_task, &s[0]), skua_go(spawn_in_task, &s[1]) };
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < 3; i++) { /* behind all of them, and behind what they yielded to */
        skua_task *last = skua_spawn(last_one, NULL, .group = g);
        T_EXPECT_INT(skua_join(last, NULL), 0);
    }
    T_EXPECT_INT(ledger.sum, SPAWNERS * EACH);
    T_EXPECT_INT(ledger.order_errors, 0);
    skua_group_release(g);
    return NULL;
}

static void test_group_one_thread_in_order(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(many_spawners, T_PTR(workers), .workers = workers, .real_time = true);
}

/* --- a free task that moves --- */

/* It posts to a group from another worker, and goes on where the group lives before that worker
 * has looked into its inbox: its waker runs there, and hands it the turn. */
struct crossing {
    skua_group            *groups[2]; /* one on each worker */
    skua_future           *gate;
    skua_task             *posted[2];
    struct ledger          ledger;
    RT_ATOMIC(int)         waker_at; /* from 1 */
    RT_ATOMIC(skua_task *) poster;   /* once it has posted */
    bool                   crossed;
};

static void post(struct crossing *c, skua_group *g, int number)
{
    struct entry e = { &c->ledger, 0, number };
    c->posted[number - 1] = skua_spawn(book, &e, .group = g, .copy = sizeof e);
}

static void *post_and_cross(void *arg)
{
    struct crossing *c = arg;
    int              at;
    while (!(at = rt_load_acquire(&c->waker_at)))
        (void)sched_yield();
    skua_group *g = c->groups[at > 1]; /* on a spare: any, it does not count */
    post(c, g, 1);
    rt_store_release(&c->poster, skua_current_task());
    T_EXPECT_INT(skua_await(c->gate, NULL), 0);
    c->crossed = rt_self() == g->worker && rt_inbox_has(&g->worker->pinned_inbox);
    post(c, g, 2);
    return NULL;
}

static void *let_cross(void *arg)
{
    struct crossing *c = arg;
    skua_task       *poster;
    rt_store_release(&c->waker_at, skua_worker_index() + 1);
    while (!(poster = rt_load_acquire(&c->poster)))
        (void)sched_yield();
    while (rt_ww_phase(rt_load_acquire(&poster->wait.bits)) != RT_PHASE_PARKED)
        (void)sched_yield();
    T_EXPECT(skua_future_set_result(c->gate, NULL));
    return NULL;
}

static void *cross_once(void *arg)
{
    skua_group *groups[2] = { skua_group_new(.worker = 1), skua_group_new(.worker = 2) };
    double      deadline = t_wall() + 10;
    bool        crossed = false;
    while (!crossed && t_wall() < deadline) {
        struct crossing c = { .groups = { groups[0], groups[1] }, .gate = skua_future_new() };
        skua_task      *t[2] = { skua_go(post_and_cross, &c), skua_go(let_cross, &c) };
        T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
        T_EXPECT_INT(skua_gather(c.posted, 2, NULL, SKUA_RELEASE), 0);
        T_EXPECT_INT(c.ledger.order_errors, 0);
        crossed = c.crossed;
        skua_release(c.gate);
    }
    T_EXPECT(crossed);
    skua_group_release(groups[0]);
    skua_group_release(groups[1]);
    return arg;
}

static void test_group_free_task_does_not_overtake_its_mail(void **state)
{
    t_run(cross_once, NULL, .workers = 2, .real_time = true);
}

/* --- where it lives --- */

static void *where(void *arg)
{
    (void)arg;
    int at = skua_worker_index();
    T_EXPECT_INT(skua_sleep(0.001), 0);
    T_EXPECT_INT(skua_worker_index(), at);
    return T_PTR(at);
}

static int home_of(skua_group *g)
{
    void      *at = NULL;
    skua_task *t = skua_spawn(where, NULL, .group = g);
    T_EXPECT_INT(skua_join(t, &at), 0);
    return T_NUM(at);
}

static void *homes(void *arg)
{
    int workers = T_NUM(arg), seen = 0;
    for (int i = 1; i <= workers; i++) {
        skua_group *g = skua_group_new(.worker = i);
        T_EXPECT_INT(home_of(g), i - 1);
        skua_group_release(g);
    }
    for (int i = 0; i < workers; i++) {
        skua_group *g = skua_group_new(.name = "anywhere");
        seen |= 1 << home_of(g);
        skua_group_release(g);
    }
    T_EXPECT_INT(seen, (1 << workers) - 1);
    T_EXPECT(skua_group_new(.worker = workers + 1) == NULL);
    T_EXPECT(skua_group_new(.worker = -1) == NULL);
    return NULL;
}

static void test_group_lives_where_told(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(homes, T_PTR(workers), .workers = workers, .real_time = true);
    assert_null(skua_group_new(.worker = 1));
    skua_group_release(NULL);
}

/* --- life --- */

static void *outlive(void *arg)
{
    skua_group *mine = skua_loop_current();
    T_EXPECT(mine != NULL && mine != arg);
    T_EXPECT_INT(skua_sleep(0.0005), 0);
    T_EXPECT(skua_loop_current() == mine);
    skua_task *child = skua_spawn(where, NULL);
    T_EXPECT_INT(skua_join(child, NULL), 0);
    return NULL;
}

/* A worker frees them when it looks around, so each has some left at any time. */
static void *groups_come_and_go(void *arg)
{
    int     workers = T_NUM(arg), many = 200 * workers;
    int64_t live = rt_mem_live();
    for (int i = 0; i < many; i++) {
        skua_group *g = skua_group_new(.name = "short-lived");
        skua_task  *t = skua_spawn(outlive, skua_loop_current(), .group = g);
        skua_group_release(g);
        T_EXPECT_INT(skua_join(t, NULL), 0);
    }
    T_EXPECT(rt_mem_live() - live <= 2 * RT_LOOK_EVERY * workers);
    return NULL;
}

static void test_group_goes_with_its_last_task(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(groups_come_and_go, T_PTR(workers), .workers = workers, .real_time = true);
}

static void *oversleep(void *arg)
{
    (void)arg;
    return skua_fail(skua_sleep(1000));
}

/* A group whose tasks never started when the runtime ends. */
static void *leave_it(void *arg)
{
    (void)arg;
    skua_group *g = skua_group_new();
    for (int i = 0; i < 20; i++)
        skua_detach(skua_spawn(oversleep, NULL, .group = g, .name = "left over"));
    return g;
}

static void test_group_left_over_at_the_end(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        int64_t live = rt_mem_live();
        t_run(leave_it, NULL, .workers = workers, .real_time = true);
        assert_true(rt_mem_live() <= live + 64); /* closed groups are kept for a while */
    }
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_group_one_thread_in_order),
    T_TEST(test_group_free_task_does_not_overtake_its_mail),
    T_TEST(test_group_lives_where_told),
    T_TEST(test_group_goes_with_its_last_task),
    T_TEST(test_group_left_over_at_the_end),
};
T_MAIN(tests, NULL)
