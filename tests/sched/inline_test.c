/* SPDX-License-Identifier: MIT */
/* Goal: a parent whose child runs as a plain call on its stack can be cancelled like any other:
 * the request reaches the child. Method: the cancel comes from the same worker, from another one,
 * from a plain thread, from the child itself; before the child suspends and after. */
#include "scale.h"
#include "t.h"

#include <pthread.h>

#include "sched/worker.h"

enum { DEPTH = 5, RACES = T_SCALE(4000, 500) };

static RT_ATOMIC(skua_task *) innermost;
static RT_ATOMIC(int)         suspended;

/* What the innermost child does with the request. */
enum answer { OBEY, SWALLOW, OTHER_ERROR };

struct level {
    int         depth;
    enum answer answer;
};

static void *sleeper(enum answer answer)
{
    rt_store_release(&innermost, skua_current_task());
    rt_store_release(&suspended, 1);
    int r = skua_sleep(20);
    T_EXPECT_INT(r, -ECANCELED);
    return answer == OBEY ? skua_fail(r) : answer == SWALLOW ? T_PTR(7) : skua_fail(-EIO);
}

static void *level(void *arg)
{
    const struct level *me = arg;
    struct level        below = { me->depth - 1, me->answer };
    void               *value = NULL;
    if (me->depth == 0)
        return sleeper(me->answer);
    skua_task *t = skua_go(level, &below);
    int        r = skua_join(t, &value);
    return r < 0 ? skua_fail(r) : value;
}

static void wait_suspended(void)
{
    double deadline = t_wall() + 10;
    while (!rt_load_acquire(&suspended) && t_wall() < deadline)
        (void)skua_yield();
    T_EXPECT(rt_load_acquire(&suspended));
    (void)skua_yield();
}

static void *cancel_arg(void *arg)
{
    T_EXPECT(skua_cancel(arg, "stop"));
    return NULL;
}

enum from { FROM_MAIN, FROM_GROUP, FROM_THREAD };

struct scene {
    enum from   from;
    enum answer answer;
    int         depth;
};

static void cancel_from(enum from from, skua_task *t)
{
    if (from == FROM_MAIN) {
        T_EXPECT(skua_cancel(t, "stop"));
    } else if (from == FROM_GROUP) {
        skua_group *g = skua_group_new();
        skua_task  *u = skua_spawn(cancel_arg, t, .group = g);
        T_EXPECT_INT(skua_join(u, NULL), 0);
        skua_group_release(g);
    } else {
        pthread_t thread;
        T_EXPECT_INT(pthread_create(&thread, NULL, cancel_arg, t), 0);
        pthread_join(thread, NULL);
    }
}

static void *cancel_top(void *arg)
{
    const struct scene *s = arg;
    struct level        top = { s->depth, s->answer };
    void               *value = NULL;
    rt_store_relaxed(&suspended, 0);
    skua_task *t = skua_go(level, &top);
    wait_suspended();
    cancel_from(s->from, t);
    int r = skua_await(t, &value);
    T_EXPECT_INT(r, s->answer == OBEY ? -ECANCELED : s->answer == SWALLOW ? 0 : -EIO);
    T_EXPECT_INT(skua_cancelling(t), 1);
    T_EXPECT_INT(T_NUM(value), s->answer == SWALLOW ? 7 : 0);
    skua_release(t);
    return NULL;
}

static void test_inline_parent_cancelled_while_child_waits(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        for (int from = FROM_MAIN; from <= FROM_THREAD; from++)
            for (int answer = OBEY; answer <= OTHER_ERROR; answer++)
                for (int depth = 1; depth <= DEPTH; depth += 2) {
                    struct scene s = { (enum from)from, (enum answer)answer, depth };
                    bool is_free = (depth + from) % 2;
                    t_run(cancel_top, &s, .workers = workers, .free_main = is_free,
                          .real_time = true);
                }
}

/* --- the child cancels those below it on the stack --- */

static RT_ATOMIC(skua_task *) root;

static void *cancel_root(void *arg)
{
    if (T_NUM(arg) > 0) {
        skua_task *t = skua_go(cancel_root, T_PTR(T_NUM(arg) - 1));
        int        r = skua_join(t, NULL);
        return r < 0 ? skua_fail(r) : NULL;
    }
    T_EXPECT(skua_cancel(rt_load_acquire(&root), NULL));
    int r = skua_sleep(20); /* the request went up and is delivered here */
    T_EXPECT_INT(r, -ECANCELED);
    return skua_fail(r);
}

static void *root_task(void *arg)
{
    rt_store_release(&root, skua_current_task());
    return cancel_root(arg);
}

static void *child_cancels_root(void *arg)
{
    for (int depth = 1; depth <= DEPTH; depth++) {
        skua_task *t = skua_go(root_task, T_PTR(depth));
        T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    }
    return arg;
}

static void test_inline_child_cancels_its_root(void **state)
{
    for (int workers = 1; workers <= 2; workers++) {
        t_run(child_cancels_root, NULL, .workers = workers, .real_time = true);
        t_run(child_cancels_root, NULL, .workers = workers, .real_time = true, .free_main = true);
    }
}

/* The same in one pinned group, where the shortcut calls the child. */
static void *pinned_child(void *arg)
{
    T_EXPECT(skua_cancel(arg, NULL));
    int r = skua_sleep(20);
    T_EXPECT_INT(r, -ECANCELED);
    return skua_fail(r);
}

static void *pinned_parent(void *arg)
{
    (void)arg;
    skua_task *t = skua_spawn(pinned_child, skua_current_task());
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT(skua_cancelled(t));
    T_EXPECT_INT(skua_cancelling(t), 1);
    skua_release(t);
    T_EXPECT_INT(skua_uncancel(skua_current_task()), 0);
    T_EXPECT_INT(skua_sleep(0.001), 0);
    return T_PTR(3);
}

static void *pinned_parent_and_wait(void *arg)
{
    void *value = NULL;
    skua_task *t = skua_spawn(pinned_parent, arg);
    T_EXPECT_INT(skua_join(t, &value), 0);
    return value;
}

static void test_inline_pinned_child_cancels_its_parent(void **state)
{
    t_run(pinned_parent, NULL, .want_value = T_PTR(3));
    t_run(pinned_parent_and_wait, NULL, .want_value = T_PTR(3));
}

/* --- races: the cancel comes at any time from another worker --- */

static void *brief(void *arg)
{
    int  depth = T_NUM(arg);
    int  r = 0;
    if (depth > 0) {
        skua_task *t = skua_go(brief, T_PTR(depth - 1));
        r = skua_join(t, NULL);
    } else {
        for (int i = 0; i < 3 && r == 0; i++)
            r = skua_yield();
    }
    return r < 0 ? skua_fail(r) : T_PTR(1);
}

struct hunt {
    RT_ATOMIC(skua_task *) prey;
    RT_ATOMIC(int)         stop;
    RT_ATOMIC(int)         hits;
};

/* Takes the handle out, so that it holds a reference of its own while it cancels. */
static void *hunter(void *arg)
{
    struct hunt *h = arg;
    while (!rt_load_acquire(&h->stop)) {
        skua_task *t = rt_xchg_acq_rel(&h->prey, NULL);
        if (!t)
            continue;
        if (skua_cancel(t, "caught"))
            (void)rt_add_relaxed(&h->hits, 1);
        skua_release(t);
    }
    return NULL;
}

static void *be_hunted(void *arg)
{
    struct hunt *h = arg;
    int          cancelled = 0;
    for (int i = 0; i < RACES; i++) {
        skua_task *t = skua_go(brief, T_PTR(i % 4));
        skua_task *before = rt_xchg_acq_rel(&h->prey, skua_retain(t));
        skua_release(before);
        int r = skua_await(t, NULL);
        T_EXPECT(r == 0 || r == -ECANCELED);
        cancelled += r < 0;
        skua_release(t);
    }
    T_EXPECT(cancelled <= rt_load_relaxed(&h->hits));
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    return NULL;
}

static void test_inline_cancel_races_with_the_end(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        struct hunt h = { .prey = NULL };
        pthread_t   thread;
        assert_int_equal(pthread_create(&thread, NULL, hunter, &h), 0);
        t_run(be_hunted, &h, .workers = workers, .free_main = true, .real_time = true);
        rt_store_release(&h.stop, 1);
        pthread_join(thread, NULL);
        skua_release(rt_load_relaxed(&h.prey));
    }
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_inline_parent_cancelled_while_child_waits),
    T_TEST(test_inline_child_cancels_its_root),
    T_TEST(test_inline_pinned_child_cancels_its_parent),
    T_TEST(test_inline_cancel_races_with_the_end),
};
T_MAIN(tests, NULL)
