/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Running one function as the main task of a runtime. */
#ifndef RT_AIO_RUNNER_H
#define RT_AIO_RUNNER_H

#include "sched/runtime.h"

struct rt_main {
    skua_fn       fn;
    void         *arg;
    const char   *where;   /* for reports */
    skua_context *context; /* NULL: a copy of the caller's */
    bool          is_free;
};

/* Spawns it and runs the loop until it is done, SIGINT cancelling it meanwhile. What skua_run()
 * returns. On worker 0's thread, no loop running. */
int rt_run_main(struct rt_runtime *rt, const struct rt_main *what, void **ret_result);

#endif
