/* SPDX-License-Identifier: MIT */
#ifndef TASKGROUP_ACTS_H
#define TASKGROUP_ACTS_H
/* What the tests of task groups share. */
#include <math.h>
#include <stdatomic.h>

#include "../support/t.h"

struct act {
    double delay;
    int err;            /* what it ends with, unless cancelled */
    double clean_up;    /* seconds it takes to answer a cancel */
    int clean_up_err;   /* what it then ends with; 0: cancelled */
    atomic_int *cancels;
};

static inline void *act(void *arg)
{
    struct act *a = arg;
    int r = a->delay > 0 ? skua_sleep(a->delay) : 0;
    if (r == -ECANCELED) {
        if (a->cancels)
            atomic_fetch_add(a->cancels, 1);
        if (a->clean_up > 0)
            T_EXPECT_INT(skua_sleep(a->clean_up), 0);
        return skua_fail(a->clean_up_err ? a->clean_up_err : -ECANCELED);
    }
    return a->err ? skua_fail(a->err) : arg;
}

static inline int cancelling(void)
{
    return skua_cancelling(skua_current_task());
}

static inline void open_group(skua_taskgroup *tg)
{
    T_EXPECT_INT(skua_taskgroup_init(tg), 0);
}

/* Main and its children in one pinned group, and all of them free. */
static inline void both(skua_fn fn)
{
    t_run(fn, NULL);
    t_run(fn, NULL, .free_main = true);
}

#endif
