/* SPDX-License-Identifier: MIT */
/* skua/loop.h: the event loop itself: callbacks, timers, its clock; loops driven by hand, and the
 * ways into a loop from other threads. asyncio: Event Loop. */
#ifndef SKUA_LOOP_H
#define SKUA_LOOP_H

#include <skua/base.h>
#include <skua/run.h>
#include <skua/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a loop driven by hand ---- */

/* Starts a runtime whose worker 0 is the calling thread and returns its loop. The other workers
 * run at once; the loop itself runs only inside the two _run_ calls below. Options as for
 * skua_run(); .result is not used. Never suspends. From: any thread that is not inside a runtime.
 * Close it on the same thread. NULL: out of memory or bad options. asyncio: new_event_loop(). */
SKUA_API skua_loop *skua_loop_new_with(const struct skua_run_opts *opts);

/* Runs the loop until the task is done and gives its result; borrows the handle. The loop can be
 * run again afterwards. Blocks the calling thread. From: the thread that made the loop, not inside
 * a task. Returns 0, the task's error, -EAGAIN when the loop was stopped first, -EDEADLK as
 * skua_run(), -EPERM inside a runtime (a loop that runs already included) or on another thread,
 * -ESHUTDOWN once closed, -EINVAL.
 * asyncio: loop.run_until_complete(). */
SKUA_API int skua_loop_run_until_complete(skua_loop *loop, skua_task *task, void **ret_result);

/* Runs the loop until skua_loop_stop(). Stopped before it starts: exactly one round. Blocks the
 * calling thread. From: the thread that made the loop, not inside a task. Returns 0, -EPERM,
 * -ESHUTDOWN, -EINVAL. asyncio: loop.run_forever(). */
SKUA_API int skua_loop_run_forever(skua_loop *loop);

/* Makes the run call return after the callbacks and tasks that are ready now. Never suspends.
 * From: any thread. asyncio: loop.stop(). */
SKUA_API void skua_loop_stop(skua_loop *loop);

/* Cancels what is left, stops the runtime and frees the loop, as the end of skua_run() does.
 * Other threads may keep calling in, they are answered -ESHUTDOWN from the beginning of the close
 * on; so are calls on the closed loop, until 64 further ones were closed: then the handle is no
 * longer valid.
 * Blocks the calling thread. From: the thread that made the loop. Closing again does nothing.
 * Returns 0, -ETIMEDOUT when a task did not end within .shutdown_timeout, -EPERM inside a runtime,
 * on another thread or for the loop of a runner, -EINVAL. asyncio: loop.close(). */
SKUA_API int skua_loop_close(skua_loop *loop);

/* The loop on which the caller runs, borrowed: the group of the current task or callback; NULL in
 * free tasks and outside. Never suspends. From: any thread. asyncio: get_running_loop(). */
SKUA_API skua_loop *skua_loop_current(void);

/* Seconds on the clock that timers use, which only goes forward and whose zero means nothing.
 * Never suspends. From: any thread. asyncio: loop.time(). */
SKUA_API double skua_loop_time(void);

/* ---- callbacks ---- */

/* Calls cb(arg) on the current loop in its next round, in the order of these calls. Never
 * suspends. From: runtime, but not in a free task, which has no loop: then the handle is {0}, as
 * it is when memory is out. asyncio: loop.call_soon(). */
SKUA_API skua_handle skua_call_soon(skua_cb cb, void *arg);

/* Calls cb(arg) after `delay` seconds, by deadline, equal ones in the order of these calls; 0 goes
 * through the timers too. Never suspends. From: as skua_call_soon(). {0} also for NaN.
 * asyncio: loop.call_later(). */
SKUA_API skua_handle skua_call_later(double delay, skua_cb cb, void *arg);

/* Calls cb(arg) when skua_loop_time() has reached `when`. Never suspends. From: as
 * skua_call_soon(). Otherwise as skua_call_later().
 * asyncio: loop.call_at(). */
SKUA_API skua_handle skua_call_at(double when, skua_cb cb, void *arg);

/* Makes sure that the callback will not run. False if it ran, runs or was cancelled already.
 * Never suspends. From: any thread. asyncio: Handle.cancel(). */
SKUA_API bool skua_handle_cancel(skua_handle h);

/* ---- descriptors ---- */

/* Calls cb(arg) on the current loop in each round in which fd can be read (for a writer: written),
 * or has an error, until it is removed; among the events of that round. A later call on the same
 * loop replaces an earlier one; free tasks count as one loop. The descriptor stays the caller's;
 * skua_close() removes both, before close(2) remove them yourself. A direction has one user at a
 * time: while a task waits for it, or another loop watches it, this answers -EBUSY, and while it is
 * watched a task that would wait for it gets -EBUSY (one that need not wait does not).
 * Never suspends. From: runtime. Returns 0, -EBADF, -EINVAL, -EBUSY, -ENOMEM, -EPERM (outside, or
 * fd is of a kind that is always ready, a file), or what the kernel says.
 * asyncio: loop.add_reader(), add_writer(). */
SKUA_API int skua_add_reader(int fd, skua_cb cb, void *arg);
SKUA_API int skua_add_writer(int fd, skua_cb cb, void *arg);

/* Removes this loop's callback, which is not called any more even if fd is ready already. Never
 * suspends. From: runtime. Returns 1; 0 if there was none; -EBADF, -EPERM, -ENOMEM.
 * asyncio: loop.remove_reader(), remove_writer(). */
SKUA_API int skua_remove_reader(int fd);
SKUA_API int skua_remove_writer(int fd);

/* ---- from other threads ---- */

/* skua_call_soon() on a loop named by the caller, and wakes it. Not for signal handlers.
 * Never suspends. From: any thread. Returns 0, -ESHUTDOWN, -ENOMEM, -EINVAL.
 * asyncio: loop.call_soon_threadsafe(). */
SKUA_API int skua_call_soon_threadsafe(skua_loop *loop, skua_cb cb, void *arg);

/* Starts fn(arg) as a task of the loop. Never suspends. From: any thread. Returns and fails as
 * skua_spawn_with(). asyncio: run_coroutine_threadsafe(). */
SKUA_API skua_task *skua_spawn_threadsafe_with(skua_loop *loop, skua_fn fn, void *arg,
                                               const struct skua_spawn_opts *opts);

/* Waits for a task on a thread that is none of the runtime's; borrows the handle. A timeout does
 * not cancel the task. Blocks the calling thread. From: threads of your own and to_thread
 * functions. Returns 0, the task's error, -ETIMEDOUT, -EPERM (on a runtime's thread), -EINVAL.
 * asyncio: concurrent.futures.Future.result(timeout). */
SKUA_API int skua_wait_blocking(skua_task *task, double timeout, void **ret_result);

#ifndef __cplusplus
/* skua_loop *skua_loop_new([.workers = 1, ...]) */
#define skua_loop_new(...)                                                                        \
    skua_loop_new_with(                                                                           \
        &(const struct skua_run_opts){ .size = sizeof(struct skua_run_opts), __VA_ARGS__ })

/* skua_task *skua_spawn_threadsafe(skua_loop *loop, skua_fn fn, void *arg, [.name = "job", ...]) */
#define skua_spawn_threadsafe(loop, fn, ...) \
    SKUA_SPAWN_THREADSAFE_(loop, fn, __VA_ARGS__, .size = sizeof(struct skua_spawn_opts), \
                           .where = SKUA_HERE)
#define SKUA_SPAWN_THREADSAFE_(loop, fn, arg, ...) \
    skua_spawn_threadsafe_with((loop), (fn), (arg), &(const struct skua_spawn_opts){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
