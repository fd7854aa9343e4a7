/* SPDX-License-Identifier: MIT */
/* Goal: the pool is bounded, reuses its threads, keeps the order, survives failures, and ends with
 * its runtime, whatever its jobs do. Method: jobs that wait at gates, run from small runtimes. */
#include "expect.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aio/pool.h"
#include "base/mem.h"
#include "base/sys.h"

static RT_ATOMIC(int) inside, most, calls;
static int wanted; /* at once, before anybody leaves */

static void reset(void)
{
    rt_init(&inside, 0);
    rt_init(&most, 0);
    rt_init(&calls, 0);
}

/* How many are in at once. */
static void *crowd(void *arg)
{
    int now = rt_add_sc(&inside, 1) + 1, before = rt_load_sc(&most);
    while (now > before && !rt_cas_sc(&most, &before, now)) {
    }
    for (int i = 0; i < 5000 && rt_load_sc(&most) < wanted; i++)
        nap(0.001);
    nap(0.001); /* long enough to meet one too many */
    (void)rt_sub_sc(&inside, 1);
    (void)rt_add_sc(&calls, 1);
    return arg;
}

static void *call_crowd(void *arg)
{
    void *back = NULL;
    EXPECT_INT(skua_to_thread(crowd, arg, &back), 0);
    EXPECT(back == arg);
    return NULL;
}

static void *limit_main(void *limit)
{
    skua_task *tasks[24];
    for (int i = 0; i < 24; i++)
        tasks[i] = skua_go(call_crowd, NUM(i));
    EXPECT_INT(skua_gather(tasks, 24, NULL, SKUA_RELEASE), 0);
    EXPECT_INT(rt_load_sc(&calls), 24);
    EXPECT(rt_load_sc(&most) <= (int)(intptr_t)limit);
    return NULL;
}

static void test_pool_more_jobs_than_threads_stays_at_the_limit(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        for (int limit = 1; limit <= 4; limit++) {
            reset();
            wanted = limit;
            assert_int_equal(skua_run(limit_main, NUM(limit), .workers = workers,
                                      .blocking_threads = limit), 0);
            assert_int_equal(rt_load_sc(&most), limit);
        }
    }
    reset();
    wanted = 5; /* cpus + 4 */
    assert_int_equal(skua_run(limit_main, NUM(32), .workers = 2), 0);
    assert_in_range(rt_load_sc(&most), 5, 32);
    wanted = 0;
    assert_all_held();
}

static void *reuse_main(void *arg)
{
    rt_fault_reset(); /* the workers run by now */
    for (int i = 0; i < 200; i++) {
        EXPECT_INT(skua_sleep(0.0001), 0); /* lets the thread become idle */
        EXPECT_INT(skua_to_thread(crowd, NULL, NULL), 0);
    }
    EXPECT_INT(rt_load_sc(&calls), 200);
    unsigned made = rt_fault_uses(RT_SYS_THREAD_CREATE);
    EXPECT(made >= 1 && made <= 4); /* one, if the machine lets it become idle in time */
    return NULL;
}

static void test_pool_one_job_after_the_other_uses_one_thread(void **state)
{
    reset();
    assert_int_equal(skua_run(reuse_main, NULL, .workers = 1), 0);
    assert_all_held();
}

/* Two that need each other: an idle thread may not be counted for both. */
static struct gate meeting = GATE_INIT;

static void *meet(void *arg)
{
    pthread_mutex_lock(&meeting.mutex);
    int round = meeting.came++ / 2;
    pthread_cond_broadcast(&meeting.cond);
    while (meeting.came < (round + 1) * 2)
        pthread_cond_wait(&meeting.cond, &meeting.mutex);
    pthread_mutex_unlock(&meeting.mutex);
    return NULL;
}

static void *meet_main(void *arg)
{
    for (int i = 0; i < 300; i++) {
        skua_task *pair[2] = { skua_spawn_thread(meet, NULL), skua_spawn_thread(meet, NULL) };
        EXPECT_INT(skua_gather(pair, 2, NULL, SKUA_RELEASE), 0);
    }
    return NULL;
}

static void test_pool_two_jobs_that_need_each_other_both_run(void **state)
{
    assert_int_equal(skua_run(meet_main, NULL, .workers = 2, .blocking_threads = 3), 0);
    assert_all_held();
}

static int order[64];

static void *note_order(void *arg)
{
    order[rt_add_sc(&calls, 1)] = (int)(intptr_t)arg;
    return NULL;
}

static void *fifo_main(void *arg)
{
    skua_task *tasks[64];
    for (int i = 0; i < 64; i++)
        tasks[i] = skua_spawn_thread(note_order, NUM(i));
    EXPECT_INT(skua_gather(tasks, 64, NULL, SKUA_RELEASE), 0);
    return NULL;
}

static void test_pool_one_thread_keeps_the_order(void **state)
{
    reset();
    assert_int_equal(skua_run(fifo_main, NULL, .workers = 1, .blocking_threads = 1), 0);
    for (int i = 0; i < 64; i++)
        assert_int_equal(order[i], i);
    assert_all_held();
}

/* --- failures --- */

static void *no_thread_main(void *arg)
{
    int err = 0;
    rt_fault_arm(RT_SYS_THREAD_CREATE, 1, EAGAIN);
    EXPECT_INT(skua_to_thread(crowd, NULL, NULL), -EAGAIN);
    rt_fault_arm(RT_SYS_THREAD_CREATE, 1, EAGAIN);
    EXPECT(!skua_spawn_thread(crowd, NULL, .ret_err = &err));
    EXPECT_INT(err, -EAGAIN);
    EXPECT_INT(skua_to_thread(crowd, NULL, NULL), 0);
    rt_fault_arm_from(RT_SYS_THREAD_CREATE, 1, EAGAIN);
    skua_task *tasks[5];
    for (int i = 0; i < 5; i++)
        tasks[i] = skua_spawn_thread(crowd, NULL);
    EXPECT_INT(skua_gather(tasks, 5, NULL, SKUA_RELEASE), 0);
    rt_fault_reset();
    EXPECT_INT(rt_load_sc(&calls), 6);
    EXPECT_INT(rt_load_sc(&most), 1);
    return NULL;
}

static void test_pool_no_thread_to_be_had_is_an_error_without_threads_only(void **state)
{
    reset();
    assert_int_equal(skua_run(no_thread_main, NULL, .workers = 1), 0);
    assert_all_held();
}

static int word = 7;

static void *no_memory_main(void *arg)
{
    bool worked = false;
    for (int n = 1; n < 40 && !worked; n++) {
        int err = 0;
        rt_fault_alloc_arm((uint64_t)n);
        int        r = skua_to_thread(crowd, &word, NULL, .copy = sizeof word, .name = "a name");
        skua_task *t = skua_spawn_thread(crowd, &word, .copy = sizeof word, .name = "a name",
                                         .ret_err = &err);
        worked = rt_fault_alloc_hits() == 0;
        rt_fault_alloc_arm(0);
        EXPECT(r == 0 || r == -ENOMEM);
        EXPECT(t || err == -ENOMEM);
        if (t)
            EXPECT_INT(skua_join(t, NULL), 0);
    }
    EXPECT(worked);
    return NULL;
}

static void test_pool_no_memory_is_an_ordinary_error(void **state)
{
    reset();
    assert_int_equal(skua_run(no_memory_main, NULL, .workers = 1), 0);
    assert_all_held();
}

static void *churn_main(void *arg)
{
    EXPECT_INT(skua_to_thread(note_order, NULL, NULL), 0);
    skua_task *t = skua_spawn_thread(note_order, NULL, .name = "named");
    EXPECT_INT(skua_join(t, NULL), 0);
    skua_detach(skua_spawn_thread(note_order, NULL));
    return NULL;
}

static void test_pool_runtimes_come_and_go_nothing_is_left(void **state)
{
    reset();
    assert_int_equal(skua_run(churn_main, NULL, .workers = 2), 0);
    int64_t live = rt_mem_live();
    for (int i = 0; i < 20; i++) {
        reset();
        assert_int_equal(skua_run(churn_main, NULL, .workers = 2), 0);
    }
    assert_in_range(rt_mem_live(), 0, live + 64); /* closed loops stay readable for a while */
    assert_all_held();
}

/* --- a waiter that cannot suspend --- */

static void *block_main(void *arg)
{
    for (int i = 0; i < 200; i++) {
        int err = 0;
        skua_fn fn = i % 2 ? crowd : note_order;
        struct skua_thread_opts opts = { .size = sizeof opts };
        struct rt_job *job = rt_job_new(rt_self()->rt, fn, NULL, rt_current(), &opts, &err);
        EXPECT_INT(rt_job_submit(job), 0);
        rt_job_block(job);
        EXPECT_INT(rt_job_withdraw(job), RT_JOB_DONE);
        EXPECT(!rt_job_set_name(job, 1));
        rt_job_release(job);
        rt_store_relaxed(&calls, 0); /* relaxed: one after the other */
    }
    return NULL;
}

static void test_pool_blocked_waiter_is_woken(void **state)
{
    reset();
    assert_int_equal(skua_run(block_main, NULL, .workers = 1, .blocking_threads = 3), 0);
    assert_all_held();
}

/* --- the end of the runtime --- */

static skua_task *handles[100];

static void *queued_main(void *arg)
{
    for (int i = 0; i < 100; i++)
        handles[i] = skua_spawn_thread(crowd, NULL);
    return NULL;
}

static void test_pool_shutdown_with_queued_jobs_cancels_them(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        reset();
        assert_int_equal(skua_run(queued_main, NULL, .workers = workers, .blocking_threads = 2), 0);
        int done = rt_load_sc(&calls), ended = 0;
        assert_in_range(done, 0, 20);
        for (int i = 0; i < 100; i++) {
            assert_true(skua_done(handles[i]));
            ended += !skua_cancelled(handles[i]);
            skua_release(handles[i]);
        }
        assert_int_equal(ended, done);
    }
}

static struct gate stuck_gate = GATE_INIT;
static RT_ATOMIC(int) came_back;

static void *stuck(void *arg)
{
    gate_pass(&stuck_gate);
    (void)rt_add_sc(&came_back, 1);
    return arg;
}

static void *stuck_handle_main(void *arg)
{
    handles[0] = skua_spawn_thread(stuck, NULL, .name = "counting sheep", .lane = "file");
    gate_await(&stuck_gate, 1);
    return NULL;
}

static void *stuck_call(void *arg)
{
    EXPECT_INT(skua_to_thread(stuck, NULL, NULL), -ECANCELED);
    EXPECT(false); /* its frame may be written to: it never gets here */
    return NULL;
}

static void *stuck_call_main(void *arg)
{
    struct skua_spawn_opts named = { .size = sizeof named, .name = "counting goats" };
    skua_detach(skua_spawn_with(stuck_call, NULL, &named));
    gate_await(&stuck_gate, 1);
    return NULL;
}

static struct {
    int status;
    char text[2048];
} child;

/* In a child process, since the report goes to stderr. */
static void run_stuck(skua_fn main)
{
    int fds[2];
    size_t used = 0;
    ssize_t n;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        double begin = wall();
        int r = skua_run(main, NULL, .workers = 2, .shutdown_timeout = 0.2);
        bool in_time = wall() - begin < 5;
        gate_open(&stuck_gate);
        for (int i = 0; i < 5000 && !rt_load_sc(&came_back); i++)
            nap(0.001);
        nap(0.05); /* the thread frees what it took along */
        if (main == stuck_handle_main && !skua_cancelled(handles[0]))
            _exit(3);
        _exit(r == 0 && in_time && rt_load_sc(&came_back) == 1 ? rt_load_sc(&expect_failures) : 2);
    }
    close(fds[1]);
    while (used < sizeof child.text - 1 &&
           (n = read(fds[0], child.text + used, sizeof child.text - 1 - used)) > 0)
        used += (size_t)n;
    close(fds[0]);
    child.text[used] = '\0';
    assert_int_equal(waitpid(pid, &child.status, 0), pid);
}

static void test_pool_shutdown_names_a_stuck_job_and_leaves_it(void **state)
{
    run_stuck(stuck_handle_main);
    assert_non_null(strstr(child.text, "counting sheep (lane file, called at "));
    assert_non_null(strstr(child.text, "pool_test.c:"));
    assert_int_equal(child.status, 0);
    run_stuck(stuck_call_main);
    assert_non_null(strstr(child.text, "counting goats"));
    assert_int_equal(child.status, 0);
}

static void *slow(void *token)
{
    while (!skua_token_is_set(token))
        nap(0.001);
    (void)rt_add_sc(&calls, 1);
    return NULL;
}

static skua_token asked = SKUA_TOKEN_INIT;

static void *slow_main(void *arg)
{
    skua_detach(skua_spawn_thread(slow, &asked, .token = &asked));
    EXPECT_INT(skua_sleep(0.01), 0);
    return NULL;
}

static void test_pool_shutdown_asks_running_jobs_by_their_token(void **state)
{
    reset();
    assert_int_equal(skua_run(slow_main, NULL, .workers = 2), 0);
    assert_int_equal(rt_load_sc(&calls), 1);
    assert_all_held();
}

/* --- virtual time --- */

static void *real_nap(void *arg)
{
    nap(0.02);
    return NULL;
}

static void *watch_clock(void *arg)
{
    double begin = skua_loop_time();
    EXPECT_INT(skua_to_thread(real_nap, NULL, NULL), 0);
    EXPECT(skua_loop_time() == begin);
    EXPECT_INT(skua_sleep(1000), 0);
    EXPECT(skua_loop_time() - begin >= 1000);
    return NULL;
}

static void *virtual_main(void *arg)
{
    for (int round = 0; round < 5; round++) {
        skua_task *tasks[3];
        for (int i = 0; i < 3; i++)
            tasks[i] = i == 0 ? skua_spawn(watch_clock, NULL) : skua_go(watch_clock, NULL);
        EXPECT_INT(skua_gather(tasks, 3, NULL, SKUA_RELEASE), 0);
        skua_task *t = skua_spawn_thread(real_nap, NULL);
        EXPECT_INT(skua_cancel(t, NULL), true);
        skua_release(t);
    }
    return NULL;
}

static void test_pool_virtual_time_waits_for_jobs_and_no_longer(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        double begin = wall();
        assert_int_equal(skua_run(virtual_main, NULL, .workers = workers, .virtual_time = true), 0);
        assert_true(wall() - begin < 20);
    }
    assert_all_held();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_shutdown_names_a_stuck_job_and_leaves_it),
        cmocka_unit_test(test_pool_more_jobs_than_threads_stays_at_the_limit),
        cmocka_unit_test(test_pool_one_job_after_the_other_uses_one_thread),
        cmocka_unit_test(test_pool_two_jobs_that_need_each_other_both_run),
        cmocka_unit_test(test_pool_one_thread_keeps_the_order),
        cmocka_unit_test(test_pool_no_thread_to_be_had_is_an_error_without_threads_only),
        cmocka_unit_test(test_pool_no_memory_is_an_ordinary_error),
        cmocka_unit_test(test_pool_runtimes_come_and_go_nothing_is_left),
        cmocka_unit_test(test_pool_blocked_waiter_is_woken),
        cmocka_unit_test(test_pool_shutdown_with_queued_jobs_cancels_them),
        cmocka_unit_test(test_pool_shutdown_asks_running_jobs_by_their_token),
        cmocka_unit_test(test_pool_virtual_time_waits_for_jobs_and_no_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
