/* SPDX-License-Identifier: MIT */
/* skua/fork.h: fork-join, for work that computes. A fork costs some nanoseconds, so it may stand in
 * every call of a recursion.
 *
 *     static void *fib(void *arg)
 *     {
 *         uintptr_t n = (uintptr_t)arg;
 *         if (n < 2)
 *             return arg;
 *         skua_job left;
 *         skua_fork(&left, fib, (void *)(n - 1));
 *         uintptr_t right = (uintptr_t)fib((void *)(n - 2));
 *         return (void *)((uintptr_t)skua_fork_join(&left) + right);
 *     }
 *
 * asyncio has nothing of the kind; its nearest are create_task() and run_in_executor(). The shape
 * is that of Cilk's spawn and sync. docs/fork-join.md has the rules. */
#ifndef SKUA_FORK_H
#define SKUA_FORK_H

#include <skua/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A call that another worker may take over. It lives in the caller's memory, usually in its frame,
 * from skua_fork() until skua_fork_join() returns; nothing is allocated for it. */
typedef struct {
    uint64_t opaque[6];
} skua_job;

/* The body of a range: all i with begin <= i < end. */
typedef void (*skua_range_fn)(size_t begin, size_t end, void *arg);

/* The body of a range that has a result, or skua_fail(). begin == end asks for the neutral
 * element. */
typedef void *(*skua_reduce_fn)(size_t begin, size_t end, void *arg);

/* Makes one result of the results of two neighbouring ranges, which it takes over. Either may be an
 * error (skua_failed() tells): then only the clearing away of the other one matters. */
typedef void *(*skua_combine_fn)(void *left, void *right, void *arg);

/* Offers the call fn(arg) to the other workers and goes on. Every fork is joined by the task that
 * forked, once, before it ends. A job that nobody has taken is called at its join, as part of the
 * task that joins; one that was taken runs in a free task of its own, at the same time, and may
 * suspend, spawn and fork. So fn must not mind in which of the two ways it runs: what it shares
 * with its caller is shared between threads, in a pinned group as well.
 *
 * What a task has forked also becomes tasks when it suspends before the join. Outside a task
 * everything is called at its join. A job that was taken has a copy of the context that its task
 * had at the fork or later; errno, cancel requests and timeouts do not pass to it.
 *
 * job NULL: nothing is forked. fn NULL: the join answers skua_fail(-EINVAL).
 * Never suspends. From: any thread. */
SKUA_API void skua_fork(skua_job *job, skua_fn fn, void *arg);

/* Calls the job, or waits for its end if another worker has it. Newest first costs least: in any
 * other order the newer jobs become tasks. No cancel ends the wait: one that comes meanwhile is
 * delivered where the task waits next.
 * May suspend. From: where the job was forked. Returns what fn returned; skua_fail(-EINVAL), and a
 * line in debug mode, for a job joined twice, never forked or forked by another task. */
SKUA_API void *skua_fork_join(skua_job *job);

/* Calls fns[i](args[i]) for each i < n, at the same time where workers are free. args NULL: each
 * gets NULL. What they return apart from errors is dropped. All are called, whatever fails.
 * May suspend. From: any thread. Returns 0 when all have ended well, else the first failure by
 * index; -EINVAL (NULL fns, a NULL among them) before any is called. asyncio: gather() of
 * to_thread() calls, roughly. */
SKUA_API int skua_parallel_invoke(const skua_fn *fns, void *const *args, size_t n);

/* Calls body for ranges that cover begin .. end - 1, none longer than grain, at the same time where
 * workers are free. grain 0: as fits, some ranges for each worker. A grain worth a microsecond or
 * more hides the cost of dividing.
 * May suspend. From: any thread. Returns 0, or -EINVAL (NULL body, begin > end). */
SKUA_API int skua_parallel_for(size_t begin, size_t end, size_t grain, skua_range_fn body,
                               void *arg);

/* As skua_parallel_for, and makes one result of those of all ranges: combine is called for
 * neighbours, the lower one as its left argument, always in the same tree for the same begin, end
 * and grain (0: and number of workers), so that floating point sums are the same each time. An
 * empty range calls body once, with begin == end.
 * May suspend. From: any thread. Returns 0 and *ret_acc; or the first failure of a body by index,
 * else of a combine; or -EINVAL (NULL body or combine, begin > end). */
SKUA_API int skua_parallel_reduce(size_t begin, size_t end, size_t grain, skua_reduce_fn body,
                                  skua_combine_fn combine, void *arg, void **ret_acc) SKUA_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
