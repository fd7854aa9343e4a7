/* SPDX-License-Identifier: MIT */
/* skua/context.h: variables that each task has for itself. asyncio: Context Variables.
 *
 * A context is a set of variables with their values. Every task has one of its own; so has every
 * plain thread, and every callback while it runs. A new task, a to_thread function and a callback
 * begin with a copy of the context of whoever started or registered them; the copy takes the same
 * short time however many variables there are. What they set stays with them. Two free tasks on two
 * cores never see each other's writes, unless both were given one context with .context.
 * docs/context.md tells more. */
#ifndef SKUA_CONTEXT_H
#define SKUA_CONTEXT_H

#include <skua/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A variable: static storage, made by SKUA_VAR_INIT, so that it outlives every context.
 *
 *     static skua_var user = SKUA_VAR_INIT("user", "nobody");
 *     static skua_var page = SKUA_VAR_INIT("page", NULL, .release = free);
 *
 * Without retain and release a value is the user's and outlives every context that may have it.
 * With them skua_var_set() calls retain(value), and release(value) is called once when no context
 * has the value any more: on any thread, also while another task or no task runs, and never with
 * NULL. They may neither suspend nor touch variables. asyncio: contextvars.ContextVar. */
typedef struct {
    const char *name;     /* for people who debug; static storage */
    void *default_value;  /* what skua_var_get() gives where nothing was set */
    skua_cb retain;       /* may be NULL: then skua_var_set() takes over what the caller has */
    skua_cb release;      /* may be NULL */
} skua_var;

#ifndef __cplusplus
#define SKUA_VAR_INIT(var_name, ...) { .name = (var_name), .default_value = __VA_ARGS__ }
#else
#define SKUA_VAR_INIT(var_name, ...) { (var_name), __VA_ARGS__ } /* default, retain, release */
#endif

/* Names one skua_var_set(), for skua_var_reset(). A value: nothing to release, never dangles. */
typedef struct {
    uint64_t opaque[3];
} skua_var_token;

/* Sets the variable in the current context. *ret_token, if asked for, takes it back later; the
 * value that was there before is kept as long for it, so ask only for tokens that you use.
 * Never suspends. From: any thread. Returns 0, -EINVAL for NULL, -ENOMEM (nothing has changed, the
 * value was neither retained nor taken over). asyncio: ContextVar.set(). */
SKUA_API int skua_var_set(skua_var *var, void *value, skua_var_token *ret_token);

/* The value in the current context, else the default; NULL for NULL. Borrowed: valid until the
 * context gets another value for the variable or ends. Never suspends. From: any thread.
 * asyncio: ContextVar.get(). */
SKUA_API void *skua_var_get(const skua_var *var);

/* Gives the variable back the value, or the absence of one, that it had before the set that the
 * token names. What was set after it is gone as well, with its tokens. Never suspends. From: any
 * thread. Returns 0, -EALREADY (the token was used, or an older one was), -EINVAL (the token is of
 * another variable or another context), -ENOMEM. asyncio: ContextVar.reset(). */
SKUA_API int skua_var_reset(skua_var *var, skua_var_token token);

/* ---- contexts by name ---- */

/* A context that outlives the task that made it. One may be the context of several tasks, given as
 * .context to skua_spawn(): they run in it, not in a copy, and see what the others set. With free
 * tasks among them a value with .release may be gone while another task reads it: there the
 * variable needs values that live long enough, or its users a lock. The type is skua_context. */

/* A copy of the current context, taken in constant time. Never suspends. From: any thread.
 * Returns a counted handle, the caller's, or NULL: out of memory. asyncio: copy_context(). */
SKUA_API skua_context *skua_context_copy(void);

/* One more reference. NULL is accepted. Never suspends. From: any thread. asyncio: another name for
 * it. */
SKUA_API skua_context *skua_context_retain(skua_context *context);

/* Gives a handle back. Tasks that run in the context keep it. NULL is accepted. Never suspends.
 * From: any thread. asyncio: the garbage collector. */
SKUA_API void skua_context_release(skua_context *context);

/* The value that the variable has in that context, else the default. Borrowed, as skua_var_get()'s.
 * NULL if an argument is NULL. Never suspends. From: any thread. asyncio: Context.get(). */
SKUA_API void *skua_context_get(skua_context *context, const skua_var *var);

/* Calls fn(arg) at once, with `context` as the current context of the caller's task, callback or
 * thread, and returns what it returned; afterwards the former context is current again.
 * Suspends if fn does. From: any thread. Returns skua_fail(-EINVAL) for NULL and
 * skua_fail(-ENOMEM). asyncio: Context.run(). */
SKUA_API void *skua_context_run(skua_context *context, skua_fn fn, void *arg);

#ifdef __cplusplus
}
#endif
#endif
