/* SPDX-License-Identifier: MIT */
/* Goal: the state word under every verb, as a table: references, completion, the lock of the list;
 * then references taken and dropped by threads, of whom exactly one frees. */
#include "t.h"

#include <pthread.h>

#include "task/stateword.h"

#define REFS(n) ((uint64_t)(n) * RT_ST_REF)

static struct rt_stateword s;

static void set(uint64_t bits)
{
    rt_store_relaxed(&s.bits, bits);
}

static void expect(uint64_t bits)
{
    assert_int_equal(rt_load_relaxed(&s.bits), bits);
}

static void test_stateword_try_lock(void **state)
{
    set(REFS(1));
    assert_int_equal(rt_st_try_lock_pending(&s), 1);
    expect(REFS(1) | RT_ST_LOCK);
    assert_int_equal(rt_st_try_lock_pending(&s), -1);
    assert_int_equal(rt_st_try_lock(&s), -1);
    rt_st_unlock(&s, 1);
    expect(REFS(1) | RT_ST_WAITERS);
    assert_int_equal(rt_st_try_lock(&s), 1);
    rt_st_unlock(&s, 0);
    expect(REFS(1));
    set(REFS(1) | RT_ST_DONE);
    assert_int_equal(rt_st_try_lock_pending(&s), 0);
    expect(REFS(1) | RT_ST_DONE);
    assert_int_equal(rt_st_try_lock(&s), 1);
    set(REFS(1) | RT_ST_DONE | RT_ST_LOCK);
    assert_int_equal(rt_st_try_lock_pending(&s), 0);
    assert_int_equal(rt_st_try_lock(&s), -1);
}

static void test_stateword_unlock_keeps_the_rest(void **state)
{
    uint64_t rest = REFS(3) | RT_ST_DONE | RT_ST_FAILED | RT_ST_RETRIEVED | RT_ST_SHIELDED;
    set(rest | RT_ST_LOCK | RT_ST_WAITERS);
    rt_st_unlock(&s, 0);
    expect(rest);
}

static void test_stateword_choose_once(void **state)
{
    set(REFS(1));
    assert_true(rt_st_choose(&s));
    assert_false(rt_st_choose(&s));
    expect(REFS(1) | RT_ST_SETTING);
    set(REFS(1) | RT_ST_DONE);
    assert_false(rt_st_choose(&s));
    set(REFS(1) | RT_ST_LOCK | RT_ST_WAITERS);
    assert_true(rt_st_choose(&s));
}

static void test_stateword_complete(void **state)
{
    static const struct {
        uint64_t before, outcome;
        unsigned drop;
        int      busy;
        uint64_t after;
    } rows[] = {
        { REFS(2), 0, 1, 0, REFS(1) | RT_ST_DONE },
        { REFS(1), RT_ST_FAILED, 1, 0, REFS(0) | RT_ST_DONE | RT_ST_FAILED },
        { REFS(3), RT_ST_CANCELLED, 2, 0, REFS(1) | RT_ST_DONE | RT_ST_CANCELLED },
        { REFS(1) | RT_ST_SETTING, 0, 0, 0, REFS(1) | RT_ST_SETTING | RT_ST_DONE },
        { REFS(2) | RT_ST_WAITERS, 0, 1, 1, REFS(2) | RT_ST_WAITERS | RT_ST_DONE },
        { REFS(2) | RT_ST_LOCK, RT_ST_FAILED, 1, 1,
          REFS(2) | RT_ST_LOCK | RT_ST_DONE | RT_ST_FAILED },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t refs = 99;
        set(rows[i].before);
        assert_int_equal(rt_st_complete(&s, rows[i].outcome, rows[i].drop, &refs), rows[i].busy);
        assert_int_equal(refs, rt_st_refs(rows[i].after));
        expect(rows[i].after);
    }
}

static void test_stateword_references(void **state)
{
    set(REFS(1) | RT_ST_DONE);
    rt_st_retain(&s);
    expect(REFS(2) | RT_ST_DONE);
    assert_false(rt_st_release(&s));
    expect(REFS(1) | RT_ST_DONE);
    assert_true(rt_st_release(&s));
    assert_int_equal(rt_st_refs((uint64_t)0xffffffff << 32), 0xffffffff);
}

static void test_stateword_try_retain(void **state)
{
    set(REFS(1));
    assert_true(rt_st_try_retain_pending(&s));
    expect(REFS(2));
    set(0);
    assert_false(rt_st_try_retain_pending(&s));
    expect(0);
    set(REFS(2) | RT_ST_DONE);
    assert_false(rt_st_try_retain_pending(&s));
    expect(REFS(2) | RT_ST_DONE);
    set(REFS(1) | RT_ST_LOCK | RT_ST_WAITERS);
    assert_true(rt_st_try_retain_pending(&s));
    expect(REFS(2) | RT_ST_LOCK | RT_ST_WAITERS);
}

enum { THREADS = 3, ROUNDS = 2000 };

static RT_ATOMIC(int)    frees;
static pthread_barrier_t barrier;

static void *dropper(void *arg)
{
    int seed = T_NUM(arg);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        if ((i + seed) % 3 == 0) {
            rt_st_retain(&s);
            if (rt_st_release(&s))
                (void)rt_add_relaxed(&frees, 1);
        }
        if (rt_st_release(&s))
            (void)rt_add_relaxed(&frees, 1);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void test_stateword_threads_one_frees(void **state)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, dropper, T_PTR(i)), 0);
    for (int i = 0; i < ROUNDS; i++) {
        set(REFS(THREADS));
        rt_store_relaxed(&frees, 0);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        assert_int_equal(rt_load_relaxed(&frees), 1);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_stateword_try_lock),
    T_TEST(test_stateword_unlock_keeps_the_rest),
    T_TEST(test_stateword_choose_once),
    T_TEST(test_stateword_complete),
    T_TEST(test_stateword_references),
    T_TEST(test_stateword_try_retain),
    T_TEST(test_stateword_threads_one_frees),
};
T_MAIN(tests, NULL)
