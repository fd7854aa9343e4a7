/* SPDX-License-Identifier: MIT */
/* map: a task group (rules 67 to 70) with a limit. Pinned, with free calls, and all free. */
#include "taskgroup_acts.h"

enum { N = 20 };

static struct {
    atomic_int running, most, begun;
} seen;

static void enter(void)
{
    int now = atomic_fetch_add(&seen.running, 1) + 1, most = atomic_load(&seen.most);
    while (now > most && !atomic_compare_exchange_weak(&seen.most, &most, now))
        ;
    atomic_fetch_add(&seen.begun, 1);
}

static void *square(void *arg)
{
    enter();
    int r = skua_sleep(0.1 * (1 + T_NUM(arg) % 3));
    atomic_fetch_sub(&seen.running, 1);
    return r < 0 ? skua_fail(r) : T_PTR(T_NUM(arg) * T_NUM(arg));
}

static void fill(void **args, int n)
{
    for (int i = 0; i < n; i++)
        args[i] = T_PTR(i);
    memset(&seen, 0, sizeof seen);
}

/* What varies: where the calls run. */
static void *each_way(void *main_fn)
{
    skua_fn fn;
    memcpy(&fn, main_fn, sizeof fn);
    for (int is_free = 0; is_free < 2; is_free++)
        (void)fn(T_PTR(is_free));
    return NULL;
}

static void all_ways(skua_fn fn)
{
    t_run(each_way, &fn);
    t_run(each_way, &fn, .free_main = true);
    t_check();
}

/* ---- order and limit ---- */

static void *limits(void *is_free)
{
    const size_t limit[] = { 0, 1, 3, N - 1, N, 1000 };
    for (size_t k = 0; k < sizeof limit / sizeof *limit; k++) {
        void *args[N], *results[N] = { 0 };
        int want = limit[k] && limit[k] < N ? (int)limit[k] : N;
        fill(args, N);
        T_EXPECT_INT(skua_map(square, args, N, results, .limit = limit[k],
                              .free = is_free != NULL), 0);
        for (int i = 0; i < N; i++)
            T_EXPECT_INT(T_NUM(results[i]), i * i);
        T_EXPECT_INT(atomic_load(&seen.most), want);
        T_EXPECT_INT(atomic_load(&seen.begun), N);
    }
    return NULL;
}

static void test_rule_68_map_keeps_argument_order_and_limit(void **state)
{
    (void)state;
    all_ways(limits);
}

static void *in_place(void *is_free)
{
    void *args[N];
    fill(args, N);
    T_EXPECT_INT(skua_map(square, args, N, args, .limit = 4, .free = is_free != NULL), 0);
    for (int i = 0; i < N; i++)
        T_EXPECT_INT(T_NUM(args[i]), i * i);
    T_EXPECT_INT(skua_map(square, args, N, NULL), 0);
    T_EXPECT_INT(skua_map(square, NULL, 0, NULL), 0);
    T_EXPECT_INT(skua_map_with(square, args, N, NULL, NULL), 0);
    return NULL;
}

static void test_rule_68_map_may_write_over_its_arguments(void **state)
{
    /* Goal: results may be args, or nothing; no calls are no calls. */
    (void)state;
    all_ways(in_place);
}

static void *say_number(void *arg)
{
    t_log("%d", T_NUM(arg));
    T_EXPECT_INT(skua_yield(), 0);
    return arg;
}

static void *begin_in_order(void *arg)
{
    void *args[6];
    fill(args, 6);
    T_EXPECT_INT(skua_map(say_number, args, 6, NULL, .limit = 2), 0);
    return arg;
}

static void test_rule_68_map_begins_in_argument_order(void **state)
{
    (void)state;
    t_run(begin_in_order, NULL);
    t_check_log("0 1 2 3 4 5");
}

/* ---- tasks are few ---- */

static void *tiny(void *arg)
{
    if (T_NUM(arg) % 1024 == 0)
        T_EXPECT(skua_all_tasks(NULL, 0) <= 2 * 4 + 2);
    return arg;
}

static void *huge(void *is_free)
{
    enum { HUGE_N = 20000 };
    static void *args[HUGE_N], *results[HUGE_N];
    fill(args, HUGE_N);
    T_EXPECT_INT(skua_map(tiny, args, HUGE_N, results, .limit = 4, .free = is_free != NULL), 0);
    for (int i = 0; i < HUGE_N; i++)
        if (results[i] != args[i])
            return T_EXPECT(results[i] == args[i]), NULL;
    return NULL;
}

static void test_rule_68_map_has_no_more_tasks_than_its_limit(void **state)
{
    (void)state;
    all_ways(huge);
}

/* ---- failures ---- */

static void *fail_at_seven(void *arg)
{
    enter();
    int r = skua_sleep(T_NUM(arg) == 7 ? 0.1 : 1.0 + T_NUM(arg) * 0.01);
    if (r < 0)
        return skua_fail(r);
    return T_NUM(arg) == 7 ? skua_fail(-EIO) : arg;
}

static void *first_failure(void *is_free)
{
    void *args[N], *results[N] = { 0 };
    double start = skua_loop_time();
    fill(args, N);
    T_EXPECT_INT(skua_map(fail_at_seven, args, N, results, .limit = 5, .free = is_free != NULL),
                 -EIO);
    /* 0 to 4, then 5 to 9 from 1.00 on; 7 begins at 1.02 and fails at 1.12 */
    T_EXPECT(t_elapsed(start) == 1.12);
    T_EXPECT_INT(atomic_load(&seen.begun), 10);
    for (int i = 0; i < N; i++)
        T_EXPECT_INT(skua_failed(results[i]), i < 5 ? 0 : i == 7 ? -EIO : -ECANCELED);
    T_EXPECT_INT(cancelling(), 0);
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return NULL;
}

static void test_rule_68_map_ends_with_the_first_error(void **state)
{
    /* Goal: the others are cancelled, the rest never begins, and every slot tells what became of
     * its call. */
    (void)state;
    all_ways(first_failure);
}

static void *fail_odd(void *arg)
{
    int r = skua_sleep(0.01);
    return r < 0 ? skua_fail(r) : T_NUM(arg) % 2 ? skua_fail(-T_NUM(arg)) : arg;
}

static void *keep_errors(void *is_free)
{
    void *args[N], *results[N] = { 0 };
    fill(args, N);
    T_EXPECT_INT(skua_map(fail_odd, args, N, results, .limit = 3, .free = is_free != NULL,
                          .flags = SKUA_RETURN_ERRORS), N / 2);
    for (int i = 0; i < N; i++)
        T_EXPECT(i % 2 ? skua_failed(results[i]) == -i : results[i] == args[i]);
    T_EXPECT_INT(skua_map(fail_odd, args, N, NULL, .flags = SKUA_RETURN_ERRORS), N / 2);
    return NULL;
}

static void test_rule_68_map_may_return_the_errors(void **state)
{
    (void)state;
    all_ways(keep_errors);
}

/* ---- a call that is cancelled by itself ---- */

static void *cancel_self_at_two(void *arg)
{
    if (T_NUM(arg) == 2)
        return skua_fail(-ECANCELED);
    int r = skua_sleep(1);
    return r < 0 ? skua_fail(r) : arg;
}

static void *cancelled_call(void *is_free)
{
    void *args[N], *results[N];
    fill(args, N);
    T_EXPECT_INT(skua_map(cancel_self_at_two, args, N, results, .free = is_free != NULL),
                 -ECANCELED);
    T_EXPECT_INT(cancelling(), 0);
    T_EXPECT_INT(skua_map(cancel_self_at_two, args, N, results, .limit = 2,
                          .free = is_free != NULL, .flags = SKUA_RETURN_ERRORS), 1);
    for (int i = 0; i < N; i++)
        T_EXPECT_INT(skua_failed(results[i]), i == 2 ? -ECANCELED : 0);
    return NULL;
}

static void test_rule_69_map_takes_a_cancelled_call_for_a_failure(void **state)
{
    /* Goal: unlike a child of a task group, a call without a result cannot be ignored. */
    (void)state;
    all_ways(cancelled_call);
}

/* ---- the caller is cancelled ---- */

struct mapper {
    bool is_free;
    size_t limit;
    unsigned flags;
    void *results[N];
};

static void *clean_up(void *arg)
{
    enter();
    int r = skua_sleep(5);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(skua_sleep(0.5), 0);
    atomic_fetch_sub(&seen.running, 1);
    return T_NUM(arg) == 1 ? arg : skua_fail(r);
}

static void *mapper(void *arg)
{
    struct mapper *m = arg;
    void *args[N];
    fill(args, N);
    int r = skua_map(clean_up, args, N, m->results, .limit = m->limit, .free = m->is_free,
                     .flags = m->flags);
    T_EXPECT_INT(atomic_load(&seen.running), 0);
    T_EXPECT_INT(cancelling(), 1);
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return skua_fail(r);
}

static void *cancelled_caller(void *is_free)
{
    struct mapper m[] = {
        { .is_free = is_free, .limit = 0 },
        { .is_free = is_free, .limit = 3 },
        { .is_free = is_free, .limit = 3, .flags = SKUA_RETURN_ERRORS },
    };
    for (size_t k = 0; k < sizeof m / sizeof *m; k++) {
        skua_task *t = skua_spawn(mapper, &m[k]);
        double start = skua_loop_time();
        T_EXPECT_INT(skua_sleep(0.1), 0);
        T_EXPECT(skua_cancel(t, NULL));
        T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
        T_EXPECT(t_elapsed(start) == 0.61);
        T_EXPECT_INT(atomic_load(&seen.begun), m[k].limit ? (int)m[k].limit : N);
        for (int i = 0; i < N; i++)
            T_EXPECT(i == 1 ? m[k].results[i] == T_PTR(1)
                            : skua_failed(m[k].results[i]) == -ECANCELED);
    }
    return NULL;
}

static void test_rule_70_map_waits_for_its_calls_when_the_caller_is_cancelled(void **state)
{
    (void)state;
    all_ways(cancelled_caller);
}

static void *timed_out(void *is_free)
{
    void *args[N], *results[N];
    skua_timeout limit;
    fill(args, N);
    T_EXPECT_INT(skua_timeout_enter(&limit, 0.15), 0);
    int r = skua_map(square, args, N, results, .limit = 2, .free = is_free != NULL);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(skua_timeout_exit(&limit, r), -ETIMEDOUT);
    T_EXPECT_INT(cancelling(), 0);
    T_EXPECT_INT(skua_failed(results[0]), 0);
    T_EXPECT_INT(skua_failed(results[1]), -ECANCELED);
    return NULL;
}

static void test_rule_70_map_within_a_time_limit(void **state)
{
    (void)state;
    all_ways(timed_out);
}

/* ---- contexts ---- */

static skua_var shade = SKUA_VAR_INIT("shade", NULL);

static void *write_shade(void *arg)
{
    T_EXPECT_INT(T_NUM(skua_var_get(&shade)), 7);
    T_EXPECT_INT(skua_var_set(&shade, T_PTR(100 + T_NUM(arg)), NULL), 0);
    int r = skua_sleep(0.01);
    return r < 0 ? skua_fail(r) : skua_var_get(&shade);
}

static void *contexts(void *is_free)
{
    void *args[N], *results[N];
    fill(args, N);
    T_EXPECT_INT(skua_var_set(&shade, T_PTR(7), NULL), 0);
    T_EXPECT_INT(skua_map(write_shade, args, N, results, .limit = 3, .free = is_free != NULL), 0);
    for (int i = 0; i < N; i++)
        T_EXPECT_INT(T_NUM(results[i]), 100 + i);
    T_EXPECT_INT(T_NUM(skua_var_get(&shade)), 7);
    return NULL;
}

static void test_rule_91_each_call_of_a_map_has_its_callers_context(void **state)
{
    /* Goal: a copy for each, not what the call before it in the lane left. */
    (void)state;
    all_ways(contexts);
}

/* ---- bad input ---- */

static void *bad_input(void *is_free)
{
    void *args[2] = { NULL, NULL };
    (void)is_free;
    T_EXPECT_INT(skua_map(NULL, args, 2, NULL), -EINVAL);
    T_EXPECT_INT(skua_map(square, NULL, 2, NULL), -EINVAL);
    T_EXPECT_INT(skua_map(square, args, 2, NULL, .flags = SKUA_RELEASE), -EINVAL);
    T_EXPECT_INT(skua_map(square, args, 2, NULL, .flags = 0x80), -EINVAL);
    T_EXPECT_INT(skua_map_with(square, args, 2, NULL, &(struct skua_map_opts){ .size = 3 }),
                 -EINVAL);
    T_EXPECT_INT(skua_map(square, args, SIZE_MAX / 2, NULL), -ENOMEM);
    T_EXPECT_INT(skua_map(square, args, SIZE_MAX, NULL, .limit = SIZE_MAX / 64), -ENOMEM);
    return NULL;
}

static int from_callback;

static void map_in_callback(void *args)
{
    from_callback = skua_map(square, args, 2, NULL);
}

static void *callback_main(void *args)
{
    T_EXPECT(skua_call_soon(map_in_callback, args).id != 0);
    T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT_INT(from_callback, -EPERM);
    return NULL;
}

static void test_rule_67_map_says_what_is_wrong(void **state)
{
    void *args[2] = { NULL, NULL };
    (void)state;
    all_ways(bad_input);
    t_run(callback_main, args);
    assert_int_equal(skua_map(square, args, 2, NULL), -EPERM);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_68_map_keeps_argument_order_and_limit),
    T_TEST(test_rule_68_map_may_write_over_its_arguments),
    T_TEST(test_rule_68_map_begins_in_argument_order),
    T_TEST(test_rule_68_map_has_no_more_tasks_than_its_limit),
    T_TEST(test_rule_68_map_ends_with_the_first_error),
    T_TEST(test_rule_68_map_may_return_the_errors),
    T_TEST(test_rule_69_map_takes_a_cancelled_call_for_a_failure),
    T_TEST(test_rule_70_map_waits_for_its_calls_when_the_caller_is_cancelled),
    T_TEST(test_rule_70_map_within_a_time_limit),
    T_TEST(test_rule_91_each_call_of_a_map_has_its_callers_context),
    T_TEST(test_rule_67_map_says_what_is_wrong),
};
T_MAIN(tests, NULL)
