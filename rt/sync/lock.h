/* SPDX-License-Identifier: MIT */
/* floor 6: sync. What conditions need of a lock. */
#ifndef RT_SYNC_LOCK_H
#define RT_SYNC_LOCK_H

#include "sync/waitq.h"

/* Takes the lock whatever happens meanwhile. The last error that came in its way, 0 when none. The
 * current task. */
int rt_lock_acquire_stubborn(skua_lock *lock);

#endif
