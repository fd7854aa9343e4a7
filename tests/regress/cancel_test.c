/* SPDX-License-Identifier: MIT */
/* Bugs that asyncio and others had in cancelling tasks, in eager ones, and in keeping tasks alive,
 * each named after its issue. */
#include "../support/t.h"

#include <math.h>
#include <stdatomic.h>

/* ---- a task that cancels itself ---- */

enum end { VALUE, ERROR, WAIT, END_COUNT };

static void *cancel_self(void *end)
{
    T_EXPECT(skua_cancel(skua_current_task(), NULL));
    switch (T_NUM(end)) {
    case ERROR:
        return skua_fail(-EIO);
    case WAIT:
        T_EXPECT_INT(skua_sleep(1), -ECANCELED);
        return skua_fail(-ECANCELED);
    }
    return end;
}

static void *cancel_self_later(void *end)
{
    T_EXPECT_INT(skua_yield(), 0);
    return cancel_self(end);
}

static void *immediate_main(void *arg)
{
    static const int want[END_COUNT] = { -ECANCELED, -EIO, -ECANCELED };
    for (int i = 0; i < END_COUNT * 2 * 3; i++) {
        void *end = T_PTR(i % END_COUNT);
        skua_fn fn = i / END_COUNT % 2 ? cancel_self_later : cancel_self;
        int how = i / (END_COUNT * 2);
        skua_task *t = how == 2 ? skua_go(fn, end) : skua_spawn(fn, end, .eager = how == 1);
        T_EXPECT_INT(skua_await(t, NULL), want[i % END_COUNT]);
        T_EXPECT_INT(skua_cancelled(t), want[i % END_COUNT] == -ECANCELED);
        T_EXPECT_INT(skua_cancelling(t), 1);
        skua_release(t);
    }
    return arg;
}

static void bpo_38248_a_cancel_just_before_the_end_is_treated_alike(void **state)
{
    /* Goal: in the first step and in a later one, eager, queued and free: a value is dropped, an
     * error stays. */
    (void)state;
    t_run(immediate_main, NULL);
}

static void *chain(void *next)
{
    int r = skua_await(next, NULL);
    t_log("c%d", r == -ECANCELED);
    return skua_fail(r);
}

static void *self_then_await(void *arg)
{
    (void)arg;
    skua_future *f = skua_future_new();
    struct t_waiter w = { f, "w" };
    skua_task *inner = skua_spawn(t_waiter, &w), *outer = skua_spawn(chain, inner);
    skua_cancel(skua_current_task(), NULL);
    int r = skua_await(outer, NULL);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT(skua_cancelled(outer));
    /* outer had not begun: it never reached inner, which is left as it was */
    T_EXPECT(!skua_done(inner));
    skua_release(outer);
    outer = skua_spawn(chain, inner);
    T_EXPECT_INT(skua_yield(), 0);
    skua_cancel(skua_current_task(), NULL);
    T_EXPECT_INT(skua_await(outer, NULL), -ECANCELED);
    T_EXPECT(skua_cancelled(outer) && skua_cancelled(inner) && skua_cancelled(f));
    skua_release(outer);
    skua_release(inner);
    skua_release(f);
    return skua_fail(r);
}

static void *self_main(void *arg)
{
    skua_task *t = skua_spawn(self_then_await, NULL);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    return arg;
}

static void bpo_34872_who_cancels_itself_takes_what_it_awaits_with_it(void **state)
{
    /* Goal: the request passes from the await on, all the way down. */
    (void)state;
    t_run(self_main, NULL);
    t_check_log("w- w! c1");
}

static void *gather_one(void *task)
{
    skua_task *t[1] = { task };
    return skua_fail(skua_gather(t, 1, NULL, 0));
}

static void *wait_for_one(void *task)
{
    return skua_fail(skua_wait_for(task, 50, NULL));
}

static void *message_main(void *arg)
{
    skua_fn through[] = { chain, gather_one, wait_for_one };
    for (int i = 0; i < 3; i++) {
        skua_future *f = skua_future_new();
        struct t_waiter w = { f, "w" };
        skua_task *inner = skua_spawn(t_waiter, &w), *outer = skua_spawn(through[i], inner);
        skua_yield();
        skua_cancel(outer, "one");
        skua_cancel(outer, "two");
        T_EXPECT_INT(skua_await(outer, NULL), -ECANCELED);
        T_EXPECT_STR(skua_error_message(outer), "two");
        T_EXPECT(skua_cancelled(inner));
        skua_release(outer);
        skua_release(inner);
        skua_release(f);
    }
    t_log_reset();
    return arg;
}

static void gh_90985_the_last_message_comes_out_of_what_was_cancelled(void **state)
{
    /* Goal: through an await, a gather and a wait_for. */
    (void)state;
    t_run(message_main, NULL);
}

/* ---- eager tasks ---- */

static void *at_once(void *value)
{
    return value;
}

static void *then_sleep(void *value)
{
    int r = skua_sleep(1);
    return r < 0 ? skua_fail(r) : value;
}

static void *race_main(void *arg)
{
    size_t done = 0;
    skua_task *t[3] = { skua_spawn(then_sleep, T_PTR(1), .eager = true),
                        skua_spawn(at_once, T_PTR(2), .eager = true),
                        skua_spawn(then_sleep, T_PTR(3), .eager = true) };
    T_EXPECT(skua_done(t[1]));
    T_EXPECT_INT(skua_wait(t, 3, 9, SKUA_FIRST_COMPLETED, &done), 0);
    void *value = NULL;
    T_EXPECT_INT(done, 1);
    T_EXPECT_INT(skua_result(t[0], &value), 0);
    T_EXPECT(value == T_PTR(2));
    skua_taskgroup tg;
    T_EXPECT_INT(skua_taskgroup_init(&tg), 0);
    T_EXPECT(skua_done(skua_taskgroup_spawn(&tg, at_once, NULL, .eager = true)));
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    void *values[3];
    T_EXPECT_INT(skua_gather(t, 3, values, SKUA_RELEASE), 0);
    T_EXPECT(values[0] == T_PTR(2) && values[1] == T_PTR(1) && values[2] == T_PTR(3));
    return arg;
}

static void gh_124309_a_race_whose_first_ends_before_the_others_are_there(void **state)
{
    /* Goal: an eager task that is over when its spawn returns is one more finished task to wait,
     * to gather and to a group. */
    (void)state;
    t_run(race_main, NULL);
}

static void *same_context(void *arg)
{
    skua_context *context = arg;
    T_EXPECT(skua_current_task() != NULL);
    skua_task *t = skua_spawn(at_once, T_PTR(5), .eager = true, .context = context);
    void *value = NULL;
    T_EXPECT(t && skua_done(t));
    T_EXPECT_INT(skua_join(t, &value), 0);
    T_EXPECT(value == T_PTR(5));
    return arg;
}

static void *failed_start_main(void *arg)
{
    skua_task *me = skua_current_task();
    struct skua_spawn_opts bad = { .size = 0, .eager = true };
    int err = 0;
    T_EXPECT(!skua_spawn_with(at_once, NULL, &bad));
    T_EXPECT(!skua_spawn(NULL, NULL, .eager = true, .ret_err = &err));
    T_EXPECT_INT(err, -EINVAL);
    T_EXPECT(!skua_spawn(at_once, NULL, .eager = true, .stack_size = SIZE_MAX / 2,
                         .ret_err = &err));
    T_EXPECT(err == -EINVAL || err == -ENOMEM);
    T_EXPECT(skua_current_task() == me);
    T_EXPECT_INT(skua_yield(), 0);
    skua_context *context = skua_context_copy();
    skua_task *t = skua_spawn(same_context, context, .context = context);
    T_EXPECT_INT(skua_join(t, NULL), 0); /* one context may be entered twice */
    T_EXPECT(skua_context_run(context, same_context, context) == context);
    skua_context_release(context);
    T_EXPECT(skua_current_task() == me);
    return arg;
}

static void gh_157301_an_eager_start_that_fails_leaves_the_loop_as_it_was(void **state)
{
    (void)state;
    t_run(failed_start_main, NULL);
}

static void *eager_parent(void *arg)
{
    (void)arg;
    skua_task *me = skua_current_task();
    skua_task *inner = skua_spawn(then_sleep, NULL, .eager = true);
    T_EXPECT(skua_current_task() == me);
    skua_cancel(me, "in its first step");
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 9), 0); /* a scope of this task, not of its parent */
    int r = skua_timeout_exit(&limit, skua_await(inner, NULL));
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT(skua_cancelled(inner));
    skua_release(inner);
    return skua_fail(r);
}

static void *eager_main(void *arg)
{
    skua_task *me = skua_current_task();
    skua_task *t = skua_spawn(eager_parent, NULL, .eager = true);
    T_EXPECT(skua_current_task() == me);
    T_EXPECT_INT(skua_cancelling(me), 0);
    T_EXPECT(!skua_done(t));
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT_STR(skua_error_message(t), "in its first step");
    T_EXPECT_INT(skua_cancelling(t), 1);
    skua_release(t);
    return arg;
}

static void gh_154734_the_first_step_of_an_eager_task_is_its_own(void **state)
{
    /* Goal: current task, cancel and timeout in it are those of the eager task; its parent goes on
     * with its own. */
    (void)state;
    t_run(eager_main, NULL);
}

/* ---- a cause is there before its effect ---- */

enum { SCOPES = 300, RACERS = 4 };

static void *see_the_cause(void *arg)
{
    (void)arg;
    for (int i = 0; i < SCOPES; i++) {
        skua_timeout limit;
        T_EXPECT_INT(skua_timeout_enter(&limit, 1e-6 * (i % 20)), 0);
        int r = 0;
        while (r == 0)
            r = i % 2 ? skua_yield() : skua_sleep(1);
        T_EXPECT_INT(r, -ECANCELED);
        T_EXPECT(skua_timeout_expired(&limit)); /* nobody else cancels */
        T_EXPECT_INT(skua_timeout_exit(&limit, r), -ETIMEDOUT);
    }
    return NULL;
}

static void *cause_main(void *arg)
{
    skua_task *t[RACERS];
    for (int i = 0; i < RACERS; i++)
        t[i] = skua_go(see_the_cause, NULL);
    T_EXPECT_INT(skua_gather(t, RACERS, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void zio_adb6f811_who_feels_a_timeout_sees_that_it_expired(void **state)
{
    (void)state;
    t_run(cause_main, NULL, .real_time = true);
}

/* ---- no task vanishes ---- */

static atomic_int ended;

static void *count_end(void *f)
{
    void *value = NULL;
    int r = skua_join(f, &value);
    if (r == 0)
        atomic_fetch_add(&ended, T_NUM(value));
    return r < 0 ? skua_fail(r) : NULL;
}

enum { MANY = 100 };

static void *detached_main(void *is_free)
{
    /* each is known to nobody but the future that it waits for */
    skua_future *f[MANY];
    atomic_store(&ended, 0);
    for (int i = 0; i < MANY; i++) {
        f[i] = skua_future_new();
        skua_retain(f[i]);
        skua_detach(is_free ? skua_go(count_end, f[i]) : skua_spawn(count_end, f[i]));
    }
    t_yield_times(3);
    for (int i = 0; i < MANY; i++) {
        T_EXPECT(skua_future_set_result(f[i], T_PTR(1)));
        skua_release(f[i]);
    }
    double start = skua_loop_time();
    while (atomic_load(&ended) < MANY && skua_loop_time() < start + 20)
        skua_yield();
    T_EXPECT_INT(atomic_load(&ended), MANY);
    return NULL;
}

static void gh_91887_a_task_nobody_holds_runs_to_its_end(void **state)
{
    (void)state;
    t_run(detached_main, NULL);
    t_run(detached_main, T_PTR(1), .real_time = true);
}

static void *mutual(void *other)
{
    skua_task **slot = other;
    T_EXPECT_INT(skua_yield(), 0);
    int r = skua_await(*slot, NULL);
    atomic_fetch_add(&ended, 1);
    return skua_fail(r);
}

static void *cycle_main(void *arg)
{
    skua_task *slots[2];
    atomic_store(&ended, 0);
    slots[0] = skua_spawn(mutual, &slots[1]); /* each waits for the other and for nobody else */
    slots[1] = skua_spawn(mutual, &slots[0]);
    t_yield_times(5);
    T_EXPECT_INT(atomic_load(&ended), 0);
    size_t n = skua_all_tasks(NULL, 0);
    T_EXPECT_INT(n, 3); /* a cycle is not garbage */
    skua_cancel(slots[0], NULL);
    SKUA_IGNORE(skua_gather(slots, 2, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS));
    T_EXPECT_INT(atomic_load(&ended), 2);
    return arg;
}

static void gh_93297_tasks_that_only_wait_for_each_other_are_there(void **state)
{
    (void)state;
    t_run(cycle_main, NULL);
}

static const struct CMUnitTest tests[] = {
    T_TEST(bpo_38248_a_cancel_just_before_the_end_is_treated_alike),
    T_TEST(bpo_34872_who_cancels_itself_takes_what_it_awaits_with_it),
    T_TEST(gh_90985_the_last_message_comes_out_of_what_was_cancelled),
    T_TEST(gh_124309_a_race_whose_first_ends_before_the_others_are_there),
    T_TEST(gh_157301_an_eager_start_that_fails_leaves_the_loop_as_it_was),
    T_TEST(gh_154734_the_first_step_of_an_eager_task_is_its_own),
    T_TEST(zio_adb6f811_who_feels_a_timeout_sees_that_it_expired),
    T_TEST(gh_91887_a_task_nobody_holds_runs_to_its_end),
    T_TEST(gh_93297_tasks_that_only_wait_for_each_other_are_there),
};

T_MAIN(tests, NULL)
