/* SPDX-License-Identifier: MIT */
/* skua/thread.h: work that blocks, on threads of bounded lanes. asyncio: to_thread().
 * docs/lanes.md tells more. */
#ifndef SKUA_THREAD_H
#define SKUA_THREAD_H

#include <skua/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Asks a blocking function to stop: the function looks at it, the runtime sets it when the call is
 * cancelled. Lives in the caller's memory; it must outlive the function. */
typedef struct {
    uint64_t opaque[2];
} skua_token;

#define SKUA_TOKEN_INIT { { 0 } }

/* Options of skua_to_thread() and skua_spawn_thread(). */
struct skua_thread_opts {
    size_t size;       /* sizeof(struct skua_thread_opts); the macro fills it in */
    const char *lane;  /* NULL: "default"; "dns", "file", or one that .lanes of the run names */
    size_t copy;       /* copy this many bytes of *arg and hand the function the copy */
    bool abandon;      /* cancelled: do not wait for the function, drop its result */
    bool interrupt;    /* cancelled: interrupt what the function waits in, by a signal */
    skua_token *token; /* cancelled: set this. With .copy or .abandon not in the caller's frame */
    const char *name;  /* copied */
    int *ret_err;      /* gets the error of the call, which spawn_thread has no other way to give */
    const char *where; /* place of the call for reports, static storage; the macro fills it in */
};

/* Runs fn(arg) on a thread of a lane and waits for it; the other tasks run on. fn may block as
 * it likes but is no task: calls that suspend answer -EPERM there. Its skua_fail() is the result.
 *
 * A lane is a bounded set of threads with a queue: made when they are needed, gone after 10 idle
 * seconds. Calls beyond the bound wait in the queue, first come first served; the queue has no
 * bound. There are "default" (min(32, CPUs + 4) threads), "dns" (4) and "file" (8), so that names
 * which hang do not keep files waiting; .lanes of the run and SKUA_LANES change that and add more.
 *
 * Cancelled before fn has begun: it never runs. Cancelled while it runs: .token is set, with
 * .interrupt its thread gets a signal, and the end of fn is waited for, since it may use the
 * caller's frame; with .copy or .abandon the call returns at once and the result is dropped. The
 * end of the runtime cancels too; a function that has not returned after .shutdown_timeout (300 s)
 * is named on stderr and left alone with everything it uses.
 *
 * .interrupt: the signal is SIGRTMAX - 3, with a handler that does nothing and without SA_RESTART,
 * so that a system call which waits ends with EINTR; it is sent again every 10 ms until fn returns,
 * since it may come just before the system call. fn has to return when it meets EINTR, or ask its
 * token. The signal is sent to no thread whose function has returned. A program may not use it for
 * anything else: if it does, -EBUSY.
 * Suspends. From: task. Returns 0, fn's error, -ECANCELED, -ENOMEM, -EINVAL (also for a lane that
 * does not exist), -EBUSY, -EAGAIN (no thread, and none to be had), -ESHUTDOWN, -EPERM.
 * asyncio: to_thread(). */
SKUA_API int skua_to_thread_with(skua_fn fn, void *arg, void **ret_result,
                                 const struct skua_thread_opts *opts) SKUA_CHECKED;

/* Hands fn(arg) to a lane and returns at once with something to await. Cancelling that ends it
 * at once, sets .token, interrupts with .interrupt, and drops the function's result: what fn uses
 * must outlive fn. Never suspends. From: runtime. Returns a counted handle, the caller's; NULL on
 * failure, with the reason in .ret_err. asyncio: loop.run_in_executor(). */
SKUA_API skua_task *skua_spawn_thread_with(skua_fn fn, void *arg,
                                           const struct skua_thread_opts *opts);

/* Sets the token. Never suspends. From: any thread. asyncio has no such call. */
SKUA_API void skua_token_set(skua_token *token);

/* Is it set? Never suspends. From: any thread. asyncio has no such call. */
SKUA_API bool skua_token_is_set(const skua_token *token);

#ifndef __cplusplus
/* int skua_to_thread(skua_fn fn, void *arg, void **ret_result, [.token = &t, ...]) */
#define skua_to_thread(fn, arg, ...) \
    SKUA_TO_THREAD_(fn, arg, __VA_ARGS__, .size = sizeof(struct skua_thread_opts), \
                    .where = SKUA_HERE)
#define SKUA_TO_THREAD_(fn, arg, ret_result, ...) \
    skua_to_thread_with((fn), (arg), (ret_result), &(const struct skua_thread_opts){ __VA_ARGS__ })

/* skua_task *skua_spawn_thread(skua_fn fn, void *arg, [.name = "scan", ...]) */
#define skua_spawn_thread(fn, ...) \
    SKUA_SPAWN_THREAD_(fn, __VA_ARGS__, .size = sizeof(struct skua_thread_opts), \
                       .where = SKUA_HERE)
#define SKUA_SPAWN_THREAD_(fn, arg, ...) \
    skua_spawn_thread_with((fn), (arg), &(const struct skua_thread_opts){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
