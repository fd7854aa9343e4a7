/* SPDX-License-Identifier: MIT */
/* Goal: names and messages are copies that live as long as the task, are cut where the contract
 * says, and running out of memory costs the text and nothing else. */
#include "t.h"

#include "base/mem.h"
#include "task/task.h"

static struct skua_task *make(uint8_t kind, uint32_t id)
{
    uint32_t          slot;
    struct skua_task *t = rt_slab_get(NULL, &slot);
    assert_non_null(t);
    rt_store_relaxed(&t->cold, 0);
    rt_store_relaxed(&t->kind, kind);
    t->id = id;
    return t;
}

static void test_text_name_made_on_demand(void **state)
{
    int64_t           live = rt_mem_live();
    struct skua_task *t = make(0, 17), *f = make(RT_KIND_FUTURE, 3);
    assert_int_equal(rt_mem_live(), live);
    const char *name = rt_task_name(t);
    assert_string_equal(name, "Task-17");
    assert_ptr_equal(rt_task_name(t), name);
    assert_string_equal(rt_task_name(f), "Future-3");
    rt_task_free(NULL, t);
    rt_task_free(NULL, f);
    assert_int_equal(rt_mem_live(), live);
}

static void test_text_old_names_stay_valid(void **state)
{
    int64_t           live = rt_mem_live();
    struct skua_task *t = make(0, 1);
    char              name[16] = "first";
    assert_int_equal(rt_task_set_name(t, name), 0);
    const char *first = rt_task_name(t);
    strcpy(name, "second");
    assert_int_equal(rt_task_set_name(t, name), 0);
    assert_string_equal(first, "first");
    assert_string_equal(rt_task_name(t), "second");
    assert_int_equal(rt_task_set_name(t, ""), 0);
    assert_string_equal(rt_task_name(t), "");
    rt_task_free(NULL, t);
    assert_int_equal(rt_mem_live(), live);
}

static void test_text_lengths(void **state)
{
    struct skua_task *t = make(0, 1);
    char              text[6000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_null(rt_task_message(t));
    assert_int_equal(rt_task_set_message(t, text), 0);
    assert_int_equal(strlen(rt_task_message(t)), 127);
    assert_int_equal(rt_task_set_name(t, text), 0);
    assert_int_equal(strlen(rt_task_name(t)), 4096);
    assert_int_equal(rt_task_set_message(t, "short"), 0);
    assert_string_equal(rt_task_message(t), "short");
    rt_task_free(NULL, t);
}

static void test_text_without_memory(void **state)
{
    for (unsigned nth = 1; nth <= 2; nth++) {
        int64_t           live = rt_mem_live();
        struct skua_task *t = make(0, 9);
        rt_fault_alloc_arm(nth);
        assert_int_equal(rt_task_set_name(t, "name"), -ENOMEM);
        rt_fault_alloc_arm(nth);
        assert_non_null(rt_task_name(t));
        rt_fault_alloc_arm_from(1);
        assert_int_equal(rt_task_set_message(t, "text"), -ENOMEM);
        assert_null(rt_task_message(t));
        assert_non_null(rt_task_name(t));
        rt_fault_alloc_arm(0);
        assert_string_equal(rt_task_name(t), "Task-9");
        rt_task_free(NULL, t);
        assert_int_equal(rt_mem_live(), live);
    }
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_text_name_made_on_demand),
    T_TEST(test_text_old_names_stay_valid),
    T_TEST(test_text_lengths),
    T_TEST(test_text_without_memory),
};
T_MAIN(tests, NULL)
