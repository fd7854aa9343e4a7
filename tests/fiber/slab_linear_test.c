/* SPDX-License-Identifier: MIT */
/* Goal: freeing from any thread is linearizable: whatever threads did to the depot or the slab at
 * once could have been done one after another, each step between its call and its return. Method:
 * three threads make a few random calls, each stamped before and after; a search over all orders
 * that the stamps allow looks for one that a plain list allows as well (Wing and Gong). What is
 * wrong on purpose has to be found out by the same search.
 */
#include "fiber/depot.h"
#include "fiber/slab.h"

#include "base/atomic.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/rand.h"
#include "base/san.h"
#include "base/spin.h"
#include "base/sys.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <string.h>

#define THREADS      3
#define CALLS        6 /* of each thread in a round */
#define CALLS_ALL    (THREADS * CALLS)
#define ROUNDS       (RT_SANITIZED ? 500 : 2000)
#define MUTANT_LIMIT 20000  /* rounds within which a mutant has to be found out */
#define LOOK_NS      (UINT64_C(5) * 1000 * 1000 * 1000)
#define IDS          (CALLS_ALL + 1)

/* Gives others a chance in the middle of what should be one step. */
static void stumble(void)
{
    (void)rt_sys_sched_yield();
}

/* --- mutants of the slab --- */

#define rt_depot_taken(node) (rt_depot_taken(node), stumble())
#define rt_lock(l)           ((void)(l))
#define rt_unlock(l)         ((void)(l))
#define SLAB_MUTANT          no_lock
#include "slab_mutant.h"
#undef rt_lock
#undef rt_unlock
#undef rt_depot_taken

/* The head is read and written in two steps. */
static void push_split(struct rt_depot *d, struct rt_depot_node *node)
{
    RT_ATOMIC(struct rt_depot_node *) *head = (void *)&d->head;

    node->next = rt_load_acquire(head);
    stumble();
    rt_store_release(head, node);
}

#define rt_depot_push push_split
#define SLAB_MUTANT   split
#include "slab_mutant.h"
#undef rt_depot_push

/* --- mutants of the depot --- */

static struct rt_depot_node *take_all_split(struct rt_depot *d)
{
    RT_ATOMIC(struct rt_depot_node *) *head = (void *)&d->head;
    struct rt_depot_node *list = rt_load_acquire(head);

    stumble();
    rt_store_release(head, NULL);
    return list;
}

/* Leaves what is behind the newest for the next one. */
static struct rt_depot_node *take_some(struct rt_depot *d)
{
    struct rt_depot_node *list = rt_depot_take_all(d);
    struct rt_depot_node *rest = list != NULL ? list->next : NULL;

    if (rest != NULL && rest->next != NULL) {
        struct rt_depot_node *kept = rest->next;

        rest->next = NULL;
        rt_depot_push(d, kept);
    }
    return list;
}

/* Goes below what lies there, and in steps. */
static void push_late(struct rt_depot *d, struct rt_depot_node *node)
{
    struct rt_depot_node *list = rt_depot_take_all(d);

    rt_depot_push(d, node);
    while (list != NULL) {
        struct rt_depot_node *next = list->next;

        rt_depot_push(d, list);
        list = next;
    }
}

/* --- a history and its judge --- */

enum call_kind { PUSH, TAKE_ALL, GET, PUT };

struct call {
    enum call_kind kind;
    uint64_t begun;
    uint64_t ended;
    uint32_t id;       /* of what was pushed, got or put */
    uint32_t taken[IDS]; /* newest first, ends with 0 */
};

/* What a single thread would see. */
struct plain {
    uint32_t list[IDS]; /* depot: oldest first. Slab: who is owned, in any order */
    int n;
};

static bool plain_take_all(struct plain *p, const struct call *c)
{
    for (int i = 0; i < p->n; i++) {
        if (c->taken[i] != p->list[p->n - 1 - i])
            return false;
    }
    if (c->taken[p->n] != 0)
        return false;
    p->n = 0;
    return true;
}

static int plain_find(const struct plain *p, uint32_t id)
{
    int i = 0;

    while (i < p->n && p->list[i] != id)
        i++;
    return i;
}

/* False: a single thread could not have seen that. */
static bool plain_do(struct plain *p, const struct call *c)
{
    int i;

    switch (c->kind) {
    case TAKE_ALL:
        return plain_take_all(p, c);
    case GET:
        if (plain_find(p, c->id) < p->n)
            return false;
        break;
    case PUT:
        i = plain_find(p, c->id);
        if (i == p->n)
            return false;
        p->list[i] = p->list[--p->n];
        return true;
    case PUSH:
        break;
    }
    p->list[p->n++] = c->id;
    return true;
}

/* Each call that began before every other one left had ended may have been the next. */
static bool has_order(const struct call *calls, uint32_t left, const struct plain *before)
{
    uint64_t first_end = UINT64_MAX;

    if (left == 0)
        return true;
    for (uint32_t bits = left; bits != 0; bits &= bits - 1) {
        uint64_t ended = calls[__builtin_ctz(bits)].ended;

        first_end = ended < first_end ? ended : first_end;
    }
    for (uint32_t bits = left; bits != 0; bits &= bits - 1) {
        int i = __builtin_ctz(bits);
        struct plain after = *before;

        if (calls[i].begun < first_end && plain_do(&after, &calls[i]) &&
            has_order(calls, left & ~((uint32_t)1 << i), &after))
            return true;
    }
    return false;
}

/* --- making histories --- */

/* What is tried, the right one or a mutant: one half of the functions is there. */
struct variant {
    const char *name;
    void (*push)(struct rt_depot *d, struct rt_depot_node *node);
    struct rt_depot_node *(*take_all)(struct rt_depot *d);
    void *(*get)(struct rt_slab_cache *c);
    void (*put)(struct rt_slab_cache *c, void *obj);
    void (*flush)(struct rt_slab_cache *c);
    uint32_t (*carved)(void);
    bool is_uncached; /* two may own one object, and a cache would follow links of somebody else */
};

struct item {
    struct rt_depot_node node;
    uint32_t id;
};

static struct {
    const struct variant *v;
    struct rt_depot depot;
    struct item item[IDS];
    struct call call[CALLS_ALL];
    RT_ATOMIC(uint64_t) stamp;
    RT_ATOMIC(uint32_t) round;    /* raised to begin one */
    RT_ATOMIC(uint32_t) arrived;  /* threads that are about to begin it */
    RT_ATOMIC(uint32_t) finished; /* threads that are through with it */
    RT_ATOMIC(void *) passed[THREADS]; /* objects on their way to another thread */
    struct rt_slab_cache cache[THREADS];
    void *held[THREADS][CALLS];
    int held_count[THREADS];
    uint32_t mixed; /* rounds in which calls of different threads overlapped */
} h;

static uint64_t stamp(void)
{
    return rt_add_sc(&h.stamp, 1);
}

static void do_push(struct call *c, uint32_t id)
{
    c->kind = PUSH;
    c->id = h.item[id].id = id;
    c->begun = stamp();
    h.v->push(&h.depot, &h.item[id].node);
    c->ended = stamp();
}

static void do_take_all(struct call *c)
{
    struct rt_depot_node *list;
    int n = 0;

    c->kind = TAKE_ALL;
    c->begun = stamp();
    list = h.v->take_all(&h.depot);
    c->ended = stamp();
    for (; list != NULL && n < IDS - 1; list = list->next) {
        rt_depot_taken(list);
        c->taken[n++] = rt_container_of(list, struct item, node)->id;
    }
    c->taken[n] = 0;
}

static void do_get(struct call *c, unsigned thread, struct rt_slab_cache *cache)
{
    uint32_t slot = 0;
    void *obj;

    c->kind = GET;
    c->begun = stamp();
    if (cache != NULL && cache->free != NULL)
        obj = rt_slab_get(cache, &slot); /* the short way is the same in all variants */
    else
        obj = h.v->get(cache);
    c->ended = stamp();
    c->id = rt_slab_slot(obj);
    h.held[thread][h.held_count[thread]++] = obj;
}

static void do_put(struct call *c, void *obj, struct rt_slab_cache *cache)
{
    c->kind = PUT;
    c->id = rt_slab_slot(obj);
    c->begun = stamp();
    if (cache != NULL)
        rt_slab_put(cache, obj);
    else
        h.v->put(NULL, obj);
    c->ended = stamp();
}

static void slab_call(struct call *c, unsigned thread, uint32_t random)
{
    bool is_cached = (random & 16) != 0 && !h.v->is_uncached;
    struct rt_slab_cache *cache = is_cached ? &h.cache[thread] : NULL;
    void *obj = NULL;

    if ((random & 64) != 0)
        h.v->flush(&h.cache[thread]);
    if (random % 4 == 0) /* somebody else's */
        obj = rt_xchg_acq_rel(&h.passed[thread], NULL); /* pairs: TEST -> slab_call */
    if (obj == NULL && random % 3 == 0 && h.held_count[thread] > 0)
        obj = h.held[thread][--h.held_count[thread]];
    if (obj != NULL) {
        do_put(c, obj, cache);
        return;
    }
    do_get(c, thread, cache);
    if ((random & 32) != 0) { /* pass it on; what lay there comes back */
        obj = h.held[thread][h.held_count[thread] - 1];
        obj = rt_xchg_acq_rel(&h.passed[(thread + 1) % THREADS], obj);
        if (obj == NULL)
            h.held_count[thread]--;
        else
            h.held[thread][h.held_count[thread] - 1] = obj;
    }
}

/* Lets all threads go at once. */
static void gate(void)
{
    struct rt_backoff b = RT_BACKOFF_INIT;

    (void)rt_add_acq_rel(&h.arrived, 1); /* pairs: TEST -> gate */
    while (rt_load_acquire(&h.arrived) < THREADS) { /* pairs: TEST <- gate */
        rt_backoff_wait(&b);
        if (b.turns >= RT_BACKOFF_MAX)
            stumble();
    }
}

static void make_calls(unsigned thread, struct rt_rand *rand)
{
    gate();
    for (unsigned i = 0; i < CALLS; i++) {
        struct call *c = &h.call[thread * CALLS + i];
        uint32_t random = (uint32_t)rt_rand_next(rand);

        if (h.v->get != NULL)
            slab_call(c, thread, random);
        else if (random % 3 != 0)
            do_push(c, 1 + thread * CALLS + i);
        else
            do_take_all(c);
    }
    (void)rt_add_acq_rel(&h.finished, 1); /* pairs: TEST -> one_round */
}

/* Threads that yield to each other stay together unless they are told not to. */
static void spread(unsigned thread)
{
    cpu_set_t allowed;
    cpu_set_t mine;
    unsigned n = 0;

    CPU_ZERO(&mine);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && n++ == thread % (unsigned)CPU_COUNT(&allowed))
            CPU_SET(cpu, &mine);
    }
    (void)pthread_setaffinity_np(pthread_self(), sizeof(mine), &mine); /* it works without, too */
}

static void *thread_main(void *arg)
{
    unsigned thread = (unsigned)(uintptr_t)arg;
    struct rt_rand rand;
    uint32_t round = 0;

    spread(thread);
    rt_rand_init(&rand, thread);
    for (;;) {
        while (rt_load_acquire(&h.round) == round) /* pairs: TEST <- one_round */
            stumble();
        round = rt_load_relaxed(&h.round); /* relaxed: just acquired */
        if (round == UINT32_MAX)
            return NULL;
        make_calls(thread, &rand);
    }
}

/* The caller is thread 0. */
static void one_round(uint32_t number, struct rt_rand *rand)
{
    h.depot = (struct rt_depot){0};
    memset(h.held_count, 0, sizeof(h.held_count));
    rt_store_relaxed(&h.arrived, 0); /* relaxed: the round publishes it */
    rt_store_relaxed(&h.finished, 0);
    rt_store_release(&h.round, number); /* pairs: TEST -> thread_main */
    make_calls(0, rand);
    while (rt_load_acquire(&h.finished) < THREADS) /* pairs: TEST <- make_calls */
        stumble();
}

/* What the threads did not give back. */
static void put_rest(void)
{
    for (unsigned i = 0; i < THREADS; i++) {
        void *passed = rt_xchg_acq_rel(&h.passed[i], NULL); /* pairs: TEST <- slab_call */

        h.v->flush(&h.cache[i]);
        if (passed != NULL)
            h.v->put(NULL, passed);
        while (h.held_count[i] > 0)
            h.v->put(NULL, h.held[i][--h.held_count[i]]);
    }
}

/* Nobody has anything: every object that ever was can be had, once. */
static bool all_there(void)
{
    enum { MANY = 4096 };
    static void *got[MANY];
    static bool seen[MANY];
    uint32_t n = h.v->carved();
    bool good = n < MANY;

    memset(seen, 0, sizeof(seen));
    for (uint32_t i = 0; good && i < n; i++) {
        got[i] = h.v->get(NULL);
        good = got[i] != NULL && rt_slab_slot(got[i]) <= n && !seen[rt_slab_slot(got[i])];
        seen[good ? rt_slab_slot(got[i]) : 0] = true;
    }
    if (!good || h.v->carved() != n)
        return false;
    while (n > 0)
        h.v->put(NULL, got[--n]);
    return true;
}

static bool is_mixed(void)
{
    for (int i = 0; i < CALLS_ALL; i++) {
        for (int j = 0; j < i / CALLS * CALLS; j++) {
            if (h.call[i].begun < h.call[j].ended && h.call[j].begun < h.call[i].ended)
                return true;
        }
    }
    return false;
}

/* The round in which something is wrong, or 0 when nothing is in that many; on a machine that has
 * no time for it, in fewer. */
static uint32_t find_fault(const struct variant *v, uint32_t rounds)
{
    pthread_t thread[THREADS];
    struct rt_rand rand;
    uint64_t until = rt_clock_now() + LOOK_NS;
    uint32_t round = 1;
    bool good = true;

    memset(&h, 0, sizeof(h)); /* the variant before may have left objects of its own */
    h.v = v;
    rt_rand_init(&rand, 0);
    for (unsigned i = 1; i < THREADS; i++)
        RT_CHECK(pthread_create(&thread[i], NULL, thread_main, (void *)(uintptr_t)i) == 0);
    for (; good && round <= rounds && rt_clock_now() < until; round++) {
        one_round(round, &rand);
        h.mixed += is_mixed();
        good = has_order(h.call, ((uint32_t)1 << CALLS_ALL) - 1, &(struct plain){.n = 0});
        if (good && v->get != NULL) {
            put_rest();
            good = round % 16 != 0 || all_there();
        }
    }
    rt_store_release(&h.round, UINT32_MAX); /* pairs: TEST -> thread_main */
    for (unsigned i = 1; i < THREADS; i++)
        RT_CHECK(pthread_join(thread[i], NULL) == 0);
    return good ? 0 : round - 1;
}

static const struct variant right_depot = {
    .name = "depot",
    .push = rt_depot_push,
    .take_all = rt_depot_take_all,
};
static const struct variant right_slab = {
    .name = "slab",
    .get = rt_slab_get_slow,
    .put = rt_slab_put_slow,
    .flush = rt_slab_cache_flush,
    .carved = rt_slab_carved,
};

static const struct variant mutants[] = {
    {.name = "depot, push in two steps", .push = push_split, .take_all = rt_depot_take_all},
    {.name = "depot, push in the wrong order", .push = push_late, .take_all = rt_depot_take_all},
    {.name = "depot, take in two steps", .push = rt_depot_push, .take_all = take_all_split},
    {.name = "depot, take not all", .push = rt_depot_push, .take_all = take_some},
    {
        .name = "slab, without its lock",
        .get = no_lock_get_slow,
        .put = no_lock_put_slow,
        .flush = no_lock_cache_flush,
        .carved = no_lock_carved,
        .is_uncached = true,
    },
    {
        .name = "slab, push in two steps",
        .get = split_get_slow,
        .put = split_put_slow,
        .flush = split_cache_flush,
        .carved = split_carved,
        .is_uncached = true,
    },
};

static void test_depot_is_linearizable(void **state)
{
    (void)state;
    assert_int_equal(find_fault(&right_depot, ROUNDS), 0);
    print_message("calls overlapped in %u of at most %d rounds\n", h.mixed, ROUNDS);
}

static void test_slab_is_linearizable(void **state)
{
    (void)state;
    assert_int_equal(find_fault(&right_slab, ROUNDS), 0);
    print_message("calls overlapped in %u of at most %d rounds\n", h.mixed, ROUNDS);
}

static void test_linear_mutants_are_found_out(void **state)
{
    (void)state;
    if (RT_TSAN) /* it would report them before we do */
        skip();
    for (size_t i = 0; i < sizeof(mutants) / sizeof(mutants[0]); i++) {
        uint32_t round = find_fault(&mutants[i], MUTANT_LIMIT);

        print_message("%s: found out in round %u\n", mutants[i].name, round);
        assert_int_not_equal(round, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depot_is_linearizable),
        cmocka_unit_test(test_slab_is_linearizable),
        cmocka_unit_test(test_linear_mutants_are_found_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
