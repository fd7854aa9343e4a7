/* SPDX-License-Identifier: MIT */
/* skua/task.h: tasks: start, await, cancel, ask, sleep. asyncio: Coroutines and Tasks.
 * More: docs/cancellation.md, docs/ownership.md, docs/suspension.md. */
#ifndef SKUA_TASK_H
#define SKUA_TASK_H

#include <skua/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Options of every call that starts a task: skua_spawn(), skua_go(), skua_taskgroup_spawn(),
 * skua_taskgroup_go(), skua_spawn_threadsafe(). */
struct skua_spawn_opts {
    size_t size;       /* sizeof(struct skua_spawn_opts); the macro fills it in */
    const char *name;  /* copied; default "Task-N" */
    skua_group *group; /* the pinned group to run in; allowed from any thread */
    skua_context *context; /* run in this context; default: a copy of the caller's */
    size_t copy;       /* copy this many bytes of *arg into the task and hand the body the copy */
    skua_cb drop;      /* called once with the argument if the body will never run */
    size_t stack_size; /* bytes that it may use; 0: the runtime's */
    bool eager;        /* run at once, inside the call, up to the first suspension */
    int *ret_err;      /* gets the reason when the call answers NULL */
    const char *where; /* place of spawn for reports, static storage; the macro fills it in */
};

/* ---- starting ---- */

/* Starts fn(arg) as a task of the caller's group; called by a free task, it starts a free one. The
 * body never runs inside this call (unless .eager): the tasks of a group start in the order of
 * their spawns.
 * Never suspends. From: runtime; from any thread with .group.
 * Returns a counted handle, the caller's: give it to skua_join(), skua_release(), skua_detach() or
 * gather with SKUA_RELEASE. NULL on failure, with the reason in .ret_err: -ENOMEM, -EPERM outside
 * a runtime, -ESHUTDOWN when the runtime is stopping, -EINVAL. asyncio: create_task(). */
SKUA_API skua_task *skua_spawn_with(skua_fn fn, void *arg, const struct skua_spawn_opts *opts);

/* Starts fn(arg) as a free task: it may run on any core, in parallel with its parent, and after
 * a suspension on another thread than before. Free tasks share data as threads do. .group is
 * -EINVAL. Never suspends. From: runtime. Returns and fails as skua_spawn_with(). asyncio has no
 * such call. */
SKUA_API skua_task *skua_go_with(skua_fn fn, void *arg, const struct skua_spawn_opts *opts);

/* ---- waiting for one ---- */

/* Waits until the task is done and gives its value. Borrows the handle. A task that is done
 * already is answered without suspending. Cancelling the caller cancels the awaited task too, and
 * waits for its end; skua_shield() is the remedy.
 * May suspend. From: task.
 * Returns 0, the task's error (-ECANCELED when it ended cancelled), -ECANCELED when the caller was
 * cancelled, -EDEADLK when a task awaits itself, -EINVAL, -EPERM. asyncio: await task. */
SKUA_API int skua_await(skua_task *task, void **ret_result) SKUA_CHECKED;

/* skua_await(), then skua_release(), whatever the outcome. May suspend. From: task. Errors:
 * skua_await(). asyncio: await task. */
SKUA_API int skua_join(skua_task *task, void **ret_result) SKUA_CHECKED;

/* ---- handles ---- */

/* Takes one more reference. Never suspends. From: any thread. Returns `task`. asyncio: another name
 * for it. */
SKUA_API skua_task *skua_retain(skua_task *task);

/* Gives one reference back. The task runs on; once it is done and unreferenced it is gone.
 * Never suspends. From: any thread. asyncio: the garbage collector. */
SKUA_API void skua_release(skua_task *task);

/* skua_release() of each of the n. Never suspends. From: any thread. asyncio: the garbage
 * collector. */
SKUA_API void skua_release_all(skua_task *const *tasks, size_t n);

/* skua_release(), said on purpose: nobody will look at this task's result. Never suspends.
 * From: any thread. asyncio: a task that is not kept. */
SKUA_API void skua_detach(skua_task *task);

/* ---- cancelling ---- */

/* Asks the task to stop: the call in which it waits, or the next one that must wait, returns
 * -ECANCELED there, once per request. A task that has not started yet never runs its body. A task
 * that waits for another passes the request on to that one. Nothing happens inside this call.
 * msg (may be NULL) is copied, the last one stays, see skua_error_message().
 * Never suspends. From: any thread.
 * Returns false if the task was done already, which changes nothing. On a future: ends it
 * cancelled. asyncio: Task.cancel(msg). */
SKUA_API bool skua_cancel(skua_task *task, const char *msg);

/* How many requests to stop are outstanding: cancels minus uncancels. Never suspends. From: any
 * thread. Returns the number, -EINVAL for NULL. asyncio: Task.cancelling(). */
SKUA_API int skua_cancelling(const skua_task *task);

/* Takes one request back, for the code that made it (a timeout does this). At zero a request that
 * was not delivered yet is dropped. Never suspends. From: any thread. Returns how many are left,
 * -EINVAL for NULL. asyncio: Task.uncancel(). */
SKUA_API int skua_uncancel(skua_task *task);

/* ---- asking ---- */

/* Has it ended (value, error or cancelled)? Once true, true for ever, and the result can be read.
 * Never suspends. From: any thread. asyncio: Future.done(). */
SKUA_API bool skua_done(const skua_task *task);

/* Has it ended cancelled? Never suspends. From: any thread. asyncio: Future.cancelled(). */
SKUA_API bool skua_cancelled(const skua_task *task);

/* The value of a task that is done. Counts as looking at its error. Never suspends. From: any
 * thread. Returns 0, the task's error (-ECANCELED when cancelled), -EAGAIN when it is not done
 * yet, -EINVAL for NULL. asyncio: Future.result(). */
SKUA_API int skua_result(skua_task *task, void **ret_result);

/* The error of a task that is done. Counts as looking at it. Never suspends. From: any thread.
 * Returns it, 0 if the task has a value, and otherwise as skua_result(). asyncio:
 * Future.exception(). */
SKUA_API int skua_error(skua_task *task);

/* The text of skua_failf() or of the last skua_cancel(). It lives as long as the handle. Never
 * suspends. From: any thread. Returns NULL where there is none. asyncio: str(exception). */
SKUA_API const char *skua_error_message(const skua_task *task);

/* The task's name; NULL for NULL. It lives as long as the handle. Never suspends. From: any
 * thread. asyncio: Task.get_name(). */
SKUA_API const char *skua_name(const skua_task *task);

/* Names the task; the text is copied. Never suspends. From: any thread. Returns 0, -ENOMEM,
 * -EINVAL. asyncio: Task.set_name(). */
SKUA_API int skua_set_name(skua_task *task, const char *name);

/* The task that runs here, borrowed; NULL in callbacks and outside. Never suspends. From: any
 * thread. asyncio: current_task(). */
SKUA_API skua_task *skua_current_task(void);

/* Writes counted handles of up to n unfinished tasks into ret_tasks (release them with
 * skua_release_all()) and returns how many there were: more than n means that some were left out.
 * Every task that lives during the whole call is counted. Never suspends. From: runtime;
 * elsewhere 0. asyncio: all_tasks(). */
SKUA_API size_t skua_all_tasks(skua_task **ret_tasks, size_t n);

/* ---- sleeping ---- */

/* Suspends the task for s seconds, never less. s <= 0: one trip through the queue of ready tasks,
 * no timer. Suspends. From: task. Returns 0, -ECANCELED, -EINVAL for NaN, -EPERM.
 * asyncio: sleep(delay). */
SKUA_API int skua_sleep(double s) SKUA_CHECKED;

/* skua_sleep() that then gives `result`. Suspends. From: task. Errors: skua_sleep().
 * asyncio: sleep(delay, result). */
SKUA_API int skua_sleep_result(double s, void *result, void **ret_result) SKUA_CHECKED;

/* Sleeps until skua_loop_time() has reached `when`. Suspends. From: task. Errors: skua_sleep().
 * asyncio: sleep(when - loop.time()). */
SKUA_API int skua_sleep_until(double when) SKUA_CHECKED;

/* Lets the other ready tasks run first: skua_sleep(0), except that its result may be dropped.
 * Suspends. From: task. Returns 0, -ECANCELED, -EPERM. asyncio: sleep(0). */
SKUA_API int skua_yield(void);

#ifndef __cplusplus
/* skua_task *skua_spawn(skua_fn fn, void *arg, [.name = "reader", ...]) */
#define skua_spawn(fn, ...) \
    SKUA_SPAWN_(fn, __VA_ARGS__, .size = sizeof(struct skua_spawn_opts), .where = SKUA_HERE)
#define SKUA_SPAWN_(fn, arg, ...) \
    skua_spawn_with((fn), (arg), &(const struct skua_spawn_opts){ __VA_ARGS__ })

/* skua_task *skua_go(skua_fn fn, void *arg, [.name = "worker", ...]) */
#define skua_go(fn, ...) \
    SKUA_GO_(fn, __VA_ARGS__, .size = sizeof(struct skua_spawn_opts), .where = SKUA_HERE)
#define SKUA_GO_(fn, arg, ...) \
    skua_go_with((fn), (arg), &(const struct skua_spawn_opts){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
