/* SPDX-License-Identifier: MIT */
/* Goal: errno belongs to the task, over suspensions that end on another thread, with the compiler
 * free to keep the address of errno as long as it may. Method: this file is compiled as a user's
 * would be, with the macro of <skua.h>; a task is moved by holding the worker it left until another
 * one has taken it. Several uses of errno stand on both sides of each suspension on purpose. */
#include "scale.h"
#include "t.h"

#include <stdatomic.h>
#include <unistd.h>

enum { MOVES = T_SCALE(200, 40), MINGLERS = 16, TURNS = T_SCALE(500, 100),
       RUNS_MAX = 50 };

static atomic_int moved, resumed;

/* Runs where the traveller was, and does not let go before the traveller is elsewhere. */
static void *hold(void *arg)
{
    double deadline = t_wall() + 5;
    errno = T_NUM(arg);
    while (!atomic_load(&resumed) && t_wall() < deadline)
        continue;
    T_EXPECT_INT(errno, T_NUM(arg));
    return NULL;
}

static void *travel(void *arg)
{
    (void)arg;
    for (int i = 1; i <= MOVES; i++) {
        int tid = (int)gettid();
        atomic_store(&resumed, 0);
        skua_task *t = skua_go(hold, T_PTR(1000 + i));
        errno = i;
        int before = errno;
        (void)skua_yield(); /* behind the holder: somebody else has to come for this task */
        int after = errno;
        atomic_store(&resumed, 1);
        T_EXPECT_INT(before, i);
        T_EXPECT_INT(after, i);
        T_EXPECT_INT(close(-1), -1);
        T_EXPECT_INT(errno, EBADF);
        atomic_fetch_add(&moved, tid != (int)gettid());
        T_EXPECT_INT(skua_join(t, NULL), 0);
        T_EXPECT_INT(errno, EBADF);
    }
    return NULL;
}

static void test_errno_travels_with_the_task(void **state)
{
    atomic_store(&moved, 0);
    t_run(travel, NULL, .workers = 2, .free_main = true, .real_time = true);
    assert_true(atomic_load(&moved) > MOVES / 2);
}

/* In a loop without calls that the compiler cannot see through, but for the suspension. */
static void *mingle(void *arg)
{
    int mine = T_NUM(arg);
    errno = mine;
    for (int i = 0; i < TURNS; i++) {
        int tid = (int)gettid();
        if (errno != mine)
            break;
        errno = mine;
        SKUA_IGNORE(skua_yield());
        if (errno != mine)
            break;
        if (i % 16 == 0)
            SKUA_IGNORE(skua_sleep(0.0001));
        atomic_fetch_add(&moved, tid != (int)gettid());
    }
    T_EXPECT_INT(errno, mine);
    return NULL;
}

static void *mingle_all(void *arg)
{
    skua_task *t[MINGLERS];
    (void)arg;
    errno = 4000;
    for (int i = 0; i < MINGLERS; i++)
        t[i] = skua_go(mingle, T_PTR(2000 + i));
    T_EXPECT_INT(skua_gather(t, MINGLERS, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(errno, 4000);
    return NULL;
}

static void test_errno_of_many_tasks_stays_apart(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        atomic_store(&moved, 0);
        int runs = 0;
        do /* a machine that is busy with others may leave all tasks on one worker */
            t_run(mingle_all, NULL, .workers = workers, .real_time = true);
        while (workers > 1 && atomic_load(&moved) == 0 && ++runs < RUNS_MAX);
        assert_true(workers == 1 || atomic_load(&moved) > 0);
    }
}

/* Children that run as plain calls of their parent leave their errno behind, as any call does: only
 * what suspends is kept apart. A pinned task keeps its own as well. */
static void *pinned(void *arg)
{
    errno = T_NUM(arg);
    for (int i = 0; i < 100; i++) {
        (void)skua_yield();
        if (errno != T_NUM(arg))
            break;
    }
    T_EXPECT_INT(errno, T_NUM(arg));
    return NULL;
}

static void *pinned_pair(void *arg)
{
    skua_task *t[2] = { skua_spawn(pinned, T_PTR(11)), skua_spawn(pinned, T_PTR(12)) };
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_errno_of_pinned_tasks(void **state)
{
    t_run(pinned_pair, NULL, .real_time = true);
}

static void test_errno_outside_is_the_thread_s(void **state)
{
    errno = 5;
    assert_int_equal(*skua_errno_location(), 5);
    *skua_errno_location() = 6;
    assert_int_equal(errno, 6);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_errno_travels_with_the_task),
    T_TEST(test_errno_of_many_tasks_stays_apart),
    T_TEST(test_errno_of_pinned_tasks),
    T_TEST(test_errno_outside_is_the_thread_s),
};
T_MAIN(tests, NULL)
