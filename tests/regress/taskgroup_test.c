/* SPDX-License-Identifier: MIT */
/* Bugs that asyncio had in task groups and timeout scopes, each named after its issue. All of them
 * are about one thing: being asked to stop and having been asked are counted apart, and each scope
 * takes back its own request only. */
#include "../support/t.h"

#include <math.h>
#include <pthread.h>

static int cancelling(void)
{
    return skua_cancelling(skua_current_task());
}

static void open_group(skua_taskgroup *tg)
{
    T_EXPECT_INT(skua_taskgroup_init(tg), 0);
}

static void *fail_now(void *err)
{
    return skua_fail(T_NUM(err));
}

static void *fail_later(void *err)
{
    int r = skua_sleep(0.1);
    return skua_fail(r < 0 ? r : T_NUM(err));
}

/* Answers a cancel after a second. */
static void *linger(void *arg)
{
    int r = skua_sleep(3600);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(skua_sleep(1), 0);
    return skua_fail(r);
}

static void *forever(void *arg)
{
    skua_future *f = skua_future_new();
    return skua_fail(skua_join(f, NULL));
}

/* ---- what a body makes of its cancel ---- */

static void *replaced_main(void *arg)
{
    skua_taskgroup tg;
    int errs[4] = { 0 };
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, fail_now, T_PTR(-EIO)) != NULL);
    T_EXPECT_INT(skua_sleep(10), -ECANCELED);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -EDOM), -EIO); /* the body makes another error of it */
    T_EXPECT_INT(skua_taskgroup_errors(&tg, errs, 4), 2);
    T_EXPECT_INT(errs[0], -EIO);
    T_EXPECT_INT(errs[1], -EDOM);
    T_EXPECT_INT(cancelling(), 0);
    T_EXPECT_INT(skua_sleep(1), 0);
    return arg;
}

static void gh_95289_an_error_in_place_of_the_cancel_is_kept(void **state)
{
    (void)state;
    t_run(replaced_main, NULL);
    t_run(replaced_main, NULL, .free_main = true);
}

static void *error_instead(void *arg)
{
    skua_taskgroup tg;
    skua_timeout limit;
    int r = skua_timeout_enter(&limit, 50);
    T_EXPECT_INT(r, 0);
    open_group(&tg);
    r = skua_sleep(10);
    T_EXPECT_INT(r, -ECANCELED);
    r = skua_taskgroup_join(&tg, -EDOM);
    T_EXPECT_INT(r, -EDOM);
    T_EXPECT_INT(skua_timeout_exit(&limit, r), -EDOM);
    T_EXPECT_INT(cancelling(), 1);
    return skua_fail(r);
}

static void *error_main(void *arg)
{
    skua_task *t = skua_spawn(error_instead, NULL);
    skua_yield();
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_await(t, NULL), -EDOM);
    T_EXPECT(!skua_cancelled(t));
    skua_release(t);
    return arg;
}

static void gh_95704_an_error_in_answer_to_a_cancel_is_not_suppressed(void **state)
{
    /* Goal: through a task group, a timeout scope and the task itself. */
    (void)state;
    t_run(error_main, NULL);
}

static void *spawn_late(void *arg)
{
    skua_taskgroup *tg = arg;
    int r = skua_sleep(10), err = 0;
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT(!skua_taskgroup_spawn(tg, forever, NULL, .ret_err = &err));
    T_EXPECT_INT(err, -ESHUTDOWN);
    return skua_fail(r);
}

static void *late_main(void *arg)
{
    skua_taskgroup tg;
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, spawn_late, &tg) != NULL);
    T_EXPECT(skua_taskgroup_spawn(&tg, fail_later, T_PTR(-EIO)) != NULL);
    int r = skua_sleep(10), err = 0;
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT(!skua_taskgroup_spawn(&tg, forever, NULL, .ret_err = &err));
    T_EXPECT_INT(err, -ESHUTDOWN);
    T_EXPECT_INT(skua_taskgroup_join(&tg, r), -EIO);
    return arg;
}

static void gh_94398_nobody_starts_children_in_a_group_that_is_ending(void **state)
{
    (void)state;
    t_run(late_main, NULL);
    t_run(late_main, NULL, .free_main = true);
}

/* ---- cancels from outside, beside the group's own ---- */

static void *nested(void *arg)
{
    skua_taskgroup outer, inner;
    open_group(&outer);
    T_EXPECT(skua_taskgroup_spawn(&outer, fail_later, T_PTR(-EIO)) != NULL);
    open_group(&inner);
    T_EXPECT(skua_taskgroup_spawn(&inner, fail_later, T_PTR(-EDOM)) != NULL);
    T_EXPECT_INT(skua_taskgroup_join(&inner, skua_sleep(10)), -EDOM);
    /* as if the error were dealt with: the outer group's request is still to be felt */
    T_EXPECT_INT(cancelling(), 1);
    double start = skua_loop_time();
    int r = skua_sleep(10);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT(t_elapsed(start) == 0);
    T_EXPECT_INT(skua_taskgroup_join(&outer, r), -EIO);
    T_EXPECT_INT(cancelling(), 0);
    return arg;
}

static void gh_116720_an_inner_group_does_not_swallow_the_outers_cancel(void **state)
{
    (void)state;
    t_run(nested, NULL);
}

static void *clean_up(void *arg)
{
    T_EXPECT_INT(skua_sleep(10), -ECANCELED);
    double start = skua_loop_time();
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 1), 0);
    int r = skua_timeout_exit(&limit, skua_sleep(10));
    T_EXPECT_INT(r, -ETIMEDOUT);
    T_EXPECT(t_elapsed(start) == 1);
    T_EXPECT_INT(cancelling(), 1);
    return skua_fail(-ECANCELED);
}

static void *clean_up_main(void *arg)
{
    skua_task *t = skua_spawn(clean_up, NULL);
    skua_yield();
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    return arg;
}

static void gh_102780_a_timeout_works_in_the_clean_up_of_a_cancelled_task(void **state)
{
    (void)state;
    t_run(clean_up_main, NULL);
    t_run(clean_up_main, NULL, .free_main = true);
}

static void *end_cancelled(void *arg)
{
    return skua_fail(-ECANCELED); /* nobody asked for it */
}

static void *unasked_main(void *arg)
{
    skua_taskgroup tg;
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, end_cancelled, NULL) != NULL);
    T_EXPECT_INT(skua_sleep(1), 0);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    open_group(&tg);
    skua_task *t = skua_taskgroup_spawn(&tg, forever, NULL);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -ECANCELED), -ECANCELED);
    T_EXPECT_INT(skua_taskgroup_errors(&tg, NULL, 0), 0);
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 50), 0);
    T_EXPECT_INT(skua_timeout_exit(&limit, -ECANCELED), -ECANCELED);
    T_EXPECT(!skua_timeout_expired(&limit));
    T_EXPECT_INT(cancelling(), 0);
    return t ? arg : skua_fail(-EIO);
}

static void gh_113848_every_ecanceled_is_a_cancel(void **state)
{
    /* Goal: there, subclasses of CancelledError; there are none here, but the error comes as well
     * from tasks and bodies that nobody asked to stop. */
    (void)state;
    t_run(unasked_main, NULL);
}

static int group_fails(void)
{
    skua_taskgroup tg;
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, fail_now, T_PTR(-EIO)) != NULL);
    return skua_taskgroup_join(&tg, 0);
}

static void *slow_to_pass_it_on(void *arg)
{
    int r = group_fails();
    T_EXPECT_INT(r, -EIO);
    T_EXPECT_INT(cancelling(), 0);
    int slept = skua_sleep(1);
    return skua_fail(slept < 0 ? slept : r);
}

static void *delayed_main(void *arg)
{
    skua_task *t = skua_spawn(slow_to_pass_it_on, NULL);
    T_EXPECT_INT(skua_wait_for(t, 0.1, NULL), -ETIMEDOUT);
    T_EXPECT(skua_cancelled(t));
    skua_release(t);
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 0.1), 0);
    T_EXPECT_INT(group_fails(), -EIO);
    T_EXPECT_INT(skua_timeout_exit(&limit, skua_sleep(1)), -ETIMEDOUT);
    T_EXPECT_INT(cancelling(), 0);
    return arg;
}

static void gh_133747_a_group_that_failed_leaves_no_request_behind(void **state)
{
    /* Goal: a limit around it, which passes while its error is on its way out, is a timeout. */
    (void)state;
    t_run(delayed_main, NULL);
    t_run(delayed_main, NULL, .free_main = true);
}

static void *zero_after_cancel(void *delay)
{
    skua_cancel(skua_current_task(), NULL);
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, *(double *)delay), 0);
    int r = skua_timeout_exit(&limit, skua_sleep(5));
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(cancelling(), 1);
    return skua_fail(r);
}

static void *zero_main(void *arg)
{
    static double delays[] = { 0, -1, 0.001, 1, INFINITY };
    for (int i = 0; i < 5 * 2; i++) {
        double *delay = &delays[i / 2];
        skua_task *t = i % 2 ? skua_go(zero_after_cancel, delay)
                             : skua_spawn(zero_after_cancel, delay);
        T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    }
    return arg;
}

static void gh_134471_a_timeout_of_zero_does_not_swallow_an_earlier_cancel(void **state)
{
    /* Goal: a request made before the scope and not yet felt is not the scope's, also when both
     * arrive as one. */
    (void)state;
    t_run(zero_main, NULL);
}

static void *cancel_from_thread(void *task)
{
    T_EXPECT(skua_cancel(task, NULL));
    return NULL;
}

static void cancel_me_elsewhere(void)
{
    pthread_t thread;
    T_EXPECT_INT(pthread_create(&thread, NULL, cancel_from_thread, skua_current_task()), 0);
    pthread_join(thread, NULL); /* the request is on its way, and nobody has looked since */
}

static void *zero_after_foreign_cancel(void *arg)
{
    cancel_me_elsewhere();
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 0), 0);
    int r = skua_timeout_exit(&limit, skua_sleep(5));
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(cancelling(), 1);
    return skua_fail(r);
}

static void *group_after_foreign_cancel(void *arg)
{
    cancel_me_elsewhere();
    skua_taskgroup tg;
    open_group(&tg);
    skua_taskgroup_cancel(&tg);
    int r = skua_taskgroup_join(&tg, skua_sleep(5));
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(cancelling(), 1);
    return skua_fail(r);
}

static void *foreign_main(void *arg)
{
    skua_fn fns[2] = { zero_after_foreign_cancel, group_after_foreign_cancel };
    for (int i = 0; i < 4; i++) {
        skua_task *t = i % 2 ? skua_go(fns[i / 2], NULL) : skua_spawn_with(fns[i / 2], NULL, NULL);
        T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    }
    return arg;
}

static void gh_134471_nor_one_that_another_thread_has_sent(void **state)
{
    /* Goal: a request from elsewhere counts at once and is felt later: a scope and a group that
     * begin in between leave it alone. */
    (void)state;
    t_run(foreign_main, NULL, .real_time = true);
}

static void *cancelled_group(void *arg)
{
    skua_taskgroup tg;
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, linger, NULL) != NULL);
    T_EXPECT_INT(skua_sleep(0.1), 0);
    skua_taskgroup_cancel(&tg);
    int r = skua_taskgroup_join(&tg, skua_sleep(0));
    t_log("%d", r == -ECANCELED);
    return skua_fail(r);
}

static void *outside_main(void *arg)
{
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 0.5), 0);
    void *value = cancelled_group(NULL); /* lingers until 1.1 */
    T_EXPECT_INT(skua_timeout_exit(&limit, skua_failed(value)), -ETIMEDOUT);
    T_EXPECT_INT(cancelling(), 0);
    skua_task *t = skua_spawn(cancelled_group, NULL);
    T_EXPECT_INT(skua_sleep(0.5), 0);
    skua_cancel(t, "outside");
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT_STR(skua_error_message(t), "outside");
    skua_release(t);
    return arg;
}

static void gh_155433_a_cancelled_group_does_not_swallow_a_cancel_from_outside(void **state)
{
    /* Goal: neither a limit that passes while it ends nor a plain cancel. */
    (void)state;
    t_run(outside_main, NULL);
    t_check_log("1 1");
}

/* ---- eager children ---- */

static void *cancel_group_then_wait(void *tg)
{
    skua_taskgroup_cancel(tg);
    return forever(NULL);
}

static void *fail_sibling_then_wait(void *tg)
{
    T_EXPECT(skua_taskgroup_spawn(tg, fail_now, T_PTR(-EIO), .eager = true) != NULL);
    return forever(NULL);
}

static void *hang_main(void *fn)
{
    skua_taskgroup tg;
    open_group(&tg);
    bool cancels = *(skua_fn *)fn == cancel_group_then_wait;
    skua_task *t = skua_taskgroup_spawn(&tg, *(skua_fn *)fn, &tg, .eager = true);
    T_EXPECT(t != NULL);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), cancels ? 0 : -EIO);
    T_EXPECT_INT(cancelling(), 0);
    T_EXPECT_INT(skua_sleep(1), 0);
    return NULL;
}

static void gh_155418_a_child_that_ends_its_group_before_its_first_wait(void **state)
{
    /* Goal: it is cancelled as the others are, and the group does not wait for ever. */
    skua_fn fn = cancel_group_then_wait;
    (void)state;
    t_run(hang_main, &fn);
    t_run(hang_main, &fn, .free_main = true);
}

static void gh_128550_a_child_whose_own_child_fails_before_its_first_wait(void **state)
{
    skua_fn fn = fail_sibling_then_wait;
    (void)state;
    t_run(hang_main, &fn);
    t_run(hang_main, &fn, .free_main = true);
}

static void *leak_main(void *arg)
{
    skua_taskgroup tg;
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, fail_now, T_PTR(-EIO), .eager = true) != NULL);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), -EIO);
    T_EXPECT_INT(cancelling(), 0);
    T_EXPECT_INT(skua_sleep(1), 0); /* the group's own request does not leak out of it */
    return arg;
}

static void gh_128588_a_child_that_fails_inside_its_spawn(void **state)
{
    (void)state;
    t_run(leak_main, NULL);
    t_run(leak_main, NULL, .free_main = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(gh_95289_an_error_in_place_of_the_cancel_is_kept),
    T_TEST(gh_95704_an_error_in_answer_to_a_cancel_is_not_suppressed),
    T_TEST(gh_94398_nobody_starts_children_in_a_group_that_is_ending),
    T_TEST(gh_116720_an_inner_group_does_not_swallow_the_outers_cancel),
    T_TEST(gh_102780_a_timeout_works_in_the_clean_up_of_a_cancelled_task),
    T_TEST(gh_113848_every_ecanceled_is_a_cancel),
    T_TEST(gh_133747_a_group_that_failed_leaves_no_request_behind),
    T_TEST(gh_134471_a_timeout_of_zero_does_not_swallow_an_earlier_cancel),
    T_TEST(gh_134471_nor_one_that_another_thread_has_sent),
    T_TEST(gh_155433_a_cancelled_group_does_not_swallow_a_cancel_from_outside),
    T_TEST(gh_155418_a_child_that_ends_its_group_before_its_first_wait),
    T_TEST(gh_128550_a_child_whose_own_child_fails_before_its_first_wait),
    T_TEST(gh_128588_a_child_that_fails_inside_its_spawn),
};

T_MAIN(tests, NULL)
