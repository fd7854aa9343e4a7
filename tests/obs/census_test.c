/* SPDX-License-Identifier: MIT */
/* Goal: the census counts who is alive by place of spawn, finds a name, never counts what ended,
 * and may be taken while tasks come and go on every worker. */
#include "scale.h"
#include "t.h"

#include <errno.h>

enum { ROWS = 8, CHURNERS = 4, SPAWNS = T_SCALE(20000, 2000) };

static void *waits(void *until)
{
    return skua_await(until, NULL) == 0 ? NULL : skua_fail(-EIO);
}

static skua_task *start(skua_fn fn, void *arg, const char *where, const char *name)
{
    const struct skua_spawn_opts opts = { .size = sizeof opts, .where = where, .name = name };
    return skua_go_with(fn, arg, &opts);
}

static const struct skua_census_row *row_at(const struct skua_census_row *rows, int n,
                                            const char *where)
{
    for (int i = 0; i < n; i++)
        if (strcmp(rows[i].where, where) == 0)
            return &rows[i];
    return NULL;
}

static void *three_places(void *arg)
{
    struct skua_census_row rows[ROWS] = { { .size = sizeof rows[0] } };
    struct skua_task      *go = skua_future_new(), *t[12];
    int                    many = 0, few = 0;
    for (int i = 0; i < 7; i++)
        t[many++] = start(waits, go, "many", NULL);
    for (int i = 0; i < 3; i++)
        t[many + few++] = start(waits, go, "few", i == 1 ? "ann" : NULL);
    t[10] = skua_spawn(waits, go);
    t[11] = start(t_job, &(struct t_job){ .name = "brief" }, "ended", NULL);
    T_EXPECT_INT(skua_sleep(1), 0);
    T_EXPECT(skua_done(t[11]));

    int n = skua_census(rows, ROWS);
    T_EXPECT_INT(n, 4);
    T_EXPECT_STR(rows[0].where, "many");
    T_EXPECT_INT(rows[0].tasks, 7);
    T_EXPECT_INT(rows[0].suspended, 7);
    T_EXPECT_STR(rows[0].name, "");
    T_EXPECT_STR(rows[1].where, "few");
    T_EXPECT_INT(rows[1].tasks, 3);
    T_EXPECT_STR(rows[1].name, "ann");
    T_EXPECT(row_at(rows, n, "ended") == NULL);
    const struct skua_census_row *own = row_at(rows, n, "skua_run");
    T_EXPECT(own && own->tasks == 1 && own->suspended == 0);

    n = skua_census(rows, 2);
    T_EXPECT_INT(n, 2);
    T_EXPECT_INT(rows[0].tasks + rows[1].tasks, 12);
    T_EXPECT(row_at(rows, n, "other places") != NULL);
    T_EXPECT_INT(skua_census(rows, 1), 1);
    T_EXPECT_INT(rows[0].tasks, 12);

    T_EXPECT(skua_future_set_result(go, NULL));
    T_EXPECT_INT(skua_gather(t, 12, NULL, SKUA_RELEASE), 0);
    skua_release(go);
    T_EXPECT_INT(skua_census(rows, ROWS), 1);
    t_log_reset();
    return arg;
}

static void test_census_counts_by_place(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(three_places, NULL, .workers = workers);
}

static void *forked(void *arg)
{
    struct skua_census_row rows[ROWS] = { { .size = sizeof rows[0] } };
    skua_future           *go = skua_future_new();
    skua_job               jobs[2];
    skua_fork(&jobs[0], waits, go);
    skua_fork(&jobs[1], waits, go);
    T_EXPECT_INT(skua_sleep(1), 0); /* which makes tasks of them */
    const struct skua_census_row *row = row_at(rows, skua_census(rows, ROWS), "skua_fork");
    T_EXPECT(row && row->tasks == 2);
    T_EXPECT(skua_future_set_result(go, NULL));
    T_EXPECT_INT(skua_failed(skua_fork_join(&jobs[1])), 0);
    T_EXPECT_INT(skua_failed(skua_fork_join(&jobs[0])), 0);
    skua_release(go);
    return arg;
}

static void test_census_names_the_place_of_forked_jobs(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(forked, NULL, .workers = workers);
}

static void *bad_input(void *arg)
{
    struct skua_census_row row = { .size = sizeof row };
    T_EXPECT_INT(skua_census(NULL, 1), -EINVAL);
    T_EXPECT_INT(skua_census(&row, 0), -EINVAL);
    T_EXPECT_INT(skua_census(&row, SIZE_MAX), -EINVAL);
    row.size--;
    T_EXPECT_INT(skua_census(&row, 1), -EINVAL);
    return arg;
}

static void test_census_refuses_bad_input(void **state)
{
    struct skua_census_row row = { .size = sizeof row };
    t_run(bad_input, NULL);
    assert_int_equal(skua_census(&row, 1), -EPERM);
}

static void *one_turn(void *arg)
{
    (void)skua_yield();
    return arg;
}

static void *churn(void *arg)
{
    for (int i = 0; i < SPAWNS; i++)
        T_EXPECT_INT(skua_join(start(one_turn, NULL, "churn", "x"), NULL), 0);
    return arg;
}

static void *count_the_moving(void *arg)
{
    struct skua_census_row rows[ROWS] = { { .size = sizeof rows[0] } };
    skua_task             *t[CHURNERS];
    for (int i = 0; i < CHURNERS; i++)
        t[i] = start(churn, NULL, "churners", NULL);
    for (int done = 0; done < CHURNERS;) {
        int n = skua_census(rows, ROWS);
        T_EXPECT(n >= 1 && n <= 3);
        const struct skua_census_row *row = row_at(rows, n, "churners");
        T_EXPECT(!row || row->tasks <= CHURNERS);
        (void)skua_yield();
        for (done = 0; done < CHURNERS && skua_done(t[done]);)
            done++;
    }
    T_EXPECT_INT(skua_gather(t, CHURNERS, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_census_while_tasks_come_and_go(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(count_the_moving, NULL, .workers = workers, .real_time = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_census_counts_by_place),
    T_TEST(test_census_names_the_place_of_forked_jobs),
    T_TEST(test_census_refuses_bad_input),
    T_TEST(test_census_while_tasks_come_and_go),
};
T_MAIN(tests, NULL)
