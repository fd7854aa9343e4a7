/* SPDX-License-Identifier: MIT */
/* skua/taskgroup.h: structured concurrency: tasks that end before the block that started them.
 *
 * docs/groups.md tells which of the groups to use when. */
#ifndef SKUA_TASKGROUP_H
#define SKUA_TASKGROUP_H

#include <skua/base.h>
#include <skua/group.h>
#include <skua/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- task groups ---- */

/* A task group, in the caller's memory; it may not be copied or moved:
 *
 *     skua_taskgroup tg;
 *     int r = skua_taskgroup_init(&tg);
 *     if (r == 0) {
 *         r = body(&tg);                    // spawns; 0 or negative
 *         r = skua_taskgroup_join(&tg, r);
 *     }
 *
 * The task that calls _init is the parent. When a child fails, the other children and the parent's
 * body are cancelled, and join reports the error. A child that ends cancelled is no failure. */
typedef struct {
    uint64_t opaque[16];
} skua_taskgroup;

/* Opens a group whose parent is the calling task. skua_taskgroup_join() must follow on every path
 * before the memory goes (debug mode reports a task that ends without). Groups nest, and a joined
 * one may be opened again. Never suspends. From: task.
 * Returns 0, -EINVAL for NULL, -EPERM outside a task.
 * asyncio: async with TaskGroup() as tg. */
SKUA_API int skua_taskgroup_init(skua_taskgroup *tg);

/* Starts fn(arg) as a child, in the caller's group or as .group says: skua_spawn() for a task
 * group. The parent and the children may call it, also while the parent joins, as long as a child
 * lives. Never suspends. From: runtime; from any thread with .group; the group must not end
 * meanwhile.
 * Returns a handle BORROWED from the group, good until join returns; skua_retain() what is needed
 * longer. NULL on failure with the reason in .ret_err, and then `arg` is still the caller's:
 * -ESHUTDOWN (the group was cancelled, has failed, or is over), -EINVAL (no open group, or the
 * options), -ENOMEM, and what skua_spawn_with() says. asyncio: tg.create_task(). */
SKUA_API skua_task *skua_taskgroup_spawn_with(skua_taskgroup *tg, skua_fn fn, void *arg,
                                              const struct skua_spawn_opts *opts);

/* The same with a free child, which any worker may run: skua_go() for a task group. .group is
 * -EINVAL. Never suspends. From: runtime. Returns and fails as skua_taskgroup_spawn_with(). asyncio
 * has no such call. */
SKUA_API skua_task *skua_taskgroup_go_with(skua_taskgroup *tg, skua_fn fn, void *arg,
                                           const struct skua_spawn_opts *opts);

/* Nobody will use the handle of this child any more: the group lets go of it when the child has
 * ended, and not only at join. For groups that live long and have many short children. The child
 * stays a child, and its error counts. Never suspends. From: as skua_taskgroup_spawn_with(). A
 * child of another group, or NULL, is ignored. asyncio drops children by itself. */
SKUA_API void skua_taskgroup_detach(skua_taskgroup *tg, skua_task *child);

/* Ends the group without an error: cancels the children and the parent's body, and refuses new
 * children. join then returns 0 for a body that gives -ECANCELED. Does nothing on a group that is
 * failing, cancelled or over. Never suspends. From: any thread, while the group cannot end: mostly
 * the parent or a child. asyncio: TaskGroup.cancel() (3.15). */
SKUA_API void skua_taskgroup_cancel(skua_taskgroup *tg);

/* Leaves the block: waits until every child has ended. `err` is what the body ended with; negative
 * cancels the children first. Afterwards the group is over; only skua_taskgroup_errors() may ask.
 * When the parent is cancelled while it waits, the children are cancelled and waited for. The
 * request that the group itself made to stop the body is taken back.
 * May suspend. From: the parent.
 * Returns the first error, by completion: of the children, then of the body; if another cancel
 * reached the parent meanwhile, or had yet to be delivered at _init, that is delivered at the
 * parent's next wait. -ECANCELED if the body or the join was cancelled by somebody else than the
 * group, and nothing failed. Else `err` if it is 0 or positive, and 0 after
 * skua_taskgroup_cancel(). -EINVAL: not an open group. -EPERM: not its parent. -ENOMEM: there was
 * no stack to wait with; the group is still open, call again.
 * asyncio: TaskGroup.__aexit__, whose ExceptionGroup is skua_taskgroup_errors(). */
SKUA_API int skua_taskgroup_join(skua_taskgroup *tg, int err) SKUA_CHECKED;

/* Writes the errors so far, in the order in which children failed, into ret_errs[0..n-1], and
 * returns how many there were. After join the body's own error is the last, and no more than the
 * first 48 can be read; their number is exact. 0 for what is no group. Never suspends. From: as
 * skua_taskgroup_spawn_with(); after join: whoever has the memory.
 * asyncio: ExceptionGroup.exceptions. */
SKUA_API size_t skua_taskgroup_errors(const skua_taskgroup *tg, int *ret_errs, size_t n);

/* ---- map ---- */

/* Options of skua_map(). */
struct skua_map_opts {
    size_t size;    /* sizeof(struct skua_map_opts); the macro fills it in */
    size_t limit;   /* how many calls run at the same time; 0: all n */
    bool free;      /* as free tasks, on any core; else in the caller's group */
    unsigned flags; /* SKUA_RETURN_ERRORS or 0 */
    const char *where; /* place of the call for reports, static storage; the macro fills it in */
};

/* Calls fn(args[i]) for every i below n, each call in a task of its own, at most .limit at a time,
 * and waits for all of them. They begin in argument order. No more than .limit of them are alive
 * at a time, so n may be large.
 * results[i], if results is not NULL, gets the value of fn(args[i]) or its error as skua_fail()'s
 * pointer (ask skua_failed()), WHATEVER map returns, so that no value is lost: after a failure
 * calls that were cancelled, or never made, have -ECANCELED there. results may be args.
 * Without SKUA_RETURN_ERRORS the first call to fail, or to end cancelled, cancels the others and is
 * what map returns. With it every call is made, and the number of failed ones is returned.
 * Cancelling the caller cancels all calls and waits for them.
 * May suspend. From: task. n = 0 is 0. Returns 0 or the number of failures (at most INT_MAX), the
 * first error, -ECANCELED, -EINVAL, -ENOMEM (nothing was called, or the rest not), -EPERM.
 * asyncio: a TaskGroup with a Semaphore. */
SKUA_API int skua_map_with(skua_fn fn, void *const *args, size_t n, void **results,
                           const struct skua_map_opts *opts) SKUA_CHECKED;

#ifndef __cplusplus
/* skua_task *skua_taskgroup_spawn(skua_taskgroup *tg, skua_fn fn, void *arg, [.name = "x", ...]) */
#define skua_taskgroup_spawn(tg, fn, ...)                                                         \
    SKUA_TASKGROUP_SPAWN_(tg, fn, __VA_ARGS__, .size = sizeof(struct skua_spawn_opts),            \
                          .where = SKUA_HERE)
#define SKUA_TASKGROUP_SPAWN_(tg, fn, arg, ...) \
    skua_taskgroup_spawn_with((tg), (fn), (arg), &(const struct skua_spawn_opts){ __VA_ARGS__ })

/* skua_task *skua_taskgroup_go(skua_taskgroup *tg, skua_fn fn, void *arg, [.name = "x", ...]) */
#define skua_taskgroup_go(tg, fn, ...)                                                            \
    SKUA_TASKGROUP_GO_(tg, fn, __VA_ARGS__, .size = sizeof(struct skua_spawn_opts),               \
                       .where = SKUA_HERE)
#define SKUA_TASKGROUP_GO_(tg, fn, arg, ...) \
    skua_taskgroup_go_with((tg), (fn), (arg), &(const struct skua_spawn_opts){ __VA_ARGS__ })

/* int skua_map(skua_fn fn, void *const *args, size_t n, void **results, [.limit = 8, ...]) */
#define skua_map(fn, args, n, ...) \
    SKUA_MAP_(fn, args, n, __VA_ARGS__, .size = sizeof(struct skua_map_opts), .where = SKUA_HERE)
#define SKUA_MAP_(fn, args, n, results, ...) \
    skua_map_with((fn), (args), (n), (results), &(const struct skua_map_opts){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
