/* SPDX-License-Identifier: MIT */
/* skua/group.h: several tasks at once: fan-in, timeouts, and pinned groups.
 *
 * Every call here borrows the handles it is given, unless it says SKUA_RELEASE, and takes tasks
 * and futures of any group. Completion order is the order in which the caller's own group hears
 * of it. */
#ifndef SKUA_GROUP_H
#define SKUA_GROUP_H

#include <skua/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- all of them ---- */

/* Flags of skua_gather(); skua_map() takes the first. asyncio: return_exceptions=True. */
#define SKUA_RETURN_ERRORS 1u /* an error is a result, not a failure of the whole */
#define SKUA_RELEASE       2u /* the handles are released, whatever the outcome */

/* Waits for all n tasks and writes their values to results[0..n-1] in ARGUMENT order; results may
 * be NULL. They are written as a whole or not at all.
 * Without SKUA_RETURN_ERRORS the first task to fail (by completion) ends the wait at once with its
 * error; the others run on, and their later errors count as seen. With it, all are waited for,
 * each error sits in its results slot as skua_fail()'s pointer (ask skua_failed()), and the
 * number of failed tasks is returned.
 * Cancelling the caller cancels every task that is not done and waits for all of them, so that what
 * they use may go out of scope. Then it gives -ECANCELED, also if they all ended with a value;
 * without SKUA_RETURN_ERRORS the error of the first that failed otherwise. The same handle may
 * stand in several slots. n = 0 is 0. May suspend. From: task. Returns 0 or the number of failed
 * tasks; a task's error; -ECANCELED; -EINVAL (a NULL among the tasks: no other is waited for or
 * cancelled, SKUA_RELEASE holds), -EDEADLK (the caller is among them), -ENOMEM, -EPERM.
 * asyncio: gather(). */
SKUA_API int skua_gather(skua_task *const *tasks, size_t n, void **results,
                         unsigned flags) SKUA_CHECKED;

/* ---- some of them ---- */

/* When skua_wait() returns. SKUA_FIRST_EXCEPTION: when a task fails (one that was cancelled does
 * not count), else when all are done. */
enum skua_when { SKUA_ALL_COMPLETED, SKUA_FIRST_COMPLETED, SKUA_FIRST_EXCEPTION };

/* Waits until `when` is true of the n tasks or the timeout has passed, then reorders tasks[]: the
 * done ones first, *ret_done of them, each part in the order it had. Never gives the tasks' errors
 * (ask skua_error()) and never cancels them, neither on timeout nor when the caller is cancelled.
 * Several may be done with SKUA_FIRST_COMPLETED.
 * Suspends. From: task. Returns 0, on timeout too; -ECANCELED; -EINVAL (n = 0, NaN, a NULL among
 * the tasks), -ENOMEM, -EPERM. asyncio: wait(), whose sets become one array in two parts. */
SKUA_API int skua_wait(skua_task **tasks, size_t n, double timeout, enum skua_when when,
                       size_t *ret_done) SKUA_CHECKED;

/* skua_await() with a limit. When it has passed, the task is cancelled and its end waited for, so
 * the call may take longer than the timeout. A task that answers the cancellation with a value or
 * another error gives that instead. timeout <= 0: a task that is done gives its result, another
 * one is cancelled and waited for. Cancelling the caller cancels the task.
 * May suspend. From: task. Returns 0, -ETIMEDOUT, the task's error, -ECANCELED, -EDEADLK (the
 * caller itself), -EINVAL, -EPERM. asyncio: wait_for(). */
SKUA_API int skua_wait_for(skua_task *task, double timeout, void **ret_result) SKUA_CHECKED;

/* A future that ends as `task` ends. Cancelling it, or a task that awaits it, leaves `task`
 * running; it does not protect against the end of skua_run(). An error that `task` ends with
 * after the future was cancelled is reported. Never suspends. From: runtime.
 * Returns a counted handle, so `skua_join(skua_shield(task), &r)` leaves nothing behind; NULL: out
 * of memory, NULL task, or outside a runtime. asyncio: shield(). */
SKUA_API skua_task *skua_shield(skua_task *task);

/* ---- one after the other, as they finish ---- */

/* An iteration, in the caller's memory. */
typedef struct {
    uint64_t opaque[8];
} skua_as_completed;

/* Begins to iterate over n tasks in order of completion; their handles are borrowed until _fini,
 * which must follow (debug mode reports a task that ends without). The timeout is for the whole
 * iteration. Never suspends. From: task.
 * Returns 0, -EINVAL, -ENOMEM, -EPERM. asyncio: as_completed(). */
SKUA_API int skua_as_completed_init(skua_as_completed *it, skua_task *const *tasks, size_t n,
                                    double timeout);

/* The next task that is done, borrowed; tasks that are not done run on. May suspend. From: the task
 * that began. Returns NULL at the end, where *ret_err is 0, or for the reason there: -ETIMEDOUT
 * after the timeout, -ECANCELED, -ENOMEM, -EINVAL, -EPERM. asyncio: anext() of as_completed(). */
SKUA_API skua_task *skua_as_completed_next(skua_as_completed *it, int *ret_err);

/* Ends the iteration at any point; cancels nothing. Never suspends. From: the task that began.
 * asyncio: leaving the loop. */
SKUA_API void skua_as_completed_fini(skua_as_completed *it);

/* ---- a time limit around a piece of code ---- */

/* A scope, in the caller's memory; _exit must follow on every path before the memory goes, since a
 * timer lies in it (debug mode reports a task that ends inside):
 *
 *     skua_timeout limit;
 *     int r = skua_timeout_enter(&limit, 5.0);
 *     if (r == 0) {
 *         r = work();                          // 0 or negative
 *         r = skua_timeout_exit(&limit, r);    // -ECANCELED becomes -ETIMEDOUT
 *     }
 */
typedef struct {
    uint64_t opaque[12];
} skua_timeout;

/* Cancels the calling task once `delay` seconds have passed (INFINITY: never), until _exit. Scopes
 * nest; a delay <= 0 is due at the next suspension. Never suspends. From: task.
 * Returns 0, -EINVAL for NaN, -ENOMEM, -EPERM. asyncio: async with timeout(delay). */
SKUA_API int skua_timeout_enter(skua_timeout *scope, double delay);

/* Moves the limit to `when` on the clock of skua_loop_time() (INFINITY: none). Never suspends.
 * From: the task inside the scope. Returns 0, -EINVAL (NaN, or it has expired already, or is not
 * open), -EPERM in another task, -ENOMEM (it has no limit then).
 * asyncio: Timeout.reschedule(). */
SKUA_API int skua_timeout_reschedule(skua_timeout *scope, double when);

/* Did this scope's limit pass? Never suspends. From: the task inside the scope, also after _exit.
 * asyncio: Timeout.expired(). */
SKUA_API bool skua_timeout_expired(const skua_timeout *scope);

/* Leaves the scope; `err` is what the body ended with. Takes the scope's own request back. Never
 * suspends. From: the task inside the scope. Returns `err`, except that -ECANCELED becomes
 * -ETIMEDOUT if this scope asked for it and nobody else did since it was entered, nor had asked and
 * not been heard by then; -EINVAL when it is not open, -EPERM in another task.
 * asyncio: Timeout.__aexit__. */
SKUA_API int skua_timeout_exit(skua_timeout *scope, int err) SKUA_CHECKED;

/* ---- pinned groups ---- */

/* Options of skua_group_new(). */
struct skua_group_opts {
    size_t size;      /* sizeof(struct skua_group_opts); the macro fills it in */
    int worker;       /* the worker to live on: index + 1; 0: any, round robin */
    const char *name; /* copied */
};

/* Makes a group: its tasks run one at a time, always on the same thread, switching only where they
 * suspend, first in, first out. What they share among themselves needs no lock, and libraries that
 * want one thread are at home there. Spawn into it with .group = g from anywhere.
 * Never suspends. From: runtime. Returns a counted handle, the caller's; NULL: out of memory, no
 * such worker, or outside a runtime. asyncio: new_event_loop(). */
SKUA_API skua_group *skua_group_new_with(const struct skua_group_opts *opts);

/* Gives the handle back; tasks of the group run on to their end. Never suspends. From: any thread.
 * asyncio: loop.close(), which here waits for nobody. */
SKUA_API void skua_group_release(skua_group *g);

#ifndef __cplusplus
/* skua_group *skua_group_new([.worker = 1, .name = "ledger"]) */
#define skua_group_new(...)                                                                       \
    skua_group_new_with(                                                                          \
        &(const struct skua_group_opts){ .size = sizeof(struct skua_group_opts), __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
