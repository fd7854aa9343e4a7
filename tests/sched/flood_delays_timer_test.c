/* SPDX-License-Identifier: MIT */
/* Goal: a thread that posts faster than the loop runs what it posted does not starve the loop's
 * timers. Cause: all that had been posted joined the batch that began, timers stood behind it, and
 * while that batch ran even more was posted, so each batch was longer than the one before.
 * Method: a backlog is posted before a timer is set; it is counted how much of it runs before the
 * timer does. Nothing is measured in seconds. */
#include "t.h"

#include <pthread.h>

#include "base/atomic.h"
#include "sched/worker.h"

enum { BACKLOG = 20 * RT_MAIL_MAX };

static int ran, before_timer, out_of_order;

static void count(void *number)
{
    out_of_order += T_NUM(number) != ran;
    ran++;
}

static void on_timer(void *arg)
{
    (void)arg;
    before_timer = ran;
}

static void *post_all(void *loop)
{
    for (int i = 0; i < BACKLOG; i++)
        T_EXPECT_INT(skua_call_soon_threadsafe(loop, count, T_PTR(i)), 0);
    return NULL;
}

static void *main_task(void *arg)
{
    pthread_t thread;
    T_EXPECT_INT(pthread_create(&thread, NULL, post_all, skua_loop_current()), 0);
    pthread_join(thread, NULL);
    ran = out_of_order = 0;
    before_timer = -1;
    T_EXPECT(skua_call_later(0, on_timer, NULL).id != 0);
    while (ran < BACKLOG)
        T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT(before_timer >= 0);
    T_EXPECT(before_timer <= 2 * RT_MAIL_MAX);
    T_EXPECT_INT(out_of_order, 0);
    return arg;
}

static void test_a_flood_of_posts_does_not_starve_timers(void **state)
{
    (void)state;
    t_run(main_task, NULL, .real_time = true);
    t_check();
}

static int posted_before_end;

static void *leave_behind(void *arg)
{
    pthread_t thread;
    T_EXPECT_INT(pthread_create(&thread, NULL, post_all, skua_loop_current()), 0);
    pthread_join(thread, NULL);
    posted_before_end = 1;
    return arg;
}

static void test_what_is_left_of_a_flood_is_dropped_at_the_end(void **state)
{
    /* Goal: nothing is leaked, which AddressSanitizer and the next run would tell. */
    (void)state;
    t_run(leave_behind, NULL, .real_time = true);
    assert_int_equal(posted_before_end, 1);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_a_flood_of_posts_does_not_starve_timers),
    T_TEST(test_what_is_left_of_a_flood_is_dropped_at_the_end),
};
static const struct t_scenario scenarios[] = { { 0 } };
T_MAIN(tests, scenarios)
