/* SPDX-License-Identifier: MIT */
/* Goal: contexts and runners without memory: each allocation fails once; the call says -ENOMEM or
 * NULL, nothing has changed, a value is neither taken over nor released, and nothing is lost. */
#include "t.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

static int retained, released, handed_over, freed;

static void retain(void *value)
{
    (void)value;
    retained++;
}

static void release(void *value)
{
    (void)value;
    released++;
}

static void free_given(void *value)
{
    (void)value;
    freed++;
}

static skua_var plain = SKUA_VAR_INIT("plain", "default");
static skua_var kept = SKUA_VAR_INIT("kept", NULL, .retain = retain, .release = release);
static skua_var given = SKUA_VAR_INIT("given", NULL, .release = free_given);
static skua_var more[40];

static int set_one(void)
{
    skua_var_token token;
    int r = skua_var_set(&plain, "set", &token);
    return r == 0 ? skua_var_reset(&plain, token) : r;
}

static int set_counted(void)
{
    int before = retained - released;
    int r = skua_var_set(&kept, &kept, NULL);
    T_EXPECT(r == 0 || retained - released == before);
    before = freed;
    if (r == 0 && (r = skua_var_set(&given, &given, NULL)) == 0)
        handed_over++;
    T_EXPECT_INT(freed, before); /* otherwise it is still the caller's */
    return r;
}

static int set_many(void)
{
    for (int i = 0; i < 40; i++) {
        int r = skua_var_set(&more[i], &more[i], NULL);
        if (r < 0)
            return r;
        T_EXPECT(skua_var_get(&more[i]) == &more[i]);
    }
    return 0;
}

static void *give_back(void *arg)
{
    return arg;
}

static int by_name(void)
{
    skua_context *c = skua_context_copy();
    if (!c)
        return -ENOMEM;
    void *value = skua_context_run(c, give_back, "value");
    T_EXPECT(skua_failed(value) || strcmp(value, "value") == 0);
    int err = 0;
    skua_task *t = skua_current_task() ? skua_spawn(give_back, NULL, .context = c, .name = "named",
                                                    .ret_err = &err) : NULL;
    skua_context_release(c);
    if (t)
        SKUA_IGNORE(skua_join(t, NULL));
    return err < 0 ? err : skua_failed(value);
}

static int (*const cases[])(void) = { set_one, set_counted, set_many, by_name };

static void *run_case(void *number)
{
    int r = cases[T_NUM(number)]();
    return r < 0 ? skua_fail(r) : NULL;
}

/* Each in a fresh context, first with every allocation failing in turn. */
static void *fail_each(void *arg)
{
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int failures = 0, r = -ENOMEM;
        for (uint64_t nth = 1; r < 0 && nth < 500; nth++) {
            skua_context *fresh = skua_context_copy();
            rt_fault_alloc_arm(nth);
            r = skua_failed(skua_context_run(fresh, run_case, T_PTR(i)));
            rt_fault_alloc_arm(0);
            T_EXPECT(r == 0 || r == -ENOMEM);
            failures += r < 0;
            skua_context_release(fresh);
        }
        T_EXPECT_INT(r, 0);
        T_EXPECT(failures > 0);
        T_EXPECT_STR(skua_var_get(&plain), "default");
    }
    return arg;
}

static void *in_thread(void *arg)
{
    return fail_each(arg);
}

static void test_context_without_memory(void **state)
{
    (void)state;
    t_run(fail_each, NULL);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
    pthread_join(thread, NULL);
    t_check();
    assert_true(retained > 0);
    assert_int_equal(released, retained);
    assert_true(handed_over > 0);
    assert_int_equal(freed, handed_over);
}

static int use_runner(void)
{
    skua_runner *r = skua_runner_new(.workers = 2);
    if (!r)
        return -ENOMEM;
    int err = skua_runner_run(r, give_back, NULL, NULL);
    if (err < 0) /* it can be used all the same */
        T_EXPECT_INT(skua_runner_run(r, give_back, NULL, NULL), 0);
    T_EXPECT_INT(skua_runner_close(r), 0);
    return err;
}

static void test_runner_without_memory(void **state)
{
    (void)state;
    for (int i = 0; i < 70; i++) /* closed runners are kept for a while */
        assert_int_equal(use_runner(), 0);
    int64_t live = rt_mem_live();
    int     r = -ENOMEM;
    for (uint64_t nth = 1; r < 0 && nth < 500; nth++) {
        rt_fault_alloc_arm(nth);
        r = use_runner();
        rt_fault_alloc_arm(0);
        assert_true(r == 0 || r == -ENOMEM || r == -EAGAIN);
    }
    assert_int_equal(r, 0);
    assert_true(rt_mem_live() <= live);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_context_without_memory),
    T_TEST(test_runner_without_memory),
};
T_MAIN(tests, NULL)
