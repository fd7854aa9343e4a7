/* SPDX-License-Identifier: MIT */
/* A run that nothing can end any more ends with -EDEADLK and says who waits for whom; one that
 * something may still end does not. Each case is a process of its own, without threads but the
 * runtime's, since those of others count. */
#include "../support/stderr.h"
#include "../support/t.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int verdict(int r, int want)
{
    if (r != want)
        fprintf(stderr, "run returned %d\n", r);
    return r == want && t_failures() == 0 ? 0 : 1;
}

static void *waits_for(void *place)
{
    int r = skua_await(*(skua_task **)place, NULL);
    return r < 0 ? skua_fail(r) : NULL;
}

/* ---- deadlocks ---- */

static _Atomic(skua_task *) left, right;

/* A free task may begin before there is anything to wait for. */
static void *waits_for_the_other(void *place)
{
    skua_task *other;
    while (!(other = atomic_load((_Atomic(skua_task *) *)place)))
        SKUA_IGNORE(skua_yield());
    return waits_for(&other);
}

static void *ring_main(void *free)
{
    atomic_store(&left, free ? skua_go(waits_for_the_other, &right, .name = "left")
                             : skua_spawn(waits_for_the_other, &right, .name = "left"));
    atomic_store(&right, free ? skua_go(waits_for_the_other, &left, .name = "right")
                              : skua_spawn(waits_for_the_other, &left, .name = "right"));
    skua_task *both[] = { left, right };
    int r = skua_gather(both, 2, NULL, SKUA_RELEASE);
    T_EXPECT_INT(r, -ECANCELED); /* the end of run */
    T_EXPECT_INT(skua_sleep(0.01), 0); /* clean-up still works */
    return skua_fail(r);
}

static int ring_scenario(void)
{
    return verdict(skua_run(ring_main, NULL), -EDEADLK);
}

static int free_ring_scenario(void)
{
    return verdict(skua_run(ring_main, T_PTR(1), .free_main = true), -EDEADLK);
}

static int virtual_ring_scenario(void)
{
    return verdict(skua_run(ring_main, NULL, .virtual_time = true), -EDEADLK);
}

static skua_lock one = SKUA_LOCK_INIT, two = SKUA_LOCK_INIT;

static void *takes(void *first)
{
    skua_lock *mine = first ? &one : &two, *other = first ? &two : &one;
    int r = skua_lock_acquire(mine);
    if (r == 0)
        r = skua_yield();
    if (r == 0)
        r = skua_lock_acquire(other);
    SKUA_IGNORE(skua_lock_release(mine));
    return skua_fail(r);
}

static void *locks_main(void *arg)
{
    skua_taskgroup tg;
    (void)arg;
    T_EXPECT_INT(skua_taskgroup_init(&tg), 0);
    (void)skua_taskgroup_spawn(&tg, takes, T_PTR(1), .name = "first");
    (void)skua_taskgroup_spawn(&tg, takes, NULL, .name = "second");
    int r = skua_taskgroup_join(&tg, 0);
    return skua_fail(r);
}

static int locks_scenario(void)
{
    return verdict(skua_run(locks_main, NULL), -EDEADLK);
}

static void *future_main(void *arg)
{
    (void)arg;
    skua_future *f = skua_future_new();
    T_EXPECT_INT(skua_set_name(f, "nobodys"), 0);
    int r = skua_join(f, NULL);
    return skua_fail(r);
}

static int future_scenario(void)
{
    return verdict(skua_run(future_main, NULL), -EDEADLK);
}

static void *nothing(void *arg)
{
    return arg;
}

/* Beside threads that are the runtime's, or only clean up. */
static void *idle_threads_main(void *arg)
{
    T_EXPECT_INT(skua_to_thread(nothing, NULL, NULL), 0);
    return future_main(arg);
}

static int idle_threads_scenario(void)
{
    skua_tune_allocator();
    return verdict(skua_run(idle_threads_main, NULL), -EDEADLK);
}

static void *get_from(void *queue)
{
    int r = skua_queue_get(queue, NULL, INFINITY);
    return skua_fail(r);
}

static void *wait_for_event(void *event)
{
    int r = skua_event_wait(event);
    return skua_fail(r);
}

static void *take_permit(void *semaphore)
{
    int r = skua_semaphore_acquire(semaphore);
    return skua_fail(r);
}

static skua_cond cond = SKUA_COND_INIT(&one);

static void *wait_for_cond(void *arg)
{
    (void)arg;
    int r = skua_lock_acquire(&one);
    if (r == 0)
        r = skua_cond_wait(&cond);
    SKUA_IGNORE(skua_lock_release(&one));
    return skua_fail(r);
}

static void *kinds_main(void *arg)
{
    static skua_queue q = SKUA_QUEUE_INIT(0);
    static skua_event e = SKUA_EVENT_INIT;
    static skua_semaphore s = SKUA_SEMAPHORE_INIT(0);
    skua_task *t[] = { skua_go(get_from, &q, .name = "getter"),
                       skua_spawn(wait_for_event, &e, .name = "eventful"),
                       skua_go(take_permit, &s, .name = "permitted"),
                       skua_spawn(wait_for_cond, arg, .name = "notified") };
    size_t done;
    int r = skua_wait(t, 4, INFINITY, SKUA_FIRST_COMPLETED, &done);
    skua_release_all(t, 4);
    return skua_fail(r);
}

static int kinds_scenario(void)
{
    return verdict(skua_run(kinds_main, NULL), -EDEADLK);
}

static void run_child(const char *scenario, struct t_child *child)
{
    t_child_run(scenario, child);
    if (!t_child_exited(child, 0))
        print_error("%s:\n%s\n", scenario, child->text);
    assert_true(t_child_exited(child, 0));
}

static void test_tasks_that_await_each_other_are_a_deadlock(void **state)
{
    /* Goal: -EDEADLK, the ring first; pinned and free, on the wall's clock and on virtual time. */
    static const char *const names[] = { "ring", "free_ring", "virtual_ring" };
    struct t_child child;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        run_child(names[i], &child);
        t_child_wrote(&child, "deadlock: the run waits for Task-");
        t_child_wrote(&child, "nothing is left that could wake a task\nskua:   in a ring:\n");
        t_child_wrote(&child, "deadlock_test.c:");
        t_child_wrote(&child, ") awaits right\n");
        t_child_wrote(&child, ") awaits left\n");
        t_child_wrote(&child, ") waits for several tasks: left, right\n");
    }
}

static void test_a_lock_names_who_holds_it(void **state)
{
    /* Goal: two locks taken in two orders: each says whom it waits for. */
    struct t_child child;
    (void)state;
    run_child("locks", &child);
    t_child_wrote(&child, ", held by first\n");
    t_child_wrote(&child, ", held by second\n");
    t_child_wrote(&child, "waits for the tasks of a group: ");
    t_child_wrote(&child, "in a ring:");
}

static void test_what_nobody_will_do_is_named(void **state)
{
    /* Goal: futures, queues, events, semaphores and conditions. */
    struct t_child child;
    (void)state;
    run_child("future", &child);
    t_child_wrote(&child, "awaits nobodys, which nobody completes");
    run_child("idle_threads", &child);
    run_child("kinds", &child);
    t_child_wrote(&child, "getter (spawned at ");
    t_child_wrote(&child, "waits for an element of a queue at 0x");
    t_child_wrote(&child, "waits for an event at 0x");
    t_child_wrote(&child, "waits for a semaphore at 0x");
    t_child_wrote(&child, "waits for a condition at 0x");
}

/* ---- loops and runners ---- */

static void *give_back(void *arg)
{
    return arg;
}

static int loop_scenario(void)
{
    skua_loop *loop = skua_loop_new();
    skua_task *t = skua_spawn(future_main, NULL, .group = loop);
    void *value = NULL;
    T_EXPECT_INT(skua_loop_run_until_complete(loop, t, NULL), -EDEADLK);
    skua_task *good = skua_spawn(give_back, T_PTR(3), .group = loop);
    T_EXPECT_INT(skua_loop_run_until_complete(loop, good, &value), 0);
    T_EXPECT(value == T_PTR(3));
    T_EXPECT_INT(skua_loop_run_until_complete(loop, t, NULL), -EDEADLK);
    skua_release(good);
    skua_release(t);
    return verdict(skua_loop_close(loop), 0);
}

static int runner_scenario(void)
{
    skua_runner *r = skua_runner_new();
    void *value = NULL;
    T_EXPECT_INT(skua_runner_run(r, future_main, NULL, NULL), -EDEADLK);
    T_EXPECT_INT(skua_runner_run(r, give_back, T_PTR(4), &value), 0);
    T_EXPECT(value == T_PTR(4));
    return verdict(skua_runner_close(r), 0);
}

static void test_a_loop_and_a_runner_say_so_and_go_on(void **state)
{
    /* Goal: -EDEADLK from each run that is stuck; what can run runs afterwards. */
    struct t_child child;
    (void)state;
    run_child("loop", &child);
    run_child("runner", &child);
}

/* ---- what may still end it ---- */

static int ends[2], go[2]; /* a byte in the latter: the signal is waited for */

/* Another process does it after a while, in which a deadlock would have been found. */
static pid_t later(int signo, int fd)
{
    char c;
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    if (signo)
        SKUA_IGNORE(read(go[0], &c, 1));
    t_nap(0.2);
    if (signo)
        kill(parent, signo);
    else
        SKUA_IGNORE(write(fd, "x", 1));
    _exit(0);
}

static skua_future *end;

static void end_it(void *arg)
{
    (void)arg;
    T_EXPECT(skua_future_set_result(end, NULL));
}

static void read_and_end(void *arg)
{
    char c;
    T_EXPECT_INT(read(ends[0], &c, 1), 1);
    T_EXPECT_INT(skua_remove_reader(ends[0]), 1);
    end_it(arg);
}

static void *end_on_thread(void *arg)
{
    t_nap(0.2);
    end_it(NULL);
    return arg;
}

static void *wait_for_fd(void *arg)
{
    T_EXPECT_INT(skua_poll_fd(ends[0], POLLIN, INFINITY), POLLIN);
    end_it(NULL);
    return arg;
}

static void *wait_for_signal(void *arg)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    T_EXPECT_INT(skua_signal_wait(&set, 0), -ETIMEDOUT); /* from here on none is lost */
    T_EXPECT_INT(write(go[1], "x", 1), 1);
    T_EXPECT_INT(skua_signal_wait(&set, INFINITY), SIGUSR1);
    end_it(NULL);
    return arg;
}

static void *sleeps(void *arg)
{
    T_EXPECT_INT(skua_sleep(0.2), 0);
    end_it(NULL);
    return arg;
}

static const char *const sources[] = { "timer", "callback", "descriptor",  "reader",
                                       "signal handler", "signal wait", "thread call" };

static void *exempt_main(void *which)
{
    end = skua_future_new();
    switch (T_NUM(which)) {
    case 0:
        skua_detach(skua_go(sleeps, NULL));
        break;
    case 1:
        (void)skua_call_later(0.2, end_it, NULL);
        break;
    case 2:
        skua_detach(skua_go(wait_for_fd, NULL));
        break;
    case 3:
        T_EXPECT_INT(skua_add_reader(ends[0], read_and_end, NULL), 0);
        break;
    case 4:
        T_EXPECT_INT(skua_add_signal_handler(SIGUSR1, end_it, NULL), 0);
        T_EXPECT_INT(write(go[1], "x", 1), 1);
        break;
    case 5:
        skua_detach(skua_spawn(wait_for_signal, NULL));
        break;
    default:
        skua_detach(skua_spawn_thread(end_on_thread, NULL));
    }
    int r = skua_join(end, NULL);
    return r < 0 ? skua_fail(r) : NULL;
}

static int exempt_scenario(void)
{
    signal(SIGUSR1, SIG_IGN);
    if (pipe(go) < 0 || pipe(ends) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        return 9;
    for (int i = 0; i < 7; i++) {
        pid_t pid = i == 2 || i == 3 ? later(0, ends[1]) : i == 4 || i == 5 ? later(SIGUSR1, 0) : 0;
        int r = skua_run(exempt_main, T_PTR(i));
        if (pid)
            waitpid(pid, NULL, 0);
        if (r != 0)
            fprintf(stderr, "%s: %d\n", sources[i], r);
        if (i == 2)
            T_EXPECT_INT(read(ends[0], &(char){ 0 }, 1), 1);
        T_EXPECT_INT(r, 0);
    }
    return verdict(0, 0);
}

static void test_what_may_still_happen_is_no_deadlock(void **state)
{
    /* Goal: timers, delayed callbacks, descriptors, readers, signals and thread calls, one at a
     * time, each longer than the runtime takes to find a deadlock. */
    struct t_child child;
    (void)state;
    run_child("exempt", &child);
    assert_string_equal(child.text, "");
}

static void *gives_up_main(void *arg)
{
    struct skua_thread_opts opts = { .size = sizeof opts, .abandon = true };
    (void)arg;
    end = skua_future_new();
    skua_timeout to;
    T_EXPECT_INT(skua_timeout_enter(&to, 0.05), 0);
    int r = skua_to_thread_with(end_on_thread, NULL, NULL, &opts);
    T_EXPECT_INT(skua_timeout_exit(&to, r), -ETIMEDOUT);
    r = skua_join(end, NULL); /* the function that was left alone still runs */
    return r < 0 ? skua_fail(r) : NULL;
}

static int abandoned_scenario(void)
{
    return verdict(skua_run(gives_up_main, NULL), 0);
}

static void test_a_thread_call_that_was_abandoned_counts(void **state)
{
    /* Goal: its function may complete a future after nobody waits for it. */
    struct t_child child;
    (void)state;
    run_child("abandoned", &child);
    assert_string_equal(child.text, "");
}

/* ---- other threads ---- */

static void *ends_when_reported(void *arg)
{
    for (double until = t_wall() + 20; !t_stderr_has("skua_hold() says") && t_wall() < until;)
        t_nap(0.01);
    end_it(NULL);
    return arg;
}

static void *thread_main(void *fn)
{
    end = skua_future_new();
    pthread_t thread;
    void *(*start)(void *) = (void *(*)(void *))(uintptr_t)fn;
    T_EXPECT_INT(pthread_create(&thread, NULL, start, NULL), 0);
    int r = skua_join(end, NULL);
    pthread_join(thread, NULL);
    return r < 0 ? skua_fail(r) : NULL;
}

static int thread_scenario(void)
{
    t_stderr_catch();
    int r = skua_run(thread_main, (void *)(uintptr_t)ends_when_reported);
    SKUA_IGNORE(t_stderr_has("")); /* the rest */
    t_stderr_give_back();
    return verdict(r, 0);
}

static void *ends_late(void *arg)
{
    t_nap(1.3); /* longer than it takes until a deadlock is reported */
    end_it(NULL);
    return arg;
}

static int hold_scenario(void)
{
    skua_hold();
    int r = skua_run(thread_main, (void *)(uintptr_t)ends_late);
    T_EXPECT_INT(skua_unhold(), 0);
    T_EXPECT_INT(skua_unhold(), -EINVAL);
    return verdict(r, 0);
}

static void *stops_late(void *loop)
{
    t_nap(1.3);
    skua_loop_stop(loop);
    return NULL;
}

static int forever_scenario(void)
{
    pthread_t thread;
    skua_loop *loop = skua_loop_new();
    skua_detach(skua_spawn(future_main, NULL, .group = loop));
    T_EXPECT_INT(pthread_create(&thread, NULL, stops_late, loop), 0);
    T_EXPECT_INT(skua_loop_run_forever(loop), 0);
    pthread_join(thread, NULL);
    return verdict(skua_loop_close(loop), 0);
}

static bool is_chosen(void)
{
    const char *workers = getenv("SKUA_WORKERS");
    return !workers || strcmp(workers, "2") == 0; /* these take seconds, once is enough */
}

static void test_with_another_thread_it_is_said_and_waited_for(void **state)
{
    /* Goal: one report, and the run goes on until the thread comes. */
    struct t_child child;
    (void)state;
    if (!is_chosen())
        skip();
    run_child("thread", &child);
    t_child_wrote(&child, "only another thread of the process could wake a task");
    assert_null(strstr(strstr(child.text, "deadlock:") + 1, "deadlock:"));
}

static void test_a_hold_and_a_loop_that_runs_for_ever_wait_in_silence(void **state)
{
    /* Goal: skua_hold() promises a thread; run_forever waits for whatever comes, as asyncio. */
    struct t_child child;
    (void)state;
    if (!is_chosen())
        skip();
    run_child("hold", &child);
    assert_string_equal(child.text, "");
    run_child("forever", &child);
    assert_string_equal(child.text, "");
}

/* ---- what the watch remembers ---- */

static void *recycled_main(void *arg)
{
    skua_task *t[1000];
    pid_t pid = later(0, ends[1]);
    (void)arg;
    for (int i = 0; i < 1000; i++)
        t[i] = skua_go(nothing, NULL);
    SKUA_IGNORE(skua_gather(t, 1000, NULL, SKUA_RELEASE));
    end = skua_future_new();
    T_EXPECT_INT(skua_join(skua_spawn(wait_for_fd, NULL), NULL), 0); /* seen to go on */
    waitpid(pid, NULL, 0);
    skua_release(end);
    end = skua_future_new();
    int r = skua_join(skua_spawn(waits_for, &end, .name = "second life"), NULL);
    skua_release(end);
    return skua_fail(r);
}

static int recycled_scenario(void)
{
    if (pipe(ends) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        return 9;
    return verdict(skua_run(recycled_main, NULL), -EDEADLK);
}

static void test_a_task_in_the_place_of_one_that_went_on_is_looked_at(void **state)
{
    /* Goal: the object of a task that waited for a descriptor while all slept is another's by now;
     * the report names all that are left. */
    struct t_child child;
    (void)state;
    run_child("recycled", &child);
    t_child_wrote(&child, "second life (spawned at ");
    t_child_wrote(&child, "Task-1 (spawned at skua_run) awaits second life");
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_tasks_that_await_each_other_are_a_deadlock),
    T_TEST(test_a_lock_names_who_holds_it),
    T_TEST(test_what_nobody_will_do_is_named),
    T_TEST(test_a_loop_and_a_runner_say_so_and_go_on),
    T_TEST(test_what_may_still_happen_is_no_deadlock),
    T_TEST(test_a_thread_call_that_was_abandoned_counts),
    T_TEST(test_a_task_in_the_place_of_one_that_went_on_is_looked_at),
    T_TEST(test_with_another_thread_it_is_said_and_waited_for),
    T_TEST(test_a_hold_and_a_loop_that_runs_for_ever_wait_in_silence),
};
static const struct t_scenario scenarios[] = {
    { "ring", ring_scenario },
    { "free_ring", free_ring_scenario },
    { "virtual_ring", virtual_ring_scenario },
    { "locks", locks_scenario },
    { "future", future_scenario },
    { "idle_threads", idle_threads_scenario },
    { "kinds", kinds_scenario },
    { "loop", loop_scenario },
    { "runner", runner_scenario },
    { "exempt", exempt_scenario },
    { "abandoned", abandoned_scenario },
    { "recycled", recycled_scenario },
    { "thread", thread_scenario },
    { "hold", hold_scenario },
    { "forever", forever_scenario },
    { 0 },
};
T_MAIN(tests, scenarios)
