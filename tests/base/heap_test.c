/* SPDX-License-Identifier: MIT */
/* Goal: the heap yields (deadline, order of arming) order under any mix of operations.
 * Method: random operations against a model that finds its minimum by looking at everything. */
#include "base/heap.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NODES 300

struct model {
    struct rt_heap_node node[NODES];
    uint64_t deadline[NODES];
    uint64_t seq[NODES]; /* 0: not armed */
    uint64_t next_seq;
};

static int model_min(const struct model *m)
{
    int best = -1;

    for (int i = 0; i < NODES; i++) {
        if (m->seq[i] == 0)
            continue;
        if (best < 0 || m->deadline[i] < m->deadline[best] ||
            (m->deadline[i] == m->deadline[best] && m->seq[i] < m->seq[best]))
            best = i;
    }
    return best;
}

static void expect_same_top(const struct rt_heap *h, const struct model *m)
{
    const struct rt_heap_entry *top = rt_heap_top(h);
    int want = model_min(m);

    assert_int_equal(top == NULL, want < 0);
    if (top != NULL) {
        assert_ptr_equal(top->node, &m->node[want]);
        assert_true(top->deadline == m->deadline[want]);
    }
}

/* A few deadlines only, so that equals are common, and now and then the extremes. */
static uint64_t some_deadline(struct rt_rand *r)
{
    uint32_t kind = rt_rand_below(r, 20);

    if (kind == 0)
        return RT_NEVER;
    if (kind == 1)
        return 0;
    return kind < 10 ? rt_rand_below(r, 8) : rt_rand_next(r);
}

static void one_operation(struct rt_heap *h, struct model *m, struct rt_rand *r, uint32_t push_bias)
{
    uint32_t i = rt_rand_below(r, NODES);
    uint64_t deadline = some_deadline(r);

    if (m->seq[i] == 0) {
        if (rt_rand_below(r, 10) >= push_bias)
            return;
        assert_int_equal(rt_heap_push(h, &m->node[i], deadline), 0);
        m->deadline[i] = deadline;
        m->seq[i] = ++m->next_seq;
    } else if (rt_rand_below(r, 3) == 0) {
        rt_heap_update(h, &m->node[i], deadline);
        m->deadline[i] = deadline;
        m->seq[i] = ++m->next_seq;
    } else if (rt_rand_below(r, 2) == 0) {
        rt_heap_remove(h, &m->node[i]);
        m->seq[i] = 0;
    } else {
        int min = model_min(m);

        assert_ptr_equal(rt_heap_pop(h), &m->node[min]);
        m->seq[min] = 0;
    }
}

static void test_heap_random_operations_match_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct model m = { 0 };
        struct rt_heap h;
        struct rt_rand r;
        int armed = 0;

        rt_heap_init(&h);
        rt_rand_init(&r, seed);
        for (int op = 0; op < 3000; op++) {
            one_operation(&h, &m, &r, (op / 500) % 2 == 0 ? 10 : 2);
            expect_same_top(&h, &m);
            if (op % 16 == 0)
                assert_true(rt_heap_valid(&h));
        }
        for (int i = 0; i < NODES; i++) {
            armed += m.seq[i] != 0;
            assert_int_equal(rt_heap_contains(&m.node[i]), m.seq[i] != 0);
            if (m.seq[i] != 0)
                assert_true(rt_heap_deadline(&h, &m.node[i]) == m.deadline[i]);
        }
        assert_int_equal(rt_heap_count(&h), armed);
        for (int min = model_min(&m); min >= 0; min = model_min(&m)) {
            assert_ptr_equal(rt_heap_pop(&h), &m.node[min]);
            m.seq[min] = 0;
        }
        assert_null(rt_heap_pop(&h));
        rt_heap_fini(&h);
    }
}

static void test_heap_equal_deadlines_leave_in_arming_order(void **state)
{
    static struct rt_heap_node node[1000];
    struct rt_heap h;

    (void)state;
    rt_heap_init(&h);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rt_heap_push(&h, &node[i], 77), 0);
    rt_heap_update(&h, &node[0], 77); /* goes behind its equals */
    for (int i = 1; i < 1000; i++)
        assert_ptr_equal(rt_heap_pop(&h), &node[i]);
    assert_ptr_equal(rt_heap_pop(&h), &node[0]);
    rt_heap_fini(&h);
}

static void test_heap_valid_sees_damage(void **state)
{
    struct rt_heap_node node[10] = { 0 };
    struct rt_heap h;

    (void)state;
    rt_heap_init(&h);
    assert_true(rt_heap_valid(&h));
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(rt_heap_push(&h, &node[i], i), 0);
    assert_true(rt_heap_valid(&h));
    h.entries[0].deadline = 100;
    assert_false(rt_heap_valid(&h));
    h.entries[0].deadline = 0;
    node[3].index++;
    assert_false(rt_heap_valid(&h));
    node[3].index--;
    assert_true(rt_heap_valid(&h));
    rt_heap_dump(&h, 2);
    rt_heap_fini(&h);
}

/* Goal: what is due and wanted leaves, what is due and refused stays, and the next deadline is that
 * of the earliest that is not due. Every third node is refused. */
static struct model *due_model;
static unsigned due_taken;

static bool is_wanted(struct rt_heap_node *node)
{
    return (node - due_model->node) % 3 != 0;
}

static void take_wanted(struct rt_heap_node *node, void *now)
{
    int i = (int)(node - due_model->node);

    assert_int_equal(node->index, 0);
    assert_true(is_wanted(node) && due_model->seq[i] != 0);
    assert_true(due_model->deadline[i] <= *(uint64_t *)now);
    due_model->seq[i] = 0;
    due_taken++;
}

static void check_take_due(struct rt_heap *h, struct model *m, uint64_t now)
{
    uint64_t want = RT_NEVER;
    unsigned due = 0;

    for (int i = 0; i < NODES; i++) {
        due += m->seq[i] != 0 && m->deadline[i] <= now && is_wanted(&m->node[i]);
        if (m->seq[i] != 0 && m->deadline[i] > now && m->deadline[i] < want)
            want = m->deadline[i];
    }
    due_taken = 0;
    assert_true(rt_heap_take_due(h, now, is_wanted, take_wanted, &now) == want);
    assert_int_equal(due_taken, due);
    assert_true(rt_heap_valid(h));
}

static void test_heap_take_due_leaves_what_is_not_wanted(void **state)
{
    static struct model m;
    struct rt_heap h;
    struct rt_rand r;

    (void)state;
    rt_rand_init(&r, 77);
    due_model = &m;
    rt_heap_init(&h);
    check_take_due(&h, &m, 5);
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < NODES; i++) {
            if (m.seq[i] != 0 || rt_rand_below(&r, 2) == 0)
                continue;
            m.deadline[i] = rt_rand_below(&r, 1000);
            m.seq[i] = 1;
            assert_int_equal(rt_heap_push(&h, &m.node[i], m.deadline[i]), 0);
        }
        check_take_due(&h, &m, rt_rand_below(&r, 1000));
        if (round % 10 != 9)
            continue;
        while (rt_heap_count(&h) > 0)
            m.seq[(struct rt_heap_node *)rt_heap_pop(&h) - m.node] = 0;
    }
    rt_heap_fini(&h);
}

#ifdef RT_TESTING
static void test_heap_push_without_memory_changes_nothing(void **state)
{
    static struct rt_heap_node node[200];
    int64_t live = rt_mem_live();
    struct rt_heap h;
    uint32_t n = 0;

    (void)state;
    rt_heap_init(&h);
    rt_fault_alloc_arm_from(1);
    assert_int_equal(rt_heap_push(&h, &node[0], 1), -ENOMEM);
    assert_int_equal(rt_heap_reserve(&h, 4), -ENOMEM);
    assert_false(rt_heap_contains(&node[0]));
    rt_fault_alloc_arm_from(2);
    while (n < 200 && rt_heap_push(&h, &node[n], 1000 - n) == 0)
        n++;
    assert_true(n > 0 && n < 200);
    assert_int_equal(rt_heap_count(&h), n);
    assert_false(rt_heap_contains(&node[n]));
    assert_true(rt_heap_valid(&h));
    rt_heap_remove(&h, &node[0]);
    assert_int_equal(rt_heap_push(&h, &node[n], 0), 0); /* room again: no allocation */
    assert_ptr_equal(rt_heap_top(&h)->node, &node[n]);
    rt_fault_alloc_arm(0);
    rt_heap_fini(&h);
    assert_int_equal(rt_mem_live(), live);
}
#endif

static void test_heap_reserve_makes_room(void **state)
{
    static struct rt_heap_node node[500];
    struct rt_heap h;
    const struct rt_heap_entry *before;

    (void)state;
    rt_heap_init(&h);
    assert_int_equal(rt_heap_reserve(&h, 500), 0);
    assert_int_equal(rt_heap_reserve(&h, 10), 0);
    assert_int_equal(rt_heap_reserve(&h, UINT32_MAX), -ENOMEM);
    before = h.entries;
    for (uint64_t i = 0; i < 500; i++)
        assert_int_equal(rt_heap_push(&h, &node[i], i ^ 0x55), 0);
    assert_ptr_equal(h.entries, before);
    assert_true(rt_heap_valid(&h));
    rt_heap_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap_random_operations_match_model),
        cmocka_unit_test(test_heap_equal_deadlines_leave_in_arming_order),
        cmocka_unit_test(test_heap_valid_sees_damage),
        cmocka_unit_test(test_heap_take_due_leaves_what_is_not_wanted),
#ifdef RT_TESTING
        cmocka_unit_test(test_heap_push_without_memory_changes_nothing),
#endif
        cmocka_unit_test(test_heap_reserve_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
