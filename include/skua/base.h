/* SPDX-License-Identifier: MIT */
/* skua/base.h: the nouns, the shapes of functions, results, and the rules every chapter follows.
 *
 * How to read the contracts in these headers
 *
 *   Suspends            The calling task may stop here while others run. Only a task may make
 *                       such a call: in a loop callback, in a to_thread function or on a thread
 *                       of your own it answers -EPERM and does nothing.
 *   May suspend         As above, but the call returns at once when there is nothing to wait for.
 *   Never suspends      No other task of the caller's group runs before it returns.
 *   From: task          Inside a task.
 *   From: runtime       Inside a task, a loop callback or a done-callback.
 *   From: any thread    Also on threads the runtime knows nothing about.
 *
 * Results are >= 0 or a negative errno value; nothing is reported through errno. -ECANCELED means
 * that the task was asked to stop, and never anything else. A parameter named ret_x may be NULL and
 * is written only on success. NULL is accepted where an object is expected: calls answer -EINVAL,
 * questions what is true of nothing, and what gives something back or sets something does nothing.
 *
 * A call that would have to wait fails with -ENOMEM where there is no stack for others to go on
 * with (docs/stacks.md), or no memory for its timer.
 *
 * Time is a double in seconds, on the clock of skua_loop_time(). A timeout <= 0 means one try,
 * then -ETIMEDOUT; INFINITY means no limit; NaN is -EINVAL.
 *
 * Options follow the fixed arguments as designated initialisers, the C spelling of keyword
 * arguments: skua_spawn(fn, arg, .name = "reader"). Zero means default. The macro fills in .size;
 * behind each macro stands a function skua_x_with(..., const struct skua_x_opts *) for C++ and
 * for bindings, which set .size = sizeof(struct skua_x_opts) themselves. NULL: all defaults. */
#ifndef SKUA_BASE_H
#define SKUA_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of these headers; skua_version() is that of the library. */
#define SKUA_VERSION_MAJOR 0
#define SKUA_VERSION_MINOR 1
#define SKUA_VERSION_PATCH 0

/* Marks what the library exports. */
#define SKUA_API __attribute__((visibility("default")))

/* Marks calls whose result matters, as -ECANCELED does: dropping it is a warning. */
#define SKUA_CHECKED __attribute__((warn_unused_result))

/* The place of a call as "file:line", for reports. */
#define SKUA_HERE          __FILE__ ":" SKUA_STRING_(__LINE__)
#define SKUA_STRING_(x)    SKUA_STRING_OF_(x)
#define SKUA_STRING_OF_(x) #x

/* Ignores a result on purpose: SKUA_IGNORE(skua_sleep(1.0)). A lost -ECANCELED is a task that
 * cannot be stopped, hence the warning that this takes away. */
#define SKUA_IGNORE(call) ((void)!(call))

#ifdef __cplusplus
extern "C" {
#endif

/* ---- nouns ---- */

/* What can be awaited: a running function (a task), or a place for one value that somebody will
 * fill in (a future). They are one type, so gather, wait, wait_for, shield, as_completed and
 * done-callbacks take both alike. A handle is a counted reference; a running task never vanishes,
 * whether or not anybody holds a handle. asyncio: Task, Future. */
typedef struct skua_task skua_task;
typedef struct skua_task skua_future;

/* Tasks that run one at a time on one loop, in asyncio's order. A group is a loop, so both names
 * are one type. asyncio: AbstractEventLoop. */
typedef struct skua_group skua_group;
typedef struct skua_group skua_loop;

/* A set of variables with their values, see skua/context.h. asyncio: contextvars.Context. */
typedef struct skua_context skua_context;

/* A scheduled callback by name. A value: nothing to release, never dangles; {0} names none.
 * asyncio: Handle, TimerHandle. */
typedef struct {
    uint64_t id; /* 0: none */
} skua_handle;

/* ---- shapes of functions ---- */

/* The body of a task or of a to_thread call. It gives back a value (NULL is one) or skua_fail().
 * asyncio: the coroutine function. */
typedef void *(*skua_fn)(void *arg);

/* A callback. It runs on its loop between two tasks, not in a task: it may not suspend (-EPERM). */
typedef void (*skua_cb)(void *arg);

/* A callback that hears that `task` is done. Same rules as skua_cb; the handle is borrowed. */
typedef void (*skua_done_cb)(skua_task *task, void *arg);

/* The body of a connection's task; skua_serve() closes fd when it returns. */
typedef void (*skua_conn_fn)(int fd, void *arg);

/* ---- results: a value or an error in one pointer ---- */

/* Makes the pointer that ends a task with an error: `return skua_fail(err);`. err is a negative
 * errno value in -4095..-1 (anything else becomes -EINVAL); skua_fail(-ECANCELED) ends the task
 * cancelled. The pointer is never a valid address. Pure. Never suspends.
 * From: any thread. asyncio: raise. */
SKUA_API void *skua_fail(int err);

/* skua_fail() with a message, read back by skua_error_message(). At most 127 bytes are kept, with
 * the task or thread call that it ends; elsewhere the text is dropped. Never suspends.
 * From: any thread. asyncio: raise X("..."). */
SKUA_API void *skua_failf(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What does the pointer carry? Pure. Never suspends. From: any thread. Returns the negative error,
 * 0 if it is a value. asyncio: isinstance(x, Exception), of what gather() gives. */
SKUA_API int skua_failed(const void *value);

/* ---- memory ---- */

/* Frees what a call gave the caller "to free by skua_free()"; NULL: does nothing. The library may
 * have another allocator than the program. Never suspends. From: any thread. asyncio: the garbage
 * collector. */
SKUA_API void skua_free(void *p);

/* ---- version ---- */

/* The library's version as "MAJOR.MINOR.PATCH": a static string. The macros above say which
 * headers the program was compiled with. Never suspends. From: any thread. asyncio: sys.version. */
SKUA_API const char *skua_version(void);

/* ---- the errno of a task ---- */

/* A free task may wake up on another thread, and compilers keep the address of errno over calls.
 * Hence this accessor, which is asked anew at each use: every task keeps its own errno over every
 * suspension. Returns the address of the caller's. Never suspends. From: any thread. Define
 * SKUA_NO_ERRNO_MACRO to keep the C library's macro. asyncio has no such call. */
SKUA_API int *skua_errno_location(void);

#if !defined SKUA_NO_ERRNO_MACRO
#undef errno
#define errno (*skua_errno_location())
#endif

#ifdef __cplusplus
}
#endif
#endif
