/* SPDX-License-Identifier: MIT */
/* Loops, futures and messages of cancels, rules 9 to 41: scenarios of CPython's test_base_events,
 * test_futures and test_tasks under their names there. */
#include "../support/t.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- test_tasks: messages ---- */

static void *cancel_with_message(void *end)
{
    struct t_waiter w = { skua_future_new(), "w" };
    skua_task *t = skua_spawn(t_waiter, &w);
    if (end)
        skua_yield();
    if (T_NUM(end) == 1)
        T_EXPECT(skua_future_set_result(w.on, T_PTR(42)));
    if (T_NUM(end) == 2)
        T_EXPECT(skua_future_set_error(w.on, -EIO));
    T_EXPECT(skua_cancel(t, "bye"));
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT_STR(skua_error_message(t), "bye");
    skua_release(t);
    skua_release(w.on);
    return NULL;
}

static void test_rule_41_cancel_with_message_before_starting_and_then_future_result(void **state)
{
    /* Goal: before the start, beside a result, and beside an error of what it waits for. */
    (void)state;
    for (int end = 0; end < 3; end++)
        t_run(cancel_with_message, T_PTR(end));
    t_check_log("w- w! w- w!");
}

static void *interleaving(void *arg)
{
    skua_task **self = arg;
    for (int i = 0; i < 3; i++) {
        T_EXPECT(skua_current_task() == *self);
        skua_task *t = skua_spawn(t_yielder, NULL, .eager = i == 1);
        T_EXPECT(skua_current_task() == *self);
        T_EXPECT_INT(skua_join(t, NULL), 0);
    }
    T_EXPECT(skua_current_task() == *self);
    return NULL;
}

static void *interleaving_main(void *arg)
{
    skua_task *t[2], *me = skua_current_task();
    for (int i = 0; i < 2; i++)
        t[i] = skua_spawn(interleaving, &t[i]);
    T_EXPECT_INT(skua_gather(t, 2, NULL, 0), 0);
    T_EXPECT(skua_current_task() == me);
    skua_release_all(t, 2);
    return arg;
}

static void test_rule_28_current_task_with_interleaving_tasks(void **state)
{
    (void)state;
    t_run(interleaving_main, NULL);
}

/* ---- test_futures ---- */

static void say_done(skua_task *task, void *word)
{
    (void)task;
    t_log("%s", (const char *)word);
}

static char words[3][2] = { "1", "2", "3" };

static void *remove_one_main(void *which)
{
    skua_future *f = skua_future_new();
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(skua_add_done_callback(f, say_done, words[i]), 0);
    T_EXPECT_INT(skua_remove_done_callback(f, say_done, words[T_NUM(which)]), 1);
    T_EXPECT(skua_future_set_result(f, NULL));
    t_yield_times(2);
    skua_release(f);
    return NULL;
}

static void test_rule_19_callbacks_remove_first_second_and_third_callback(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        t_run(remove_one_main, T_PTR(i));
    t_check_log("2 3 1 3 1 2");
}

static void remove_the_others(skua_task *task, void *word)
{
    say_done(task, word);
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(skua_remove_done_callback(task, say_done, words[i]), 0);
    T_EXPECT_INT(skua_add_done_callback(task, say_done, words[2]), 0);
}

static void *mutation_main(void *arg)
{
    skua_future *f = skua_future_new();
    T_EXPECT_INT(skua_add_done_callback(f, remove_the_others, words[0]), 0);
    T_EXPECT_INT(skua_add_done_callback(f, say_done, words[1]), 0);
    T_EXPECT(skua_future_set_result(f, NULL));
    t_yield_times(3);
    skua_release(f);
    return arg;
}

static void test_rule_19_schedule_callbacks_list_mutation(void **state)
{
    /* Goal: what the end has scheduled is not taken back by a callback, and what that one adds is
     * called as well. */
    (void)state;
    t_run(mutation_main, NULL);
    t_check_log("1 2 3");
}

/* ---- test_base_events ---- */

static void *negative_main(void *arg)
{
    skua_call_later(-1, t_say, "a");
    skua_call_later(-2, t_say, "b");
    skua_call_at(skua_loop_time() - 3, t_say, "c");
    skua_call_soon(t_say, "soon");
    T_EXPECT_LOG("");
    t_yield_times(3);
    return arg;
}

static void test_rule_14_call_later_negative_delays(void **state)
{
    /* Goal: never inside the call, behind what is ready, by deadline. */
    (void)state;
    t_run(negative_main, NULL);
    t_check_log("soon c b a");
}

struct reading {
    skua_loop *loop;
    int fd, seen;
};

static void *read_events(void *arg)
{
    struct reading *r = arg;
    while (skua_poll_fd(r->fd, POLLIN, 20) > 0) {
        uint64_t n;
        r->seen++;
        skua_loop_stop(r->loop); /* between the news and what it leads to */
        if (skua_yield() < 0)
            break;
        T_EXPECT_INT((int)read(r->fd, &n, sizeof n), 8);
    }
    return NULL;
}

static void test_rule_10_single_selecter_event_callback_after_stopping(void **state)
{
    /* Goal: a loop that was stopped as an event came runs what belongs to it once, later. */
    (void)state;
    struct reading r = { skua_loop_new(), eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), 0 };
    assert_non_null(r.loop);
    skua_task *t = skua_spawn_threadsafe(r.loop, read_events, &r);
    assert_int_equal(skua_loop_run_forever(r.loop), 0);
    assert_int_equal(r.seen, 1);
    skua_loop_stop(r.loop);
    assert_int_equal(skua_loop_run_forever(r.loop), 0);
    for (int i = 0; i < 5; i++) { /* single rounds */
        skua_loop_stop(r.loop);
        assert_int_equal(skua_loop_run_forever(r.loop), 0);
    }
    assert_int_equal(r.seen, 1);
    uint64_t one = 1;
    assert_int_equal(write(r.fd, &one, sizeof one), 8);
    assert_int_equal(skua_loop_run_forever(r.loop), 0);
    assert_int_equal(r.seen, 2);
    skua_release(t);
    assert_int_equal(skua_loop_close(r.loop), 0);
    close(r.fd);
    t_check();
}

static void *never_ends(void *f)
{
    int r = skua_await(f, NULL);
    t_log("%d", r);
    return skua_fail(r);
}

static void *make_future(void *arg)
{
    (void)arg;
    return skua_future_new();
}

static void test_rule_9_run_until_complete_loop_orphan_future_close_loop(void **state)
{
    /* Goal: a loop closed over a task that waits for what nobody will set ends that task. */
    (void)state;
    skua_loop *loop = skua_loop_new();
    assert_non_null(loop);
    void *f = NULL;
    skua_task *make = skua_spawn_threadsafe(loop, make_future, NULL);
    assert_int_equal(skua_loop_run_until_complete(loop, make, &f), 0);
    skua_task *t = skua_spawn_threadsafe(loop, never_ends, f);
    skua_loop_stop(loop);
    assert_int_equal(skua_loop_run_until_complete(loop, t, NULL), -EAGAIN);
    assert_int_equal(skua_loop_close(loop), 0);
    assert_true(skua_done(t));
    assert_int_equal(skua_error(t), -ECANCELED);
    assert_int_equal(skua_loop_run_until_complete(loop, t, NULL), -ESHUTDOWN);
    assert_int_equal(skua_loop_run_forever(loop), -ESHUTDOWN);
    assert_int_equal(skua_loop_close(loop), 0);
    skua_release(make);
    skua_release(t);
    skua_release(f);
    t_log_reset();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_41_cancel_with_message_before_starting_and_then_future_result),
    T_TEST(test_rule_28_current_task_with_interleaving_tasks),
    T_TEST(test_rule_19_callbacks_remove_first_second_and_third_callback),
    T_TEST(test_rule_19_schedule_callbacks_list_mutation),
    T_TEST(test_rule_14_call_later_negative_delays),
    T_TEST(test_rule_10_single_selecter_event_callback_after_stopping),
    T_TEST(test_rule_9_run_until_complete_loop_orphan_future_close_loop),
};

T_MAIN(tests, NULL)
