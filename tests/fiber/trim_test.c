/* SPDX-License-Identifier: MIT */
/* Goal: idle stacks give memory back when the depot could do without them, go on where they were
 * when they are taken again, and are never lost or handed out twice. Method: what is in memory is
 * asked of the kernel (mincore); stacks whose loops dug deep are tended and switched to again;
 * threads take and put while another one tends without pause.
 */
#include "fiber/switch.h"

#include "base/check.h"
#include "base/sys.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FEW           50
#define MANY          (RT_SANITIZED ? 500 : 3000)
#define DEEP_BYTES    (40 << 10)
#define THREADS       2
#define HELD          (RT_SANITIZED ? 100 : 700)
#define ROUNDS        (RT_TSAN ? 30 : 150)
#define PAGES_MAX     16

static struct {
    struct rt_stack own;
    struct rt_stack *current;
    uint64_t rounds; /* that all loops have made */
    uint64_t bad;
} t;

static RT_NO_SANITIZE RT_NOINLINE void dig(void)
{
    volatile char deep[DEEP_BYTES];

    for (int i = 0; i < DEEP_BYTES; i += 512)
        deep[i] = 1;
    t.bad += deep[0] != 1;
}

/* Body of every stack: what is in its frame must survive idleness. */
static RT_NO_SANITIZE void loop(void)
{
    volatile uint64_t mine[4] = {1, 2, 3, 4};

    for (;;) { /* stacks end with the process */
        dig();
        mine[0]++;
        t.rounds++;
        t.bad += mine[1] + mine[2] + mine[3] != 9;
        rt_stack_switch(t.current, &t.own);
    }
}

static void run_on(struct rt_stack *s)
{
    t.current = s;
    rt_stack_switch(&t.own, s);
}

static struct rt_stack *take(struct rt_stack_cache *c)
{
    int err = 0;
    struct rt_stack *s = rt_stack_get(c, RT_STACK_CLASS_DEFAULT, loop, &err);

    RT_CHECK(s != NULL);
    return s;
}

static int resident_pages(const struct rt_stack *s)
{
    unsigned char page[PAGES_MAX] = {0};
    int n = 0;

    if (s->base == NULL)
        return 0; /* the descriptor was given back with the rest */
    RT_CHECK(mincore(s->base, (size_t)(s->top - s->base), page) == 0);
    for (int i = 0; i < PAGES_MAX; i++)
        n += page[i] & 1;
    return n;
}

/* n stacks whose loops have run. */
static void dig_in(struct rt_stack_cache *c, struct rt_stack **s, int n)
{
    assert_int_equal(rt_stack_adopt_thread(&t.own), 0);
    for (int i = 0; i < n; i++) {
        s[i] = take(c);
        run_on(s[i]);
    }
}

static void put_all(struct rt_stack_cache *c, struct rt_stack **s, int n)
{
    for (int i = 0; i < n; i++)
        rt_stack_put(c, s[i]);
    rt_stack_cache_flush(c);
}

static void test_trim_deep_stack_keeps_one_page_and_goes_on(void **state)
{
    struct rt_stack_cache cache = {0};
    struct rt_stack *s[FEW];
    uint64_t before = rt_stacks_created();

    (void)state;
    dig_in(&cache, s, FEW);
    put_all(&cache, s, FEW);
    for (int i = 0; i < FEW; i++)
        assert_true(resident_pages(s[i]) >= DEEP_BYTES / 4096);
    rt_stacks_tend_now();
    assert_false(rt_stacks_untended());
    for (int i = 0; i < FEW; i++)
        assert_in_range(resident_pages(s[i]), 1, RT_SANITIZED ? 2 : 1);
    t.rounds = 0;
    dig_in(&cache, s, FEW);
    assert_int_equal(t.rounds, FEW);
    assert_int_equal(t.bad, 0);
    assert_true(rt_stacks_created() - before <= FEW);
    put_all(&cache, s, FEW);
    rt_stacks_tend_now();
}

static void test_trim_spares_what_was_needed_since_last_time(void **state)
{
    struct rt_stack_cache cache = {0};
    struct rt_stack *s[FEW];

    (void)state;
    dig_in(&cache, s, FEW);
    assert_true(rt_stacks_tend()); /* nothing lies there */
    assert_false(rt_stacks_untended());
    put_all(&cache, s, FEW);
    assert_true(rt_stacks_tend()); /* they came back just now */
    assert_true(rt_stacks_untended());
    assert_true(resident_pages(s[0]) >= DEEP_BYTES / 4096);
    dig_in(&cache, s, FEW);
    put_all(&cache, s, FEW);
    assert_true(rt_stacks_tend()); /* they were needed */
    assert_true(resident_pages(s[0]) >= DEEP_BYTES / 4096);
    assert_true(rt_stacks_tend());
    assert_false(rt_stacks_untended());
    assert_true(resident_pages(s[0]) <= 2);
}

/* What is more than one call looks after is looked after by the next ones. */
static void test_trim_much_in_several_calls(void **state)
{
    static struct rt_stack *s[MANY];
    struct rt_stack_cache cache = {0};
    int calls = 1;

    (void)state;
    dig_in(&cache, s, MANY);
    put_all(&cache, s, MANY);
    assert_true(rt_stacks_tend());
    while (!rt_stacks_tend())
        calls++;
    assert_in_range(calls, RT_SANITIZED ? 1 : 2, MANY / 500);
    assert_false(rt_stacks_untended());
    for (int i = 0; i < MANY; i++)
        assert_true(resident_pages(s[i]) <= 2);
    dig_in(&cache, s, MANY);
    assert_int_equal(t.bad, 0);
    put_all(&cache, s, MANY);
    rt_stacks_tend_now();
}

static bool is_guarded(const struct rt_stack *s)
{
    int fds[2];
    ssize_t n;

    RT_CHECK(rt_sys_pipe2(fds, O_CLOEXEC) == 0);
    n = rt_sys_write(fds[1], s->base - 1, 1);
    rt_sys_close(fds[0]);
    rt_sys_close(fds[1]);
    return n == -EFAULT;
}

static int strip_and_use_again(void)
{
    static struct rt_stack *s[MANY];
    struct rt_stack_cache cache = {0};
    uint64_t idle = rt_stacks_idle();
    uint64_t created;
    int resident = 0;

    if (rt_stack_adopt_thread(&t.own) < 0)
        return 1;
    for (int i = 0; i < MANY; i++) {
        s[i] = take(&cache);
        run_on(s[i]);
    }
    created = rt_stacks_created();
    put_all(&cache, s, MANY);
    idle = rt_stacks_idle();
    rt_stacks_tend_now();
    for (int i = 0; i < MANY; i++)
        resident += resident_pages(s[i]);
    if (resident > (RT_SANITIZED ? 2 * MANY : (int)RT_STACK_DEPOT_KEEP))
        return 2;
    if (rt_stacks_idle() != idle || rt_stacks_untended())
        return 3;
    t.rounds = 0;
    for (int i = 0; i < MANY; i++) {
        s[i] = take(&cache);
        if (!is_guarded(s[i]))
            return 4;
        run_on(s[i]);
    }
    if (t.rounds != MANY || t.bad != 0)
        return 5;
    if (rt_stacks_created() != created)
        return 6;
    put_all(&cache, s, MANY);
    rt_stacks_tend_now();
    return 0;
}

static void test_trim_surplus_gives_all_back_and_is_made_anew(void **state)
{
    (void)state;
    assert_int_equal(strip_and_use_again(), 0);
}

static int fallback_child(void)
{
    rt_fault_arm(RT_SYS_MADVISE, 1, EINVAL); /* the probe of cheap guards */
    return rt_stack_guards_are_cheap() ? 7 : strip_and_use_again();
}

/* Locked memory cannot be given back: nothing else may change. */
static int refused_child(void)
{
    struct rt_stack_cache cache = {0};
    struct rt_stack *s = take(&cache);

    if (rt_stack_adopt_thread(&t.own) < 0)
        return 1;
    run_on(s);
    rt_stack_put(&cache, s);
    rt_stack_cache_flush(&cache);
    rt_fault_arm_from(RT_SYS_MADVISE, 1, EINVAL);
    rt_stacks_tend_now();
    rt_fault_reset();
    if (rt_stacks_idle() != rt_stacks_created() || take(&cache) != s)
        return 2;
    run_on(s);
    return t.bad == 0 && t.rounds == 2 ? 0 : 3;
}

static int in_child(int (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fn());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

/* First of all tests, before the kind of guard is decided. */
static void test_trim_with_mprotect_guards(void **state)
{
    (void)state;
    assert_int_equal(in_child(fallback_child), 0);
}

static void test_trim_refused_by_the_kernel_does_no_harm(void **state)
{
    (void)state;
    assert_int_equal(in_child(refused_child), 0);
}

static struct {
    RT_ATOMIC(uint32_t) is_over;
    RT_ATOMIC(uint32_t) bad;
} crowd;

/* Takes and puts; every stack that it holds bears its mark, and so nobody else's. */
static void *take_and_put(void *arg)
{
    struct rt_stack_cache cache = {0};
    struct rt_stack *s[HELD];

    for (int round = 0; round < ROUNDS; round++) {
        int n = 1 + round * 37 % HELD;

        for (int i = 0; i < n; i++) {
            s[i] = take(&cache);
            s[i]->user = &s[i];
            s[i]->base[PAGES_MAX] = 1;
        }
        for (int i = 0; i < n; i++) {
            if (s[i]->user != &s[i] || s[i]->base[PAGES_MAX] != 1)
                rt_add_relaxed(&crowd.bad, 1); /* relaxed: read after the join */
            rt_stack_put(&cache, s[i]);
        }
        if (round % 7 == 0)
            rt_stack_cache_flush(&cache);
    }
    rt_stack_cache_flush(&cache);
    return arg;
}

static void *tend_always(void *arg)
{
    while (!rt_load_relaxed(&crowd.is_over)) { /* relaxed: later will do */
        rt_stacks_tend_now();
        (void)rt_stacks_tend();
    }
    return arg;
}

static void test_trim_while_others_take_and_put_none_lost(void **state)
{
    pthread_t taker[THREADS];
    pthread_t tender;

    (void)state;
    assert_int_equal(pthread_create(&tender, NULL, tend_always, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&taker[i], NULL, take_and_put, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(taker[i], NULL), 0);
    rt_store_relaxed(&crowd.is_over, 1);
    assert_int_equal(pthread_join(tender, NULL), 0);
    assert_int_equal(rt_load_relaxed(&crowd.bad), 0);
    assert_int_equal(rt_stacks_idle(), rt_stacks_created());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trim_with_mprotect_guards),
        cmocka_unit_test(test_trim_refused_by_the_kernel_does_no_harm),
        cmocka_unit_test(test_trim_deep_stack_keeps_one_page_and_goes_on),
        cmocka_unit_test(test_trim_spares_what_was_needed_since_last_time),
        cmocka_unit_test(test_trim_much_in_several_calls),
        cmocka_unit_test(test_trim_surplus_gives_all_back_and_is_made_anew),
        cmocka_unit_test(test_trim_while_others_take_and_put_none_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
