/* SPDX-License-Identifier: MIT */
/* Goal: a lent loop has one helper that looks after it, and no chains. tests/model/loan_model.cpp
 * checks the same words between threads. */
#include "t.h"

#include "loop/loan.h"

static void test_seats_are_given_and_taken_back(void **state)
{
    (void)state;
    struct rt_loan helper = { 0 }, lender[RT_LOAN_SEATS + 1] = { 0 };
    for (unsigned i = 0; i < RT_LOAN_SEATS; i++)
        assert_true(rt_loan_begin(&lender[i], &helper, 250 + i));
    assert_false(rt_loan_begin(&lender[RT_LOAN_SEATS], &helper, 7)); /* no seat is free */
    assert_int_equal(rt_load_relaxed(&lender[RT_LOAN_SEATS].lent), 0);

    for (unsigned seat = 0; seat < RT_LOAN_SEATS; seat++)
        assert_int_equal(rt_loan_seat(rt_loan_seats(&helper), seat), 251 + seat);
    rt_loan_end(&lender[1], &helper, 251);
    assert_int_equal(rt_loan_seat(rt_loan_seats(&helper), 1), 0);
    assert_true(rt_loan_begin(&lender[RT_LOAN_SEATS], &helper, 0)); /* number 0 is one as well */
    assert_int_equal(rt_loan_seat(rt_loan_seats(&helper), 1), 1);

    rt_loan_end(&lender[RT_LOAN_SEATS], &helper, 0);
    rt_loan_end(&lender[0], &helper, 250);
    rt_loan_end(&lender[2], &helper, 252);
    rt_loan_end(&lender[3], &helper, 253);
    assert_int_equal(rt_loan_seats(&helper), 0);
}

static void test_who_lends_does_not_help(void **state)
{
    (void)state;
    struct rt_loan a = { 0 }, b = { 0 }, c = { 0 };
    assert_true(rt_loan_begin(&a, &b, 0));
    assert_false(rt_loan_begin(&c, &a, 2)); /* a's loop is lent */
    assert_false(rt_loan_begin(&b, &c, 1)); /* b looks after a's */
    assert_int_equal(rt_loan_seats(&a), 0);
    assert_int_equal(rt_loan_seats(&c), 0);
    assert_true(rt_loan_begin(&c, &b, 2));
    rt_loan_end(&a, &b, 0);
    rt_loan_end(&c, &b, 2);
    assert_true(rt_loan_begin(&b, &c, 1));
    rt_loan_end(&b, &c, 1);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_seats_are_given_and_taken_back),
    T_TEST(test_who_lends_does_not_help),
};
T_MAIN(tests, NULL)
