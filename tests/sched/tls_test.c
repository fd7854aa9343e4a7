/* SPDX-License-Identifier: MIT */
/* Goal: after any suspension a task finds the worker of the thread that runs it now: no address
 * of a thread's storage is carried over. Method: thousands of suspensions of every kind while
 * others steal, each followed by a comparison with what the kernel says. */
#include "scale.h"
#include "t.h"

#include <unistd.h>

#include "sched/worker.h"

enum { TASKS = 24, TURNS = T_SCALE(2000, 300) };

static RT_ATOMIC(int) moves;

static int look(int before)
{
    int              tid = (int)gettid();
    struct rt_worker *w = rt_self();
    T_EXPECT_INT(w->tid, tid);
    T_EXPECT(w->cur == skua_current_task());
    T_EXPECT_INT(skua_worker_index(), (int)w->index);
    T_EXPECT((char *)__builtin_frame_address(0) >= w->stack->base &&
             (char *)__builtin_frame_address(0) < w->stack->top);
    if (before && before != tid)
        (void)rt_add_relaxed(&moves, 1);
    return tid;
}

static void *inner(void *arg)
{
    int tid = look(0);
    if (T_NUM(arg) % 2)
        (void)skua_yield();
    (void)look(tid);
    return arg;
}

static void *wander(void *arg)
{
    int tid = look(0);
    for (int i = 0; i < TURNS; i++) {
        switch ((i + T_NUM(arg)) % 4) {
        case 0:
            (void)skua_yield();
            break;
        case 1:
            T_EXPECT_INT(skua_sleep(i % 64 ? 0 : 0.0001), 0);
            break;
        default: {
            skua_task *t = skua_go(inner, T_PTR(i));
            T_EXPECT_INT(skua_join(t, NULL), 0);
        }
        }
        tid = look(tid);
    }
    return NULL;
}

static void *wander_about(void *arg)
{
    skua_task *t[TASKS];
    (void)arg;
    for (int i = 0; i < TASKS; i++)
        t[i] = skua_go(wander, T_PTR(i));
    T_EXPECT_INT(skua_gather(t, TASKS, NULL, SKUA_RELEASE), 0);
    (void)look(0);
    return NULL;
}

static void test_self_is_right_after_every_suspension(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        rt_store_relaxed(&moves, 0);
        double deadline = t_wall() + 20; /* a loaded machine moves tasks seldom */
        do
            t_run(wander_about, NULL, .workers = workers, .real_time = true);
        while (workers > 1 && rt_load_relaxed(&moves) <= 10 && t_wall() < deadline);
        assert_true((rt_load_relaxed(&moves) > 10) == (workers > 1));
    }
    assert_null(rt_self());
}

/* Pinned tasks never move. */
static void *stay(void *arg)
{
    int tid = look(0);
    for (int i = 0; i < 200; i++) {
        skua_task *t = skua_go(inner, T_PTR(i));
        T_EXPECT_INT(skua_join(t, NULL), 0);
        T_EXPECT_INT(look(0), tid);
    }
    return arg;
}

static void test_pinned_task_stays(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(stay, NULL, .workers = workers, .real_time = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_self_is_right_after_every_suspension),
    T_TEST(test_pinned_task_stays),
};
T_MAIN(tests, NULL)
