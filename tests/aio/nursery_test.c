/* SPDX-License-Identifier: MIT */
/* Goal: a task group is right where asyncio has no say: children on all workers and in other
 * groups, calls from plain threads, ends that meet cancels, limits and joins, misuse, no memory,
 * a runtime that gives up waiting. Method: rounds in which the actors meet at every distance, and
 * everything is counted; where it can be, the distance is a step of the virtual clock. */
#include "t.h"

#include <pthread.h>
#include <sched.h>

#include "base/atomic.h"
#include "base/mem.h"

enum { ROUNDS = 3000, CHILDREN = 4 };

static void open_group(skua_taskgroup *tg)
{
    T_EXPECT_INT(skua_taskgroup_init(tg), 0);
}

static void spin(unsigned n)
{
    for (volatile unsigned i = 0; i < n; i++)
        ;
}

/* --- every order of four events, in virtual time --- */

/* A child fails, a child succeeds, the group is cancelled, the parent is cancelled, a limit passes:
 * each at one of three moments, or never. Whatever the order, the outcome follows from who was
 * first. */
struct order {
    int fails, ends, closes, cancels, limit; /* moments 1..3; 4: after all others */
    bool is_free, in_body;
    int left; /* requests outstanding at the end */
};

static void *fail_at(void *at)
{
    int r = skua_sleep(T_NUM(at) * 0.1);
    return skua_fail(r < 0 ? r : -EIO);
}

static void *end_at(void *at)
{
    int r = skua_sleep(T_NUM(at) * 0.1);
    return r < 0 ? skua_fail(r) : at;
}

struct closer {
    skua_taskgroup *tg;
    int at;
};

static void *close_at(void *arg)
{
    struct closer *c = arg;
    int r = skua_sleep(c->at * 0.1);
    if (r == 0)
        skua_taskgroup_cancel(c->tg);
    return skua_fail(-ECANCELED);
}

static void *ordered(void *arg)
{
    struct order *o = arg;
    skua_taskgroup tg;
    skua_timeout limit;
    struct closer closer = { &tg, o->closes };
    T_EXPECT_INT(skua_timeout_enter(&limit, o->limit * 0.1), 0);
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, fail_at, T_PTR(o->fails)) != NULL);
    T_EXPECT(skua_taskgroup_spawn(&tg, end_at, T_PTR(o->ends)) != NULL);
    T_EXPECT(skua_taskgroup_spawn(&tg, close_at, &closer) != NULL);
    int r = o->in_body ? skua_sleep(9) : 0;
    r = skua_taskgroup_join(&tg, r);
    size_t n = skua_taskgroup_errors(&tg, NULL, 0);
    T_EXPECT_INT(n, r == -EIO);
    int out = skua_timeout_exit(&limit, r);
    o->left = skua_cancelling(skua_current_task());
    T_EXPECT(out == 0 || out == -EIO || out == -ECANCELED || out == -ETIMEDOUT);
    return skua_fail(out == 0 ? -EALREADY : out);
}

/* Strictly first of all, or 0 when others come at the same moment. */
static int first_of(const struct order *o)
{
    int at[] = { o->fails, o->closes, o->cancels, o->limit }, best = 4, who = 0;
    for (int i = 0; i < 4; i++) {
        if (at[i] < best) {
            best = at[i];
            who = i + 1;
        } else if (at[i] == best) {
            who = 0;
        }
    }
    return best == 4 ? 0 : who;
}

static void run_order(struct order *o)
{
    static const int want[] = { 0, -EIO, -EALREADY, -ECANCELED, -ETIMEDOUT };
    skua_task *t = o->is_free ? skua_go(ordered, o) : skua_spawn(ordered, o);
    T_EXPECT_INT(skua_sleep(o->cancels * 0.1), 0);
    bool asked = skua_cancel(t, NULL);
    int r = skua_join(t, NULL), first = first_of(o);
    if (first)
        T_EXPECT_INT(r, want[first]);
    if (!asked)
        T_EXPECT(r != -ECANCELED);
    /* Requests of others are counted exactly, and nothing else is. That of a free task, which runs
     * on another worker, may come when it has counted already. */
    bool may_be_late = o->is_free && first != 3;
    T_EXPECT(o->left == asked || (may_be_late && o->left == 0));
}

static void *orders_main(void *is_free)
{
    for (int i = 0; i < 4 * 4 * 4 * 4 * 3 * 2; i++) {
        struct order o = { 1 + i % 4,      1 + i / 4 % 3,     1 + i / 12 % 4,  1 + i / 48 % 4,
                           1 + i / 192 % 4, is_free != NULL, i / 768 % 2,    0 };
        run_order(&o);
    }
    return NULL;
}

static void test_nursery_all_orders(void **state)
{
    (void)state;
    for (int w = 1; w <= 4; w *= 2) {
        t_run(orders_main, NULL, .workers = w);
        t_run(orders_main, T_PTR(1), .workers = w);
    }
    t_check();
}

/* --- children on all workers against the parent --- */

static RT_ATOMIC(uint64_t) n_ended;
static RT_ATOMIC(uint32_t) seed;

static unsigned roll(unsigned n)
{
    return (rt_add_relaxed(&seed, 2654435761u) >> 7) % n;
}

static void *short_child(void *arg)
{
    unsigned how = roll(8);
    spin(roll(300));
    if (how == 0)
        SKUA_IGNORE(skua_yield());
    int r = how == 1 ? skua_sleep(2e-5) : 0;
    (void)rt_add_relaxed(&n_ended, 1);
    return r < 0 ? skua_fail(r) : how == 2 && arg ? skua_fail(-EIO) : NULL;
}

static void *adds_sibling(void *arg)
{
    skua_taskgroup *tg = arg;
    int err = 0;
    spin(roll(200));
    skua_task *t = skua_taskgroup_go(tg, short_child, tg, .ret_err = &err);
    T_EXPECT(t || err == -ESHUTDOWN);
    if (t && roll(2))
        skua_taskgroup_detach(tg, t);
    if (!t)
        (void)rt_add_relaxed(&n_ended, 1);
    if (roll(4) == 0)
        skua_taskgroup_cancel(tg);
    return NULL;
}

static void *parent(void *arg)
{
    skua_taskgroup tg;
    open_group(&tg);
    for (int i = 0; i < CHILDREN; i++) {
        skua_fn fn = i % 2 ? short_child : adds_sibling;
        skua_task *t = skua_taskgroup_go(&tg, fn, &tg);
        if (t && roll(3) == 0)
            skua_taskgroup_detach(&tg, t);
    }
    int r = roll(2) ? skua_yield() : 0;
    r = skua_taskgroup_join(&tg, r);
    size_t errors = skua_taskgroup_errors(&tg, NULL, 0);
    T_EXPECT(r == -EIO ? errors > 0 : errors == 0);
    T_EXPECT(r == 0 || r == -EIO || r == -ECANCELED);
    int left = skua_cancelling(skua_current_task());
    T_EXPECT(r != -ECANCELED || left > 0); /* two may have asked */
    return left ? skua_fail(-ECANCELED) : arg;
}

static void *race_main(void *pinned)
{
    for (int i = 0; i < ROUNDS; i++) {
        skua_task *t = pinned ? skua_spawn(parent, NULL) : skua_go(parent, NULL);
        if (i % 3 == 0) {
            SKUA_IGNORE(skua_yield());
            spin(roll(500));
            skua_cancel(t, NULL);
        }
        int r = i % 5 ? skua_join(t, NULL) : skua_wait_for(skua_retain(t), roll(20) * 1e-6, NULL);
        T_EXPECT(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
        if (i % 5 == 0) {
            T_EXPECT(skua_done(t));
            skua_release(t);
            skua_release(t);
        }
    }
    return NULL;
}

static void test_nursery_races(void **state)
{
    (void)state;
    rt_store_relaxed(&n_ended, 0);
    for (int w = 1; w <= 4; w *= 2) {
        t_run(race_main, NULL, .workers = w, .real_time = true);
        t_run(race_main, T_PTR(1), .workers = w, .real_time = true);
    }
    t_check();
}

/* --- map under theft and cancels --- */

static void *item(void *arg)
{
    spin(roll(200));
    if (roll(16) == 0)
        SKUA_IGNORE(skua_yield());
    return T_NUM(arg) == 77 && roll(4) == 0 ? skua_fail(-EIO) : arg;
}

static void *map_once(void *arg)
{
    enum { N = 100 };
    void *args[N], *results[N];
    for (int i = 0; i < N; i++)
        args[i] = T_PTR(i);
    int r = skua_map(item, args, N, results, .limit = 1 + roll(8), .free = true);
    T_EXPECT(r == 0 || r == -EIO || r == -ECANCELED);
    for (int i = 0; i < N; i++) {
        int err = skua_failed(results[i]);
        T_EXPECT(err == 0 ? results[i] == args[i] : r < 0);
    }
    int left = skua_cancelling(skua_current_task());
    return left ? skua_fail(-ECANCELED) : arg;
}

static void *map_race_main(void *pinned)
{
    for (int i = 0; i < ROUNDS / 10; i++) {
        skua_task *t = pinned ? skua_spawn(map_once, NULL) : skua_go(map_once, NULL);
        SKUA_IGNORE(skua_yield());
        if (i % 3 == 0) {
            spin(roll(5000));
            skua_cancel(t, NULL);
        }
        int r = skua_join(t, NULL);
        T_EXPECT(r == 0 || r == -ECANCELED);
    }
    return NULL;
}

static void test_nursery_map_races(void **state)
{
    (void)state;
    for (int w = 1; w <= 4; w *= 2) {
        t_run(map_race_main, NULL, .workers = w, .real_time = true);
        t_run(map_race_main, T_PTR(1), .workers = w, .real_time = true);
    }
    t_check();
}

/* --- other groups, other threads --- */

static void *in_groups(void *arg)
{
    skua_group *g[2] = { skua_group_new(.worker = 1), skua_group_new() };
    for (int round = 0; round < 300; round++) {
        skua_taskgroup tg;
        int bad = round % 7 == 0;
        open_group(&tg);
        for (int i = 0; i < CHILDREN; i++)
            T_EXPECT(skua_taskgroup_spawn(&tg, end_at, T_PTR(i % 2), .group = g[i % 2]) != NULL);
        if (bad)
            T_EXPECT(skua_taskgroup_spawn(&tg, fail_at, T_PTR(0), .group = g[1]) != NULL);
        int r = round % 2 ? skua_sleep(5e-6) : 0;
        T_EXPECT_INT(skua_taskgroup_join(&tg, r), bad ? -EIO : 0);
        T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    }
    skua_group_release(g[0]);
    skua_group_release(g[1]);
    return arg;
}

static void test_nursery_children_in_other_groups(void **state)
{
    (void)state;
    for (int w = 1; w <= 4; w *= 2) {
        t_run(in_groups, NULL, .workers = w);
        t_run(in_groups, NULL, .workers = w, .free_main = true);
    }
    t_check();
}

struct outsider {
    skua_taskgroup *tg;
    skua_group *g;
    RT_ATOMIC(uint32_t) go, done;
};

/* A plain thread adds children and ends the group, while a member keeps it open. */
static void *outsider(void *arg)
{
    struct outsider *o = arg;
    while (!rt_load_acquire(&o->go))
        (void)sched_yield();
    T_EXPECT(skua_taskgroup_spawn(o->tg, end_at, T_PTR(0), .group = o->g) != NULL);
    int err = 0;
    T_EXPECT(!skua_taskgroup_spawn(o->tg, end_at, T_PTR(0), .ret_err = &err));
    T_EXPECT_INT(err, -EPERM);
    skua_taskgroup_cancel(o->tg);
    T_EXPECT(!skua_taskgroup_spawn(o->tg, end_at, T_PTR(0), .group = o->g, .ret_err = &err));
    T_EXPECT_INT(err, -ESHUTDOWN);
    rt_store_release(&o->done, 1);
    return NULL;
}

static void *keeps_open(void *arg)
{
    struct outsider *o = arg;
    rt_store_release(&o->go, 1); /* not before: a cancel would keep it from beginning */
    while (!rt_load_acquire(&o->done))
        if (skua_yield() < 0)
            continue;
    return skua_fail(-ECANCELED);
}

static void *outsider_main(void *in_body)
{
    for (int i = 0; i < 50; i++) {
        skua_taskgroup tg;
        pthread_t thread;
        struct outsider o = { .tg = &tg, .g = skua_loop_current() };
        skua_group *own = o.g ? NULL : skua_group_new();
        o.g = o.g ? o.g : own;
        open_group(&tg);
        T_EXPECT(skua_taskgroup_spawn(&tg, keeps_open, &o) != NULL);
        pthread_create(&thread, NULL, outsider, &o);
        int r = in_body ? skua_sleep(10) : 0;
        T_EXPECT_INT(r, in_body ? -ECANCELED : 0);
        T_EXPECT_INT(skua_taskgroup_join(&tg, r), 0);
        T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
        T_EXPECT_INT(skua_sleep(0), 0);
        pthread_join(thread, NULL);
        skua_group_release(own);
    }
    return NULL;
}

static void test_nursery_plain_thread_adds_and_cancels(void **state)
{
    (void)state;
    for (int w = 1; w <= 2; w++)
        for (int in_body = 0; in_body < 2; in_body++)
            for (int is_free = 0; is_free < 2; is_free++)
                t_run(outsider_main, T_PTR(in_body), .workers = w, .free_main = is_free,
                      .real_time = true);
    t_check();
}

/* --- misuse --- */

static void *joins_foreign(void *tg)
{
    T_EXPECT_INT(skua_taskgroup_join(tg, 0), -EPERM);
    return NULL;
}

static void join_in_callback(void *tg)
{
    skua_taskgroup other;
    T_EXPECT_INT(skua_taskgroup_init(&other), -EPERM);
    T_EXPECT_INT(skua_taskgroup_join(tg, 0), -EPERM);
}

static void expect_no_group(skua_taskgroup *tg, int why)
{
    int err = 0;
    T_EXPECT(!skua_taskgroup_spawn(tg, end_at, NULL, .ret_err = &err));
    T_EXPECT_INT(err, why);
    T_EXPECT(!skua_taskgroup_go(tg, end_at, NULL, .ret_err = &err));
    T_EXPECT_INT(err, why);
    T_EXPECT_INT(skua_taskgroup_join(tg, 0), -EINVAL);
    T_EXPECT_INT(skua_taskgroup_errors(tg, &err, 1), 0);
    skua_taskgroup_cancel(tg);
    skua_taskgroup_detach(tg, skua_current_task());
}

static void *misuse_main(void *arg)
{
    skua_taskgroup tg = { { 0 } }, copy;
    int err = 0;
    T_EXPECT_INT(skua_taskgroup_init(NULL), -EINVAL);
    expect_no_group(NULL, -EINVAL);
    expect_no_group(&tg, -EINVAL);
    memset(&tg, 0x5a, sizeof tg);
    expect_no_group(&tg, -EINVAL);
    open_group(&tg);
    copy = tg;
    expect_no_group(&copy, -EINVAL);
    T_EXPECT(!skua_taskgroup_spawn(&tg, NULL, NULL, .ret_err = &err));
    T_EXPECT_INT(err, -EINVAL);
    T_EXPECT(!skua_taskgroup_go(&tg, end_at, NULL, .group = skua_loop_current(), .ret_err = &err));
    T_EXPECT_INT(err, skua_loop_current() ? -EINVAL : 0);
    T_EXPECT(skua_taskgroup_spawn(&tg, joins_foreign, &tg) != NULL);
    T_EXPECT(skua_taskgroup_go(&tg, joins_foreign, &tg) != NULL);
    skua_taskgroup_detach(&tg, NULL);
    skua_taskgroup_detach(&tg, skua_current_task());
    if (skua_call_soon(join_in_callback, &tg).id != 0)
        T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    expect_no_group(&tg, -ESHUTDOWN);
    return arg;
}

static void test_nursery_misuse(void **state)
{
    skua_taskgroup tg;
    (void)state;
    assert_int_equal(skua_taskgroup_init(&tg), -EPERM);
    expect_no_group(&tg, -EINVAL);
    t_run(misuse_main, NULL);
    t_check();
}

/* --- handles that nobody needs --- */

static void *detach_main(void *arg)
{
    skua_taskgroup tg;
    int64_t live = 0;
    open_group(&tg);
    skua_task *keeper = skua_taskgroup_spawn(&tg, end_at, T_PTR(1000));
    for (int i = 0; i < 2000; i++) {
        skua_task *t = skua_taskgroup_spawn(&tg, end_at, T_PTR(0));
        if (i % 2) /* before it ended, and after */
            T_EXPECT_INT(skua_sleep(0.01), 0);
        skua_taskgroup_detach(&tg, t);
        T_EXPECT_INT(skua_sleep(0.01), 0);
        if (i == 100)
            live = rt_mem_live();
    }
    T_EXPECT(rt_mem_live() <= live);
    T_EXPECT(skua_cancel(keeper, NULL));
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    open_group(&tg);
    skua_task *bad = skua_taskgroup_spawn(&tg, fail_at, T_PTR(0));
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    skua_taskgroup_detach(&tg, bad);
    skua_taskgroup_detach(&tg, bad);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), -EIO);
    return arg;
}

static void test_nursery_detached_children_are_gone_when_they_end(void **state)
{
    (void)state;
    t_run(detach_main, NULL, .workers = 1);
    t_run(detach_main, NULL, .workers = 1, .free_main = true);
    t_check();
}

/* --- eager children --- */

static void *fails_at_once(void *arg)
{
    return arg ? skua_fail(T_NUM(arg)) : NULL;
}

static void *closes_and_waits(void *tg)
{
    skua_taskgroup_cancel(tg);
    return skua_fail(skua_sleep(5));
}

static void *eager_main(void *arg)
{
    skua_taskgroup tg;
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, fails_at_once, NULL, .eager = true) != NULL);
    skua_task *bad = skua_taskgroup_spawn(&tg, fails_at_once, T_PTR(-EIO), .eager = true);
    T_EXPECT(skua_done(bad));
    if (skua_loop_current()) /* the group has not heard of it yet */
        T_EXPECT(skua_taskgroup_spawn(&tg, end_at, T_PTR(9)) != NULL);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), -EIO);
    open_group(&tg);
    skua_task *t = skua_retain(skua_taskgroup_spawn(&tg, closes_and_waits, &tg, .eager = true));
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    return arg;
}

static void test_nursery_eager_children(void **state)
{
    (void)state;
    t_run(eager_main, NULL);
    t_run(eager_main, NULL, .free_main = true);
    t_check();
}

/* --- a runtime that gives up waiting --- */

static void *never_ends(void *arg)
{
    while (skua_sleep(10) < 0 || arg)
        continue;
    return NULL;
}

static void *waits_for_ever(void *free_children)
{
    static skua_taskgroup tg[2]; /* not on a stack that is lost */
    skua_taskgroup *g = &tg[free_children != NULL];
    open_group(g);
    for (int i = 0; i < CHILDREN; i++)
        T_EXPECT((free_children ? skua_taskgroup_go(g, never_ends, g)
                                : skua_taskgroup_spawn(g, never_ends, g)) != NULL);
    return skua_fail(skua_taskgroup_join(g, 0));
}

static void *give_up_main(void *arg)
{
    skua_detach(skua_spawn(waits_for_ever, NULL));
    skua_detach(skua_spawn(waits_for_ever, T_PTR(1)));
    T_EXPECT_INT(skua_sleep(0.1), 0);
    return arg;
}

static void test_nursery_that_the_end_of_run_gives_up(void **state)
{
    (void)state;
    for (int w = 1; w <= 2; w++) {
        int64_t live = rt_mem_live();
        t_run(give_up_main, NULL, .any = true, .shutdown_timeout = 0.2, .workers = w);
        t_run(give_up_main, NULL, .any = true, .shutdown_timeout = 0.2, .workers = w,
              .free_main = true);
        T_EXPECT(rt_mem_live() <= live + 2); /* closed loops stay readable for a while */
    }
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_nursery_all_orders),
    T_TEST(test_nursery_races),
    T_TEST(test_nursery_map_races),
    T_TEST(test_nursery_children_in_other_groups),
    T_TEST(test_nursery_plain_thread_adds_and_cancels),
    T_TEST(test_nursery_misuse),
    T_TEST(test_nursery_detached_children_are_gone_when_they_end),
    T_TEST(test_nursery_eager_children),
    T_TEST(test_nursery_that_the_end_of_run_gives_up),
};
T_MAIN(tests, NULL)
