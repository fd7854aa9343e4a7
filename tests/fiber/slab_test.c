/* SPDX-License-Identifier: MIT */
/* Goal: an object has one owner at a time, one number for ever, and keeps its words while it is
 * free. Method: single steps first; then threads that take, check a claim word by compare-and-swap,
 * hand half of their objects to each other and give back what the others took, a million times; out
 * of memory by injection.
 */
#include "fiber/slab.h"

#include "base/atomic.h"
#include "base/check.h"
#include "base/lock.h"
#include "base/san.h"
#include "base/sys.h"
#include "fiber/depot.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define MANY          3000
#define CROSS_COUNT   (RT_TSAN ? 200000 : 1000000)
#define CROSS_HELD    700 /* more than a cache keeps, so that the depot is in play */
#define CROSS_THREADS 2
#define DEPOT_NODES   1000
#define DEPOT_ROUNDS  (RT_TSAN ? 100 : 1000)

struct object {
    struct object *next;
    uint32_t pad;
    uint32_t slot;
    RT_ATOMIC(uint64_t) word; /* what somebody with a stale number would read */
    uint64_t payload;         /* plain: only the owner touches it */
    RT_ATOMIC(uint32_t) is_owned;
    char rest[RT_SLAB_OBJECT_BYTES - 40];
};

_Static_assert(sizeof(struct object) == RT_SLAB_OBJECT_BYTES, "fills an object");
_Static_assert(offsetof(struct object, slot) == RT_SLAB_SLOT_OFFSET, "where the slab writes it");

static struct object *take(struct rt_slab_cache *c)
{
    uint32_t slot = 0;
    struct object *o = rt_slab_get(c, &slot);

    RT_CHECK(o != NULL && slot == o->slot);
    return o;
}

static void test_slab_get_new_object_zero_aligned_numbered(void **state)
{
    static const char zero[RT_SLAB_OBJECT_BYTES];
    struct rt_slab_cache cache = {0};
    uint32_t slot = 0;
    struct object *o = rt_slab_get(&cache, &slot);

    (void)state;
    assert_non_null(o);
    assert_int_equal((uintptr_t)o % RT_SLAB_OBJECT_BYTES, 0);
    assert_in_range(slot, 1, RT_SLAB_SLOT_MAX);
    assert_int_equal(o->slot, slot);
    assert_int_equal(o->pad, 0);
    assert_memory_equal((char *)o + 16, zero, sizeof(zero) - 16);
    assert_ptr_equal(rt_slab_at(slot), o);
    assert_true(rt_slab_carved() >= slot);
    rt_slab_put(&cache, o);
    rt_slab_cache_flush(&cache);
}

static void test_slab_at_unknown_number_null(void **state)
{
    (void)state;
    assert_null(rt_slab_at(0));
    assert_null(rt_slab_at(rt_slab_carved() + 1));
    assert_null(rt_slab_at(RT_SLAB_SLOT_MAX));
    assert_null(rt_slab_at(UINT32_MAX));
}

/* All but the link and the words that head a batch. */
static bool is_kept(const struct object *o, const char *copy)
{
    const size_t behind = RT_SLAB_BATCH_OFFSET + RT_SLAB_BATCH_BYTES;
    return memcmp((const char *)o + 8, copy + 8, RT_SLAB_BATCH_OFFSET - 8) == 0 &&
           memcmp((const char *)o + behind, copy + behind, sizeof(*o) - behind) == 0;
}

static void test_slab_put_keeps_all_but_the_links(void **state)
{
    struct rt_slab_cache cache = {0};
    struct object *o = take(&cache);
    uint32_t slot = o->slot;
    char copy[RT_SLAB_OBJECT_BYTES];

    (void)state;
    memset((char *)o + 16, 0xa5, sizeof(*o) - 16);
    memcpy(copy, o, sizeof(copy));
    rt_slab_put(&cache, o);
    assert_true(is_kept(o, copy));
    rt_slab_cache_flush(&cache);
    assert_true(is_kept(o, copy));
    while (take(&cache) != o)
        assert_true(rt_slab_carved() < RT_SLAB_SLOT_MAX / 2);
    assert_true(is_kept(o, copy));
    assert_int_equal(o->slot, slot);
    memset((char *)o + 16, 0, sizeof(*o) - 16);
    rt_slab_put(&cache, o);
    rt_slab_cache_flush(&cache);
}

static void test_slab_cache_last_in_first_out_and_bounded(void **state)
{
    static struct object *o[MANY];
    struct rt_slab_cache cache = {0};
    uint32_t carved;

    (void)state;
    for (int i = 0; i < MANY; i++)
        o[i] = take(&cache);
    carved = rt_slab_carved();
    for (int i = 0; i < MANY; i++) {
        assert_ptr_equal(rt_slab_at(o[i]->slot), o[i]);
        rt_slab_put(&cache, o[i]);
        assert_true(cache.count <= RT_SLAB_BATCH && cache.spare_count <= RT_SLAB_BATCH);
    }
    assert_ptr_equal(take(&cache), o[MANY - 1]);
    rt_slab_put(&cache, o[MANY - 1]);
    rt_slab_cache_flush(&cache);
    assert_int_equal(cache.count, 0);
    assert_null(cache.free);
    assert_null(cache.spare);
    for (int i = 0; i < MANY; i++)
        o[i] = take(&cache);
    assert_int_equal(rt_slab_carved(), carved); /* all of them came from the depot */
    for (int i = 0; i < MANY; i++)
        rt_slab_put(&cache, o[i]);
    rt_slab_cache_flush(&cache);
}

static void test_slab_without_cache_works(void **state)
{
    struct object *a = take(NULL);
    struct object *b = take(NULL);

    (void)state;
    assert_ptr_not_equal(a, b);
    rt_slab_put(NULL, a);
    rt_slab_put(NULL, b);
}

static void test_slab_when_out_of_memory_null_then_recovers(void **state)
{
    struct rt_slab_cache cache = {0};
    struct object *list = NULL;
    struct object *o;
    uint32_t slot;

    (void)state;
    rt_fault_arm_from(RT_SYS_MMAP, 1, ENOMEM);
    while ((o = rt_slab_get(&cache, &slot)) != NULL) {
        o->next = list;
        list = o;
    }
    assert_int_equal(rt_slab_carved() % (1u << 13),
                     (1u << 13) - 1); /* up to the end of the chunk */
    assert_null(rt_slab_get(NULL, &slot));
    rt_fault_reset();
    o = take(&cache);
    o->next = list;
    list = o;
    while (list != NULL) {
        o = list;
        list = o->next;
        rt_slab_put(&cache, o);
    }
    rt_slab_cache_flush(&cache);
}

/* What a thread hands to its neighbour. */
static struct mailbox {
    struct rt_lock lock;
    struct object *list;
} mailbox[CROSS_THREADS] = {
    {.lock = RT_LOCK_INIT(RT_RANK_OBJECT)},
    {.lock = RT_LOCK_INIT(RT_RANK_OBJECT)},
};

static void claim(struct object *o)
{
    uint32_t free = 0;

    RT_CHECK(
        rt_cas_relaxed(&o->is_owned, &free, 1)); /* relaxed: the slab must order, not this word */
    o->payload++;
    RT_CHECK(rt_slab_at(o->slot) == o);
}

static void unclaim(struct rt_slab_cache *c, struct object *o)
{
    o->payload++;
    rt_store_relaxed(&o->word,
                     rt_load_relaxed(&o->word) + 1); /* relaxed: stale readers take what they get */
    rt_store_relaxed(&o->is_owned, 0);
    rt_slab_put(c, o);
}

static void post(struct mailbox *m, struct object *o)
{
    rt_lock(&m->lock);
    o->next = m->list;
    m->list = o;
    rt_unlock(&m->lock);
}

static struct object *fetch(struct mailbox *m)
{
    struct object *o;

    rt_lock(&m->lock);
    o = m->list;
    m->list = NULL;
    rt_unlock(&m->lock);
    return o;
}

static void put_all(struct rt_slab_cache *c, struct object *o)
{
    while (o != NULL) {
        struct object *next = o->next;

        unclaim(c, o);
        o = next;
    }
}

static void *cross(void *arg)
{
    struct mailbox *mine = arg;
    struct mailbox *other = &mailbox[mine == mailbox];
    struct rt_slab_cache cache = {0};
    struct object *held = NULL;
    uint64_t stale = 0;

    for (int i = 0; i < CROSS_COUNT; i++) {
        struct object *o = take(i % 64 == 0 ? NULL : &cache);

        claim(o);
        if (i % 2 == 0) {
            o->next = held;
            held = o;
        } else {
            post(other, o);
        }
        o = rt_slab_at(1 + (uint32_t)i % rt_slab_carved());
        stale += rt_load_relaxed(&o->word); /* relaxed: as a stale waker reads */
        if (i % CROSS_HELD == 0) {
            put_all(&cache, held);
            held = NULL;
            put_all(i % 3 == 0 ? NULL : &cache, fetch(mine));
        }
    }
    put_all(&cache, held);
    put_all(&cache, fetch(mine));
    rt_slab_cache_flush(&cache);
    return (void *)(uintptr_t)stale;
}

static void test_slab_two_threads_cross_free_one_owner_at_a_time(void **state)
{
    pthread_t thread[CROSS_THREADS];
    struct rt_slab_cache cache = {0};
    uint32_t carved;

    (void)state;
    for (int i = 0; i < CROSS_THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, cross, &mailbox[i]), 0);
    for (int i = 0; i < CROSS_THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    for (int i = 0; i < CROSS_THREADS; i++)
        put_all(&cache, fetch(&mailbox[i]));
    rt_slab_cache_flush(&cache);
    carved = rt_slab_carved();
    /* Every object exactly once: none lost, none twice. */
    for (uint32_t i = 0; i < carved; i++)
        claim(take(&cache));
    assert_int_equal(rt_slab_carved(), carved);
    for (uint32_t i = 1; i <= carved; i++)
        unclaim(&cache, rt_slab_at(i));
    rt_slab_cache_flush(&cache);
}

static struct rt_depot depot;

static struct node {
    struct rt_depot_node node;
    uint64_t payload;
} nodes[DEPOT_NODES];

/* Takes everything, touches it, puts it back one by one, in all threads at once. */
static void *churn(void *unused)
{
    (void)unused;
    for (int i = 0; i < DEPOT_ROUNDS; i++) {
        struct rt_depot_node *list = rt_depot_take_all(&depot);

        while (list != NULL) {
            struct node *n = rt_container_of(list, struct node, node);

            rt_depot_taken(list);
            list = list->next;
            n->payload++;
            rt_depot_push(&depot, &n->node);
        }
    }
    return NULL;
}

static void test_depot_threads_take_and_push_no_node_lost(void **state)
{
    pthread_t thread[4];
    struct rt_depot_node *list;
    int n = 0;

    (void)state;
    for (int i = 0; i < DEPOT_NODES; i++)
        rt_depot_push(&depot, &nodes[i].node);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, churn, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    for (list = rt_depot_take_all(&depot); list != NULL; list = list->next) {
        rt_depot_taken(list);
        n++;
    }
    assert_int_equal(n, DEPOT_NODES);
    assert_null(rt_depot_take_all(&depot));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slab_get_new_object_zero_aligned_numbered),
        cmocka_unit_test(test_slab_at_unknown_number_null),
        cmocka_unit_test(test_slab_put_keeps_all_but_the_links),
        cmocka_unit_test(test_slab_cache_last_in_first_out_and_bounded),
        cmocka_unit_test(test_slab_without_cache_works),
        cmocka_unit_test(test_slab_when_out_of_memory_null_then_recovers),
        cmocka_unit_test(test_slab_two_threads_cross_free_one_owner_at_a_time),
        cmocka_unit_test(test_depot_threads_take_and_push_no_node_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
