/* SPDX-License-Identifier: MIT */
/* Goal: a runner keeps its options by value, the text of .lanes too.
 * Cause: the runtime is made by the first run, and read the text then, which was the maker's. */
#include <errno.h>
#include <stdlib.h>

#include "t.h"

static void *look(void *unused)
{
    struct skua_lane_stats s = { .size = sizeof s };
    T_EXPECT_INT(skua_lane_stats_get("thumbs", &s), 0);
    T_EXPECT_INT(s.threads_max, 3);
    T_EXPECT_INT(skua_lane_stats_get("gone", &s), -EINVAL);
    return unused;
}

static void test_the_text_of_lanes_may_go_after_new(void **state)
{
    (void)state;
    char         text[] = "thumbs=3";
    skua_runner *r = skua_runner_new(.lanes = text, .workers = 1);
    assert_non_null(r);
    memcpy(text, "gone=512", sizeof text);
    assert_int_equal(skua_runner_run(r, look, NULL, NULL), 0);
    assert_int_equal(skua_runner_close(r), 0);
    t_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_text_of_lanes_may_go_after_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
