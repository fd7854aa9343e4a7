/* SPDX-License-Identifier: MIT */
/* Goal: to_thread and spawn_thread give what the function gave, refuse what they cannot do, and
 * are cancelled as they say: never started, waited for, or left. Method: functions that wait at
 * gates or for a token, and thousands of calls whose cancel and end race. */
#include "expect.h"

#include <errno.h>
#include <string.h>

static RT_ATOMIC(int) calls, ends;

static void reset(void)
{
    rt_init(&calls, 0);
    rt_init(&ends, 0);
}

/* Runs main on 1, 2 and 4 workers, as a pinned task and as a free one. */
static void run_everywhere(skua_fn main, int threads)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        for (int is_free = 0; is_free <= 1; is_free++) {
            reset();
            assert_int_equal(skua_run(main, NULL, .workers = workers, .free_main = is_free,
                                      .blocking_threads = threads), 0);
        }
    }
    assert_all_held();
}

static void *give_back(void *arg)
{
    (void)rt_add_sc(&calls, 1);
    return arg;
}

static void *fail_with_text(void *arg)
{
    return skua_failf(-EIO, "block %d is bad", 17);
}

/* --- results --- */

static void *results_main(void *arg)
{
    void *value = &value;
    EXPECT_INT(skua_to_thread(give_back, NUM(5), &value), 0);
    EXPECT(value == NUM(5));
    EXPECT_INT(skua_to_thread(give_back, NULL, &value), 0);
    EXPECT(value == NULL);
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL), 0);
    value = NUM(1);
    EXPECT_INT(skua_to_thread(give_back, skua_fail(-EIO), &value), -EIO);
    EXPECT_INT(skua_to_thread(give_back, skua_fail(-ECANCELED), &value), -ECANCELED);
    EXPECT(value == NUM(1));
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL, .lane = "default", .name = "x"), 0);

    EXPECT_INT(skua_to_thread(fail_with_text, NULL, NULL), -EIO);
    EXPECT(strcmp(skua_error_message(skua_current_task()), "block 17 is bad") == 0);

    skua_task *t = skua_spawn_thread(give_back, NUM(6), .name = "six");
    EXPECT(strcmp(skua_name(t), "six") == 0);
    EXPECT_INT(skua_join(t, &value), 0);
    EXPECT(value == NUM(6));
    t = skua_spawn_thread(fail_with_text, NULL);
    EXPECT_INT(skua_await(t, &value), -EIO);
    EXPECT_INT(skua_error(t), -EIO);
    EXPECT(strcmp(skua_error_message(t), "block 17 is bad") == 0);
    skua_release(t);
    return NULL;
}

static void test_thread_values_and_errors_come_back(void **state)
{
    run_everywhere(results_main, 0);
}

static void *next_letter(void *letter)
{
    *(char *)letter += 1;
    return letter;
}

static void *copy_main(void *arg)
{
    char letter = 'a';
    void *value = NULL;
    EXPECT_INT(skua_to_thread(next_letter, &letter, NULL, .copy = 1), 0);
    EXPECT_INT(letter, 'a');
    EXPECT_INT(skua_to_thread(next_letter, &letter, &value), 0);
    EXPECT_INT(letter, 'b');
    EXPECT(value == &letter);
    skua_task *t = skua_spawn_thread(next_letter, &letter, .copy = 1);
    letter = 'x';
    EXPECT_INT(skua_await(t, &value), 0);
    EXPECT_INT(*(char *)value, 'c'); /* the copy lives as long as the handle */
    EXPECT_INT(letter, 'x');
    skua_release(t);
    return NULL;
}

static void test_thread_copy_is_what_the_function_gets(void **state)
{
    run_everywhere(copy_main, 0);
}

static void *errno_main(void *arg)
{
    errno = 77; /* the first call makes the pool */
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL), 0);
    EXPECT_INT(errno, 77);
    skua_task *t = skua_spawn_thread(give_back, NULL);
    EXPECT_INT(errno, 77);
    EXPECT_INT(skua_join(t, NULL), 0);
    EXPECT_INT(errno, 77);
    return NULL;
}

static void test_thread_calls_leave_errno_alone(void **state)
{
    run_everywhere(errno_main, 0);
}

/* --- what is refused --- */

static void *refused_main(void *arg)
{
    struct skua_thread_opts small = { .size = 8 };
    int err = 0;
    EXPECT_INT(skua_to_thread(NULL, NULL, NULL, .ret_err = &err), -EINVAL);
    EXPECT_INT(err, -EINVAL);
    EXPECT_INT(skua_to_thread_with(give_back, NULL, NULL, &small), -EINVAL);
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL, .lane = "deep"), -EINVAL);
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL, .copy = 8), -EINVAL);
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL, .lane = ""), -EINVAL);
    EXPECT(!skua_spawn_thread(NULL, NULL, .ret_err = &err));
    EXPECT(!skua_spawn_thread_with(give_back, NULL, &small));
    EXPECT(!skua_spawn_thread(give_back, NULL, .lane = "deep", .ret_err = &err));
    EXPECT_INT(err, -EINVAL);
    EXPECT_INT(skua_to_thread_with(give_back, NULL, NULL, NULL), 0);
    EXPECT_INT(rt_load_sc(&calls), 1);
    return NULL;
}

/* What a thread function may do and what not. */
static void *in_a_thread(void *arg)
{
    int err = 0;
    EXPECT_INT(skua_sleep(0), -EPERM);
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL), -EPERM);
    EXPECT(!skua_spawn_thread(give_back, NULL, .ret_err = &err));
    EXPECT_INT(err, -EPERM);
    EXPECT(!skua_current_task());
    EXPECT(!skua_loop_current());
    EXPECT_INT(skua_worker_index(), -1);
    skua_task *t = skua_spawn_threadsafe(arg, give_back, NUM(9));
    void *value = NULL;
    EXPECT_INT(skua_wait_blocking(t, 10, &value), 0);
    EXPECT(value == NUM(9));
    skua_release(t);
    return NULL;
}

static void *in_a_thread_main(void *arg)
{
    EXPECT_INT(skua_to_thread(in_a_thread, skua_loop_current(), NULL), 0);
    return NULL;
}

static void from_callback(void *arg)
{
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL), -EPERM);
    *(skua_task **)arg = skua_spawn_thread(give_back, NUM(3));
}

static void *callback_main(void *arg)
{
    skua_task *t = NULL;
    void *value = NULL;
    skua_call_soon(from_callback, &t);
    EXPECT_INT(skua_sleep(0), 0);
    EXPECT_INT(skua_sleep(0), 0);
    EXPECT_INT(skua_join(t, &value), 0);
    EXPECT(value == NUM(3));
    return NULL;
}

static void test_thread_refuses_what_it_cannot_do(void **state)
{
    int err = 0;
    reset();
    assert_int_equal(skua_to_thread(give_back, NULL, NULL, .ret_err = &err), -EPERM);
    assert_int_equal(err, -EPERM);
    err = 0;
    assert_null(skua_spawn_thread(give_back, NULL, .ret_err = &err));
    assert_int_equal(err, -EPERM);
    run_everywhere(refused_main, 0);
    assert_int_equal(skua_run(in_a_thread_main, NULL, .workers = 2), 0);
    assert_int_equal(skua_run(callback_main, NULL, .workers = 2), 0);
    assert_all_held();
}

static void test_thread_token_says_whether_it_was_set(void **state)
{
    skua_token token = SKUA_TOKEN_INIT;
    assert_false(skua_token_is_set(&token));
    skua_token_set(&token);
    skua_token_set(&token);
    assert_true(skua_token_is_set(&token));
    skua_token_set(NULL);
    assert_false(skua_token_is_set(NULL));
}

/* --- cancelling --- */

struct scene {
    struct gate gate;
    skua_token token;
    bool copy, abandon;
};

static void scene_init(struct scene *s)
{
    *s = (struct scene){ .gate = GATE_INIT };
}

static void *pass_gate(void *arg)
{
    struct scene *s = *(struct scene **)arg;
    gate_pass(&s->gate);
    (void)rt_add_sc(&ends, 1);
    return arg;
}

static void *until_token(void *arg)
{
    struct scene *s = *(struct scene **)arg;
    pthread_mutex_lock(&s->gate.mutex);
    s->gate.came++;
    pthread_mutex_unlock(&s->gate.mutex);
    while (!skua_token_is_set(&s->token))
        nap(0.0005);
    (void)rt_add_sc(&ends, 1);
    return NULL;
}

static void *call_gate(void *arg)
{
    struct scene *s = arg;
    int r = skua_to_thread(pass_gate, &s, NULL, .copy = s->copy ? sizeof s : 0,
                           .abandon = s->abandon);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *call_token(void *arg)
{
    struct scene *s = arg;
    int r = skua_to_thread(until_token, &s, NULL, .token = &s->token);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *call_plain(void *arg)
{
    int r = skua_to_thread(give_back, NULL, NULL);
    return r < 0 ? skua_fail(r) : NULL;
}

/* One thread, which is busy: what comes after it never starts. */
static void *queued_main(void *arg)
{
    struct scene s;
    scene_init(&s);
    skua_task *first = skua_go(call_gate, &s);
    gate_await(&s.gate, 1);
    skua_task *more[8];
    for (int i = 0; i < 8; i++)
        more[i] = i % 2 ? skua_go(call_plain, NULL) : skua_spawn(call_plain, NULL);
    EXPECT_INT(skua_sleep(0.01), 0);
    for (int i = 0; i < 7; i++) {
        EXPECT(skua_cancel(more[i], NULL));
        EXPECT_INT(skua_join(more[i], NULL), -ECANCELED);
    }
    gate_open(&s.gate);
    EXPECT_INT(skua_join(first, NULL), 0);
    EXPECT_INT(skua_join(more[7], NULL), 0);
    EXPECT_INT(rt_load_sc(&calls), 1);
    return NULL;
}

static void test_thread_cancelled_in_the_queue_never_starts(void **state)
{
    run_everywhere(queued_main, 1);
}

static void *waited_for_main(void *arg)
{
    struct scene s;
    for (int is_free = 0; is_free <= 1; is_free++) {
        scene_init(&s);
        skua_task *t = is_free ? skua_go(call_gate, &s) : skua_spawn(call_gate, &s);
        gate_await(&s.gate, 1);
        for (int i = 0; i < 5; i++) {
            EXPECT(skua_cancel(t, NULL));
            EXPECT_INT(skua_sleep(0.002), 0);
            EXPECT(!skua_done(t));
        }
        gate_open(&s.gate);
        EXPECT_INT(skua_join(t, NULL), -ECANCELED);
        EXPECT_INT(rt_load_sc(&ends), is_free + 1);

        scene_init(&s);
        t = is_free ? skua_go(call_token, &s) : skua_spawn(call_token, &s);
        gate_await(&s.gate, 1);
        EXPECT(skua_cancel(t, NULL));
        EXPECT_INT(skua_join(t, NULL), -ECANCELED);
        (void)rt_sub_sc(&ends, 1);
    }
    return NULL;
}

static void test_thread_cancelled_while_it_runs_is_waited_for(void **state)
{
    run_everywhere(waited_for_main, 0);
}

static void *left_main(void *arg)
{
    struct scene s;
    for (int i = 0; i < 4; i++) {
        scene_init(&s);
        s.copy = i % 2;
        s.abandon = !s.copy;
        skua_task *t = i < 2 ? skua_go(call_gate, &s) : skua_spawn(call_gate, &s);
        gate_await(&s.gate, 1);
        EXPECT(skua_cancel(t, NULL));
        if (s.copy)
            EXPECT_INT(skua_join(t, NULL), -ECANCELED);
        else /* the frame of the call has to be there when the function reads its argument */
            skua_release(t);
        EXPECT_INT(rt_load_sc(&ends), i);
        gate_open(&s.gate);
        for (int k = 0; k < 10000 && rt_load_sc(&ends) <= i; k++)
            EXPECT_INT(skua_sleep(0.001), 0);
    }
    return NULL;
}

static void test_thread_cancelled_with_copy_or_abandon_is_left(void **state)
{
    run_everywhere(left_main, 0);
}

static void *handle_main(void *arg)
{
    struct scene s, *at = &s;
    scene_init(&s);
    skua_task *t = skua_spawn_thread(pass_gate, &at);
    gate_await(&s.gate, 1);
    skua_task *queued = skua_spawn_thread(give_back, NULL);
    skua_task *last = skua_spawn_thread(give_back, NULL);
    EXPECT(skua_cancel(queued, "not needed"));
    EXPECT(!skua_cancel(queued, NULL));
    EXPECT(strcmp(skua_error_message(queued), "not needed") == 0);
    EXPECT_INT(skua_join(queued, NULL), -ECANCELED);
    EXPECT(skua_cancel(t, NULL));
    EXPECT_INT(skua_join(t, NULL), -ECANCELED); /* at once, the function is still at the gate */
    EXPECT_INT(rt_load_sc(&ends), 0);
    gate_open(&s.gate);
    EXPECT_INT(skua_join(last, NULL), 0);
    EXPECT_INT(rt_load_sc(&ends), 1);
    EXPECT_INT(rt_load_sc(&calls), 1);

    scene_init(&s);
    t = skua_spawn_thread(until_token, &at, .token = &s.token);
    gate_await(&s.gate, 1);
    EXPECT(skua_cancel(t, NULL));
    EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    EXPECT_INT(skua_to_thread(give_back, NULL, NULL), 0); /* one thread: the other job is over */
    EXPECT_INT(rt_load_sc(&ends), 2);
    return NULL;
}

static void test_thread_handle_cancelled_ends_at_once(void **state)
{
    run_everywhere(handle_main, 1);
}

/* --- races --- */

enum { ROUNDS = 2000 };

static void *spin_a_little(void *arg)
{
    for (volatile int i = 0; i < (int)(intptr_t)arg; i++) {
    }
    (void)rt_add_sc(&calls, 1);
    return arg;
}

static void *call_spin(void *arg)
{
    void *back = NULL;
    int r = skua_to_thread(spin_a_little, arg, &back);
    EXPECT(r == -ECANCELED || (r == 0 && back == arg));
    (void)rt_add_sc(&ends, r == 0);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *race_main(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        void *n = NUM(i % 512);
        skua_task *t = i % 2 ? skua_go(call_spin, n) : skua_spawn(call_spin, n);
        for (int k = 0; k < i % 4; k++)
            SKUA_IGNORE(skua_yield());
        if (i % 3)
            SKUA_IGNORE(skua_sleep(i % 7 * 5e-6));
        (void)skua_cancel(t, NULL);
        if (i % 5 == 0)
            (void)skua_cancel(t, NULL);
        int r = skua_join(t, NULL);
        EXPECT(r == 0 || r == -ECANCELED);
    }
    EXPECT(rt_load_sc(&ends) <= rt_load_sc(&calls));
    return NULL;
}

static void *race_handle_main(void *arg)
{
    static skua_token token; /* outlives every function */
    for (int i = 0; i < ROUNDS; i++) {
        skua_token *asked = i % 2 ? &token : NULL;
        skua_task *t = skua_spawn_thread(spin_a_little, NUM(i % 512), .token = asked);
        if (i % 3)
            SKUA_IGNORE(skua_sleep(i % 7 * 5e-6));
        bool did = skua_cancel(t, NULL);
        void *value = NULL;
        int r = skua_join(t, &value);
        EXPECT(did ? r == -ECANCELED : r == 0 && value == NUM(i % 512));
        (void)rt_add_sc(&ends, r == 0);
    }
    EXPECT(rt_load_sc(&ends) <= rt_load_sc(&calls));
    return NULL;
}

static void test_thread_cancel_against_end_one_of_them_wins(void **state)
{
    run_everywhere(race_main, 2);
    run_everywhere(race_handle_main, 2);
}

static void *storm_one(void *arg)
{
    for (int i = 0; i < 20; i++) {
        void *back = NULL;
        EXPECT_INT(skua_to_thread(give_back, NUM(i + 1), &back), 0);
        EXPECT(back == NUM(i + 1));
    }
    return NULL;
}

static void *storm_main(void *arg)
{
    enum { N = 100 };
    skua_task *tasks[N];
    for (int i = 0; i < N; i++)
        tasks[i] = i % 2 ? skua_go(storm_one, NULL) : skua_spawn(storm_one, NULL);
    EXPECT_INT(skua_gather(tasks, N, NULL, SKUA_RELEASE), 0);
    EXPECT_INT(rt_load_sc(&calls), N * 20);
    return NULL;
}

static void test_thread_storm_every_call_returns_once(void **state)
{
    run_everywhere(storm_main, 0);
}

static void test_allocator_settings_change_nothing_else(void **state)
{
    skua_tune_allocator();
    void *p = malloc(100000);
    assert_non_null(p);
    free(p);
    skua_tune_allocator();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_values_and_errors_come_back),
        cmocka_unit_test(test_thread_copy_is_what_the_function_gets),
        cmocka_unit_test(test_thread_calls_leave_errno_alone),
        cmocka_unit_test(test_thread_refuses_what_it_cannot_do),
        cmocka_unit_test(test_thread_token_says_whether_it_was_set),
        cmocka_unit_test(test_thread_cancelled_in_the_queue_never_starts),
        cmocka_unit_test(test_thread_cancelled_while_it_runs_is_waited_for),
        cmocka_unit_test(test_thread_cancelled_with_copy_or_abandon_is_left),
        cmocka_unit_test(test_thread_handle_cancelled_ends_at_once),
        cmocka_unit_test(test_thread_cancel_against_end_one_of_them_wins),
        cmocka_unit_test(test_thread_storm_every_call_returns_once),
        cmocka_unit_test(test_allocator_settings_change_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
