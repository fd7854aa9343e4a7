/* SPDX-License-Identifier: MIT */
/* skua/sync.h: locks and their kin. asyncio: Lock, Event, Condition, Semaphore, Barrier.
 *
 * The objects live in your memory, need no end, and never allocate. Filled by their initialiser,
 * static or at run time, they are ready. They may be used from any group, any worker and, where a
 * call says so, from plain threads; who waits is woken in its own home, in the order in which
 * waiting began. What is handed to a waiter that is cancelled at the same moment goes to the next
 * one. An object must outlive its waiters and must not be copied or moved while it is in use.
 * docs/sync.md says which one to take when, and what a cancel does to each. */
#ifndef SKUA_SYNC_H
#define SKUA_SYNC_H

#include <skua/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- lock ---- */

/* Mutual exclusion for tasks, first come, first served. Neither recursive nor tied to an owner: who
 * holds it may let somebody else release it. It may be held across suspensions. Within one pinned
 * group it is needed only where a task waits between reading and writing. asyncio: Lock. */
typedef struct {
    uint64_t opaque[5];
} skua_lock;

#define SKUA_LOCK_INIT { { 0 } }

/* Takes the lock, waiting for it if needed. Cancelled: it is not taken.
 * May suspend. From: task. Returns 0, -ECANCELED, -EPERM, -EINVAL, -ENOMEM.
 * asyncio: Lock.acquire(). */
SKUA_API int skua_lock_acquire(skua_lock *lock) SKUA_CHECKED;

/* Takes the lock if it is free and nobody waits for it; never waits. Never suspends.
 * From: any thread. Returns 0, -EBUSY, -EINVAL. asyncio has no such call. */
SKUA_API int skua_lock_try_acquire(skua_lock *lock);

/* skua_lock_acquire() for a thread of your own. Blocks the calling thread. From: plain threads and
 * to_thread functions; -EPERM on a worker, which must not block. Returns 0, -EINVAL, -EPERM.
 * asyncio has no such call. */
SKUA_API int skua_lock_acquire_blocking(skua_lock *lock) SKUA_CHECKED;

/* Releases the lock; the first who waits for it has it. Never suspends. From: any thread.
 * Returns 0; -EPERM when it is not taken; -EINVAL. asyncio: Lock.release(). */
SKUA_API int skua_lock_release(skua_lock *lock);

/* Is it taken by somebody who runs? Between a release and the moment at which the next holder runs
 * it is not, as in asyncio. Never suspends. From: any thread. asyncio: Lock.locked(). */
SKUA_API bool skua_lock_locked(const skua_lock *lock);

/* ---- event ---- */

/* A flag that many can wait for. asyncio: Event. */
typedef struct {
    uint64_t opaque[4];
} skua_event;

#define SKUA_EVENT_INIT { { 0 } }

/* Raises the flag and wakes everybody who waits; they return even if it is cleared before they run.
 * Never suspends. From: any thread. asyncio: Event.set(). */
SKUA_API void skua_event_set(skua_event *event);

/* Lowers the flag. Never suspends. From: any thread. asyncio: Event.clear(). */
SKUA_API void skua_event_clear(skua_event *event);

/* Is the flag raised? Never suspends. From: any thread. asyncio: Event.is_set(). */
SKUA_API bool skua_event_is_set(const skua_event *event);

/* Waits until the flag is raised. May suspend. From: task. Returns 0, -ECANCELED, -EPERM, -EINVAL,
 * -ENOMEM. asyncio: Event.wait(). */
SKUA_API int skua_event_wait(skua_event *event) SKUA_CHECKED;

/* The same on a thread of your own, for `timeout` seconds at most. Blocks the calling thread. From:
 * plain threads and to_thread functions. Returns 0, -ETIMEDOUT, -EINVAL; -EPERM on a worker.
 * asyncio has no such call. */
SKUA_API int skua_event_wait_blocking(skua_event *event, double timeout) SKUA_CHECKED;

/* ---- condition ---- */

/* Waits for something that a lock protects. asyncio: Condition. */
typedef struct {
    uint64_t opaque[4];
} skua_cond;

/* l: the skua_lock it belongs to; several conditions may share one. */
#define SKUA_COND_INIT(l) { { 0, 0, 0, (uint64_t)(uintptr_t)(l) } }

/* Releases the lock, waits for a notify, takes the lock again: it is held on return whatever the
 * result. It may wake for no reason: call it in a loop, or skua_cond_wait_for(). Cancelled after it
 * was notified: the notify goes to another waiter.
 * Suspends. From: task that holds the lock. Returns 0; -ECANCELED; -EPERM when the lock is not held
 * or outside a task; -EINVAL; -ENOMEM. asyncio: Condition.wait(). */
SKUA_API int skua_cond_wait(skua_cond *cond) SKUA_CHECKED;

/* Waits until predicate(arg) is true; it is called with the lock held and may not suspend.
 * May suspend. From: task that holds the lock. Returns as skua_cond_wait().
 * asyncio: Condition.wait_for(). */
SKUA_API int skua_cond_wait_for(skua_cond *cond, bool (*predicate)(void *arg),
                                void *arg) SKUA_CHECKED;

/* Wakes up to n waiters, in order; they go on when the lock is theirs. The lock must be held.
 * Never suspends. From: any thread. Returns 0, -EPERM, -EINVAL. asyncio: Condition.notify(). */
SKUA_API int skua_cond_notify(skua_cond *cond, size_t n);

/* The same for all who wait. Never suspends. From: any thread. Returns 0, -EPERM, -EINVAL.
 * asyncio: Condition.notify_all(). */
SKUA_API int skua_cond_notify_all(skua_cond *cond);

/* ---- semaphore ---- */

/* A number of permits. asyncio: Semaphore, BoundedSemaphore. */
typedef struct {
    uint64_t opaque[5];
} skua_semaphore;

/* n: permits at the beginning, at most SKUA_SEMAPHORE_MAX. */
#define SKUA_SEMAPHORE_INIT(n)         { { 0, 0, 0, (uint64_t)(n), UINT64_MAX } }
/* One that never has more than n. */
#define SKUA_BOUNDED_SEMAPHORE_INIT(n) { { 0, 0, 0, (uint64_t)(n), (uint64_t)(n) } }
#define SKUA_SEMAPHORE_MAX             ((uint64_t)1 << 62)

/* Takes a permit, waiting for it if there is none or others wait already.
 * May suspend. From: task. Returns 0, -ECANCELED, -EPERM, -EINVAL, -ENOMEM.
 * asyncio: Semaphore.acquire(). */
SKUA_API int skua_semaphore_acquire(skua_semaphore *s) SKUA_CHECKED;

/* Takes a permit if there is one and nobody waits. Never suspends. From: any thread.
 * Returns 0, -EBUSY, -EINVAL. asyncio has no such call. */
SKUA_API int skua_semaphore_try_acquire(skua_semaphore *s);

/* skua_semaphore_acquire() on a thread of your own, for `timeout` seconds at most. Blocks the
 * calling thread. From: plain threads and to_thread functions. Returns 0, -ETIMEDOUT, -EINVAL;
 * -EPERM on a worker. asyncio has no such call. */
SKUA_API int skua_semaphore_acquire_blocking(skua_semaphore *s, double timeout) SKUA_CHECKED;

/* Gives a permit back, to the first who waits if somebody does. Never suspends. From: any thread.
 * Returns 0; -EOVERFLOW when a bounded one is full; -EINVAL. asyncio: Semaphore.release(). */
SKUA_API int skua_semaphore_release(skua_semaphore *s);

/* Would acquire have to wait? Never suspends. From: any thread. asyncio: Semaphore.locked(). */
SKUA_API bool skua_semaphore_locked(const skua_semaphore *s);

/* ---- barrier ---- */

/* A meeting point of a fixed number of tasks. asyncio: Barrier. */
typedef struct {
    skua_lock lock;
    skua_cond cond;
    uint64_t opaque[3];
} skua_barrier;

/* n: how many meet, at least 1 and at most INT_MAX. */
#define SKUA_BARRIER_INIT(n) { SKUA_LOCK_INIT, SKUA_COND_INIT(NULL), { (uint64_t)(n), 0, 0 } }

/* Waits until n tasks have called it; then all go on, each with another index 0 .. n-1. Who comes
 * while those before leave waits for the next meeting.
 * May suspend. From: task. Returns the index; -EPIPE when the barrier is broken or is reset
 * meanwhile; -ECANCELED (the others wait on); -EPERM, -EINVAL, -ENOMEM. asyncio: Barrier.wait(). */
SKUA_API int skua_barrier_wait(skua_barrier *barrier) SKUA_CHECKED;

/* Back to empty; who waits gets -EPIPE. May suspend. From: task. Returns 0, -ECANCELED, -EPERM,
 * -EINVAL, -ENOMEM. asyncio: Barrier.reset(). */
SKUA_API int skua_barrier_reset(skua_barrier *barrier) SKUA_CHECKED;

/* Breaks it, until a reset: who waits or comes later gets -EPIPE. May suspend. From: task. Returns
 * as skua_barrier_reset(). asyncio: Barrier.abort(). */
SKUA_API int skua_barrier_abort(skua_barrier *barrier) SKUA_CHECKED;

/* How many wait; how many meet; is it broken? A moment's view. Never suspend. From: any thread.
 * asyncio: Barrier.n_waiting, parties, broken. */
SKUA_API size_t skua_barrier_waiting(const skua_barrier *barrier);
SKUA_API size_t skua_barrier_parties(const skua_barrier *barrier);
SKUA_API bool skua_barrier_broken(const skua_barrier *barrier);

/* ---- reader-writer lock ---- */

/* Many readers or one writer, first come, first served: readers that come behind a waiting writer
 * wait for it, so neither side starves. asyncio has none. */
typedef struct {
    uint64_t opaque[4];
} skua_rwlock;

#define SKUA_RWLOCK_INIT { { 0 } }

/* Takes it together with other readers, or alone. May suspend. From: task. Return 0, -ECANCELED,
 * -EPERM, -EINVAL, -ENOMEM. asyncio has no such call. */
SKUA_API int skua_rwlock_acquire_read(skua_rwlock *lock) SKUA_CHECKED;
SKUA_API int skua_rwlock_acquire_write(skua_rwlock *lock) SKUA_CHECKED;

/* Releases what the caller took. Never suspend. From: any thread. Return 0; -EPERM when nobody
 * reads, or writes; -EINVAL. asyncio has no such call. */
SKUA_API int skua_rwlock_release_read(skua_rwlock *lock);
SKUA_API int skua_rwlock_release_write(skua_rwlock *lock);

/* ---- once ---- */

/* Runs a function once in the life of the object. */
typedef struct {
    uint64_t opaque[4];
} skua_once;

#define SKUA_ONCE_INIT { { 0 } }

/* The first caller runs fn(arg), which may suspend; others wait until it has returned 0 or more.
 * When it returns a negative error, that caller gets it and the next one tries. fn must not call
 * this again. May suspend. From: task. Returns 0, fn's error, -ECANCELED, -EPERM, -EINVAL,
 * -ENOMEM. asyncio has no such call. */
SKUA_API int skua_once_run(skua_once *once, int (*fn)(void *arg), void *arg) SKUA_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
