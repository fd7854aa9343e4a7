/* SPDX-License-Identifier: MIT */
/* Fork-join: every job is called once, wherever, and its join gives its result; what is defined at
 * the edges. */
#include "../support/t.h"

#include <pthread.h>
#include <stdlib.h>

/* ---- results ---- */

static void *fib(void *arg)
{
    uintptr_t n = (uintptr_t)arg;
    if (n < 2)
        return arg;
    skua_job left;
    skua_fork(&left, fib, (void *)(n - 1));
    uintptr_t right = (uintptr_t)fib((void *)(n - 2));
    return (void *)((uintptr_t)skua_fork_join(&left) + right);
}

static void test_a_fork_in_every_call(void **state)
{
    (void)state;
    t_run(fib, T_PTR(20), .want_value = T_PTR(6765));
    t_run(fib, T_PTR(20), .want_value = T_PTR(6765), .free_main = true);
    t_check();
}

enum { MANY = 3000 };

struct many {
    skua_job job[MANY];
    int      calls[MANY]; /* one writer each */
};

static struct many many;

static void *count_call(void *arg)
{
    many.calls[T_NUM(arg)]++;
    return T_PTR(T_NUM(arg) + 1);
}

static void fork_many(void)
{
    memset(&many, 0, sizeof many);
    for (int i = 0; i < MANY; i++)
        skua_fork(&many.job[i], count_call, T_PTR(i));
}

static void join_many(bool newest_first)
{
    int wrong = 0;
    for (int i = 0; i < MANY; i++) {
        int k = newest_first ? MANY - 1 - i : i;
        wrong += skua_fork_join(&many.job[k]) != T_PTR(k + 1) || many.calls[k] != 1;
    }
    T_EXPECT_INT(wrong, 0);
}

static void *any_order(void *arg)
{
    for (int i = 0; i < 4; i++) {
        fork_many();
        if (i & 1)
            skua_yield(); /* what was forked lies where its task has gone from */
        join_many(i < 2);
    }
    return arg;
}

static void test_more_jobs_than_the_deque_holds_in_any_order(void **state)
{
    (void)state;
    t_run(any_order, NULL);
    t_run(any_order, NULL, .free_main = true);
    t_check();
}

/* ---- jobs that suspend ---- */

static void nap_each(size_t begin, size_t end, void *arg)
{
    (void)arg;
    for (size_t i = begin; i < end; i++)
        T_EXPECT_INT(skua_sleep(1.0), 0);
}

static void *nap_together(void *arg)
{
    double begin = skua_loop_time();
    T_EXPECT_INT(skua_parallel_for(0, 64, 1, nap_each, NULL), 0);
    T_EXPECT(t_elapsed(begin) == 1.0);
    return arg;
}

static void test_what_is_forked_runs_while_its_task_sleeps(void **state)
{
    (void)state;
    t_run(nap_together, NULL);
    t_run(nap_together, NULL, .free_main = true);
    t_check();
}

static void *await_it(void *future)
{
    void *value = NULL;
    T_EXPECT_INT(skua_await(future, &value), 0);
    return value;
}

static void *set_what_the_job_awaits(void *arg)
{
    skua_future *f = skua_future_new();
    skua_job     job;
    skua_fork(&job, await_it, f);
    T_EXPECT_INT(skua_sleep(1.0), 0);
    skua_future_set_result(f, T_PTR(5));
    T_EXPECT_INT(T_NUM(skua_fork_join(&job)), 5);
    skua_release(f);
    return arg;
}

static void test_a_job_may_wait_for_its_task_which_suspends(void **state)
{
    (void)state;
    t_run(set_what_the_job_awaits, NULL);
    t_run(set_what_the_job_awaits, NULL, .free_main = true);
    t_check();
}

/* Tasks and jobs, one inside the other, some of which suspend. */
static void *mixed(void *arg)
{
    uintptr_t n = (uintptr_t)arg;
    if (n < 2) {
        if (n)
            skua_yield();
        return arg;
    }
    skua_job   first, third;
    void      *second = NULL;
    skua_fork(&first, mixed, (void *)(n - 1));
    skua_task *t = n % 3 ? skua_go(mixed, (void *)(n - 2))
                         : skua_spawn(mixed, (void *)(n - 2), .eager = true);
    skua_fork(&third, mixed, (void *)(n - 2));
    uintptr_t sum = (uintptr_t)skua_fork_join(&third);
    T_EXPECT_INT(skua_join(t, &second), 0);
    return (void *)(sum + (uintptr_t)second + (uintptr_t)skua_fork_join(&first));
}

static void test_tasks_and_jobs_inside_each_other(void **state)
{
    (void)state;
    /* m(n) = m(n-1) + 2 m(n-2): 0 1 1 3 5 11 21 43 85 171 341 */
    t_run(mixed, T_PTR(10), .want_value = T_PTR(341));
    t_run(mixed, T_PTR(10), .want_value = T_PTR(341), .free_main = true);
    t_check();
}

/* ---- cancelling ---- */

static void *nap_long(void *arg)
{
    T_EXPECT_INT(skua_sleep(2.0), 0);
    return arg;
}

static void *join_while_cancelled(void *arg)
{
    double   begin = skua_loop_time();
    skua_job job;
    (void)arg;
    skua_fork(&job, nap_long, T_PTR(3));
    T_EXPECT_INT(skua_sleep(0.5), 0);
    T_EXPECT_INT(T_NUM(skua_fork_join(&job)), 3);
    T_EXPECT(t_elapsed(begin) == 2.0);
    T_EXPECT_INT(skua_sleep(1.0), -ECANCELED);
    T_EXPECT(t_elapsed(begin) == 2.0);
    T_EXPECT_INT(skua_sleep(1.0), 0);
    return T_PTR(1);
}

static void *cancel_twice(void *is_free)
{
    void      *value = NULL;
    skua_task *t = is_free ? skua_go(join_while_cancelled, NULL)
                           : skua_spawn(join_while_cancelled, NULL);
    T_EXPECT_INT(skua_sleep(1.0), 0);
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_sleep(0.5), 0);
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, &value), 0);
    T_EXPECT_INT(T_NUM(value), 1);
    return NULL;
}

static void test_a_cancel_waits_for_the_join(void **state)
{
    (void)state;
    t_run(cancel_twice, NULL);
    t_run(cancel_twice, T_PTR(1));
    t_check();
}

static void *say_and_wait(void *arg)
{
    t_log("runs");
    T_EXPECT_INT(skua_sleep(1.0), -ECANCELED);
    return arg;
}

static void *cancel_all_but(void *main_task)
{
    skua_task *tasks[8];
    size_t     n = skua_all_tasks(tasks, 8);
    for (size_t i = 0; i < n; i++) {
        if (tasks[i] != main_task && tasks[i] != skua_current_task())
            skua_cancel(tasks[i], NULL);
        skua_release(tasks[i]);
    }
    return NULL;
}

static void *cancel_before_it_begins(void *arg)
{
    skua_task *t = skua_spawn(cancel_all_but, skua_current_task());
    skua_job   job;
    skua_fork(&job, say_and_wait, T_PTR(4));
    skua_yield(); /* now it is a task */
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(T_NUM(skua_fork_join(&job)), 4);
    return arg;
}

static void test_a_job_runs_even_if_its_task_is_cancelled_first(void **state)
{
    (void)state;
    t_run(cancel_before_it_begins, NULL);
    t_check_log("runs");
}

/* ---- context ---- */

static skua_var user = SKUA_VAR_INIT("user", "nobody");

static void *who(void *suspends)
{
    const char *name = skua_var_get(&user);
    if (suspends) {
        skua_yield();
        T_EXPECT_INT(skua_var_set(&user, "a job", NULL), 0);
        T_EXPECT_STR(skua_var_get(&user), "a job");
    }
    return (void *)name;
}

static void *variables(void *arg)
{
    skua_job given, kept;
    T_EXPECT_INT(skua_var_set(&user, "main", NULL), 0);
    for (int i = 0; i < 50; i++) {
        skua_fork(&given, who, T_PTR(1));
        T_EXPECT_INT(skua_sleep(0.001), 0); /* now it is a task */
        skua_fork(&kept, who, NULL);
        T_EXPECT_STR(skua_fork_join(&kept), "main");
        T_EXPECT_STR(skua_fork_join(&given), "main");
        T_EXPECT_STR(skua_var_get(&user), "main");
    }
    return arg;
}

static void test_a_job_has_the_variables_of_its_task(void **state)
{
    (void)state;
    t_run(variables, NULL);
    t_run(variables, NULL, .free_main = true);
    t_check();
}

/* ---- misuse ---- */

static void *same(void *arg)
{
    return arg;
}

static void *join_a_job_of_another(void *job)
{
    T_EXPECT_INT(skua_failed(skua_fork_join(job)), -EINVAL);
    return NULL;
}

static void *misuse(void *arg)
{
    skua_job job, never = { { 0 } };
    skua_fork(&job, same, T_PTR(1));
    skua_task *t = skua_go(join_a_job_of_another, &job);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT(skua_fork_join(&job) == T_PTR(1));
    T_EXPECT_INT(skua_failed(skua_fork_join(&job)), -EINVAL);
    T_EXPECT_INT(skua_failed(skua_fork_join(&never)), -EINVAL);
    T_EXPECT_INT(skua_failed(skua_fork_join(NULL)), -EINVAL);
    skua_fork(NULL, same, NULL);
    skua_fork(&job, NULL, NULL);
    T_EXPECT_INT(skua_failed(skua_fork_join(&job)), -EINVAL);
    T_EXPECT_INT(skua_failed(skua_fork_join(&job)), -EINVAL);
    return arg;
}

static void test_a_wrong_join_says_einval(void **state)
{
    (void)state;
    t_run(misuse, NULL);
    t_run(misuse, NULL, .free_main = true);
    t_check();
}

/* ---- where no task runs ---- */

static void add_up(size_t begin, size_t end, void *sum)
{
    (void)__atomic_fetch_add((size_t *)sum, (begin + end - 1) * (end - begin) / 2,
                             __ATOMIC_RELAXED);
}

static void *everything(void *arg)
{
    size_t   sum = 0;
    skua_job job;
    skua_fork(&job, same, T_PTR(9));
    T_EXPECT(skua_fork_join(&job) == T_PTR(9));
    T_EXPECT_INT(skua_failed(skua_fork_join(&job)), -EINVAL);
    T_EXPECT(fib(T_PTR(15)) == T_PTR(610));
    T_EXPECT_INT(skua_parallel_for(0, 1000, 7, add_up, &sum), 0);
    T_EXPECT_INT(sum, 499500);
    return arg;
}

static void in_a_callback(void *arg)
{
    (void)everything(arg);
    t_log("callback");
}

static void *outside_tasks(void *arg)
{
    skua_call_soon(in_a_callback, NULL);
    T_EXPECT_INT(skua_to_thread(everything, NULL, NULL), 0);
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return everything(arg);
}

static void test_without_a_task_it_is_serial(void **state)
{
    pthread_t thread;
    (void)state;
    (void)everything(NULL);
    assert_int_equal(pthread_create(&thread, NULL, everything, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    t_run(outside_tasks, NULL);
    t_check_log("callback");
}

/* ---- invoke ---- */

static void *fail_by(void *err)
{
    return T_NUM(err) < 0 ? skua_fail(T_NUM(err)) : err;
}

static void *no_argument(void *arg)
{
    T_EXPECT(arg == NULL);
    return NULL;
}

static void *invoke(void *arg)
{
    skua_fn fns[5] = { fail_by, fail_by, fail_by, fail_by, fail_by };
    void   *good[5] = { T_PTR(1), NULL, T_PTR(2), T_PTR(3), T_PTR(4) };
    void   *bad[5] = { T_PTR(1), T_PTR(-EIO), T_PTR(2), T_PTR(-EPIPE), T_PTR(-ECANCELED) };
    T_EXPECT_INT(skua_parallel_invoke(fns, good, 5), 0);
    T_EXPECT_INT(skua_parallel_invoke(fns, bad, 5), -EIO);
    T_EXPECT_INT(skua_parallel_invoke(fns + 2, bad + 2, 3), -EPIPE);
    T_EXPECT_INT(skua_parallel_invoke(fns + 4, bad + 4, 1), -ECANCELED);
    T_EXPECT_INT(skua_parallel_invoke(NULL, NULL, 0), 0);
    T_EXPECT_INT(skua_parallel_invoke(NULL, NULL, 1), -EINVAL);
    fns[3] = NULL;
    T_EXPECT_INT(skua_parallel_invoke(fns, bad, 5), -EINVAL);
    fns[0] = fns[1] = no_argument;
    T_EXPECT_INT(skua_parallel_invoke(fns, NULL, 2), 0);
    return arg;
}

static void test_invoke_gives_the_first_failure_by_index(void **state)
{
    (void)state;
    (void)invoke(NULL);
    t_run(invoke, NULL);
    t_run(invoke, NULL, .free_main = true);
    t_check();
}

/* ---- for ---- */

enum { COVER = 777 };

struct cover {
    int    calls[COVER]; /* one writer each */
    size_t base, grain;
};

static void cover_range(size_t begin, size_t end, void *arg)
{
    struct cover *c = arg;
    T_EXPECT(begin < end && (!c->grain || end - begin <= c->grain));
    for (size_t i = begin; i < end; i++)
        c->calls[i - c->base]++;
}

static void cover(size_t base, size_t n, size_t grain)
{
    static struct cover c;
    int                 wrong = 0;
    c = (struct cover){ .base = base, .grain = grain };
    T_EXPECT_INT(skua_parallel_for(base, base + n, grain, cover_range, &c), 0);
    for (size_t i = 0; i < COVER; i++)
        wrong += c.calls[i] != (i < n);
    T_EXPECT_INT(wrong, 0);
}

static void *loops(void *arg)
{
    static const size_t grains[] = { 0, 1, 2, 10, COVER - 1, COVER, COVER + 1, SIZE_MAX };
    for (size_t i = 0; i < sizeof grains / sizeof *grains; i++) {
        cover(0, COVER, grains[i]);
        cover(5, 1, grains[i]);
        cover(12, 13, grains[i]);
        cover(SIZE_MAX - COVER, COVER, grains[i]);
        cover(3, 0, grains[i]);
    }
    T_EXPECT_INT(skua_parallel_for(2, 1, 1, cover_range, NULL), -EINVAL);
    T_EXPECT_INT(skua_parallel_for(0, 1, 1, NULL, NULL), -EINVAL);
    return arg;
}

static void test_a_loop_covers_its_range_once(void **state)
{
    (void)state;
    (void)loops(NULL);
    t_run(loops, NULL);
    t_run(loops, NULL, .free_main = true);
    t_check();
}

/* ---- reduce ---- */

struct span {
    size_t begin, end;
    size_t parts;
};

static void *span_new(size_t begin, size_t end, size_t parts)
{
    struct span *s = malloc(sizeof *s);
    *s = (struct span){ begin, end, parts };
    return s;
}

static void *span_of(size_t begin, size_t end, void *errs)
{
    const int *err = errs;
    return err && begin < end && err[begin] ? skua_fail(err[begin]) : span_new(begin, end, 1);
}

/* Neighbours only, in order; frees what it takes over. */
static void *span_join(void *left, void *right, void *arg)
{
    struct span *a = skua_failed(left) ? NULL : left, *b = skua_failed(right) ? NULL : right;
    void        *both = skua_fail(-EIO);
    (void)arg;
    if (a && b) {
        T_EXPECT(a->end == b->begin);
        both = span_new(a->begin, b->end, a->parts + b->parts);
    }
    free(a);
    free(b);
    return both;
}

static void expect_span(size_t begin, size_t end, size_t grain)
{
    void *acc = NULL;
    int   r = skua_parallel_reduce(begin, end, grain, span_of, span_join, NULL, &acc);
    T_EXPECT_INT(r, 0);
    struct span *s = acc;
    T_EXPECT(s && s->begin == begin && s->end == end);
    T_EXPECT(s && (grain != 1 || begin == end || s->parts == end - begin));
    free(s);
}

static void *free_it(void *left, void *right, void *arg)
{
    free(skua_failed(left) ? NULL : left);
    free(skua_failed(right) ? NULL : right);
    (void)arg;
    return NULL;
}

static void *no_combining(void *left, void *right, void *arg)
{
    (void)free_it(left, right, arg);
    return skua_fail(-EDOM);
}

static int reduce_with(const int *errs, skua_combine_fn combine)
{
    void *acc = T_PTR(77);
    int   r = skua_parallel_reduce(0, 16, 1, span_of, combine, (void *)errs, &acc);
    T_EXPECT(acc == T_PTR(77));
    return r;
}

static void *reductions(void *arg)
{
    int errs[16] = { [5] = -EPERM, [6] = -EACCES, [15] = -ENOENT };
    expect_span(0, 1000, 1);
    expect_span(0, 1000, 0);
    expect_span(7, 8, 3);
    expect_span(9, 9, 1);
    expect_span(9, 9, 0);
    expect_span(SIZE_MAX - 100, SIZE_MAX, 9);
    T_EXPECT_INT(reduce_with(errs, span_join), -EPERM);
    errs[5] = 0;
    T_EXPECT_INT(reduce_with(errs, span_join), -EACCES);
    T_EXPECT_INT(reduce_with(errs, no_combining), -EACCES);
    T_EXPECT_INT(reduce_with((int[16]){ 0 }, no_combining), -EDOM);
    T_EXPECT_INT(skua_parallel_reduce(0, 9, 1, span_of, free_it, NULL, NULL), 0);
    T_EXPECT_INT(skua_parallel_reduce(2, 1, 1, span_of, free_it, NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_parallel_reduce(0, 1, 1, NULL, free_it, NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_parallel_reduce(0, 1, 1, span_of, NULL, NULL, NULL), -EINVAL);
    return arg;
}

static void test_a_reduction_combines_neighbours_in_order(void **state)
{
    (void)state;
    (void)reductions(NULL);
    t_run(reductions, NULL);
    t_run(reductions, NULL, .free_main = true);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_a_fork_in_every_call),
    T_TEST(test_more_jobs_than_the_deque_holds_in_any_order),
    T_TEST(test_what_is_forked_runs_while_its_task_sleeps),
    T_TEST(test_a_job_may_wait_for_its_task_which_suspends),
    T_TEST(test_tasks_and_jobs_inside_each_other),
    T_TEST(test_a_cancel_waits_for_the_join),
    T_TEST(test_a_job_runs_even_if_its_task_is_cancelled_first),
    T_TEST(test_a_job_has_the_variables_of_its_task),
    T_TEST(test_a_wrong_join_says_einval),
    T_TEST(test_without_a_task_it_is_serial),
    T_TEST(test_invoke_gives_the_first_failure_by_index),
    T_TEST(test_a_loop_covers_its_range_once),
    T_TEST(test_a_reduction_combines_neighbours_in_order),
};
T_MAIN(tests, NULL)
