/* SPDX-License-Identifier: MIT */
/* Goal: every phase under every verb, as a table; then many claimers of one suspension, of whom
 * exactly one may make the task ready. */
#include "t.h"

#include <pthread.h>
#include <sched.h>

#include "task/waitword.h"

#define T0       ((uint64_t)5 << RT_WW_TICKET_BIT) /* the ticket in the table */
#define V(value) ((uint64_t)(value) << RT_WW_VALUE_BIT)
#define C        RT_WW_CANCEL
#define RUNNING  ((uint64_t)RT_PHASE_RUNNING)
#define ARMED    ((uint64_t)RT_PHASE_ARMED)
#define PARKED   ((uint64_t)RT_PHASE_PARKED)
#define INLINE   ((uint64_t)RT_PHASE_INLINE)
#define NEXT     (T0 + RT_WW_TICKET_ONE)

static struct rt_waitword w;

static void set(uint64_t bits)
{
    rt_store_relaxed(&w.bits, bits);
}

static void expect(uint64_t bits)
{
    assert_int_equal(rt_load_relaxed(&w.bits), bits);
}

static void test_waitword_fields(void **state)
{
    uint64_t word = T0 | V(0x1fffff) | C | INLINE;
    assert_int_equal(rt_ww_ticket(word), T0);
    assert_int_equal(rt_ww_value(word), 0x1fffff);
    assert_int_equal(rt_ww_phase(word), RT_PHASE_INLINE);
}

static void test_waitword_arm(void **state)
{
    set(T0 | V(9));
    assert_int_equal(rt_ww_arm(&w), NEXT);
    expect(NEXT | ARMED);
    set(T0 | V(9) | C);
    assert_int_equal(rt_ww_arm(&w), 0);
    expect(T0 | V(9) | C);
    set(T0 | V(9));
    assert_int_equal(rt_ww_arm_pinned(&w), NEXT);
    expect(NEXT | PARKED);
    set(T0 | C);
    assert_int_equal(rt_ww_arm_pinned(&w), 0);
    expect(T0 | C);
}

static void test_waitword_park(void **state)
{
    set(T0 | ARMED);
    assert_true(rt_ww_park(&w));
    expect(T0 | PARKED);
    static const uint64_t others[] = { T0 | RUNNING, T0 | V(4) | RUNNING, T0 | C | RUNNING };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        set(others[i]);
        assert_false(rt_ww_park(&w));
        expect(others[i]);
    }
}

static void test_waitword_claim(void **state)
{
    static const struct {
        uint64_t      before, ticket, after;
        enum rt_claim claim;
    } rows[] = {
        { T0 | RUNNING, T0, T0 | RUNNING, RT_CLAIM_STALE },
        { T0 | V(3) | C | RUNNING, T0, T0 | V(3) | C | RUNNING, RT_CLAIM_STALE },
        { T0 | ARMED, T0, T0 | V(7) | RUNNING, RT_CLAIM_NOTHING },
        { T0 | PARKED, T0, T0 | V(7) | RUNNING, RT_CLAIM_SUBMIT },
        { T0 | INLINE, T0, T0 | INLINE, RT_CLAIM_STALE },
        { T0 | V(1) | INLINE, T0, T0 | V(1) | INLINE, RT_CLAIM_STALE },
        { T0 | ARMED, NEXT, T0 | ARMED, RT_CLAIM_STALE },
        { NEXT | ARMED, T0, NEXT | ARMED, RT_CLAIM_STALE },
        { NEXT | PARKED, T0, NEXT | PARKED, RT_CLAIM_STALE },
        { T0 | PARKED, 0, T0 | PARKED, RT_CLAIM_STALE },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set(rows[i].before);
        assert_int_equal(rt_ww_claim(&w, rows[i].ticket, 7), rows[i].claim);
        expect(rows[i].after);
    }
}

static void test_waitword_cancel(void **state)
{
    static const struct {
        uint64_t      before, after;
        enum rt_claim claim;
    } rows[] = {
        { T0 | RUNNING, T0 | C | RUNNING, RT_CLAIM_STALE },
        { T0 | C | RUNNING, T0 | C | RUNNING, RT_CLAIM_STALE },
        { T0 | V(3) | RUNNING, T0 | V(3) | C | RUNNING, RT_CLAIM_STALE },
        { T0 | ARMED, T0 | V(7) | RUNNING, RT_CLAIM_NOTHING },
        { T0 | PARKED, T0 | V(7) | RUNNING, RT_CLAIM_SUBMIT },
        { T0 | INLINE, T0 | INLINE, RT_CLAIM_STALE },
        { T0 | V(2) | C | INLINE, T0 | V(2) | C | INLINE, RT_CLAIM_STALE },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t word = 0;
        set(rows[i].before);
        assert_int_equal(rt_ww_cancel(&w, 7, &word), rows[i].claim);
        assert_int_equal(word, rows[i].before);
        expect(rows[i].after);
    }
}

static void test_waitword_finish_takes_the_cancel_off(void **state)
{
    int cancel = -1;
    set(T0 | V(11) | RUNNING);
    assert_int_equal(rt_ww_finish(&w, &cancel), 11);
    assert_int_equal(cancel, 0);
    expect(T0 | V(11) | RUNNING);
    set(T0 | V(11) | C | RUNNING);
    assert_int_equal(rt_ww_finish(&w, &cancel), 11);
    assert_int_equal(cancel, 1);
    expect(T0 | V(11) | RUNNING);
}

static void test_waitword_drop_cancel_once(void **state)
{
    set(T0 | V(2) | C);
    assert_true(rt_ww_cancel_pending(&w));
    assert_true(rt_ww_drop_cancel(&w));
    expect(T0 | V(2));
    assert_false(rt_ww_cancel_pending(&w));
    assert_false(rt_ww_drop_cancel(&w));
    expect(T0 | V(2));
}

static void test_waitword_retire(void **state)
{
    static const uint64_t left[] = { RUNNING, RUNNING | V(9) | C, ARMED, PARKED | C };
    for (int i = 0; i < 4; i++) {
        set(T0 | left[i]);
        rt_ww_retire(&w, T0);
        expect(NEXT | RUNNING);
        rt_ww_retire(&w, T0); /* the second time it is another's suspension */
        expect(NEXT | RUNNING);
        assert_int_equal(rt_ww_claim(&w, T0, 1), RT_CLAIM_STALE);
    }
    set(T0 | V(1) | INLINE);
    rt_ww_retire(&w, T0);
    expect(T0 | V(1) | INLINE);
}

static void test_waitword_inline_verbs(void **state)
{
    set(T0 | V(5) | C | RUNNING);
    rt_ww_inline_enter(&w);
    expect(T0 | C | INLINE);
    assert_true(rt_ww_inline_visit(&w));
    assert_true(rt_ww_inline_visit(&w));
    expect(T0 | V(2) | C | INLINE);
    assert_false(rt_ww_inline_leave(&w));
    rt_ww_inline_unvisit(&w, 0);
    assert_false(rt_ww_inline_leave(&w));
    rt_ww_inline_unvisit(&w, 1);
    expect(T0 | C | INLINE);
    assert_true(rt_ww_inline_leave(&w));
    expect(T0 | C | RUNNING);
    static const uint64_t others[] = { T0 | RUNNING, T0 | ARMED, T0 | PARKED, T0 | C | RUNNING };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        set(others[i]);
        assert_false(rt_ww_inline_visit(&w));
        expect(others[i]);
    }
    set(T0 | RUNNING);
    rt_ww_inline_enter(&w);
    assert_true(rt_ww_inline_visit(&w));
    rt_ww_inline_unvisit(&w, 1);
    expect(T0 | C | INLINE);
}

/* --- one winner --- */

enum { CLAIMERS = 3, ROUNDS = 5000 };

static RT_ATOMIC(uint64_t) offered; /* ticket of the suspension that may be claimed */
static RT_ATOMIC(int)      ready;   /* claims that said SUBMIT, plus parks that failed */
static RT_ATOMIC(int)      wins, stop;

static void *claimer(void *arg)
{
    unsigned value = (unsigned)T_NUM(arg);
    while (!rt_load_acquire(&stop)) {
        uint64_t ticket = rt_load_acquire(&offered);
        uint64_t word;
        enum rt_claim c = value == 1 ? rt_ww_cancel(&w, value, &word)
                                     : rt_ww_claim(&w, ticket, value);
        if (c != RT_CLAIM_STALE)
            (void)rt_add_relaxed(&wins, 1);
        if (c == RT_CLAIM_SUBMIT)
            (void)rt_add_acq_rel(&ready, 1);
        if (c == RT_CLAIM_STALE)
            sched_yield();
    }
    return NULL;
}

/* The task's side: arm, offer, leave the stack, wait to be made ready exactly once. A canceller is
 * among the claimers, so a cancel may be left over at any time. */
static void test_waitword_threads_one_winner(void **state)
{
    pthread_t threads[CLAIMERS];
    int       late;
    set(T0);
    rt_store_relaxed(&stop, 0);
    for (int i = 0; i < CLAIMERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, claimer, T_PTR(i + 1)), 0);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t ticket;
        while ((ticket = rt_ww_arm(&w)) == 0)
            (void)rt_ww_drop_cancel(&w);
        rt_store_release(&offered, ticket);
        if (!rt_ww_park(&w))
            (void)rt_add_acq_rel(&ready, 1);
        while (rt_load_acquire(&ready) == 0)
            sched_yield();
        assert_int_equal(rt_xchg_acq_rel(&ready, 0), 1);
        unsigned value = rt_ww_finish(&w, &late);
        assert_in_range(value, 1, CLAIMERS);
    }
    rt_store_release(&stop, 1);
    for (int i = 0; i < CLAIMERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(rt_load_relaxed(&wins), ROUNDS);
    assert_int_equal(rt_load_relaxed(&ready), 0);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_waitword_fields),
    T_TEST(test_waitword_arm),
    T_TEST(test_waitword_park),
    T_TEST(test_waitword_claim),
    T_TEST(test_waitword_cancel),
    T_TEST(test_waitword_finish_takes_the_cancel_off),
    T_TEST(test_waitword_drop_cancel_once),
    T_TEST(test_waitword_retire),
    T_TEST(test_waitword_inline_verbs),
    T_TEST(test_waitword_threads_one_winner),
};
T_MAIN(tests, NULL)
