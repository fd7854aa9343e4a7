/* SPDX-License-Identifier: MIT */
/* Goal: nothing is lost or late where a worker naps and another one polls its loop. Method: every
 * worker is made to believe that its sleeps are short and its tasks too, so it naps whenever it
 * may. Nothing is timed: what has to come forward does, or a deadline says that it did not. */
#include "scale.h"
#include "t.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sched/runtime.h"
#include "sched/spawn.h"

enum {
    PAIRS = 6,
    TRIPS = T_SCALE(3000, 600),
    PATIENCE = 60, /* seconds */
};

static struct rt_runtime *rt;

static void make_drowsy(void)
{
    for (unsigned i = 0; i < rt->n; i++) {
        rt_store_relaxed(&rt->workers[i]->lend.shorts, 1u << 20);
        rt_store_relaxed(&rt->workers[i]->pace, 1000);
    }
}

static uint64_t times_served(void)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < rt->n; i++)
        n += rt_load_relaxed(&rt->workers[i]->lend.served);
    return n;
}

/* --- echoes, of free tasks and of pinned ones, asked by a thread --- */

struct echo {
    int task_end, thread_end;
    bool is_pinned;
    unsigned home; /* of a pinned one */
};

static struct echo echoes[PAIRS];

static void *echo(void *arg)
{
    struct echo *e = arg;
    char byte;
    while (skua_read(e->task_end, &byte, 1, PATIENCE) == 1) {
        if (e->is_pinned)
            T_EXPECT_INT(rt_self()->index, e->home);
        T_EXPECT_INT(skua_write(e->task_end, &byte, 1, PATIENCE), 1);
    }
    T_EXPECT_INT(skua_close(e->task_end), 0);
    return arg;
}

static bool ask(struct echo *e, char question)
{
    char answer = 0;
    struct pollfd ready = {.fd = e->thread_end, .events = POLLIN};
    return T_EXPECT_INT(write(e->thread_end, &question, 1), 1) &&
           T_EXPECT_INT(poll(&ready, 1, PATIENCE * 1000), 1) &&
           T_EXPECT_INT(read(e->thread_end, &answer, 1), 1) && T_EXPECT_INT(answer, question);
}

/* At least so many trips, and until a nap was of use. */
static void *ask_all(void *arg)
{
    double deadline = t_wall() + PATIENCE;
    for (int trip = 0; trip < TRIPS || (times_served() == 0 && t_wall() < deadline); trip++) {
        if (trip % 8 == 0)
            make_drowsy();
        if (!ask(&echoes[trip % PAIRS], (char)trip))
            break;
    }
    T_EXPECT(times_served() > 0);
    for (int i = 0; i < PAIRS; i++)
        close(echoes[i].thread_end);
    return arg;
}

static void *asked_main(void *arg)
{
    skua_task *task[PAIRS];
    skua_group *group[PAIRS] = {NULL};
    pthread_t thread;
    rt = rt_self()->rt;
    for (int i = 0; i < PAIRS; i++) {
        struct echo *e = &echoes[i];
        int fd[2];
        T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
        T_EXPECT_INT(skua_fd_adopt(fd[0]), 0);
        *e = (struct echo){fd[0], fd[1], i % 3 == 2, (unsigned)i % rt->n};
        if (e->is_pinned)
            group[i] = skua_group_new(.worker = (int)e->home + 1);
        task[i] = e->is_pinned ? skua_spawn(echo, e, .group = group[i]) : skua_go(echo, e);
    }
    T_EXPECT_INT(pthread_create(&thread, NULL, ask_all, NULL), 0);
    for (int i = 0; i < PAIRS; i++) {
        T_EXPECT_INT(skua_join(task[i], NULL), 0);
        if (group[i])
            skua_group_release(group[i]);
    }
    T_EXPECT_INT(pthread_join(thread, NULL), 0);
    return arg;
}

static void test_a_lent_loop_answers(void **state)
{
    (void)state;
    t_run(asked_main, NULL, .real_time = true, .workers = 2);
}

static void test_several_lent_loops_answer(void **state)
{
    (void)state;
    t_run(asked_main, NULL, .real_time = true, .workers = 4);
}

/* --- a helper that does not come --- */

static RT_ATOMIC(int) waits_on, answered; /* 1 + index of a worker */
static int held_end, other_end;

static void *answer(void *arg)
{
    char byte;
    rt_store_release(&waits_on, (int)rt_self()->index + 1);
    T_EXPECT_INT(skua_read(held_end, &byte, 1, PATIENCE), 1);
    rt_store_release(&answered, 1);
    return arg;
}

/* Does the loop in which the task waits depend on the caller's worker? */
static bool others_depend_on_me(void)
{
    int where = rt_load_acquire(&waits_on);
    struct rt_worker *me = rt_self();
    if (where == 0 || where == (int)me->index + 1)
        return false;
    if (rt_load_relaxed(&me->poller.loan.seats) != 0)
        return true;
    make_drowsy();
    rt_poller_ring(&rt->workers[where - 1]->poller); /* it lies down anew, and may nap */
    return false;
}

/* Moves until the loop is lent to its worker, and holds that until the task has answered. */
static void *hold(void *arg)
{
    double deadline = t_wall() + PATIENCE;
    struct rt_worker *other = rt->workers[1 - rt_self()->index];
    skua_task *t = rt_spawn_on(other, answer, NULL, "lend_test", true);
    while (!others_depend_on_me() && t_wall() < deadline)
        T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT_INT(write(other_end, "x", 1), 1);
    while (!rt_load_acquire(&answered) && t_wall() < deadline)
        t_nap(0.0001);
    T_EXPECT(rt_load_acquire(&answered));
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return arg;
}

static void *held_main(void *arg)
{
    int fd[2];
    rt = rt_self()->rt;
    T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    held_end = fd[0];
    other_end = fd[1];
    T_EXPECT_INT(skua_fd_adopt(held_end), 0);
    T_EXPECT_INT(skua_join(skua_go(hold, NULL), NULL), 0);
    T_EXPECT_INT(skua_close(held_end), 0);
    close(other_end);
    return arg;
}

static void test_a_nap_ends_without_its_helper(void **state)
{
    (void)state;
    t_run(held_main, NULL, .real_time = true, .workers = 2);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_a_lent_loop_answers),
    T_TEST(test_several_lent_loops_answer),
    T_TEST(test_a_nap_ends_without_its_helper),
};
T_MAIN(tests, NULL)
