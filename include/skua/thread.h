/* SPDX-License-Identifier: MIT */
/* skua/thread.h: work that blocks, on threads of a bounded pool. asyncio: to_thread(). */
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

struct skua_thread_opts {
    size_t size;       /* sizeof(struct skua_thread_opts); the macro fills it in */
    const char *lane;  /* the pool to use; NULL: "default". Others belong to a later release:
                          -EINVAL */
    size_t copy;       /* copy this many bytes of *arg and hand the function the copy */
    bool abandon;      /* cancelled: do not wait for the function, drop its result */
    bool interrupt;    /* cancelled: send the thread a signal. A later release: -ENOTSUP */
    skua_token *token; /* cancelled: set this. With .copy or .abandon not in the caller's frame */
    const char *name;  /* copied */
    int *ret_err;      /* gets the error of the call, which spawn_thread has no other way to give */
};

/* Runs fn(arg) on a thread of the pool and waits for it; the other tasks run on. fn may block as
 * it likes but is no task: calls that suspend answer -EPERM there. Its skua_fail() is the result.
 * Cancelled before fn has begun: it never runs. Cancelled while it runs: .token is set and the end
 * of fn is waited for, since it may use the caller's frame; with .copy or .abandon the call
 * returns at once and the result is dropped.
 * Suspends. From: task. Returns 0, fn's error, -ECANCELED, -ENOMEM, -EINVAL, -ENOTSUP, -ESHUTDOWN,
 * -EPERM. asyncio: to_thread(). */
SKUA_API int skua_to_thread_with(skua_fn fn, void *arg, void **ret_result,
                                 const struct skua_thread_opts *opts) SKUA_CHECKED;

/* Hands fn(arg) to the pool and returns at once with something to await. Cancelling that ends it
 * at once, sets .token, and drops the function's result: what fn uses must outlive fn. Never
 * suspends. From: runtime. Returns a counted handle, the caller's; NULL on failure, with the
 * reason in .ret_err. asyncio: loop.run_in_executor(). */
SKUA_API skua_task *skua_spawn_thread_with(skua_fn fn, void *arg,
                                           const struct skua_thread_opts *opts);

/* Sets the token. Never suspends. From: any thread. */
SKUA_API void skua_token_set(skua_token *token);

/* Is it set? Never suspends. From: any thread. */
SKUA_API bool skua_token_is_set(const skua_token *token);

#ifndef __cplusplus
/* int skua_to_thread(skua_fn fn, void *arg, void **ret_result, [.token = &t, ...]) */
#define skua_to_thread(fn, arg, ...) \
    SKUA_TO_THREAD_(fn, arg, __VA_ARGS__, .size = sizeof(struct skua_thread_opts))
#define SKUA_TO_THREAD_(fn, arg, ret_result, ...) \
    skua_to_thread_with((fn), (arg), (ret_result), &(const struct skua_thread_opts){ __VA_ARGS__ })

/* skua_task *skua_spawn_thread(skua_fn fn, void *arg, [.name = "scan", ...]) */
#define skua_spawn_thread(fn, ...) \
    SKUA_SPAWN_THREAD_(fn, __VA_ARGS__, .size = sizeof(struct skua_thread_opts))
#define SKUA_SPAWN_THREAD_(fn, arg, ...) \
    skua_spawn_thread_with((fn), (arg), &(const struct skua_thread_opts){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
