/* SPDX-License-Identifier: MIT */
/* floor 7: aio. gather and wait. */
#include <errno.h>
#include <string.h>

#include "aio/fanin.h"
#include "base/mem.h"
#include "sync/await.h"

/* --- gather --- */

/* What a gather that has failed does not report is not an error that nobody looked at. */
static void mark_retrieved(struct skua_task *const *tasks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)rt_or_acq_rel(&tasks[i]->state.bits, RT_ST_RETRIEVED);
}

/* The failure that decides without waiting: the first in argument order among those done
 * already. */
static struct skua_task *failed_already(struct skua_task *const *tasks, size_t n, size_t *ret_done)
{
    struct skua_task *bad = NULL;
    *ret_done = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t word = rt_st_load(&tasks[i]->state);
        *ret_done += (word & RT_ST_DONE) != 0;
        if (!bad && (word & RT_ST_DONE) && (word & (RT_ST_FAILED | RT_ST_CANCELLED)))
            bad = tasks[i];
    }
    return bad;
}

static int write_results(struct skua_task *const *tasks, size_t n, void **results)
{
    int failed = 0;
    for (size_t i = 0; i < n; i++) {
        void *value = NULL;
        int   err = rt_outcome(tasks[i], &value);
        failed += err < 0;
        if (results)
            results[i] = err < 0 ? tasks[i]->value : value;
    }
    return failed;
}

static int fail_with(struct skua_task *const *tasks, size_t n, struct skua_task *bad)
{
    mark_retrieved(tasks, n);
    return skua_failed(bad->value);
}

/* All were cancelled, and one has ended: the others may still use what is the caller's. */
static int wait_for_rest(struct skua_task *const *tasks, size_t n)
{
    struct rt_fanin f;
    int             r = rt_fanin_init(&f, tasks, n, RT_FANIN_ALL);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        if (!rt_task_is_done(tasks[i])) {
            r = rt_fanin_wait(&f, RT_NEVER, true);
            break;
        }
    }
    rt_fanin_fini(&f);
    return r;
}

static int gather(struct skua_task *const *tasks, size_t n, void **results, unsigned flags)
{
    struct rt_fanin f;
    bool            keep_errors = flags & SKUA_RETURN_ERRORS;
    int             r = rt_fanin_init(&f, tasks, n,
                                      keep_errors ? RT_FANIN_ALL : RT_FANIN_FIRST_BAD);
    if (r < 0)
        return r;
    size_t            done;
    struct skua_task *bad = failed_already(tasks, n, &done);
    if (bad && !keep_errors)
        r = fail_with(tasks, n, bad);
    else if (done == n)
        r = write_results(tasks, n, results);
    else if ((r = rt_fanin_wait(&f, RT_NEVER, true)) == 0) {
        bad = rt_load_acquire(&f.first); /* pairs: FANIN <- account */
        if (bad && f.requested)
            r = wait_for_rest(tasks, n);
        if (r < 0)
            mark_retrieved(tasks, n);
        else if (bad)
            r = fail_with(tasks, n, bad);
        else
            r = f.requested ? rt_delivered(rt_current()) : write_results(tasks, n, results);
    }
    rt_fanin_fini(&f);
    return r;
}

int skua_gather(skua_task *const *tasks, size_t n, void **results, unsigned flags)
{
    if ((flags & ~(SKUA_RETURN_ERRORS | SKUA_RELEASE)) || (n > 0 && !tasks))
        return -EINVAL;
    int r = !rt_current() ? -EPERM : n == 0 ? 0 : gather(tasks, n, results, flags);
    if (flags & SKUA_RELEASE)
        skua_release_all(tasks, n);
    return r;
}

/* --- wait --- */

/* Done ones first, each part in argument order. */
static size_t partition(struct skua_task **tasks, size_t n, struct skua_task **spare)
{
    size_t done = 0, rest = 0;
    for (size_t i = 0; i < n; i++) {
        if (rt_task_is_done(tasks[i]))
            tasks[done++] = tasks[i];
        else
            spare[rest++] = tasks[i];
    }
    memcpy(tasks + done, spare, rest * sizeof *spare);
    return done;
}

int skua_wait(skua_task **tasks, size_t n, double timeout, enum skua_when when, size_t *ret_done)
{
    static const enum rt_fanin_mode modes[] = {
        [SKUA_ALL_COMPLETED] = RT_FANIN_ALL,
        [SKUA_FIRST_COMPLETED] = RT_FANIN_FIRST,
        [SKUA_FIRST_EXCEPTION] = RT_FANIN_FIRST_ERROR,
    };
    struct rt_fanin   f;
    struct rt_worker *w = rt_self();
    uint64_t          deadline = RT_NEVER;
    struct skua_task *few[16], **spare = few;
    if ((unsigned)when > SKUA_FIRST_EXCEPTION)
        return -EINVAL;
    int r = rt_fanin_init(&f, tasks, n, modes[when]);
    if (r < 0)
        return r;
    r = rt_deadline(w, timeout, &deadline);
    if (r == 0 && n > sizeof few / sizeof *few && !(spare = rt_malloc(n * sizeof *spare)))
        r = -ENOMEM;
    if (r == 0)
        r = rt_fanin_wait(&f, deadline, false);
    if (r == 0 || r == -ETIMEDOUT) {
        size_t done = partition(tasks, n, spare);
        if (ret_done)
            *ret_done = done;
        r = 0;
    }
    if (spare != few)
        rt_free(spare);
    rt_fanin_fini(&f);
    return r;
}
