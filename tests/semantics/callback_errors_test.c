/* SPDX-License-Identifier: MIT */
/* What goes wrong in and with callbacks: of asyncio's rules 16 and 17 the part that needs neither a
 * handler for errors nor debug mode. */
#include "../support/t.h"

#include <pthread.h>

/* ---- rule 16 ---- */

static void wait_in_callback(void *event)
{
    T_EXPECT_INT(skua_yield(), -EPERM);
    T_EXPECT_INT(skua_sleep(1), -EPERM);
    T_EXPECT_INT(skua_event_wait(event), -EPERM);
    t_log("bad");
}

static void *fail_at_once(void *arg)
{
    t_log("fails");
    return skua_fail(-EIO);
}

static void *errors_main(void *arg)
{
    skua_event event = SKUA_EVENT_INIT;
    skua_call_soon(t_say, "before");
    skua_call_soon(wait_in_callback, &event);
    skua_task *t = skua_spawn(fail_at_once, NULL);
    skua_call_soon(t_say, "after");
    skua_call_later(1, wait_in_callback, &event);
    skua_call_later(1, t_say, "later");
    T_EXPECT_INT(skua_join(t, NULL), -EIO);
    T_EXPECT_INT(skua_sleep(2), 0);
    return arg;
}

static void test_rule_16_an_error_in_a_callback_or_task_stops_nothing_else(void **state)
{
    /* Goal: what follows in the same batch runs, callbacks, tasks and timers alike. */
    (void)state;
    t_run(errors_main, NULL);
    t_check_log("before bad fails after bad later");
}

/* ---- rule 17 ---- */

static void *schedule_elsewhere(void *arg)
{
    T_EXPECT(skua_call_soon(t_say, "never").id == 0);
    T_EXPECT(skua_call_later(0, t_say, "never").id == 0);
    T_EXPECT(skua_call_at(0, t_say, "never").id == 0);
    return arg;
}

static void *wrong_thread_main(void *arg)
{
    pthread_t thread;
    T_EXPECT_INT(pthread_create(&thread, NULL, schedule_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    T_EXPECT_INT(skua_to_thread(schedule_elsewhere, NULL, NULL), 0);
    T_EXPECT_INT(skua_join(skua_go(schedule_elsewhere, NULL), NULL), 0); /* on no loop */
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return arg;
}

static void test_rule_17_a_call_from_the_wrong_thread_schedules_nothing(void **state)
{
    /* Goal: without debug mode as well: there is no loop by accident. */
    (void)state;
    schedule_elsewhere(NULL);
    t_run(wrong_thread_main, NULL, .real_time = true);
    t_check_log("");
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_16_an_error_in_a_callback_or_task_stops_nothing_else),
    T_TEST(test_rule_17_a_call_from_the_wrong_thread_schedules_nothing),
};

T_MAIN(tests, NULL)
