/* SPDX-License-Identifier: MIT */
/* floor 6: sync. What conditions need of a lock. */
#ifndef RT_SYNC_LOCK_H
#define RT_SYNC_LOCK_H

#include "sync/waitq.h"

/* Takes the lock whatever happens meanwhile; was the current task cancelled on the way? It can
 * suspend: rt_suspend_prepare() has said so, and who comes back from a wait has left a stack. */
bool rt_lock_acquire_stubborn(skua_lock *lock);

/* The lock of a condition whose initialiser could not name it. That lock is held. */
void rt_cond_bind(skua_cond *cond, skua_lock *lock);

#endif
