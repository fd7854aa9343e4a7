/* SPDX-License-Identifier: MIT */
#ifndef PAIRS_TASKS_H
#define PAIRS_TASKS_H
/* Rows of the enumerator: waiting for time, for futures and for tasks. */
#include "pairs.h"

/* ---- sleep ---- */

static int sleep_wait(struct scene *s, int who, double timeout)
{
    return skua_sleep(HOUR);
}

/* ---- a future ---- */

static void future_set_up(struct scene *s)
{
    s->on = skua_future_new();
    s->shielded = skua_shield(s->on);
}

static int await_wait(struct scene *s, int who, double timeout)
{
    return skua_await(who == WAITER ? s->on : s->shielded, &s->item[who]);
}

static void future_grant(struct scene *s)
{
    if (skua_future_set_result(s->on, s))
        atomic_fetch_add(&s->helper_ok, 1);
}

static void on_close(struct scene *s)
{
    SKUA_IGNORE(skua_cancel(s->on, NULL));
}

/* Whoever got something got what there was. */
static void on_check(struct scene *s)
{
    void *value = NULL;
    int r = skua_result(s->on, &value);
    T_EXPECT(skua_done(s->on));
    T_EXPECT_INT(s->r[RIVAL], r);
    T_EXPECT(s->r[WAITER] < 0 || (r == 0 && s->item[WAITER] == value));
    T_EXPECT(r < 0 || value == s);
    skua_release(s->shielded);
    skua_release(s->on);
}

static void future_check(struct scene *s)
{
    T_EXPECT_INT(s->helper_ok, !skua_cancelled(s->on));
    on_check(s);
}

/* ---- a task, which waits for an event ---- */

static void *wait_for_event(void *scene)
{
    struct scene *s = scene;
    int r = skua_event_wait(&s->event);
    atomic_fetch_add(&s->runs, 1);
    return r < 0 ? skua_fail(r) : s;
}

static void task_set_up(struct scene *s)
{
    s->on = skua_spawn(wait_for_event, s);
    s->shielded = skua_shield(s->on);
}

static void task_elsewhere_set_up(struct scene *s)
{
    s->on = skua_spawn(wait_for_event, s, .group = s->other);
    s->shielded = skua_shield(s->on);
}

static void free_task_set_up(struct scene *s)
{
    s->on = skua_go(wait_for_event, s);
    s->shielded = skua_shield(s->on);
}

static void task_grant(struct scene *s)
{
    skua_event_set(&s->event);
}

static void task_check(struct scene *s)
{
    T_EXPECT_INT(s->runs, 1);
    on_check(s);
}

static int shield_wait(struct scene *s, int who, double timeout)
{
    return skua_join(skua_shield(s->on), &s->item[who]);
}

static int wait_for_wait(struct scene *s, int who, double timeout)
{
    return who == RIVAL ? await_wait(s, who, timeout)
                        : skua_wait_for(s->on, timeout, &s->item[who]);
}

/* ---- two futures ---- */

static void both_set_up(struct scene *s)
{
    s->both[0] = skua_future_new();
    s->both[1] = skua_future_new();
}

static int gather_wait(struct scene *s, int who, double timeout)
{
    void *got[2] = { NULL, NULL };
    int r = skua_gather(s->both, 2, got, 0);
    T_EXPECT(r < 0 ? !got[0] && !got[1] : got[0] == s && got[1] == s->both);
    return r;
}

static int gather_errors_wait(struct scene *s, int who, double timeout)
{
    void *got[2] = { NULL, NULL };
    int r = skua_gather(s->both, 2, got, SKUA_RETURN_ERRORS);
    for (int i = 0; r >= 0 && i < 2; i++)
        T_EXPECT(skua_failed(got[i]) == skua_result(s->both[i], NULL));
    return r < 0 ? r : 0;
}

static int several_wait(struct scene *s, int who, double timeout)
{
    skua_task *both[2] = { s->both[0], s->both[1] };
    size_t done = 0;
    int r = skua_wait(both, 2, timeout, SKUA_ALL_COMPLETED, &done);
    for (size_t i = 0; r == 0 && i < done; i++)
        T_EXPECT(skua_done(both[i]));
    return r == 0 && done < 2 ? -ETIMEDOUT : r; /* a timeout of wait is no error */
}

static int completed_wait(struct scene *s, int who, double timeout)
{
    skua_as_completed it;
    int r = skua_as_completed_init(&it, s->both, 2, timeout), n = 0;
    if (r < 0)
        return r;
    for (skua_task *t; (t = skua_as_completed_next(&it, &r)) != NULL; n++)
        T_EXPECT(skua_done(t));
    skua_as_completed_fini(&it);
    T_EXPECT(r < 0 || n == 2);
    return r;
}

static void both_grant(struct scene *s)
{
    bool won[2] = { skua_future_set_result(s->both[0], s),
                    skua_future_set_result(s->both[1], s->both) };
    atomic_fetch_add(&s->helper_ok, won[0] + won[1]);
}

static void both_close(struct scene *s)
{
    atomic_fetch_add(&s->runs, skua_cancel(s->both[0], NULL) + skua_cancel(s->both[1], NULL));
}

static void both_check(struct scene *s)
{
    T_EXPECT(s->helper_ok + s->runs <= 2);
    T_EXPECT(s->helper_ok <= 2 - skua_cancelled(s->both[0]) - skua_cancelled(s->both[1]));
    skua_release_all(s->both, 2);
}

/* ---- a task group ---- */

static int join_group(struct scene *s, skua_fn child)
{
    int r = skua_taskgroup_init(&s->group);
    T_EXPECT(skua_taskgroup_spawn(&s->group, child, s) != NULL);
    r = skua_taskgroup_join(&s->group, r);
    T_EXPECT_INT(skua_taskgroup_errors(&s->group, NULL, 0), 0);
    T_EXPECT_INT(s->runs, 1);
    return r;
}

static int group_wait(struct scene *s, int who, double timeout)
{
    return join_group(s, wait_for_event);
}

static void *cancel_group(void *scene)
{
    struct scene *s = scene;
    void *value = wait_for_event(s);
    skua_taskgroup_cancel(&s->group);
    return value;
}

static int group_cancel_wait(struct scene *s, int who, double timeout)
{
    return join_group(s, cancel_group);
}

static void group_check(struct scene *s)
{
    T_EXPECT_INT(s->runs, 1);
}

#define TARGET_ROW(what, prepare, call, far)                                                   \
    { .name = (what), .set_up = prepare, .wait = call, .grant = task_grant, .close = on_close, \
      .closed = -ECANCELED, .finish = task_grant, .check = task_check, .has_rival = true,      \
      .is_far = (far) }

static const struct row task_rows[] = {
    { .name = "sleep", .wait = sleep_wait },
    { .name = "future", .set_up = future_set_up, .wait = await_wait, .grant = future_grant,
      .close = on_close, .closed = -ECANCELED, .finish = future_grant, .check = future_check,
      .has_rival = true },
    TARGET_ROW("task", task_set_up, await_wait, true),
    TARGET_ROW("task of another group", task_elsewhere_set_up, await_wait, true),
    TARGET_ROW("free task", free_task_set_up, await_wait, true),
    TARGET_ROW("shield", task_set_up, shield_wait, false),
    { .name = "wait_for", .set_up = task_set_up, .wait = wait_for_wait, .grant = task_grant,
      .close = on_close, .closed = -ECANCELED, .finish = task_grant, .check = task_check,
      .has_rival = true, .has_timer = true, .is_far = true },
    { .name = "gather", .set_up = both_set_up, .wait = gather_wait, .grant = both_grant,
      .close = both_close, .closed = -ECANCELED, .finish = both_grant, .check = both_check },
    { .name = "gather with errors", .set_up = both_set_up, .wait = gather_errors_wait,
      .grant = both_grant, .close = both_close, .closed = 0, .finish = both_grant,
      .check = both_check },
    { .name = "wait", .set_up = both_set_up, .wait = several_wait, .grant = both_grant,
      .close = both_close, .closed = 0, .finish = both_grant, .check = both_check,
      .has_timer = true },
    { .name = "as_completed", .set_up = both_set_up, .wait = completed_wait,
      .grant = both_grant, .close = both_close, .closed = 0, .finish = both_grant,
      .check = both_check, .has_timer = true },
    { .name = "task group", .wait = group_wait, .grant = task_grant, .finish = task_grant,
      .check = group_check },
    { .name = "task group that a child cancels", .wait = group_cancel_wait,
      .grant = task_grant, .finish = task_grant, .check = group_check },
};

#endif
