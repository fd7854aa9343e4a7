/* SPDX-License-Identifier: MIT */
/* Context variables: rules 19, 26, 58, 72 and 91 of asyncio. */
#include "../support/t.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static skua_var who = SKUA_VAR_INIT("who", "nobody");
static skua_var what = SKUA_VAR_INIT("what", NULL);

static const char *get(void)
{
    return skua_var_get(&who);
}

static void set(const char *value)
{
    T_EXPECT_INT(skua_var_set(&who, (void *)(uintptr_t)value, NULL), 0);
}

/* ---- rule 26 ---- */

static void *reads_and_writes(void *arg)
{
    T_EXPECT_STR(get(), "parent");
    set("child");
    skua_yield();
    T_EXPECT_STR(get(), "child");
    return arg;
}

static void *copy_main(void *arg)
{
    T_EXPECT_STR(get(), "nobody");
    set("parent");
    skua_task *t = skua_spawn(reads_and_writes, NULL);
    skua_task *f = skua_go(reads_and_writes, NULL, .name = "with a name");
    set("later"); /* too late for both */
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(skua_join(f, NULL), 0);
    T_EXPECT_STR(get(), "later");
    set("parent");
    t = skua_spawn(reads_and_writes, NULL, .eager = true);
    T_EXPECT_STR(get(), "parent");
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_STR(get(), "parent");
    return arg;
}

static void test_rule_26_a_task_has_a_copy_of_its_creators_context(void **state)
{
    /* Goal: taken at the spawn; neither side sees what the other sets later. */
    (void)state;
    t_run(copy_main, NULL);
    t_run(copy_main, NULL, .free_main = true);
    assert_string_equal(get(), "nobody");
}

static void *say_own(void *arg)
{
    T_EXPECT(skua_var_get(&what) == arg);
    T_EXPECT_INT(skua_var_set(&what, T_PTR(T_NUM(arg) + 1), NULL), 0);
    for (int i = 0; i < 20; i++) {
        skua_yield();
        T_EXPECT(skua_var_get(&what) == T_PTR(T_NUM(arg) + 1));
    }
    return NULL;
}

static void *many_main(void *arg)
{
    enum { N = 300 };
    skua_task *t[N];
    for (int i = 0; i < N; i++) {
        T_EXPECT_INT(skua_var_set(&what, T_PTR(i * 2), NULL), 0);
        t[i] = i % 3 ? skua_go(say_own, T_PTR(i * 2)) : skua_spawn(say_own, T_PTR(i * 2));
    }
    T_EXPECT_INT(skua_gather(t, N, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_rule_91_each_of_many_tasks_keeps_its_own(void **state)
{
    /* Goal: hundreds of tasks that move between workers, each with its own value throughout. */
    (void)state;
    t_run(many_main, NULL);
    t_run(many_main, NULL, .free_main = true);
}

static void *in_context(void *arg)
{
    T_EXPECT_STR(get(), arg);
    set("from the task");
    skua_yield();
    T_EXPECT_STR(get(), "from the other");
    return NULL;
}

static void *other_in_context(void *arg)
{
    (void)arg;
    T_EXPECT_STR(get(), "from the task");
    set("from the other");
    return NULL;
}

static void *given_main(void *arg)
{
    set("given");
    skua_context *c = skua_context_copy();
    set("mine");
    skua_task *t = skua_spawn(in_context, "given", .context = c, .name = "named");
    skua_task *u = skua_spawn(other_in_context, NULL, .context = c);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(skua_join(u, NULL), 0);
    T_EXPECT_STR(get(), "mine");
    T_EXPECT_STR(skua_context_get(c, &who), "from the other");
    skua_context_release(c);
    return arg;
}

static void test_rule_26_a_task_runs_in_the_context_it_is_given(void **state)
{
    /* Goal: not in a copy: two tasks with one context see each other's writes, and so does who
     * holds it. */
    (void)state;
    t_run(given_main, NULL);
}

static void *shares(void *arg)
{
    for (int i = 0; i < 500; i++) {
        skua_var_token token;
        T_EXPECT_INT(skua_var_set(&what, arg, i % 2 ? &token : NULL), 0);
        T_EXPECT(skua_var_get(&what) != NULL);
        if (i % 50 == 0)
            skua_yield();
    }
    return NULL;
}

static void *shared_main(void *arg)
{
    skua_context *c = skua_context_copy();
    skua_task    *t[4];
    for (int i = 0; i < 4; i++)
        t[i] = skua_go(shares, T_PTR(i + 1), .context = c);
    skua_context_release(c);
    T_EXPECT_INT(skua_gather(t, 4, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_rule_91_free_tasks_may_share_a_context(void **state)
{
    /* Goal: four of them set the same variable of one context as fast as they can. */
    (void)state;
    t_run(shared_main, NULL);
}

static void *mapped(void *arg)
{
    T_EXPECT_STR(get(), "caller");
    set("an earlier call");
    if (T_NUM(arg) % 3)
        skua_yield();
    return arg;
}

static void *map_main(void *arg)
{
    void *args[40];
    skua_taskgroup tg;
    for (int i = 0; i < 40; i++)
        args[i] = T_PTR(i);
    set("caller");
    T_EXPECT_INT(skua_map(mapped, args, 40, NULL, .limit = 3), 0);
    T_EXPECT_INT(skua_map(mapped, args, 40, NULL, .limit = 3, .free = true), 0);
    T_EXPECT_INT(skua_taskgroup_init(&tg), 0);
    for (int i = 0; i < 8; i++)
        T_EXPECT(skua_taskgroup_spawn(&tg, mapped, args[i]) != NULL);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    T_EXPECT_STR(get(), "caller");
    return arg;
}

static void test_rule_26_calls_of_map_have_the_context_of_its_caller(void **state)
{
    /* Goal: not that of the call whose end let the next one begin. */
    (void)state;
    t_run(map_main, NULL);
    t_run(map_main, NULL, .free_main = true);
}

/* ---- tokens ---- */

static void *tokens_main(void *arg)
{
    skua_var_token a, b, none = { { 0 } };
    T_EXPECT_INT(skua_var_reset(&who, none), -EINVAL);
    T_EXPECT_INT(skua_var_set(&who, "a", &a), 0);
    T_EXPECT_INT(skua_var_set(&who, "b", &b), 0);
    set("c"); /* without a token: b still leads to a */
    T_EXPECT_INT(skua_var_reset(&what, b), -EINVAL);
    T_EXPECT_INT(skua_var_reset(&who, b), 0);
    T_EXPECT_STR(get(), "a");
    T_EXPECT_INT(skua_var_reset(&who, b), -EALREADY);
    T_EXPECT_INT(skua_var_reset(&who, a), 0);
    T_EXPECT_STR(get(), "nobody");
    T_EXPECT_INT(skua_var_reset(&who, a), -EALREADY);
    T_EXPECT_INT(skua_var_set(&who, "a", &a), 0);
    T_EXPECT_INT(skua_var_set(&who, "b", &b), 0);
    T_EXPECT_INT(skua_var_reset(&who, a), 0); /* b's time is over with it */
    T_EXPECT_STR(get(), "nobody");
    T_EXPECT_INT(skua_var_reset(&who, b), -EALREADY);
    return arg;
}

static void *foreign_token(void *token)
{
    T_EXPECT_STR(get(), "a");
    T_EXPECT_INT(skua_var_reset(&who, *(skua_var_token *)token), -EINVAL);
    set("x");
    T_EXPECT_INT(skua_var_reset(&who, *(skua_var_token *)token), -EINVAL);
    T_EXPECT_STR(get(), "x");
    return NULL;
}

static void *foreign_main(void *arg)
{
    skua_var_token token;
    T_EXPECT_INT(skua_var_set(&who, "a", &token), 0);
    T_EXPECT_INT(skua_join(skua_spawn(foreign_token, &token), NULL), 0);
    T_EXPECT_INT(skua_var_reset(&who, token), 0);
    return arg;
}

static void test_a_token_takes_back_its_set_once_and_where_it_was_made(void **state)
{
    /* Goal: reset is exact; a used token, a foreign one, one of another variable are errors. */
    (void)state;
    t_run(tokens_main, NULL);
    t_run(foreign_main, NULL);
    tokens_main(NULL); /* on a plain thread as well */
    t_check();
}

static void test_bad_arguments_are_refused(void **state)
{
    /* Goal: NULL is an error everywhere, and touches nothing. */
    (void)state;
    skua_var_token none = { { 0 } };
    assert_int_equal(skua_var_set(NULL, "x", NULL), -EINVAL);
    assert_null(skua_var_get(NULL));
    assert_int_equal(skua_var_reset(NULL, none), -EINVAL);
    assert_null(skua_context_retain(NULL));
    skua_context_release(NULL);
    assert_null(skua_context_get(NULL, &who));
    assert_int_equal(skua_failed(skua_context_run(NULL, tokens_main, NULL)), -EINVAL);
    skua_context *c = skua_context_copy();
    assert_non_null(c);
    assert_null(skua_context_get(c, NULL));
    assert_int_equal(skua_failed(skua_context_run(c, NULL, NULL)), -EINVAL);
    skua_context_release(c);
}

/* ---- rule 58 ---- */

static void *sets_inside(void *arg)
{
    T_EXPECT_STR(get(), "outside");
    set(arg);
    SKUA_IGNORE(skua_sleep(1));
    T_EXPECT_STR(get(), arg);
    return arg;
}

static void *run_in_main(void *arg)
{
    set("outside");
    skua_context *c = skua_context_copy();
    T_EXPECT_STR(skua_context_run(c, sets_inside, "inside"), "inside");
    T_EXPECT_STR(get(), "outside");
    T_EXPECT_STR(skua_context_get(c, &who), "inside");
    skua_context_release(c);
    /* a function that is called, with a limit around it, shares the caller's context */
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 100), 0);
    SKUA_IGNORE(sets_inside("called"));
    T_EXPECT_INT(skua_timeout_exit(&limit, 0), 0);
    T_EXPECT_STR(get(), "called");
    return arg;
}

static void test_rule_58_what_is_called_shares_the_callers_context(void **state)
{
    /* Goal: a call is not a task; skua_context_run() is the way to call in another context, over
     * suspensions too. */
    (void)state;
    t_run(run_in_main, NULL);
    t_run(run_in_main, NULL, .free_main = true);
}

/* ---- rule 19, and the callbacks of the loop ---- */

static void say_and_set(void *name)
{
    t_log("%s:%s", (const char *)name, get());
    set("a callback");
}

static void done_say_and_set(skua_task *task, void *name)
{
    (void)task;
    say_and_set(name);
}

static void *callbacks_main(void *arg)
{
    skua_future *f = skua_future_new(), *done = skua_future_new();
    T_EXPECT(skua_future_set_result(done, NULL));
    set("1");
    T_EXPECT_INT(skua_add_done_callback(f, done_say_and_set, "pending"), 0);
    set("2");
    T_EXPECT_INT(skua_add_done_callback(done, done_say_and_set, "done"), 0);
    set("3");
    T_EXPECT(skua_call_soon(say_and_set, "soon").id != 0);
    set("4");
    T_EXPECT(skua_call_later(1, say_and_set, "later").id != 0);
    T_EXPECT(skua_call_at(skua_loop_time() + 2, say_and_set, "at").id != 0);
    skua_handle gone = skua_call_soon(say_and_set, "cancelled");
    set("5");
    T_EXPECT_INT(skua_call_soon_threadsafe(skua_loop_current(), say_and_set, "threadsafe"), 0);
    T_EXPECT(skua_handle_cancel(gone));
    set("6");
    T_EXPECT_INT(skua_sleep(3), 0);
    T_EXPECT(skua_future_set_result(f, NULL));
    T_EXPECT_INT(skua_sleep(1), 0);
    T_EXPECT_STR(get(), "6");
    skua_release(f);
    skua_release(done);
    return arg;
}

static void test_rule_19_callbacks_run_in_the_context_they_were_added_in(void **state)
{
    /* Goal: as it was at that moment; what they set stays with them. */
    (void)state;
    t_run(callbacks_main, NULL);
    t_check_log("done:2 soon:3 threadsafe:5 later:4 at:4 pending:1");
}

static void *free_callbacks_main(void *arg)
{
    skua_future *f = skua_future_new();
    set("free");
    T_EXPECT_INT(skua_add_done_callback(f, done_say_and_set, "free-step"), 0);
    set("other");
    T_EXPECT(skua_future_set_result(f, NULL));
    T_EXPECT_INT(skua_sleep(1), 0);
    T_EXPECT_STR(get(), "other");
    skua_release(f);
    return arg;
}

static void test_rule_19_also_those_of_free_tasks(void **state)
{
    /* Goal: the same for a callback that no loop owns. */
    (void)state;
    t_run(free_callbacks_main, NULL, .free_main = true);
    t_check_log("free-step:free");
}

static void *by_thread(void *arg)
{
    set("host thread");
    T_EXPECT_INT(skua_call_soon_threadsafe(arg, say_and_set, "posted"), 0);
    T_EXPECT_STR(get(), "host thread");
    return NULL;
}

static void *says(void *arg)
{
    say_and_set(arg);
    return NULL;
}

static void *spawn_by_thread(void *arg)
{
    set("host thread");
    skua_task *t = skua_spawn_threadsafe(arg, says, "spawned");
    T_EXPECT_INT(skua_wait_blocking(t, 60, NULL), 0);
    skua_release(t);
    T_EXPECT_STR(get(), "host thread");
    return NULL;
}

static void *from_threads_main(void *arg)
{
    void *(*body[])(void *) = { by_thread, spawn_by_thread };
    set("main");
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        T_EXPECT_INT(pthread_create(&thread, NULL, body[i], skua_loop_current()), 0);
        T_EXPECT_INT(skua_sleep(0.05), 0);
        pthread_join(thread, NULL);
        skua_yield();
    }
    return arg;
}

static void test_plain_threads_have_contexts_of_their_own(void **state)
{
    /* Goal: empty at first; what they post or spawn begins with a copy; main begins with a copy of
     * the one of the thread that calls run, which keeps its own. */
    (void)state;
    t_run(from_threads_main, NULL, .real_time = true);
    t_check_log("posted:host thread spawned:host thread");
    skua_var_token token;
    assert_int_equal(skua_var_set(&who, "parent", &token), 0);
    t_run(reads_and_writes, NULL);
    assert_string_equal(get(), "parent");
    assert_int_equal(skua_var_reset(&who, token), 0);
    assert_string_equal(get(), "nobody");
}

static skua_future *signalled;
static int          signals;

static void on_signal(void *arg)
{
    say_and_set(arg);
    if (++signals == 2)
        SKUA_IGNORE(skua_future_set_result(signalled, NULL));
    else
        kill(getpid(), SIGUSR2);
}

static void *signal_main(void *arg)
{
    signals = 0;
    signalled = skua_future_new();
    set("at add");
    T_EXPECT_INT(skua_add_signal_handler(SIGUSR2, on_signal, "signal"), 0);
    set("later");
    kill(getpid(), SIGUSR2);
    T_EXPECT_INT(skua_await(signalled, NULL), 0);
    T_EXPECT_INT(skua_remove_signal_handler(SIGUSR2), 0);
    skua_release(signalled);
    return arg;
}

static void test_signal_handlers_run_in_the_context_they_were_added_in(void **state)
{
    /* Goal: each call in a fresh copy of it. */
    (void)state;
    t_run(signal_main, NULL, .real_time = true);
    t_check_log("signal:at add signal:at add");
}

/* ---- rule 72 ---- */

static void *in_thread(void *arg)
{
    T_EXPECT_STR(get(), arg);
    skua_var_token token;
    T_EXPECT_INT(skua_var_set(&who, "thread", &token), 0);
    T_EXPECT_STR(get(), "thread");
    T_EXPECT_INT(skua_var_reset(&who, token), 0);
    T_EXPECT_STR(get(), arg);
    set("thread");
    return NULL;
}

static void *thread_main(void *arg)
{
    T_EXPECT_INT(skua_to_thread(in_thread, "nobody", NULL), 0);
    for (int i = 0; i < 3; i++) { /* one thread of the pool, several jobs */
        set("caller");
        T_EXPECT_INT(skua_to_thread(in_thread, "caller", NULL), 0);
        T_EXPECT_STR(get(), "caller");
    }
    skua_task *t = skua_spawn_thread(in_thread, "caller");
    set("changed");
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_STR(get(), "changed");
    return arg;
}

static void test_rule_72_threads_read_a_copy_and_write_to_it(void **state)
{
    /* Goal: the function sees the caller's values; what it sets does not come back. */
    (void)state;
    t_run(thread_main, NULL, .blocking_threads = 1);
    t_run(thread_main, NULL, .blocking_threads = 1, .free_main = true);
}

/* ---- retain and release ---- */

static atomic_int retained, released;

static void retain(void *value)
{
    (void)value;
    atomic_fetch_add(&retained, 1);
}

static void release(void *value)
{
    (void)value;
    atomic_fetch_add(&released, 1);
}

static skua_var counted = SKUA_VAR_INIT("counted", NULL, .retain = retain, .release = release);
static skua_var owned = SKUA_VAR_INIT("owned", NULL, .release = free);

static void *use_counted(void *arg)
{
    int n = T_NUM(arg);
    skua_var_token token;
    T_EXPECT_INT(skua_var_set(&counted, T_PTR(1 + n), n % 2 ? &token : NULL), 0);
    T_EXPECT_INT(skua_var_set(&owned, strdup("text"), NULL), 0);
    if (n > 0) {
        skua_task *t = n % 3 ? skua_spawn(use_counted, T_PTR(n - 1))
                             : skua_go(use_counted, T_PTR(n - 1));
        T_EXPECT_STR(skua_var_get(&owned), "text");
        T_EXPECT_INT(skua_join(t, NULL), 0);
    }
    if (n % 4 == 1)
        T_EXPECT_INT(skua_var_reset(&counted, token), 0);
    return NULL;
}

static void *counted_main(void *arg)
{
    for (int i = 0; i < 30; i++)
        SKUA_IGNORE(skua_join(skua_spawn(use_counted, T_PTR(i % 10)), NULL));
    return arg;
}

static void test_values_are_released_once(void **state)
{
    /* Goal: as many releases as sets when every context has gone. */
    (void)state;
    atomic_store(&retained, 0);
    atomic_store(&released, 0);
    t_run(counted_main, NULL);
    assert_true(atomic_load(&retained) > 100);
    assert_int_equal(atomic_load(&released), atomic_load(&retained));
}

static void *thread_that_sets(void *arg)
{
    T_EXPECT_INT(skua_var_set(&counted, T_PTR(5), NULL), 0);
    return arg;
}

static void test_the_end_of_a_thread_releases_its_context(void **state)
{
    /* Goal: a plain thread's values go with the thread. */
    (void)state;
    pthread_t thread;
    atomic_store(&retained, 0);
    atomic_store(&released, 0);
    assert_int_equal(pthread_create(&thread, NULL, thread_that_sets, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&retained), 1);
    assert_int_equal(atomic_load(&released), 1);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_26_a_task_has_a_copy_of_its_creators_context),
    T_TEST(test_rule_91_each_of_many_tasks_keeps_its_own),
    T_TEST(test_rule_26_a_task_runs_in_the_context_it_is_given),
    T_TEST(test_rule_91_free_tasks_may_share_a_context),
    T_TEST(test_rule_26_calls_of_map_have_the_context_of_its_caller),
    T_TEST(test_a_token_takes_back_its_set_once_and_where_it_was_made),
    T_TEST(test_bad_arguments_are_refused),
    T_TEST(test_rule_58_what_is_called_shares_the_callers_context),
    T_TEST(test_rule_19_callbacks_run_in_the_context_they_were_added_in),
    T_TEST(test_rule_19_also_those_of_free_tasks),
    T_TEST(test_plain_threads_have_contexts_of_their_own),
    T_TEST(test_signal_handlers_run_in_the_context_they_were_added_in),
    T_TEST(test_rule_72_threads_read_a_copy_and_write_to_it),
    T_TEST(test_values_are_released_once),
    T_TEST(test_the_end_of_a_thread_releases_its_context),
};

T_MAIN(tests, NULL)
