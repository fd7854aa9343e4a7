/* SPDX-License-Identifier: MIT */
/* Goal: whatever a main leaves behind (tasks, timers, callbacks, open futures, variables, threads
 * of the pool), and however its runtime is made, the end takes all of it: memory, descriptors and
 * threads are as before after thousands of restarts, after a hundred thousand with the scenario
 * "many". */
#include "process.h"
#include "scale.h"
#include "t.h"

#include <stdio.h>
#include <stdlib.h>

enum { WARM = 300, RESTARTS = T_SCALE(3000, 300), MANY = 100000 };

static skua_var depth = SKUA_VAR_INIT("depth", NULL);
static skua_var text = SKUA_VAR_INIT("text", NULL, .release = free);

static void *leaf(void *arg)
{
    skua_yield();
    return arg;
}

static void *left_over(void *arg)
{
    int err = skua_sleep(1000);
    skua_yield();
    return err < 0 ? skua_fail(err) : arg;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void never(skua_task *task, void *arg)
{
    (void)task;
    (void)arg;
}

static void *blocks(void *arg)
{
    return skua_var_get(&depth) == arg ? arg : NULL;
}

/* Some of everything that a runtime makes on demand. */
static void *work(void *arg)
{
    unsigned how = (unsigned)(uintptr_t)arg;
    skua_task *t[4];
    int err = skua_var_set(&depth, arg, NULL);
    T_EXPECT_INT(skua_var_set(&text, strdup("text"), NULL), 0);
    for (unsigned i = 0; i < 4; i++)
        t[i] = i % 2 ? skua_go(leaf, arg) : skua_spawn(leaf, arg, .name = "leaf");
    if (err == 0)
        err = skua_gather(t, 4, NULL, SKUA_RELEASE);
    if (how % 3 == 0)
        skua_detach(how % 2 ? skua_go(left_over, arg) : skua_spawn(left_over, arg));
    if (how % 5 == 0) {
        skua_future *f = skua_future_new();
        SKUA_IGNORE(skua_add_done_callback(f, never, NULL));
        skua_release(f);
        skua_call_later(1000, nothing, NULL);
    }
    if (err == 0 && how % 7 == 0)
        err = skua_to_thread(blocks, arg, NULL);
    if (err == 0 && how % 11 == 0)
        err = skua_sleep(0.0001);
    return err < 0 ? skua_fail(err) : arg;
}

static int by_runner(void *arg, int workers, void **ret_value)
{
    skua_runner *r = skua_runner_new(.workers = workers);
    int err = r != NULL ? skua_runner_run(r, work, arg, NULL) : -ENOMEM;
    if (err == 0)
        err = skua_runner_run(r, work, arg, ret_value);
    int closed = skua_runner_close(r);
    return err < 0 ? err : closed;
}

static int by_loop(void *arg, int workers, void **ret_value)
{
    skua_loop *loop = skua_loop_new(.workers = workers);
    if (loop == NULL)
        return -ENOMEM;
    skua_task *t = skua_spawn(work, arg, .group = loop);
    int err = skua_loop_run_until_complete(loop, t, ret_value);
    skua_release(t);
    int closed = skua_loop_close(loop);
    return err < 0 ? err : closed;
}

static int restart(unsigned how)
{
    void *arg = T_PTR(how), *value = NULL;
    int workers = 1 + (int)(how % 3);
    int err;
    if (how % 4 == 0)
        err = by_runner(arg, workers, &value);
    else if (how % 4 == 1)
        err = by_loop(arg, workers, &value);
    else
        err = skua_run(work, arg, .workers = workers, .result = &value, .free_main = how % 8 == 2);
    return err == 0 && value != arg ? -EPROTO : err;
}

static void restart_often(int n)
{
    for (int i = 0; i < n; i++)
        T_EXPECT_INT(restart((unsigned)i), 0);
}

static void check_restarts(int n)
{
    restart_often(WARM); /* closed loops and runners are kept for a while */
    struct t_holdings before = t_holdings();
    long kib = t_resident_kib();
    restart_often(n);
    t_check();
    t_holds_the_same(before);
    long grown = t_resident_kib() - kib;
    if (!T_EMULATED && grown > T_SCALE(8192, 65536)) /* qemu-user keeps some of each thread */
        fail_msg("resident memory grew by %ld KiB", grown);
}

static void test_restarts_take_along_what_is_left_behind(void **state)
{
    (void)state;
    check_restarts(RESTARTS);
}

static void test_a_hundred_thousand_restarts(void **state)
{
    (void)state;
    check_restarts(MANY);
}

static int many_scenario(void)
{
    const struct CMUnitTest many[] = { T_TEST(test_a_hundred_thousand_restarts) };
    return cmocka_run_group_tests(many, NULL, NULL);
}

static const struct t_scenario scenarios[] = {
    { "many", many_scenario },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_restarts_take_along_what_is_left_behind),
};
T_MAIN(tests, scenarios)
