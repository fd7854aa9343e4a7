/* SPDX-License-Identifier: MIT */
/* One iteration of a loop: rules 12 to 14 of asyncio. */
#include "../support/t.h"

#include <math.h>
#include <poll.h>
#include <unistd.h>

/* ---- rule 12 ---- */

static void again(void *n)
{
    t_log("s%d", T_NUM(n));
    if (T_NUM(n) < 4)
        skua_call_soon(again, T_PTR(T_NUM(n) + 1));
}

static void *batch_main(void *arg)
{
    skua_call_soon(again, T_PTR(0));
    skua_call_later(0, t_say, "t");
    skua_call_soon(again, T_PTR(3));
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return arg;
}

static void test_rule_12_an_iteration_runs_what_was_ready_when_it_began(void **state)
{
    /* Goal: callbacks added meanwhile wait for the next iteration; timers join at its edge. */
    (void)state;
    t_run(batch_main, NULL);
    t_check_log("s0 s3 t s1 s4 s2 s3 s4");
}

static void *poll_readable(void *fd)
{
    T_EXPECT(skua_poll_fd(T_NUM(fd), POLLIN, INFINITY) > 0);
    t_log("io");
    return NULL;
}

static void *io_main(void *arg)
{
    int fds[2];
    T_EXPECT_INT(pipe(fds), 0);
    skua_task *poller = skua_spawn(poll_readable, T_PTR(fds[0]));
    skua_yield();
    T_EXPECT_INT(write(fds[1], "x", 1), 1);
    int trips = 0;
    while (!skua_done(poller) && trips < 1000) {
        skua_yield();
        trips++;
    }
    T_EXPECT(trips <= 2 * 61);
    T_EXPECT_INT(skua_join(poller, NULL), 0);
    close(fds[0]);
    close(fds[1]);
    return arg;
}

static void test_rule_12_a_loop_of_yields_does_not_starve_descriptors(void **state)
{
    /* Goal: each iteration polls: what became readable is seen within 61 picks. */
    (void)state;
    t_run(io_main, NULL);
    t_check_log("io");
}

static void *due_main(void *arg)
{
    double until = skua_loop_time() + 0.02;
    skua_call_at(until, t_say, "t");
    for (int late = 0; late < 2 * 61; skua_yield())
        late += skua_loop_time() > until;
    t_log("m");
    return arg;
}

static void test_rule_12_a_loop_of_yields_does_not_starve_timers(void **state)
{
    /* Goal: on the clock on the wall a due timer fires within 61 picks. */
    (void)state;
    t_run(due_main, NULL, .real_time = true);
    t_check_log("t m");
}

/* ---- rule 13 ---- */

struct chain {
    const char *word, *next;
};

static void say_and_schedule(void *arg)
{
    const struct chain *c = arg;
    t_log("%s", c->word);
    skua_call_soon(t_say, (void *)(uintptr_t)c->next);
}

static void *fifo_main(void *arg)
{
    struct chain a = { "a", "a2" }, b = { "b", "b2" };
    skua_call_soon(say_and_schedule, &a);
    skua_call_soon(say_and_schedule, &b);
    skua_call_later(0, t_say, "t0");
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return arg;
}

static void test_rule_13_ready_callbacks_first_then_timers(void **state)
{
    /* Goal: FIFO, and a timer due now comes after what was ready. */
    (void)state;
    t_run(fifo_main, NULL);
    t_check_log("a b t0 a2 b2");
}

static void *handles_main(void *arg)
{
    skua_handle a = skua_call_soon(t_say, "a"), b = skua_call_soon(t_say, "b");
    skua_handle later = skua_call_later(1, t_say, "later"), at = skua_call_later(1, t_say, "at");
    T_EXPECT(a.id != 0 && b.id != 0 && later.id != 0 && at.id != 0);
    T_EXPECT(skua_handle_cancel(a));
    T_EXPECT(!skua_handle_cancel(a));
    T_EXPECT(skua_handle_cancel(later));
    T_EXPECT(!skua_handle_cancel(later));
    T_EXPECT_INT(skua_sleep(2), 0);
    T_EXPECT(!skua_handle_cancel(b));
    T_EXPECT(!skua_handle_cancel(at));
    T_EXPECT(!skua_handle_cancel((skua_handle){ 0 }));
    return arg;
}

static void test_rule_13_a_cancelled_handle_is_skipped(void **state)
{
    /* Goal: cancel says whether it prevented the call; each callback runs at most once. */
    (void)state;
    t_run(handles_main, NULL);
    t_check_log("b at");
}

struct partner {
    skua_handle other;
};

static void cancel_partner(void *arg)
{
    struct partner *p = arg;
    t_log("cut");
    T_EXPECT(skua_handle_cancel(p->other));
}

static void *same_batch_main(void *arg)
{
    struct partner p;
    skua_call_soon(cancel_partner, &p);
    p.other = skua_call_soon(t_say, "never");
    skua_call_soon(t_say, "last");
    skua_yield();
    return arg;
}

static void test_rule_13_a_handle_may_be_cancelled_inside_its_batch(void **state)
{
    /* Goal: one callback removes the next one of the same iteration. */
    (void)state;
    t_run(same_batch_main, NULL);
    t_check_log("cut last");
}

/* ---- rule 14 ---- */

static void *timers_main(void *arg)
{
    T_EXPECT_INT(skua_sleep(5), 0); /* so that there is a past */
    skua_call_later(0, t_say, "t");
    skua_call_soon(t_say, "a");
    skua_call_later(0.3, t_say, "three");
    skua_call_later(0.1, t_say, "one");
    skua_call_at(skua_loop_time() + 0.2, t_say, "two");
    skua_call_later(-1, t_say, "past");
    T_EXPECT_INT(skua_sleep(1), 0);
    return arg;
}

static void test_rule_14_timers_fire_by_deadline(void **state)
{
    /* Goal: delay zero goes through the timers, too; insertion order does not matter. */
    (void)state;
    t_run(timers_main, NULL);
    t_check_log("a past t one two three");
}

static void *equal_main(void *arg)
{
    static char words[5][2] = { "0", "1", "2", "3", "4" };
    for (int i = 0; i < 5; i++)
        skua_call_later(1, t_say, words[i]);
    T_EXPECT_INT(skua_sleep(2), 0);
    return arg;
}

static void test_rule_14_equal_deadlines_fire_in_order_of_insertion(void **state)
{
    /* Goal: what asyncio leaves open is first come, first served. */
    (void)state;
    t_run(equal_main, NULL);
    t_check_log("0 1 2 3 4");
}

static void *one_batch_main(void *arg)
{
    struct chain a = { "a", "a2" }, b = { "b", "b2" };
    skua_call_later(1, say_and_schedule, &a);
    skua_call_later(1, say_and_schedule, &b);
    T_EXPECT_INT(skua_sleep(2), 0);
    return arg;
}

static void test_rule_14_timers_due_together_are_one_batch(void **state)
{
    /* Goal: what the first of them schedules comes after the second. */
    (void)state;
    t_run(one_batch_main, NULL);
    t_check_log("a b a2 b2");
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_12_an_iteration_runs_what_was_ready_when_it_began),
    T_TEST(test_rule_12_a_loop_of_yields_does_not_starve_descriptors),
    T_TEST(test_rule_12_a_loop_of_yields_does_not_starve_timers),
    T_TEST(test_rule_13_ready_callbacks_first_then_timers),
    T_TEST(test_rule_13_a_cancelled_handle_is_skipped),
    T_TEST(test_rule_13_a_handle_may_be_cancelled_inside_its_batch),
    T_TEST(test_rule_14_timers_fire_by_deadline),
    T_TEST(test_rule_14_equal_deadlines_fire_in_order_of_insertion),
    T_TEST(test_rule_14_timers_due_together_are_one_batch),
};

T_MAIN(tests, NULL)
