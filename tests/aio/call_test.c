/* SPDX-License-Identifier: MIT */
/* Goal: a callback runs exactly once or was cancelled exactly once, whoever cancels it from
 * whatever thread and however its slab object is used again meanwhile; and in the order of the
 * contract. */
#include "scale.h"
#include "t.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/rand.h"
#include "sched/worker.h"

enum { SLOTS = 64, RACES = T_SCALE(30000, 4000), CANCELLERS = 2 };

/* --- order --- */

static void say(void *arg)
{
    t_log("%s", (const char *)arg);
}

static void *soon_and_later(void *arg)
{
    (void)arg;
    skua_call_later(0, say, "later0");
    skua_call_soon(say, "soon1");
    skua_call_later(0.02, say, "b");
    skua_call_later(0.01, say, "a");
    skua_call_at(skua_loop_time() + 0.02, say, "c");
    skua_call_soon(say, "soon2");
    T_EXPECT_INT(skua_sleep(0.05), 0);
    T_EXPECT_INT(skua_call_later(NAN, say, "nan").id, 0);
    T_EXPECT_INT(skua_call_soon(NULL, NULL).id, 0);
    return NULL;
}

static void test_call_order(void **state)
{
    t_run(soon_and_later, NULL, .workers = 1);
    t_check_log("soon1 soon2 later0 a b c");
}

static void *no_loop(void *arg)
{
    T_EXPECT_INT(skua_call_soon(say, "x").id, 0);
    T_EXPECT_INT(skua_call_later(0, say, "x").id, 0);
    T_EXPECT_INT(skua_call_at(0, say, "x").id, 0);
    return arg;
}

static void test_call_needs_a_loop(void **state)
{
    t_run(no_loop, NULL, .free_main = true);
    assert_int_equal(skua_call_soon(say, "x").id, 0);
    assert_int_equal(skua_call_soon_threadsafe(NULL, say, "x"), -EINVAL);
    assert_false(skua_handle_cancel((skua_handle){ 0 }));
    assert_false(skua_handle_cancel((skua_handle){ 12345 }));
    t_check_log("");
}

/* --- handles --- */

static void *cancel_once(void *arg)
{
    (void)arg;
    skua_handle h[4] = {
        skua_call_soon(say, "x"),
        skua_call_later(0.01, say, "y"),
        skua_call_later(0.01, say, "runs"),
        skua_call_at(INFINITY, say, "z"),
    };
    for (int i = 0; i < 4; i++) {
        T_EXPECT(h[i].id != 0);
        if (i == 2)
            continue;
        T_EXPECT(skua_handle_cancel(h[i]));
        T_EXPECT(!skua_handle_cancel(h[i]));
    }
    T_EXPECT_INT(skua_sleep(0.02), 0);
    T_EXPECT(!skua_handle_cancel(h[2]));
    /* the objects are used again by now: old handles name nobody */
    skua_handle again[8];
    for (int i = 0; i < 8; i++)
        again[i] = skua_call_later(0.01, say, "new");
    for (int i = 0; i < 4; i++)
        T_EXPECT(!skua_handle_cancel(h[i]));
    for (int i = 0; i < 8; i++)
        T_EXPECT(skua_handle_cancel(again[i]));
    skua_task *t = skua_spawn(no_loop, NULL);
    T_EXPECT(!skua_handle_cancel((skua_handle){ rt_wait_name(t, 0) }));
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    return NULL;
}

static void test_handle_cancels_once(void **state)
{
    t_run(cancel_once, NULL, .workers = 1);
    t_check_log("runs");
}

struct self {
    skua_handle h;
    int         answer;
};

static void cancel_itself(void *arg)
{
    struct self *s = arg;
    s->answer = skua_handle_cancel(s->h);
}

static void *cancel_while_it_runs(void *arg)
{
    struct self s = { .answer = 7 };
    s.h = skua_call_soon(cancel_itself, &s);
    (void)skua_yield();
    T_EXPECT_INT(s.answer, 0);
    return arg;
}

static void test_handle_of_running_callback(void **state)
{
    t_run(cancel_while_it_runs, NULL);
}

/* Callbacks of an earlier runtime are gone with it. */
static skua_handle left[3];

static void *leave_calls(void *arg)
{
    left[0] = skua_call_later(1000, say, "x");
    left[1] = skua_call_soon(say, "last");
    left[2] = skua_call_at(INFINITY, say, "x");
    return arg;
}

static void test_handle_after_the_end(void **state)
{
    t_run(leave_calls, NULL);
    for (int i = 0; i < 3; i++)
        assert_false(skua_handle_cancel(left[i]));
    t_log_reset();
}

/* --- races --- */

struct slot {
    _Atomic uint64_t id;
    atomic_int       ran, cancelled;
};

static struct slot    slots[RACES];
static _Atomic int    offered[SLOTS]; /* number of a slot, or -1 */
static atomic_int     stop;

static void count(void *arg)
{
    atomic_fetch_add(&((struct slot *)arg)->ran, 1);
}

static void *canceller(void *arg)
{
    struct rt_rand r;
    rt_rand_init(&r, (uint64_t)T_NUM(arg) + 1);
    while (!atomic_load(&stop)) {
        int i = atomic_load(&offered[rt_rand_below(&r, SLOTS)]);
        if (i < 0)
            continue;
        if (skua_handle_cancel((skua_handle){ atomic_load(&slots[i].id) }))
            atomic_fetch_add(&slots[i].cancelled, 1);
    }
    return NULL;
}

/* Old handles stay on offer, so that objects used again are aimed at as well. */
static void *race_calls(void *arg)
{
    struct rt_rand r;
    (void)arg;
    rt_rand_init(&r, 9);
    for (int i = 0; i < RACES; i++) {
        skua_handle h;
        switch (i % 4) {
        case 0:
            h = skua_call_soon(count, &slots[i]);
            break;
        case 1:
            h = skua_call_later(0, count, &slots[i]);
            break;
        default:
            h = skua_call_later((double)(i % 50) * 1e-6, count, &slots[i]);
        }
        T_EXPECT(h.id != 0);
        atomic_store(&slots[i].id, h.id);
        atomic_store(&offered[rt_rand_below(&r, SLOTS)], i);
        if (i % 8 == 7)
            (void)skua_yield();
        if (i % 1000 == 0)
            T_EXPECT_INT(skua_sleep(0.0002), 0);
        if (i % 16 == 3 && skua_handle_cancel((skua_handle){ atomic_load(&slots[i - 2].id) }))
            atomic_fetch_add(&slots[i - 2].cancelled, 1);
    }
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return NULL;
}

static void test_handle_races_each_once(void **state)
{
    for (int workers = 1; workers <= 2; workers++) {
        pthread_t threads[CANCELLERS];
        int       runs = 0;
        memset(slots, 0, sizeof slots);
        for (int i = 0; i < SLOTS; i++)
            atomic_store(&offered[i], -1);
        atomic_store(&stop, 0);
        for (int i = 0; i < CANCELLERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, canceller, T_PTR(i)), 0);
        t_run(race_calls, NULL, .workers = workers, .real_time = true);
        atomic_store(&stop, 1);
        for (int i = 0; i < CANCELLERS; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < RACES; i++) {
            T_EXPECT_INT(atomic_load(&slots[i].ran) + atomic_load(&slots[i].cancelled), 1);
            runs += atomic_load(&slots[i].ran);
        }
        t_check();
        assert_in_range(runs, 1, RACES - 1);
    }
}

/* --- from other threads --- */

static atomic_int arrived, order_errors;
static int        last_of[CANCELLERS];

struct message {
    int from, number;
};

static struct message messages[CANCELLERS][RACES / 4];

static void arrive(void *arg)
{
    struct message *m = arg;
    order_errors += m->number != last_of[m->from] + 1;
    last_of[m->from] = m->number;
    arrived++;
}

struct sender {
    skua_loop *loop;
    int        from;
};

static void *send_all(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < RACES / 4; i++) {
        messages[s->from][i] = (struct message){ s->from, i + 1 };
        T_EXPECT_INT(skua_call_soon_threadsafe(s->loop, arrive, &messages[s->from][i]), 0);
    }
    return NULL;
}

static void *receive_all(void *arg)
{
    pthread_t     threads[CANCELLERS];
    struct sender senders[CANCELLERS];
    (void)arg;
    for (int i = 0; i < CANCELLERS; i++) {
        senders[i] = (struct sender){ skua_loop_current(), i };
        T_EXPECT_INT(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    double deadline = t_wall() + 10;
    while (arrived < CANCELLERS * (RACES / 4) && t_wall() < deadline)
        T_EXPECT_INT(skua_sleep(0.001), 0);
    for (int i = 0; i < CANCELLERS; i++)
        pthread_join(threads[i], NULL);
    T_EXPECT_INT(arrived, CANCELLERS * (RACES / 4));
    T_EXPECT_INT(order_errors, 0);
    return NULL;
}

static void test_call_soon_threadsafe_keeps_order(void **state)
{
    for (int workers = 1; workers <= 2; workers++) {
        arrived = order_errors = 0;
        memset(last_of, 0, sizeof last_of);
        t_run(receive_all, NULL, .workers = workers, .real_time = true);
    }
}

/* A loop that ends while others knock: they hear it, and nothing crashes. */
static _Atomic(skua_loop *) doomed;

static void *knock(void *arg)
{
    int refused = 0;
    while (refused < 3) {
        skua_loop *loop = atomic_load(&doomed);
        int        r = loop ? skua_call_soon_threadsafe(loop, count, arg) : 0;
        T_EXPECT(r == 0 || r == -ESHUTDOWN);
        refused += r != 0;
        usleep(5); /* a loop that gets no rest grows its batches for ever */
    }
    return NULL;
}

static void *short_life(void *arg)
{
    atomic_store(&doomed, skua_loop_current());
    T_EXPECT_INT(skua_sleep(0.001), 0);
    return arg;
}

static void test_call_soon_threadsafe_at_the_end(void **state)
{
    for (int i = 0; i < 30; i++) {
        static struct slot slot;
        pthread_t          thread;
        atomic_store(&doomed, NULL);
        assert_int_equal(pthread_create(&thread, NULL, knock, &slot), 0);
        t_run(short_life, NULL, .workers = 1 + i % 2, .real_time = true);
        pthread_join(thread, NULL);
    }
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_call_order),
    T_TEST(test_call_needs_a_loop),
    T_TEST(test_handle_cancels_once),
    T_TEST(test_handle_of_running_callback),
    T_TEST(test_handle_after_the_end),
    T_TEST(test_handle_races_each_once),
    T_TEST(test_call_soon_threadsafe_keeps_order),
    T_TEST(test_call_soon_threadsafe_at_the_end),
};
T_MAIN(tests, NULL)
