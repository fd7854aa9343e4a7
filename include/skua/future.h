/* SPDX-License-Identifier: MIT */
/* skua/future.h: a place for one value that somebody will fill in, and callbacks for the moment
 * when a future or a task is done. asyncio: Futures.
 *
 * A future belongs to no loop: whoever waits for it is woken in its own group, on its own thread,
 * whichever thread sets it. Of several who set or cancel it exactly one wins, and the return
 * values say which. Waiters wake in the order in which they began to wait. */
#ifndef SKUA_FUTURE_H
#define SKUA_FUTURE_H

#include <skua/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A new, unset future. Returns a counted handle, the caller's, or NULL: out of memory, or outside
 * a runtime. Never suspends. From: runtime. asyncio: loop.create_future().
 * A future that is still open when its run ends ends with -ESHUTDOWN. */
SKUA_API skua_future *skua_future_new(void);

/* Ends the future with a value. The pointer is handed to every waiter as it is. Never suspends and
 * never runs a waiter inside the call. From: any thread. Returns false if the future was done
 * already (then nothing changes), is NULL, or is a task. asyncio: Future.set_result(). */
SKUA_API bool skua_future_set_result(skua_future *f, void *value);

/* Ends the future with an error, a negative errno value as for skua_fail(); -ECANCELED ends it
 * cancelled. Never suspends and never runs a waiter inside the call. From: any thread. Returns as
 * skua_future_set_result(). asyncio: Future.set_exception(). */
SKUA_API bool skua_future_set_error(skua_future *f, int err);

/* Has cb(task, arg) called once the task or future is done: never inside this call nor inside the
 * one that ends it, in the order of registration, in the group that added it (added by a free
 * task: on any worker) and in a copy of the context that the caller has now. A callback whose
 * runtime ends first is not called. Never suspends. From: runtime. Returns 0, -ENOMEM, -EINVAL,
 * -EPERM.
 * asyncio: Future.add_done_callback(). */
SKUA_API int skua_add_done_callback(skua_task *task, skua_done_cb cb, void *arg);

/* Removes every registration of this cb with this arg that was made in the caller's runtime and not
 * scheduled yet, and returns how many there were. Never suspends. From: runtime; elsewhere 0.
 * asyncio: Future.remove_done_callback(). */
SKUA_API size_t skua_remove_done_callback(skua_task *task, skua_done_cb cb, void *arg);

#ifdef __cplusplus
}
#endif
#endif
