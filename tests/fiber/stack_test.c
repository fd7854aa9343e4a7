/* SPDX-License-Identifier: MIT */
/* Goal: stacks come from where they should, in any number, and running out is an ordinary error.
 * Method: pools are watched through the process totals; a hundred thousand guarded stacks are made
 * and the mappings counted; the way without cheap guards is forced in child processes by failing
 * madvise.
 */
#include "fiber/stack.h"

#include "base/sys.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A sanitizer keeps state per stack: fewer are enough to see that it does. */
#if RT_TSAN
#define MANY 2000
#elif RT_ASAN
#define MANY 10000
#else
#define MANY 100000
#endif
#define POOL_COUNT  200
#define MAPPING_MAX 65530 /* vm.max_map_count where nobody changed it */

static void never_entered(void)
{
    abort();
}

static struct rt_stack *take(struct rt_stack_cache *c, unsigned size_class)
{
    int err = 0;
    struct rt_stack *s = rt_stack_get(c, size_class, never_entered, &err);

    assert_non_null(s);
    return s;
}

static int count_mappings(void)
{
    FILE *f = fopen("/proc/self/maps", "re");
    int n = 0;
    int c;

    if (f == NULL)
        return -1;
    while ((c = getc(f)) != EOF)
        n += c == '\n';
    fclose(f);
    return n;
}

static void test_stack_class_for_bytes_smallest_that_leaves_them(void **state)
{
    (void)state;
    assert_int_equal(rt_stack_class_for(0), RT_STACK_CLASS_DEFAULT);
    for (unsigned i = 0; i < RT_STACK_CLASSES; i++) {
        size_t usable = rt_stack_class_usable(i);

        assert_int_equal(rt_stack_class_for(usable), i);
        if (i + 1 < RT_STACK_CLASSES)
            assert_int_equal(rt_stack_class_for(usable + 1), i + 1);
    }
    assert_int_equal(rt_stack_class_for(SIZE_MAX), RT_STACK_CLASSES - 1);
    assert_true(rt_stack_class_usable(RT_STACK_CLASS_DEFAULT) + RT_STACK_GUARD_BYTES >= 56 << 10);
}

static void test_stack_fresh_has_bounds_of_its_class(void **state)
{
    static const size_t bytes[RT_STACK_CLASSES] = {64 << 10, 256 << 10, 1 << 20, 8 << 20};
    struct rt_stack_cache cache = {0};

    (void)state;
    for (unsigned i = 0; i < RT_STACK_CLASSES; i++) {
        struct rt_stack *s = take(&cache, i);

        assert_int_equal(s->size_class, i);
        assert_int_equal((size_t)(s->top - s->base) + RT_STACK_GUARD_BYTES, bytes[i]);
        assert_true((char *)s->sp > s->base && (char *)s->sp < (char *)s);
        assert_true((size_t)((char *)s->sp - s->base) >= rt_stack_class_usable(i) - 64);
        assert_null(s->inl);
        s->base[0] = 1; /* the lowest byte is there */
        rt_stack_put(&cache, s);
    }
    rt_stack_cache_flush(&cache);
}

static void test_stack_tops_have_different_cache_sets(void **state)
{
    struct rt_stack_cache cache = {0};
    struct rt_stack *s[16];

    (void)state;
    for (int i = 0; i < 16; i++)
        s[i] = take(&cache, RT_STACK_CLASS_DEFAULT);
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < i; j++) {
            if (s[i]->base != s[j]->base + ((size_t)64 << 10))
                continue;
            assert_true((uintptr_t)s[i] % 4096 / 64 != (uintptr_t)s[j] % 4096 / 64);
        }
    }
    for (int i = 0; i < 16; i++)
        rt_stack_put(&cache, s[i]);
    rt_stack_cache_flush(&cache);
}

static void test_stack_put_surplus_goes_to_depot_and_comes_back(void **state)
{
    struct rt_stack_cache a = {0};
    struct rt_stack_cache b = {0};
    struct rt_stack *s[POOL_COUNT];
    uint64_t idle;
    uint64_t created;

    (void)state;
    for (int i = 0; i < POOL_COUNT; i++)
        s[i] = take(&a, RT_STACK_CLASS_DEFAULT);
    idle = rt_stacks_idle();
    created = rt_stacks_created();
    for (int i = 0; i < POOL_COUNT; i++) {
        rt_stack_put(&a, s[i]);
        assert_true(rt_load_relaxed(&a.count[RT_STACK_CLASS_DEFAULT]) <= RT_STACK_CACHE_MAX);
    }
    assert_int_equal(rt_stacks_idle(), idle + POOL_COUNT);
    rt_stack_cache_flush(&a);
    assert_int_equal(rt_load_relaxed(&a.count[RT_STACK_CLASS_DEFAULT]), 0);
    assert_int_equal(rt_stacks_idle(), idle + POOL_COUNT);
    for (int i = 0; i < POOL_COUNT; i++)
        s[i] = take(&b, RT_STACK_CLASS_DEFAULT);
    assert_int_equal(rt_stacks_created(), created);
    for (int i = 0; i < POOL_COUNT; i++)
        rt_stack_put(&b, s[i]);
    rt_stack_cache_flush(&b);
    assert_int_equal(rt_stacks_idle(), idle + POOL_COUNT);
}

static void test_stack_put_last_in_first_out(void **state)
{
    struct rt_stack_cache cache = {0};
    struct rt_stack *a = take(&cache, RT_STACK_CLASS_DEFAULT);
    struct rt_stack *b = take(&cache, RT_STACK_CLASS_DEFAULT);

    (void)state;
    rt_stack_put(&cache, a);
    rt_stack_put(&cache, b);
    assert_ptr_equal(take(&cache, RT_STACK_CLASS_DEFAULT), b);
    assert_ptr_equal(take(&cache, RT_STACK_CLASS_DEFAULT), a);
    rt_stack_put(&cache, a);
    rt_stack_put(&cache, b);
    rt_stack_cache_flush(&cache);
}

static void test_stack_adopt_thread_bounds_hold_a_local(void **state)
{
    struct rt_stack own;
    char *frame = __builtin_frame_address(0); /* a local may live on a sanitizer's own stack */

    (void)state;
    assert_int_equal(rt_stack_adopt_thread(&own), 0);
    assert_true(frame > own.base && frame < own.top);
    assert_true(own.is_thread);
    assert_true(rt_stack_left(&own) > 4096);
    assert_true(rt_stack_left(&own) < (size_t)(own.top - own.base));
}

static void test_stack_hundred_thousand_guarded_few_mappings(void **state)
{
    struct rt_stack_cache cache = {0};
    struct rt_stack *list = NULL;
    int before = count_mappings();
    int grown;

    (void)state;
    if (!rt_stack_guards_are_cheap()) {
        print_message("skipped: the kernel has no MADV_GUARD_INSTALL\n");
        skip();
    }
    for (int i = 0; i < MANY; i++) {
        struct rt_stack *s = take(&cache, RT_STACK_CLASS_DEFAULT);

        s->next = list;
        list = s;
    }
    grown = count_mappings() - before;
    if (!RT_SANITIZED)
        assert_in_range(grown + 64, 0, 64 + 256);
    while (list != NULL) {
        struct rt_stack *s = list;

        list = s->next;
        rt_stack_put(&cache, s);
    }
    rt_stack_cache_flush(&cache);
    assert_true(rt_stacks_idle() >= MANY);
}

/* Runs fn in a child; what it returns is the exit status. */
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

static int fallback_child(void)
{
    struct rt_stack_cache cache = {0};
    unsigned want = RT_SANITIZED ? 1000 : RT_STACK_MPROTECT_CAP;
    int err = 0;

    rt_fault_arm_from(RT_SYS_MADVISE, 1, EINVAL);
    if (rt_stack_guards_are_cheap())
        return 1;
    for (unsigned i = 0; i < want; i++) {
        struct rt_stack *s = rt_stack_get(&cache, RT_STACK_CLASS_DEFAULT, never_entered, &err);

        if (s == NULL)
            return 2;
        s->base[0] = 1;
    }
    if (RT_SANITIZED)
        return 0;
    if (rt_stack_get(&cache, RT_STACK_CLASS_DEFAULT, never_entered, &err) != NULL || err != -EAGAIN)
        return 3;
    if (rt_stack_get(&cache, 2, never_entered, &err) != NULL || err != -EAGAIN)
        return 4;
    if (rt_stacks_created() != want)
        return 5;
    return count_mappings() < MAPPING_MAX ? 0 : 6;
}

static int out_of_memory_child(void)
{
    struct rt_stack_cache cache = {0};
    struct rt_stack *s;
    int err = 0;

    rt_stack_guards_are_cheap();
    rt_fault_arm_from(RT_SYS_MMAP, 1, ENOMEM);
    if (rt_stack_get(&cache, 0, never_entered, &err) != NULL || err != -ENOMEM)
        return 1;
    if (rt_stacks_created() != 0)
        return 2;
    rt_fault_reset();
    s = rt_stack_get(&cache, 0, never_entered, &err);
    if (s == NULL)
        return 3;
    return rt_stacks_created() == 1 ? 0 : 4;
}

static int small_address_space_child(void)
{
    struct rt_stack_cache cache = {0};
    int err = 0;

    rt_stack_guards_are_cheap();
    rt_fault_arm(RT_SYS_MMAP, 1, ENOMEM); /* the big chunk fails, half of it does not */
    return rt_stack_get(&cache, 1, never_entered, &err) != NULL ? 0 : 1;
}

static int guard_fails_child(void)
{
    struct rt_stack_cache cache = {0};
    enum rt_sys_call call = rt_stack_guards_are_cheap() ? RT_SYS_MADVISE : RT_SYS_MPROTECT;
    struct rt_stack *a;
    struct rt_stack *b;
    int err = 0;

    a = rt_stack_get(&cache, 0, never_entered, &err);
    rt_fault_arm_from(call, 1, ENOMEM);
    for (int i = 0; i < 3; i++) {
        if (rt_stack_get(&cache, 0, never_entered, &err) != NULL || err != -ENOMEM)
            return 1;
    }
    rt_fault_reset();
    b = rt_stack_get(&cache, 0, never_entered, &err);
    if (a == NULL || b == NULL || rt_stacks_created() != 2)
        return 2;
    return b->base == a->base + ((size_t)64 << 10) ? 0 : 3; /* the failed one was not lost */
}

/* First of all tests: the kind of guard is decided once per process, so the children must find it
 * open. */
static void test_stack_without_cheap_guards_capped_with_eagain(void **state)
{
    (void)state;
    assert_int_equal(in_child(fallback_child), 0);
}

static void test_stack_when_out_of_memory_enomem_then_recovers(void **state)
{
    (void)state;
    assert_int_equal(in_child(out_of_memory_child), 0);
}

static void test_stack_when_address_space_small_takes_smaller_chunk(void **state)
{
    (void)state;
    assert_int_equal(in_child(small_address_space_child), 0);
}

static void test_stack_when_guard_fails_memory_used_later(void **state)
{
    (void)state;
    assert_int_equal(in_child(guard_fails_child), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stack_without_cheap_guards_capped_with_eagain),
        cmocka_unit_test(test_stack_when_out_of_memory_enomem_then_recovers),
        cmocka_unit_test(test_stack_when_address_space_small_takes_smaller_chunk),
        cmocka_unit_test(test_stack_when_guard_fails_memory_used_later),
        cmocka_unit_test(test_stack_class_for_bytes_smallest_that_leaves_them),
        cmocka_unit_test(test_stack_fresh_has_bounds_of_its_class),
        cmocka_unit_test(test_stack_tops_have_different_cache_sets),
        cmocka_unit_test(test_stack_put_surplus_goes_to_depot_and_comes_back),
        cmocka_unit_test(test_stack_put_last_in_first_out),
        cmocka_unit_test(test_stack_adopt_thread_bounds_hold_a_local),
        cmocka_unit_test(test_stack_hundred_thousand_guarded_few_mappings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
