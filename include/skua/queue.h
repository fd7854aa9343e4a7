/* SPDX-License-Identifier: MIT */
/* skua/queue.h: queues between tasks, and between tasks and threads. asyncio: Queue, LifoQueue,
 * PriorityQueue. docs/sync.md tells more. */
#ifndef SKUA_QUEUE_H
#define SKUA_QUEUE_H

#include <skua/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A queue of pointers, which stay yours. It lives in your memory and may be used from any group,
 * any worker and, where a call says so, from plain threads. It must not be copied or moved. Its
 * room grows as it fills, up to its size, and is given back by skua_queue_fini(). */
typedef struct {
    uint64_t opaque[20];
} skua_queue;

/* Orders the elements of a priority queue: negative when a goes before b. Called with
 * the queue locked: it may neither suspend nor use the queue. */
typedef int (*skua_compare_fn)(const void *a, const void *b);

/* maxsize: elements at most; 0: any number. First in first out; last in first out; the one that
 * compare puts before all others first. asyncio: Queue(maxsize), LifoQueue, PriorityQueue. */
#define SKUA_QUEUE_INIT(maxsize)      { { (uint64_t)(maxsize) } }
#define SKUA_LIFO_QUEUE_INIT(maxsize) { { (uint64_t)(maxsize), 1 } }
#define SKUA_PRIORITY_QUEUE_INIT(maxsize, compare) \
    { { (uint64_t)(maxsize), 2, (uint64_t)(uintptr_t)(compare) } }

/* Makes an empty first-in first-out queue of at most n elements in `slots`, which it uses as long
 * as it lives: it never allocates. Never suspends. From: any thread. Returns 0 or -EINVAL. asyncio
 * has none. */
SKUA_API int skua_queue_init_buffer(skua_queue *q, void **slots, size_t n);

/* Gives the room back; the elements are the caller's affair. Nobody may wait. The queue is empty
 * afterwards, with nothing left to be dealt with, and usable, unless it was shut down: it stays so.
 * Never suspends. From: any thread. asyncio: the garbage collector. */
SKUA_API void skua_queue_fini(skua_queue *q);

/* Puts an element in, waiting for room if the queue is full. May suspend. From: task.
 * Returns 0; -ETIMEDOUT; -ECANCELED; -EPIPE after skua_queue_shutdown(); -ENOMEM; -EINVAL, -EPERM.
 * Whatever is not 0: the element is not in. asyncio: Queue.put(). */
SKUA_API int skua_queue_put(skua_queue *q, void *item, double timeout) SKUA_CHECKED;

/* Takes the next element, waiting for one if there is none. May suspend. From: task.
 * Returns as skua_queue_put(); -EPIPE when it is shut down and empty. Whatever is not 0: no element
 * is lost. asyncio: Queue.get(). */
SKUA_API int skua_queue_get(skua_queue *q, void **ret_item, double timeout) SKUA_CHECKED;

/* The same without waiting. Never suspend. From: any thread. Return -EAGAIN when it is full, or
 * empty, and else as those. asyncio: put_nowait(), get_nowait(). */
SKUA_API int skua_queue_put_nowait(skua_queue *q, void *item) SKUA_CHECKED;
SKUA_API int skua_queue_get_nowait(skua_queue *q, void **ret_item) SKUA_CHECKED;

/* skua_queue_put() and skua_queue_get() for a thread of your own, for `timeout` seconds at most.
 * Blocks the calling thread. From: plain threads and to_thread functions. Return 0, -ETIMEDOUT,
 * -EPIPE, -ENOMEM, -EINVAL; -EPERM on a worker. asyncio has no such call. */
SKUA_API int skua_queue_put_blocking(skua_queue *q, void *item, double timeout) SKUA_CHECKED;
SKUA_API int skua_queue_get_blocking(skua_queue *q, void **ret_item, double timeout) SKUA_CHECKED;

/* Says that an element which was taken has been dealt with. Never suspends. From: any thread.
 * Returns 0; -EINVAL when called more often than elements were put in. asyncio: task_done(). */
SKUA_API int skua_queue_task_done(skua_queue *q);

/* Waits until every element put in has been dealt with. May suspend. From: task.
 * Returns 0, -ECANCELED, -EPERM, -EINVAL, -ENOMEM. asyncio: Queue.join(). */
SKUA_API int skua_queue_join(skua_queue *q) SKUA_CHECKED;

/* From now on put answers -EPIPE, and get once the queue is empty; those who wait look again.
 * immediate: its elements are dropped, and count as dealt with. Never suspends. From: any thread.
 * Returns 0 or -EINVAL. asyncio: Queue.shutdown(). */
SKUA_API int skua_queue_shutdown(skua_queue *q, bool immediate);

/* A moment's view. Never suspend. From: any thread. asyncio: qsize(), empty(), full(). */
SKUA_API size_t skua_queue_size(const skua_queue *q);
SKUA_API bool skua_queue_empty(const skua_queue *q);
SKUA_API bool skua_queue_full(const skua_queue *q);

#ifdef __cplusplus
}
#endif
#endif
