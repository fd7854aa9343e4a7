/* SPDX-License-Identifier: MIT */
/* skua/signal.h: Unix signals, delivered to a loop or a task. asyncio: loop.add_signal_handler().
 *
 * The runtime's own handler only notes the signal; what you write runs later, as ordinary code,
 * where everything is allowed that is allowed there. Host threads need no signal mask. */
#ifndef SKUA_SIGNAL_H
#define SKUA_SIGNAL_H

#include <skua/base.h>
#include <sys/select.h> /* sigset_t, also under -std=c11 */

#ifdef __cplusplus
extern "C" {
#endif

/* Calls cb(arg) on the current loop each time signo arrives (several that arrive together may be
 * one call), in place of its former action. A later call on the same loop replaces an earlier one;
 * free tasks count as one loop. For SIGINT this takes the place of skua_run()'s own handling.
 * Never suspends. From: runtime. Returns 0, -EINVAL (no such signal, or one that cannot be
 * caught), -ENOMEM, -EPERM. asyncio: loop.add_signal_handler(). */
SKUA_API int skua_add_signal_handler(int signo, skua_cb cb, void *arg);

/* Removes this loop's handler; with the last one the former action is back. Never suspends. From:
 * runtime. Returns 0, -ENOENT if there was no handler, -EINVAL, -EPERM.
 * asyncio: loop.remove_signal_handler(). */
SKUA_API int skua_remove_signal_handler(int signo);

/* Waits for one of the signals of the set. They are caught from this call on, for the rest of the
 * run: one that comes while nobody waits is given to the next wait (several are one), so that none
 * is lost between two. Of several tasks that wait for it the first gets it; handlers hear of it
 * besides. Suspends. From: task. Returns the signal's number, -ETIMEDOUT, -ECANCELED, -EINVAL (the
 * set is empty, or has one that cannot be caught), -ENOMEM, -EPERM. asyncio: a handler that sets an
 * Event. */
SKUA_API int skua_signal_wait(const sigset_t *set, double timeout) SKUA_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
