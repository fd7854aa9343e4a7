/* SPDX-License-Identifier: MIT */
/* Threads that block and threads outside: rules 72 to 75 of asyncio. */
#include "../support/t.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* ---- rule 72 ---- */

static void *thread_id(void *arg)
{
    *(pid_t *)arg = gettid();
    T_EXPECT(skua_current_task() == NULL);
    T_EXPECT_INT(skua_sleep(0), -EPERM);
    return T_PTR(6);
}

static void *fail_in_thread(void *arg)
{
    return arg ? skua_failf(T_NUM(arg), "thread said %d", 5) : NULL;
}

static void *to_thread_main(void *arg)
{
    pid_t there = 0;
    void *value = NULL;
    T_EXPECT_INT(skua_to_thread(thread_id, &there, &value), 0);
    T_EXPECT(value == T_PTR(6));
    T_EXPECT(there != 0 && there != gettid());
    value = T_PTR(1);
    T_EXPECT_INT(skua_to_thread(fail_in_thread, T_PTR(-EIO), &value), -EIO);
    T_EXPECT(value == T_PTR(1));
    T_EXPECT_INT(skua_to_thread(fail_in_thread, NULL, &value), 0);
    T_EXPECT(value == NULL);
    return arg;
}

static void test_rule_72_to_thread_gives_result_and_error(void **state)
{
    /* Goal: the function runs in another thread, is no task there, and its end comes back. */
    (void)state;
    t_run(to_thread_main, NULL);
}

static pthread_barrier_t meeting;

static void *meet(void *arg)
{
    pthread_barrier_wait(&meeting);
    return arg;
}

static void *meet_task(void *arg)
{
    void *value = NULL;
    int r = skua_to_thread(meet, arg, &value);
    return r < 0 ? skua_fail(r) : value;
}

static void *concurrent_main(void *arg)
{
    enum { N = 4 };
    skua_task *t[N];
    void *results[N];
    for (int i = 0; i < N; i++)
        t[i] = skua_spawn(meet_task, T_PTR(i + 1));
    T_EXPECT_INT(skua_gather(t, N, results, SKUA_RELEASE), 0);
    for (int i = 0; i < N; i++)
        T_EXPECT(results[i] == T_PTR(i + 1));
    return arg;
}

static void test_rule_72_calls_run_side_by_side(void **state)
{
    /* Goal: four functions that wait for each other all get a thread. */
    (void)state;
    pthread_barrier_init(&meeting, NULL, 4);
    t_run(concurrent_main, NULL);
    pthread_barrier_destroy(&meeting);
}

static void *nap_briefly(void *arg)
{
    t_nap(0.05);
    return arg;
}

static void *nap_task(void *arg)
{
    SKUA_IGNORE(skua_to_thread(nap_briefly, arg, NULL));
    t_log("back");
    return arg;
}

static void *loop_runs_main(void *arg)
{
    skua_task *t = skua_spawn(nap_task, NULL);
    skua_yield();
    t_log("meanwhile");
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return arg;
}

static void test_rule_72_the_loop_goes_on_meanwhile(void **state)
{
    /* Goal: only the calling task waits. */
    (void)state;
    t_run(loop_runs_main, NULL);
    t_check_log("meanwhile back");
}

static atomic_bool lane_open;

static void *until_open(void *arg)
{
    while (!atomic_load(&lane_open))
        t_nap(0.001);
    return arg;
}

static void *lanes_main(void *arg)
{
    enum { N = 6 };
    skua_task *t[N];
    void *value = NULL;
    int err = 0;
    atomic_store(&lane_open, false);
    for (int i = 0; i < N; i++)
        T_EXPECT((t[i] = skua_spawn_thread(until_open, T_PTR(i), .lane = "dns")) != NULL);
    T_EXPECT_INT(skua_to_thread(fail_in_thread, NULL, &value), 0);
    T_EXPECT_INT(skua_to_thread(fail_in_thread, NULL, &value, .lane = "file"), 0);
    struct skua_lane_stats dns = { .size = sizeof dns };
    T_EXPECT_INT(skua_lane_stats_get("dns", &dns), 0);
    T_EXPECT_INT(dns.threads, dns.threads_max);
    T_EXPECT_INT(dns.queued + dns.running, N);
    T_EXPECT_INT(skua_to_thread(fail_in_thread, NULL, &value, .lane = "mail"), -EINVAL);
    T_EXPECT(skua_spawn_thread(until_open, NULL, .lane = "mail", .ret_err = &err) == NULL);
    T_EXPECT_INT(err, -EINVAL);
    atomic_store(&lane_open, true);
    T_EXPECT_INT(skua_gather(t, N, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_rule_72_a_full_lane_keeps_no_other_waiting(void **state)
{
    /* Goal: names that hang do not keep files waiting; a lane that is not there is an error. */
    (void)state;
    t_run(lanes_main, NULL);
}

/* ---- rule 73 ---- */

struct slow_call {
    atomic_bool started, finished;
    bool abandon;
    size_t copy;
};

static struct slow_call slow;

static void *slow_function(void *arg)
{
    atomic_store(&slow.started, true);
    t_nap(0.2);
    atomic_store(&slow.finished, true);
    return arg;
}

static void *await_slow(void *arg)
{
    char word[8] = "copied";
    void *value = T_PTR(1);
    int r = skua_to_thread(slow_function, word, &value, .abandon = slow.abandon,
                           .copy = slow.copy);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT(value == T_PTR(1));
    (void)arg;
    return skua_fail(r);
}

static void *cancel_slow_main(void *arg)
{
    skua_task *t = skua_spawn(await_slow, NULL);
    while (!atomic_load(&slow.started))
        SKUA_IGNORE(skua_yield());
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    bool waited = !slow.abandon && slow.copy == 0;
    T_EXPECT_INT(atomic_load(&slow.finished), waited);
    return arg;
}

static void run_slow(bool abandon, size_t copy)
{
    atomic_store(&slow.started, false);
    atomic_store(&slow.finished, false);
    slow.abandon = abandon;
    slow.copy = copy;
    t_run(cancel_slow_main, NULL, .real_time = true);
    while (!atomic_load(&slow.finished))
        t_nap(0.01);
}

static void test_rule_73_a_cancelled_await_waits_for_its_function(void **state)
{
    /* Goal: the function may be writing into the caller's frame: the frame stays until it ends. */
    (void)state;
    run_slow(false, 0);
}

static void test_rule_73_with_a_copy_or_abandoned_it_returns_at_once(void **state)
{
    /* Goal: asyncio's behaviour, where the caller says that nothing of his is shared. */
    (void)state;
    run_slow(true, 0);
    run_slow(false, 8);
}

static atomic_int calls_run;

static void *count_call(void *arg)
{
    atomic_fetch_add(&calls_run, 1);
    t_nap(0.1);
    return arg;
}

static void *call_task(void *arg)
{
    int r = skua_to_thread(count_call, arg, NULL);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *queued_main(void *arg)
{
    skua_task *first = skua_spawn(call_task, NULL), *second = skua_spawn(call_task, NULL);
    skua_yield();
    while (atomic_load(&calls_run) == 0)
        SKUA_IGNORE(skua_yield());
    T_EXPECT(skua_cancel(second, NULL));
    T_EXPECT_INT(skua_join(second, NULL), -ECANCELED);
    T_EXPECT(!skua_done(first));
    T_EXPECT_INT(skua_join(first, NULL), 0);
    return arg;
}

static void test_rule_73_a_queued_call_is_really_cancelled(void **state)
{
    /* Goal: with one thread the second call waits in the queue; cancelled, it never starts. */
    (void)state;
    atomic_store(&calls_run, 0);
    t_run(queued_main, NULL, .real_time = true, .blocking_threads = 1);
    assert_int_equal(atomic_load(&calls_run), 1);
}

static atomic_int token_calls;

static void *until_token(void *arg)
{
    skua_token *token = arg;
    atomic_fetch_add(&token_calls, 1);
    while (!skua_token_is_set(token))
        t_nap(0.001);
    return skua_fail(-EINTR);
}

static void *await_token(void *token)
{
    int r = skua_to_thread(until_token, token, NULL, .token = token);
    T_EXPECT_INT(r, -ECANCELED);
    return skua_fail(r);
}

static void *token_main(void *arg)
{
    static skua_token token = SKUA_TOKEN_INIT;
    skua_task *t = skua_spawn(await_token, &token);
    while (atomic_load(&token_calls) == 0) /* one that has not begun is only taken back */
        T_EXPECT_INT(skua_sleep(0.001), 0);
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT(skua_token_is_set(&token));
    return arg;
}

static void test_rule_73_a_token_tells_the_function_to_stop(void **state)
{
    /* Goal: cancelling the await sets the token of a call that runs. */
    (void)state;
    t_run(token_main, NULL, .real_time = true);
}

static int silent[2]; /* a pipe that nobody writes to */
static atomic_int readers, interrupted;

static void *read_silent(void *arg)
{
    char c;
    atomic_fetch_add(&readers, 1);
    while (read(silent[0], &c, 1) < 0 && errno != EINTR)
        continue;
    atomic_fetch_add(&interrupted, 1);
    return arg;
}

static void *await_read(void *arg)
{
    int r = skua_to_thread(read_silent, arg, NULL, .interrupt = true);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(atomic_load(&interrupted), 1);
    return skua_fail(r);
}

static void *interrupt_main(void *arg)
{
    skua_task *t = skua_spawn(await_read, NULL);
    while (atomic_load(&readers) == 0)
        SKUA_IGNORE(skua_yield());
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    return arg;
}

static void *leave_readers_main(void *arg)
{
    for (int i = 0; i < 3; i++)
        skua_detach(skua_spawn_thread(read_silent, NULL, .interrupt = true, .lane = "file"));
    while (atomic_load(&readers) < 3)
        SKUA_IGNORE(skua_yield());
    return arg;
}

static void run_readers(skua_fn main, int count)
{
    atomic_store(&readers, 0);
    atomic_store(&interrupted, 0);
    assert_int_equal(pipe(silent), 0);
    t_run(main, NULL);
    assert_int_equal(atomic_load(&interrupted), count);
    close(silent[0]);
    close(silent[1]);
}

static void test_rule_73_interrupt_ends_a_read_that_waits(void **state)
{
    /* Goal: the await of a cancelled call ends although nothing ever comes through the pipe. */
    (void)state;
    run_readers(interrupt_main, 1);
}

/* ---- rule 74 ---- */

static void test_rule_74_the_end_of_run_interrupts_its_threads(void **state)
{
    /* Goal: functions that nothing else would end do not hold up the end of run. */
    (void)state;
    run_readers(leave_readers_main, 3);
}

static void *submit_main(void *arg)
{
    atomic_store(&slow.started, false);
    atomic_store(&slow.finished, false);
    skua_task *t = skua_spawn_thread(slow_function, T_PTR(3));
    T_EXPECT(t != NULL);
    while (!atomic_load(&slow.started))
        t_nap(0.001);
    T_EXPECT(!skua_done(t));
    void *value = NULL;
    T_EXPECT_INT(skua_join(t, &value), 0);
    T_EXPECT(value == T_PTR(3));
    t = skua_spawn_thread(fail_in_thread, T_PTR(-EIO));
    T_EXPECT_INT(skua_await(t, NULL), -EIO);
    T_EXPECT_STR(skua_error_message(t), "thread said 5");
    skua_release(t);
    return arg;
}

static void test_rule_74_spawn_thread_submits_at_the_call(void **state)
{
    /* Goal: the function starts while its caller has not suspended; the handle is a future. */
    (void)state;
    t_run(submit_main, NULL);
}

static void test_rule_74_there_is_no_pool_without_a_runtime(void **state)
{
    /* Goal: before and after run, a submit fails and says why. */
    (void)state;
    int err = 0;
    assert_null(skua_spawn_thread(fail_in_thread, NULL, .ret_err = &err));
    assert_int_equal(err, -EPERM);
    t_run(submit_main, NULL);
    err = 0;
    assert_null(skua_spawn_thread(fail_in_thread, NULL, .ret_err = &err));
    assert_true(err == -EPERM || err == -ESHUTDOWN);
    assert_int_equal(skua_to_thread(fail_in_thread, NULL, NULL), -EPERM);
}

static void *leave_slow_main(void *arg)
{
    atomic_store(&slow.started, false);
    atomic_store(&slow.finished, false);
    skua_detach(skua_spawn_thread(slow_function, NULL));
    while (!atomic_load(&slow.started))
        t_nap(0.001);
    return arg;
}

static void test_rule_74_run_waits_for_its_threads(void **state)
{
    /* Goal: a function still running when main ends is joined before run returns. */
    (void)state;
    t_run(leave_slow_main, NULL);
    assert_true(atomic_load(&slow.finished));
}

/* ---- rule 75 ---- */

struct outside {
    skua_loop *loop;
    skua_fn body;
    void *arg;
    void (*use)(skua_task *task);
    skua_future *finished;
};

static void *outside_thread(void *arg)
{
    struct outside *o = arg;
    skua_task *t = skua_spawn_threadsafe(o->loop, o->body, o->arg);
    if (T_EXPECT(t != NULL)) {
        o->use(t);
        skua_release(t);
    }
    T_EXPECT(skua_future_set_result(o->finished, NULL));
    return NULL;
}

static void *outside_main(void *arg)
{
    struct outside *o = arg;
    pthread_t thread;
    o->loop = skua_loop_current();
    o->finished = skua_future_new();
    pthread_create(&thread, NULL, outside_thread, o);
    T_EXPECT_INT(skua_await(o->finished, NULL), 0);
    pthread_join(thread, NULL);
    skua_release(o->finished);
    return NULL;
}

static void run_outside(skua_fn body, void *arg, void (*use)(skua_task *))
{
    struct outside o = { .body = body, .arg = arg, .use = use };
    t_run(outside_main, &o, .real_time = true);
}

static void *sleep_then(void *end)
{
    int r = skua_sleep(0.02);
    return r < 0 ? skua_fail(r) : end;
}

static void *sleep_long(void *arg)
{
    int r = skua_sleep(20);
    t_log(r == -ECANCELED ? "cut" : "slept");
    return r < 0 ? skua_fail(r) : arg;
}

static void use_result(skua_task *task)
{
    void *value = NULL;
    T_EXPECT_INT(skua_wait_blocking(task, INFINITY, &value), 0);
    T_EXPECT(value == T_PTR(8));
    T_EXPECT_INT(skua_wait_blocking(task, 0, &value), 0);
}

static void use_error(skua_task *task)
{
    void *value = T_PTR(1);
    T_EXPECT_INT(skua_wait_blocking(task, 10, &value), -EIO);
    T_EXPECT(value == T_PTR(1));
}

static void use_cancel(skua_task *task)
{
    T_EXPECT_INT(skua_wait_blocking(task, 0.02, NULL), -ETIMEDOUT);
    T_EXPECT(!skua_done(task));
    T_EXPECT_INT(skua_cancelling(task), 0);
    T_EXPECT_INT(skua_wait_blocking(task, 0, NULL), -ETIMEDOUT);
    T_EXPECT(skua_cancel(task, NULL));
    T_EXPECT_INT(skua_wait_blocking(task, INFINITY, NULL), -ECANCELED);
    T_EXPECT(skua_cancelled(task));
    T_EXPECT(!skua_cancel(task, NULL));
}

static void test_rule_75_a_thread_outside_spawns_and_waits(void **state)
{
    /* Goal: value and error of the task reach the blocked thread. */
    (void)state;
    run_outside(sleep_then, T_PTR(8), use_result);
    run_outside(sleep_then, skua_fail(-EIO), use_error);
}

static void test_rule_75_its_timeout_cancels_nothing_its_cancel_does(void **state)
{
    /* Goal: -ETIMEDOUT leaves the task alone; cancel from outside is delivered in the loop. */
    (void)state;
    run_outside(sleep_long, NULL, use_cancel);
    t_check_log("cut");
}

static void *blocking_inside_main(void *arg)
{
    skua_future *f = skua_future_new();
    T_EXPECT(skua_wait_blocking(f, 1, NULL) < 0);
    skua_release(f);
    return arg;
}

static void test_rule_75_blocking_the_loop_on_itself_is_refused(void **state)
{
    /* Goal: wait_blocking is for plain threads; in a task it is an error, not a hang. */
    (void)state;
    t_run(blocking_inside_main, NULL);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_72_to_thread_gives_result_and_error),
    T_TEST(test_rule_72_calls_run_side_by_side),
    T_TEST(test_rule_72_the_loop_goes_on_meanwhile),
    T_TEST(test_rule_72_a_full_lane_keeps_no_other_waiting),
    T_TEST(test_rule_73_a_cancelled_await_waits_for_its_function),
    T_TEST(test_rule_73_with_a_copy_or_abandoned_it_returns_at_once),
    T_TEST(test_rule_73_a_queued_call_is_really_cancelled),
    T_TEST(test_rule_73_a_token_tells_the_function_to_stop),
    T_TEST(test_rule_73_interrupt_ends_a_read_that_waits),
    T_TEST(test_rule_74_the_end_of_run_interrupts_its_threads),
    T_TEST(test_rule_74_spawn_thread_submits_at_the_call),
    T_TEST(test_rule_74_there_is_no_pool_without_a_runtime),
    T_TEST(test_rule_74_run_waits_for_its_threads),
    T_TEST(test_rule_75_a_thread_outside_spawns_and_waits),
    T_TEST(test_rule_75_its_timeout_cancels_nothing_its_cancel_does),
    T_TEST(test_rule_75_blocking_the_loop_on_itself_is_refused),
};

T_MAIN(tests, NULL)
