/* SPDX-License-Identifier: MIT */
/* Goal: stacks change threads without losing errno, FP modes, memory order or the sanitizers'
 * trust. Method: first by hand, one stack taken over by a second thread; then many stacks whose
 * loop runs jobs and gives way after each step, two threads that take whichever comes next, and a
 * plain counter that only the hand-over protects. Under ASan stack-use-after-return detection is
 * on.
 */
#include "fiber/switch.h"

#include "fiber/ctx.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <execinfo.h>
#include <fenv.h>
#include <pthread.h>
#include <string.h>

#define STACK_COUNT   200
#define STEP_COUNT    200
#define ROUNDS_MAX    200
#define SWITCH_COUNT  1000000
#define BACKTRACE_MAX 64

const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=1";
}

struct thread_side {
    struct rt_stack own;
    struct rt_stack *current;
    uint64_t tag;
};

static __thread struct thread_side *tls_side;

static RT_NOINLINE struct thread_side *side_self(void)
{
    struct thread_side *side = tls_side;

    RT_COMPILER_BARRIER();
    return side;
}

static struct {
    void (*job)(void); /* what a loop does once before it goes idle */
    uint64_t bad;
    uint64_t switches;
    int depth;
} one;

static void leave(void)
{
    struct thread_side *side = side_self();

    rt_stack_switch(side->current, &side->own);
}

/* The body of every stack here: a job for each time it is taken from idle. */
static void loop(void)
{
    for (;;) { /* stacks end with the process */
        one.job();
        leave();
    }
}

static void run_on(struct thread_side *side, struct rt_stack *s)
{
    side->current = s;
    rt_stack_switch(&side->own, s);
}

static struct rt_stack *take(struct rt_stack_cache *c)
{
    int err = 0;
    struct rt_stack *s = rt_stack_get(c, RT_STACK_CLASS_DEFAULT, loop, &err);

    assert_non_null(s);
    return s;
}

static void begin(struct thread_side *side)
{
    memset(side, 0, sizeof(*side));
    if (rt_stack_adopt_thread(&side->own) < 0)
        __builtin_trap();
    tls_side = side;
}

static void errno_job(void)
{
    one.bad += rt_ctx_errno_load() != 0;
    rt_ctx_errno_store(EXDEV);
    fesetround(FE_DOWNWARD);
    leave();
    one.bad += rt_ctx_errno_load() != EXDEV;
    one.bad += fegetround() != FE_DOWNWARD;
    rt_ctx_errno_store(ENOLCK);
    leave();
    one.bad += rt_ctx_errno_load() != ENOLCK;
    fesetround(FE_TONEAREST);
    rt_ctx_errno_store(0);
}

static void *resume_elsewhere(void *stack)
{
    struct thread_side side;

    begin(&side);
    rt_ctx_errno_store(E2BIG);
    run_on(&side, stack);
    one.bad += rt_ctx_errno_load() != E2BIG;
    one.bad += fegetround() != FE_TONEAREST;
    return NULL;
}

static void test_switch_when_stack_changes_thread_errno_and_rounding_go_along(void **state)
{
    struct rt_stack_cache cache = {0};
    struct thread_side side;
    struct rt_stack *s;
    pthread_t thread;

    (void)state;
    begin(&side);
    one.job = errno_job;
    one.bad = 0;
    s = take(&cache);
    rt_ctx_errno_store(EDOM);
    run_on(&side, s);
    one.bad += rt_ctx_errno_load() != EDOM;
    assert_int_equal(pthread_create(&thread, NULL, resume_elsewhere, s), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    rt_ctx_errno_store(EDOM);
    run_on(&side, s);
    one.bad += rt_ctx_errno_load() != EDOM;
    assert_int_equal(one.bad, 0);
    rt_stack_put(&cache, s);
    rt_stack_cache_flush(&cache);
}

static void ping_job(void)
{
    for (int i = 0; i < SWITCH_COUNT; i++) {
        one.switches++;
        leave();
    }
}

static void test_switch_million_times_nothing_lost(void **state)
{
    struct rt_stack_cache cache = {0};
    struct thread_side side;
    struct rt_stack *s;

    (void)state;
    begin(&side);
    one.job = ping_job;
    one.switches = 0;
    s = take(&cache);
    for (int i = 0; i <= SWITCH_COUNT; i++)
        run_on(&side, s);
    assert_int_equal(one.switches, SWITCH_COUNT);
    rt_stack_put(&cache, s);
    rt_stack_cache_flush(&cache);
}

static void backtrace_job(void)
{
    void *frames[BACKTRACE_MAX];

    one.depth = backtrace(frames, BACKTRACE_MAX);
}

static void test_switch_backtrace_inside_stack_ends(void **state)
{
    struct rt_stack_cache cache = {0};
    struct thread_side side;
    struct rt_stack *s;

    (void)state;
    begin(&side);
    one.job = backtrace_job;
    s = take(&cache);
    run_on(&side, s);
    assert_in_range(one.depth, 2, 10);
    rt_stack_put(&cache, s);
    rt_stack_cache_flush(&cache);
}

/* Many stacks, two threads. */

static struct {
    pthread_mutex_t mutex;
    struct rt_stack *ready, *last; /* first in, first out, so that stacks do change threads */
    unsigned live;
    uint64_t counter; /* protected by the mutex */
    RT_ATOMIC(uint64_t) migrations;
    RT_ATOMIC(uint64_t) damaged;
} many = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void make_ready(struct rt_stack *s)
{
    pthread_mutex_lock(&many.mutex);
    s->next = NULL;
    if (many.ready != NULL)
        many.last->next = s;
    else
        many.ready = s;
    many.last = s;
    pthread_mutex_unlock(&many.mutex);
}

static RT_NOINLINE void stepping_body(void)
{
    unsigned char local[256];
    uint64_t sum = 0;

    for (int i = 0; i < STEP_COUNT; i++) {
        struct thread_side *before = side_self();

        memset(local, i & 255, sizeof(local));
        pthread_mutex_lock(&many.mutex);
        many.counter++;
        pthread_mutex_unlock(&many.mutex);
        leave();
        if (side_self() != before)
            rt_add_relaxed(&many.migrations, 1); /* relaxed: a statistic */
        for (size_t j = 0; j < sizeof(local); j++)
            sum += local[j] != (i & 255);
    }
    rt_add_relaxed(&many.damaged, sum); /* relaxed: read after the threads have ended */
}

static void stepping_job(void)
{
    stepping_body();
    side_self()->current->user = NULL; /* done */
}

static void *drive(void *unused)
{
    struct thread_side side;
    struct rt_stack_cache cache = {0};
    unsigned live;

    (void)unused;
    begin(&side);
    do {
        struct rt_stack *s;

        pthread_mutex_lock(&many.mutex);
        live = many.live;
        s = many.ready;
        if (s != NULL)
            many.ready = s->next;
        pthread_mutex_unlock(&many.mutex);
        if (s == NULL)
            continue;
        run_on(&side, s);
        if (s->user != NULL) {
            make_ready(s);
            continue;
        }
        rt_stack_put(&cache, s);
        pthread_mutex_lock(&many.mutex);
        many.live--;
        pthread_mutex_unlock(&many.mutex);
    } while (live > 0);
    rt_stack_cache_flush(&cache);
    return NULL;
}

static void test_switch_when_two_threads_share_stacks_nothing_lost(void **state)
{
    struct rt_stack_cache cache = {0};
    uint64_t created = 0;
    pthread_t thread[2];

    (void)state;
    one.job = stepping_job;
    /* relaxed: the threads have ended */
    for (int i = 0; i < ROUNDS_MAX && (i < 3 || rt_load_relaxed(&many.migrations) == 0); i++) {
        uint64_t created_before = created;

        many.counter = 0;
        many.live = STACK_COUNT;
        for (int j = 0; j < STACK_COUNT; j++) {
            struct rt_stack *s = take(&cache);

            s->user = &many;
            make_ready(s);
        }
        created = rt_stacks_created();
        if (i > 0)
            assert_int_equal(created, created_before); /* idle stacks served */
        for (int j = 0; j < 2; j++)
            assert_int_equal(pthread_create(&thread[j], NULL, drive, NULL), 0);
        for (int j = 0; j < 2; j++)
            assert_int_equal(pthread_join(thread[j], NULL), 0);
        assert_int_equal(many.counter, STACK_COUNT * STEP_COUNT);
        assert_int_equal(rt_load_relaxed(&many.damaged), 0);
    }
    assert_true(rt_stacks_idle() >= STACK_COUNT);
    assert_true(rt_load_relaxed(&many.migrations) > 0);
    rt_stack_cache_flush(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_switch_when_stack_changes_thread_errno_and_rounding_go_along),
        cmocka_unit_test(test_switch_million_times_nothing_lost),
        cmocka_unit_test(test_switch_backtrace_inside_stack_ends),
        cmocka_unit_test(test_switch_when_two_threads_share_stacks_nothing_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
