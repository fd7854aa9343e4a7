/* SPDX-License-Identifier: MIT */
/* Goal: unwanted paths are never chosen unless asked for, and one seed gives one run. */
#include "capture.h"

#include "base/choice.h"

static void test_rand_same_seed_same_numbers(void **state)
{
    struct rt_rand a;
    struct rt_rand b;
    struct rt_rand c;
    int differ = 0;

    (void)state;
    rt_rand_init(&a, 5);
    rt_rand_init(&b, 5);
    rt_rand_init(&c, 6);
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rt_rand_next(&a);

        assert_true(x == rt_rand_next(&b));
        differ += x != rt_rand_next(&c);
    }
    assert_true(differ > 990);
}

static void test_rand_below_is_even(void **state)
{
    unsigned seen[7] = { 0 };
    struct rt_rand r;

    (void)state;
    rt_rand_init(&r, 0);
    for (int i = 0; i < 70000; i++) {
        uint32_t x = rt_rand_below(&r, 7);

        assert_true(x < 7);
        seen[x]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 9500, 10500);
    assert_int_equal(rt_rand_below(&r, 1), 0);
}

static void test_choice_without_seed_is_zero(void **state)
{
    unsigned picks = 0;
    struct rt_chooser c;

    (void)state;
    rt_chooser_init_seed(&c, 0, 3);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rt_choice(&c, 4, "test"), 0);
        assert_false(rt_chance(&c, 2, "test"));
        picks |= 1u << rt_pick(&c, 4, "test");
    }
    assert_int_equal(picks, 15);
    assert_int_equal(c.choices, 0);
}

#if RT_FUZZ
static void test_choice_with_seed_repeats_and_streams_differ(void **state)
{
    struct rt_chooser a;
    struct rt_chooser b;
    struct rt_chooser other;
    unsigned seen = 0;
    int differ = 0;
    int chances = 0;

    (void)state;
    rt_chooser_init_seed(&a, 9, 0);
    rt_chooser_init_seed(&b, 9, 0);
    rt_chooser_init_seed(&other, 9, 1);
    for (int i = 0; i < 1000; i++) {
        uint32_t x = rt_choice(&a, 16, "test");

        assert_int_equal(x, rt_choice(&b, 16, "test"));
        differ += x != rt_choice(&other, 16, "test");
        seen |= 1u << x;
    }
    assert_int_equal(seen, 0xffff);
    assert_true(differ > 800);
    assert_int_equal(a.choices, 1000);
    assert_string_equal(a.last_site, "test");
    for (int i = 0; i < 10000; i++)
        chances += rt_chance(&a, 10, "chance");
    assert_in_range(chances, 850, 1150);
}

static void seed_from_env(void)
{
    struct rt_chooser c;

    setenv("SKUA_FUZZ", "0x29", 1);
    rt_chooser_init(&c, 0);
    setenv("SKUA_FUZZ", "5", 1); /* too late: stable */
    _exit(c.is_fuzzing && rt_fuzz_seed() == 0x29 ? 0 : 1);
}

static void test_fuzz_seed_comes_from_environment_once(void **state)
{
    struct capture c;

    (void)state;
    capture_run(&c, seed_from_env);
    assert_true(WIFEXITED(c.status));
    assert_int_equal(WEXITSTATUS(c.status), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rand_same_seed_same_numbers),
        cmocka_unit_test(test_rand_below_is_even),
        cmocka_unit_test(test_choice_without_seed_is_zero),
#if RT_FUZZ
        cmocka_unit_test(test_choice_with_seed_repeats_and_streams_differ),
        cmocka_unit_test(test_fuzz_seed_comes_from_environment_once),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
