/* SPDX-License-Identifier: MIT */
/* Goal: the map is what a naive map of the same operations is, old versions never change, values
 * are released once when the last map that has them goes, and out of memory changes nothing. */
#include "scale.h"
#include "t.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/rand.h"
#include "task/varmap.h"

enum { VARS = 200, VERSIONS = 16, STEPS = T_SCALE(60000, 6000) };

static int holds[VARS * 8]; /* of each value: set and not yet released */

static void release(void *value)
{
    holds[T_NUM(value)]--;
}

static skua_var vars[VARS];

/* What a version ought to have: a value's number for each variable, 0 for none. */
struct version {
    struct rt_varmap *map;
    int               want[VARS];
};

static void check(const struct version *v)
{
    for (int i = 0; i < VARS; i++) {
        struct rt_binding *b = rt_varmap_find(v->map, &vars[i]);
        if ((b ? T_NUM(b->value) : 0) != v->want[i])
            fail_msg("variable %d has %d, not %d", i, b ? T_NUM(b->value) : 0, v->want[i]);
        if (b && holds[v->want[i]] != 1)
            fail_msg("value %d is held %d times", v->want[i], holds[v->want[i]]);
    }
}

static int free_value(void)
{
    for (int i = 1; i < VARS * 8; i++)
        if (!holds[i])
            return i;
    fail_msg("every value is still held");
    return 0;
}

static struct version put(const struct version *from, int var)
{
    struct version     to = *from;
    int                value = free_value();
    struct rt_binding *b = rt_binding_new(&vars[var], T_PTR(value));
    assert_non_null(b);
    holds[value] = 1;
    assert_int_equal(rt_varmap_put(from->map, b, &to.map), 0);
    rt_binding_release(b);
    to.want[var] = value;
    return to;
}

static struct version drop(const struct version *from, int var)
{
    struct version to = *from;
    assert_int_equal(rt_varmap_remove(from->map, &vars[var], &to.map), 0);
    to.want[var] = 0;
    return to;
}

static void setup(void)
{
    for (int i = 0; i < VARS; i++)
        vars[i].release = release;
    memset(holds, 0, sizeof holds);
}

static int held(void)
{
    int n = 0;
    for (int i = 0; i < VARS * 8; i++)
        n += holds[i];
    return n;
}

static void test_varmap_is_a_map(void **state)
{
    (void)state;
    struct version v[VERSIONS] = { { NULL, { 0 } } };
    struct rt_rand rand;
    int64_t        live = rt_mem_live();
    rt_rand_init(&rand, 20261122);
    setup();
    for (int step = 0; step < STEPS; step++) {
        const struct version *from = &v[rt_rand_below(&rand, VERSIONS)];
        struct version       *to = &v[rt_rand_below(&rand, VERSIONS)];
        int                   spread = 1 << rt_rand_below(&rand, 8);
        int                   var = (int)rt_rand_below(&rand, spread < VARS ? spread : VARS);
        struct version        made = rt_rand_below(&rand, 3) ? put(from, var) : drop(from, var);
        rt_varmap_release(to->map);
        *to = made;
        if (step % 50 == 0)
            for (int i = 0; i < VERSIONS; i++)
                check(&v[i]);
    }
    for (int i = 0; i < VERSIONS; i++)
        rt_varmap_release(v[i].map);
    assert_int_equal(held(), 0);
    assert_int_equal(rt_mem_live(), live);
}

/* Thousands of variables: several levels. */
static void test_varmap_grows_and_shrinks(void **state)
{
    enum { MANY = 5000 };
    (void)state;
    skua_var         *many = calloc(MANY, sizeof *many);
    struct rt_varmap *m = NULL, *next;
    int64_t           live = rt_mem_live();
    for (int i = 0; i < MANY; i++) {
        struct rt_binding *b = rt_binding_new(&many[i], T_PTR(i));
        assert_int_equal(rt_varmap_put(m, b, &next), 0);
        rt_binding_release(b);
        rt_varmap_release(m);
        m = next;
    }
    for (int i = 0; i < MANY; i++) {
        struct rt_binding *b = rt_varmap_find(m, &many[i]);
        assert_non_null(b);
        assert_int_equal(T_NUM(b->value), i);
        assert_int_equal(rt_varmap_remove(m, &many[i], &next), 0);
        rt_varmap_release(m);
        m = next;
        assert_null(rt_varmap_find(m, &many[i]));
    }
    assert_null(m);
    assert_int_equal(rt_mem_live(), live);
    free(many);
}

/* Each allocation of an operation fails once: the old map is as it was, nothing is left. */
static void test_varmap_without_memory(void **state)
{
    (void)state;
    struct version v = { NULL, { 0 } }, next;
    setup();
    for (int i = 0; i < VARS; i++) {
        next = put(&v, i);
        rt_varmap_release(v.map);
        v = next;
    }
    int64_t            live = rt_mem_live();
    struct rt_binding *b = rt_binding_new(&vars[7], NULL);
    struct rt_varmap  *made = NULL;
    int                failed = 0, r;
    do {
        rt_fault_alloc_arm(++failed);
        r = rt_varmap_put(v.map, b, &made);
        rt_fault_alloc_arm(0);
        assert_true(r == 0 || (r == -ENOMEM && made == NULL));
        check(&v);
    } while (r < 0);
    assert_true(failed > 1);
    rt_varmap_release(made);
    rt_binding_release(b);
    for (failed = 0, r = -1, made = NULL; r < 0;) {
        rt_fault_alloc_arm(++failed);
        r = rt_varmap_remove(v.map, &vars[9], &made);
        rt_fault_alloc_arm(0);
        check(&v);
    }
    assert_true(failed > 1);
    rt_varmap_release(made);
    assert_int_equal(rt_mem_live(), live);
    rt_varmap_release(v.map);
    assert_int_equal(held(), 0);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_varmap_is_a_map),
    T_TEST(test_varmap_grows_and_shrinks),
    T_TEST(test_varmap_without_memory),
};
T_MAIN(tests, NULL)
