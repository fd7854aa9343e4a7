/* SPDX-License-Identifier: MIT */
/* Goal: a loop or group that has outlived its runtime is over in every later runtime.
 * Cause: whether it is the caller's own was told by the address of its worker, which is freed with
 * its runtime; the next runtime's worker often gets that very memory. */
#include <errno.h>

#include "t.h"

static skua_group *kept;
static bool        dropped;

static void *make_group(void *unused)
{
    (void)unused;
    kept = skua_group_new();
    T_EXPECT(kept != NULL);
    return NULL;
}

static void *never(void *unused)
{
    T_EXPECT(false);
    return unused;
}

static void on_drop(void *unused)
{
    (void)unused;
    dropped = true;
}

static void call_never(void *unused)
{
    (void)never(unused);
}

static void serve_never(int conn, void *arg)
{
    (void)conn;
    (void)never(arg);
}

static void *use_stale(void *arg)
{
    skua_group *stale = arg;
    for (int i = 0; i < 3; i++) {
        int        err = 0;
        skua_task *t = skua_spawn(never, NULL, .group = stale, .drop = on_drop, .ret_err = &err);
        T_EXPECT(t == NULL);
        T_EXPECT_INT(err, -ESHUTDOWN);
    }
    return NULL;
}

static void *use_closed_loop(void *arg)
{
    skua_loop *stale = arg;
    int        err = 0;
    T_EXPECT(skua_spawn_threadsafe(stale, never, NULL, .ret_err = &err) == NULL);
    T_EXPECT_INT(err, -ESHUTDOWN);
    T_EXPECT_INT(skua_call_soon_threadsafe(stale, call_never, NULL), -ESHUTDOWN);
    skua_loop_stop(stale);
    int fd = skua_listen("127.0.0.1:0");
    T_EXPECT(fd >= 0);
    T_EXPECT_INT(skua_serve(fd, serve_never, NULL, .group = stale), -EINVAL);
    T_EXPECT_INT(skua_close(fd), 0);
    return use_stale(stale);
}

static void test_closed_loop_in_later_runtimes(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        skua_loop *loop = skua_loop_new(.workers = 1);
        assert_non_null(loop);
        assert_int_equal(skua_loop_close(loop), 0);
        t_run(use_closed_loop, loop, .workers = 1);
    }
    assert_false(dropped);
    t_check();
}

static void *release_stale(void *arg)
{
    skua_group *stale = arg;
    (void)use_stale(stale);
    skua_group_release(stale);
    skua_yield();
    (void)use_stale(stale); /* still readable, and counted by nobody */
    return NULL;
}

static void test_group_of_an_ended_run_released_in_later_ones(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) { /* more than are kept */
        t_run(make_group, NULL, .workers = 1);
        t_run(release_stale, kept, .workers = 1);
    }
    assert_false(dropped);
    t_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_loop_in_later_runtimes),
        cmocka_unit_test(test_group_of_an_ended_run_released_in_later_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
