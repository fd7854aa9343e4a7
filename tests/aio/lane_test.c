/* SPDX-License-Identifier: MIT */
/* Goal: lanes keep their bounds and keep out of each other's way, their threads leave when idle,
 * a call that waits is interrupted until it returns and never afterwards, and no failure to make a
 * thread loses a call. Method: functions that wait in reads and at gates, counters of the lanes,
 * and injected failures. */
#include "expect.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"

static RT_ATOMIC(int) calls, ends, interrupted;
static int            never[2]; /* a pipe that nothing comes through */

static void reset(void)
{
    rt_init(&calls, 0);
    rt_init(&ends, 0);
    rt_init(&interrupted, 0);
}

static void run_everywhere(skua_fn main, const char *lanes)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        for (int is_free = 0; is_free <= 1; is_free++) {
            reset();
            assert_int_equal(skua_run(main, NULL, .workers = workers, .free_main = is_free,
                                      .lanes = lanes), 0);
        }
    }
    assert_all_held();
}

static struct skua_lane_stats stats_of(const char *lane)
{
    struct skua_lane_stats stats = { .size = sizeof stats };
    EXPECT_INT(skua_lane_stats_get(lane, &stats), 0);
    return stats;
}

/* In a task: until it holds, at most ten seconds. */
#define AWAIT(condition)                                    \
    do {                                                    \
        for (int i_ = 0; i_ < 10000 && !(condition); i_++)  \
            SKUA_IGNORE(skua_sleep(0.001));                 \
        EXPECT(condition);                                  \
    } while (0)

static void *give_back(void *arg)
{
    (void)rt_add_sc(&calls, 1);
    return arg;
}

static void *pass_gate(void *arg)
{
    gate_pass(arg);
    (void)rt_add_sc(&ends, 1);
    return arg;
}

/* --- lanes --- */

static void *apart_main(void *arg)
{
    struct gate gate = GATE_INIT;
    skua_task  *stuck[6];
    for (int i = 0; i < 6; i++)
        stuck[i] = skua_spawn_thread(pass_gate, &gate, .lane = "dns");
    AWAIT(gate_came(&gate) == 2);
    struct skua_lane_stats dns = stats_of("dns");
    EXPECT_INT(dns.threads_max, 2);
    EXPECT_INT(dns.threads, 2);
    EXPECT_INT(dns.running, 2);
    EXPECT_INT(dns.queued, 4);
    EXPECT_INT(dns.idle, 0);
    EXPECT_INT(dns.done, 0);
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL), 0); /* the others do not wait */
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL, .lane = "file"), 0);
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL, .lane = "thumbs"), 0);
    EXPECT_INT(stats_of("thumbs").threads_max, 1);
    AWAIT(stats_of("thumbs").done == 1);
    AWAIT(stats_of("thumbs").idle == 1);
    EXPECT_INT(stats_of("file").threads, 1);
    gate_open(&gate);
    EXPECT_INT(skua_gather(stuck, 6, NULL, SKUA_RELEASE), 0);
    AWAIT(stats_of("dns").running == 0);
    dns = stats_of("dns");
    EXPECT_INT(dns.done, 6);
    EXPECT_INT(dns.queued, 0);
    EXPECT(dns.wait_max > 0 && dns.wait_max < 100);
    EXPECT_INT(dns.withdrawn + dns.given_up, 0);
    return NULL;
}

static void test_lane_each_has_its_bound_and_queue(void **state)
{
    run_everywhere(apart_main, "dns=2, thumbs=1");
}

static void *stats_main(void *arg)
{
    struct skua_lane_stats stats = { .size = sizeof stats }, small = { .size = 8 };
    EXPECT_INT(skua_lane_stats_get("file", &stats), 0); /* nothing was called yet */
    EXPECT_INT(stats.threads_max, 8);
    EXPECT_INT(stats.threads, 0);
    EXPECT_INT(skua_lane_stats_get(NULL, NULL), -EINVAL);
    EXPECT_INT(skua_lane_stats_get(NULL, &small), -EINVAL);
    EXPECT_INT(skua_lane_stats_get("fast", &stats), -EINVAL);
    return NULL;
}

static void test_lane_stats_and_options_that_make_no_sense(void **state)
{
    struct skua_lane_stats stats = { .size = sizeof stats };
    assert_int_equal(skua_lane_stats_get(NULL, &stats), -EPERM);
    run_everywhere(stats_main, NULL);
    assert_int_equal(skua_run(stats_main, NULL, .lanes = "dns"), -EINVAL);
    assert_int_equal(skua_run(stats_main, NULL, .lanes = "dns=0"), -EINVAL);
    assert_int_equal(skua_run(stats_main, NULL, .lanes = "a=1,b=2;c"), -EINVAL);
    assert_all_held();
}

static void *idle_main(void *arg)
{
    for (int i = 0; i < 5; i++) {
        skua_task *t[4];
        for (int k = 0; k < 4; k++)
            t[k] = skua_spawn_thread(give_back, NULL, .lane = k % 2 ? "file" : "default");
        EXPECT_INT(skua_gather(t, 4, NULL, SKUA_RELEASE), 0);
        for (int k = 0; k < 10000 && stats_of("file").threads + stats_of(NULL).threads > 0; k++)
            nap(0.001);
        EXPECT_INT(stats_of("file").threads, 0);
        EXPECT_INT(stats_of(NULL).threads, 0);
        EXPECT_INT(stats_of(NULL).idle, 0);
    }
    EXPECT_INT(rt_load_sc(&calls), 20);
    return NULL;
}

static void test_lane_idle_threads_leave_also_in_virtual_time(void **state)
{
    setenv("SKUA_LANE_IDLE_MS", "1", 1);
    run_everywhere(idle_main, NULL);
    reset();
    assert_int_equal(skua_run(idle_main, NULL, .workers = 2, .virtual_time = true), 0);
    unsetenv("SKUA_LANE_IDLE_MS");
    assert_all_held();
}

/* Threads leave while calls come: none of them may be left lying. */
static void *leaving_main(void *arg)
{
    for (int i = 0; i < 400; i++) {
        EXPECT_INT(skua_to_thread(give_back, NULL, NULL, .lane = "file"), 0);
        nap(i % 5 * 0.0005);
    }
    EXPECT_INT(rt_load_sc(&calls), 400);
    return NULL;
}

static void test_lane_calls_meet_leaving_threads(void **state)
{
    setenv("SKUA_LANE_IDLE_MS", "1", 1);
    reset();
    assert_int_equal(skua_run(leaving_main, NULL, .workers = 2), 0);
    unsetenv("SKUA_LANE_IDLE_MS");
    assert_all_held();
}

/* --- threads that cannot be made --- */

static void *short_main(void *arg)
{
    struct gate gate = GATE_INIT;
    skua_task  *t[8];
    t[0] = skua_spawn_thread(pass_gate, &gate);
    AWAIT(gate_came(&gate) == 1);
    rt_fault_arm_from(RT_SYS_THREAD_CREATE, 1, EAGAIN);
    for (int i = 1; i < 8; i++)
        EXPECT((t[i] = skua_spawn_thread(pass_gate, &gate)) != NULL);
    EXPECT_INT(stats_of(NULL).queued, 7);
    EXPECT_INT(rt_fault_hits(RT_SYS_THREAD_CREATE), 7);
    rt_fault_reset();
    /* The next call gets a thread, and that sees to the others. */
    skua_task *last = skua_spawn_thread(give_back, NULL);
    AWAIT(gate_came(&gate) == 8);
    gate_open(&gate);
    EXPECT_INT(skua_gather(t, 8, NULL, SKUA_RELEASE), 0);
    EXPECT_INT(skua_join(last, NULL), 0);
    EXPECT_INT(rt_load_sc(&ends), 8);
    return NULL;
}

static void *healed_main(void *arg)
{
    struct gate first = GATE_INIT, gate = GATE_INIT;
    skua_task  *t[4];
    t[0] = skua_spawn_thread(pass_gate, &first);
    AWAIT(gate_came(&first) == 1);
    rt_fault_arm_from(RT_SYS_THREAD_CREATE, 1, EAGAIN);
    for (int i = 1; i < 4; i++)
        t[i] = skua_spawn_thread(pass_gate, &gate);
    rt_fault_reset();
    gate_open(&first); /* nothing is submitted any more: its thread has to find the others */
    AWAIT(gate_came(&gate) == 3);
    gate_open(&gate);
    EXPECT_INT(skua_gather(t, 4, NULL, SKUA_RELEASE), 0);
    return NULL;
}

static void test_lane_without_further_threads_loses_no_call(void **state)
{
    run_everywhere(short_main, "default=9");
    run_everywhere(healed_main, "default=8");
}

/* --- interrupting --- */

/* Waits in a read until it is interrupted; once more for each number it was given. */
static void *read_never(void *arg)
{
    char c;
    (void)rt_add_sc(&calls, 1);
    for (int i = 0; i <= (int)(intptr_t)arg; i++)
        if (read(never[0], &c, 1) < 0 && errno == EINTR)
            (void)rt_add_sc(&interrupted, 1);
    (void)rt_add_sc(&ends, 1);
    return arg;
}

static void *call_read(void *times)
{
    int r = skua_to_thread(read_never, times, NULL, .interrupt = true);
    EXPECT_INT(r, -ECANCELED);
    return skua_fail(r);
}

static void *interrupt_main(void *arg)
{
    for (int times = 0; times < 3; times++) {
        for (int is_free = 0; is_free <= 1; is_free++) {
            reset();
            skua_task *t = is_free ? skua_go(call_read, NUM(times))
                                   : skua_spawn(call_read, NUM(times));
            AWAIT(rt_load_sc(&calls) == 1);
            EXPECT(skua_cancel(t, NULL));
            EXPECT_INT(skua_join(t, NULL), -ECANCELED);
            EXPECT_INT(rt_load_sc(&interrupted), times + 1);
            EXPECT_INT(rt_load_sc(&ends), 1);
        }
    }
    skua_timeout scope;
    EXPECT_INT(skua_timeout_enter(&scope, 0.01), 0);
    int r = skua_to_thread(read_never, NULL, NULL, .interrupt = true, .lane = "file");
    EXPECT_INT(skua_timeout_exit(&scope, r), -ETIMEDOUT);
    return NULL;
}

static void test_lane_a_read_that_waits_is_interrupted(void **state)
{
    run_everywhere(interrupt_main, NULL);
}

/* In virtual time nothing expires while a function runs: the cancel comes from a task. */
static void *virtual_main(void *arg)
{
    for (int i = 0; i < 20; i++) {
        reset();
        double     begin = skua_loop_time();
        skua_task *t = skua_spawn(call_read, NUM(2));
        while (rt_load_sc(&calls) == 0)
            SKUA_IGNORE(skua_yield());
        EXPECT(skua_cancel(t, NULL));
        EXPECT_INT(skua_join(t, NULL), -ECANCELED);
        EXPECT(skua_loop_time() == begin);
        EXPECT_INT(skua_sleep(1000), 0);
    }
    return NULL;
}

static void test_lane_interrupts_in_virtual_time(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        assert_int_equal(skua_run(virtual_main, NULL, .workers = workers, .virtual_time = true), 0);
    assert_all_held();
}

static void *handle_main(void *arg)
{
    skua_task *t = skua_spawn_thread(read_never, NUM(1), .interrupt = true);
    AWAIT(rt_load_sc(&calls) == 1);
    EXPECT(skua_cancel(t, NULL));
    EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    AWAIT(rt_load_sc(&ends) == 1);
    EXPECT_INT(rt_load_sc(&interrupted), 2);

    reset();
    for (double limit = 0.01; rt_load_sc(&calls) == 0; limit *= 2) { /* until it has begun */
        skua_timeout scope;
        EXPECT_INT(skua_timeout_enter(&scope, limit), 0);
        int r = skua_to_thread(read_never, NULL, NULL, .interrupt = true, .abandon = true);
        EXPECT_INT(skua_timeout_exit(&scope, r), -ETIMEDOUT);
    }
    AWAIT(rt_load_sc(&ends) >= 1); /* nobody waits for it, it is interrupted all the same */
    return NULL;
}

static void test_lane_interrupts_what_nobody_waits_for(void **state)
{
    run_everywhere(handle_main, NULL);
}

static void *leave_readers(void *arg)
{
    for (int i = 0; i < 3; i++)
        skua_detach(skua_spawn_thread(read_never, NUM(i), .interrupt = true, .lane = "dns"));
    AWAIT(rt_load_sc(&calls) == 3);
    return NULL;
}

static void test_lane_shutdown_interrupts_what_runs(void **state)
{
    run_everywhere(leave_readers, NULL);
    assert_int_equal(rt_load_sc(&ends), 3);
}

/* The signals that cannot be sent are sent later. */
static void *lost_signal_main(void *arg)
{
    skua_task *t = skua_spawn(call_read, NULL);
    AWAIT(rt_load_sc(&calls) == 1);
    rt_fault_arm(RT_SYS_TGKILL, 1, EAGAIN);
    EXPECT(skua_cancel(t, NULL));
    EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    EXPECT_INT(rt_fault_hits(RT_SYS_TGKILL), 1);
    EXPECT(rt_fault_uses(RT_SYS_TGKILL) >= 2);
    rt_fault_reset();
    return NULL;
}

static void test_lane_a_signal_that_was_not_sent_is_repeated(void **state)
{
    run_everywhere(lost_signal_main, NULL);
}

static void *masked_host(void *arg)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL); /* what its threads inherit */
    reset();
    EXPECT_INT(skua_run(interrupt_main, NULL, .workers = 2), 0);
    return NULL;
}

static void test_lane_interrupts_in_a_host_that_blocks_signals(void **state)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, masked_host, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_all_held();
}

static void on_signal(int signo)
{
    (void)signo;
}

static void *busy_main(void *arg)
{
    int err = 0, signo = SIGRTMAX - 3;
    struct sigaction before, theirs = { .sa_handler = arg };
    sigaction(signo, &theirs, &before);
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL, .interrupt = true), -EBUSY);
    EXPECT(!skua_spawn_thread(give_back, NULL, .interrupt = true, .ret_err = &err));
    EXPECT_INT(err, -EBUSY);
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL), 0);
    sigaction(signo, &before, NULL);
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL, .interrupt = true), 0);
    EXPECT_INT(skua_add_signal_handler(signo, free, NULL), -EINVAL);
    return NULL;
}

static void test_lane_leaves_a_signal_of_the_program_alone(void **state)
{
    assert_int_equal(skua_run(busy_main, (void *)(intptr_t)on_signal, .workers = 1), 0);
    assert_int_equal(skua_run(busy_main, (void *)(intptr_t)SIG_IGN, .workers = 1), 0);
    assert_all_held();
}

/* --- races --- */

enum { ROUNDS = 1000 };

/* Ends by itself about when it is cancelled. */
static void *short_call(void *arg)
{
    for (volatile int i = 0; i < (int)(intptr_t)arg; i++) {
    }
    return NULL;
}

/* Whatever is interrupted in here, it was not meant. */
static void *innocent(void *arg)
{
    struct timespec brief = { 0, 30000 };
    if (nanosleep(&brief, NULL) < 0)
        (void)rt_add_sc(&interrupted, 1);
    return NULL;
}

static void *call_short(void *arg)
{
    int r = skua_to_thread(short_call, arg, NULL, .interrupt = true);
    EXPECT(r == 0 || r == -ECANCELED);
    return NULL;
}

/* One thread: the innocent call runs right after the one that is interrupted. */
static void *end_race_main(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        skua_task *t = skua_go(call_short, NUM(i * 37 % 20000));
        if (i % 2)
            SKUA_IGNORE(skua_yield());
        if (i % 3)
            SKUA_IGNORE(skua_sleep(i % 11 * 5e-6));
        (void)skua_cancel(t, NULL);
        skua_task *next = skua_spawn_thread(innocent, NULL);
        EXPECT_INT(skua_join(next, NULL), 0);
        SKUA_IGNORE(skua_join(t, NULL));
    }
    EXPECT_INT(rt_load_sc(&interrupted), 0);
    return NULL;
}

static void test_lane_no_signal_after_the_end_of_a_call(void **state)
{
    run_everywhere(end_race_main, "default=1");
}

struct once {
    RT_ATOMIC(int) begun, ended;
    skua_token     token;
};

static void *run_once(void *arg)
{
    struct once    *o = *(struct once **)arg;
    struct timespec brief = { 0, 200000 };
    EXPECT_INT(rt_add_sc(&o->begun, 1), 0);
    if (!skua_token_is_set(&o->token))
        (void)nanosleep(&brief, NULL);
    (void)rt_add_sc(&o->ended, 1);
    return arg;
}

enum { CROWD = 64 };
static struct once crowd[CROWD];
static const char *const lane_names[] = { "default", "dns", "file" };

static void *call_once(void *arg)
{
    int          i = (int)(intptr_t)arg;
    struct once *o = &crowd[i];
    bool         left = i % 4 == 1;
    int          r = skua_to_thread(run_once, &o, NULL, .lane = lane_names[i % 3],
                                    .copy = left ? sizeof o : 0, .interrupt = i % 5 != 0,
                                    .token = &o->token);
    int begun = rt_load_sc(&o->begun), ended = rt_load_sc(&o->ended);
    EXPECT(r == 0 || r == -ECANCELED || r == -ESHUTDOWN);
    EXPECT(r != 0 || ended == 1);
    EXPECT(left || begun == ended);
    return NULL;
}

/* Leaves a crowd behind, some of it cancelled, for the end of the runtime. */
static void *crowd_main(void *arg)
{
    skua_task *t[CROWD];
    int        round = (int)(intptr_t)arg;
    memset(crowd, 0, sizeof crowd);
    for (int i = 0; i < CROWD; i++)
        t[i] = i % 2 ? skua_go(call_once, NUM(i)) : skua_spawn(call_once, NUM(i));
    for (int i = 0; i < CROWD; i++) {
        if (i % 8 == round % 8)
            SKUA_IGNORE(skua_sleep(1e-5 * (round % 5)));
        if ((i + round) % 3 == 0)
            (void)skua_cancel(t[i], NULL);
    }
    skua_release_all(t, CROWD);
    return NULL;
}

static void test_lane_cancel_meets_start_end_and_shutdown(void **state)
{
    for (int round = 0; round < 60; round++) {
        assert_int_equal(skua_run(crowd_main, NUM(round), .workers = 1 << round % 3,
                                  .lanes = "default=3,dns=1,file=2"), 0);
        for (int i = 0; i < CROWD; i++)
            assert_int_equal(rt_load_sc(&crowd[i].begun), rt_load_sc(&crowd[i].ended));
    }
    assert_all_held();
}

static int open_pipe(void **state)
{
    return pipe(never);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lane_leaves_a_signal_of_the_program_alone), /* before it is ours */
        cmocka_unit_test(test_lane_each_has_its_bound_and_queue),
        cmocka_unit_test(test_lane_stats_and_options_that_make_no_sense),
        cmocka_unit_test(test_lane_idle_threads_leave_also_in_virtual_time),
        cmocka_unit_test(test_lane_calls_meet_leaving_threads),
        cmocka_unit_test(test_lane_without_further_threads_loses_no_call),
        cmocka_unit_test(test_lane_a_read_that_waits_is_interrupted),
        cmocka_unit_test(test_lane_interrupts_in_virtual_time),
        cmocka_unit_test(test_lane_interrupts_what_nobody_waits_for),
        cmocka_unit_test(test_lane_shutdown_interrupts_what_runs),
        cmocka_unit_test(test_lane_a_signal_that_was_not_sent_is_repeated),
        cmocka_unit_test(test_lane_interrupts_in_a_host_that_blocks_signals),
        cmocka_unit_test(test_lane_no_signal_after_the_end_of_a_call),
        cmocka_unit_test(test_lane_cancel_meets_start_end_and_shutdown),
    };
    return cmocka_run_group_tests(tests, open_pipe, NULL);
}
