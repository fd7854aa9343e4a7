/* SPDX-License-Identifier: MIT */
/* Goal: tasks that wait for one another in a ring end when one of them is cancelled, however they
 * wait and wherever they run. Without a limit such a cancel would go round for ever. Method: rings
 * of every kind of wait, length and home; one member is cancelled, or the end of run does it. */
#include "t.h"

#include <math.h>

enum { MAX = 120 };

enum how { AWAIT, GATHER, GATHER_ERRORS, WAIT_FOR, MIXED, HOWS };
enum where { PINNED, FREE, BOTH, OTHER_GROUPS, WHERES };

struct ring {
    enum how how;
    enum where where;
    int n;
    skua_task *t[MAX];
    skua_group *g[2];
};

struct member {
    struct ring *ring;
    int i;
};

static void *member(void *arg)
{
    struct member *m = arg;
    struct ring *ring = m->ring;
    enum how how = ring->how == MIXED ? (enum how)(m->i % MIXED) : ring->how;
    int n = ring->n;
    int r = skua_sleep(0.1); /* until all of them are there */
    skua_task *next[3] = { ring->t[(m->i + 1) % n], ring->t[(m->i + 2) % n], ring->t[m->i] };
    size_t fan = next[1] == next[2] ? 1 : 2;
    if (r < 0)
        return skua_fail(r);
    if (how == AWAIT)
        r = skua_await(next[0], NULL);
    else if (how == WAIT_FOR)
        r = skua_wait_for(next[0], INFINITY, NULL);
    else
        r = skua_gather(next, fan, NULL, how == GATHER_ERRORS ? SKUA_RETURN_ERRORS : 0);
    return skua_fail(r < 0 ? r : -ECANCELED);
}

static void spawn_ring(struct ring *ring, struct member *m)
{
    for (int i = 0; i < ring->n; i++) {
        m[i] = (struct member){ ring, i };
        bool is_free = ring->where == FREE || (ring->where == BOTH && i % 2);
        skua_group *g = ring->where == OTHER_GROUPS ? ring->g[i % 2] : NULL;
        ring->t[i] = is_free ? skua_go(member, &m[i]) : skua_spawn(member, &m[i], .group = g);
    }
}

static void end_ring(struct ring *ring)
{
    struct member m[MAX];
    spawn_ring(ring, m);
    T_EXPECT_INT(skua_sleep(0.2), 0);
    skua_cancel(ring->t[0], "ring");
    for (int i = 0; i < ring->n; i++)
        T_EXPECT_INT(skua_await(ring->t[i], NULL), -ECANCELED);
    skua_release_all(ring->t, (size_t)ring->n);
}

static void *rings_main(void *arg)
{
    static const int n[] = { 2, 5 };
    struct ring ring = { .g = { skua_group_new(.worker = 1), skua_group_new() } };
    for (int k = 0; k < 2 * HOWS * WHERES; k++) {
        ring.n = n[k % 2];
        ring.how = (enum how)(k / 2 % HOWS);
        ring.where = (enum where)(k / 2 / HOWS);
        end_ring(&ring);
    }
    /* longer than combinators are nested on one stack */
    ring.how = GATHER;
    ring.where = PINNED;
    ring.n = MAX;
    end_ring(&ring);
    skua_group_release(ring.g[0]);
    skua_group_release(ring.g[1]);
    return arg;
}

static void test_cancel_ring_ends_on_one_worker(void **state)
{
    (void)state;
    t_run(rings_main, NULL, .workers = 1);
    t_check();
}

static void test_cancel_ring_ends_on_two_workers(void **state)
{
    (void)state;
    t_run(rings_main, NULL, .workers = 2, .free_main = true);
    t_check();
}

static void test_cancel_ring_ends_on_four_workers(void **state)
{
    (void)state;
    t_run(rings_main, NULL, .workers = 4);
    t_check();
}

static struct ring left[HOWS * 3];

static void *leave_rings(void *arg)
{
    static struct member m[HOWS * 3][3];
    for (int k = 0; k < HOWS * 3; k++) {
        left[k] = (struct ring){ .n = 3, .how = (enum how)(k / 3), .where = (enum where)(k % 3) };
        spawn_ring(&left[k], m[k]);
    }
    T_EXPECT_INT(skua_sleep(0.2), 0);
    return arg; /* the handles are needed longer than main lives */
}

static void test_cancel_ring_is_left_to_the_end_of_run(void **state)
{
    (void)state;
    for (int w = 1; w <= 4; w *= 2) {
        t_run(leave_rings, NULL, .workers = w);
        for (int k = 0; k < HOWS * 3; k++)
            skua_release_all(left[k].t, 3);
    }
    t_check();
}

/* Two requests to stop a task whose child is slow are no ring. */
static void *slow_to_stop(void *arg)
{
    for (int i = 0; i < T_NUM(arg); i++)
        T_EXPECT_INT(skua_sleep(10), -ECANCELED);
    return NULL;
}

static void *awaits_slow(void *arg)
{
    skua_task *t = skua_spawn(slow_to_stop, arg);
    return skua_fail(skua_join(t, NULL) < 0 ? -EIO : -EALREADY);
}

static void *patience_main(void *arg)
{
    enum { MANY = 800 };
    skua_task *t = skua_spawn(awaits_slow, T_PTR(MANY));
    for (int i = 0; i < MANY; i++) {
        T_EXPECT_INT(skua_sleep(0.01), 0);
        T_EXPECT(skua_cancel(t, NULL));
    }
    T_EXPECT_INT(skua_join(t, NULL), -EALREADY);
    return arg;
}

static void test_cancel_repeated_is_not_taken_for_a_ring(void **state)
{
    (void)state;
    t_run(patience_main, NULL);
    t_run(patience_main, NULL, .free_main = true);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_cancel_ring_ends_on_one_worker),
    T_TEST(test_cancel_ring_ends_on_two_workers),
    T_TEST(test_cancel_ring_ends_on_four_workers),
    T_TEST(test_cancel_ring_is_left_to_the_end_of_run),
    T_TEST(test_cancel_repeated_is_not_taken_for_a_ring),
};
T_MAIN(tests, NULL)
