/* SPDX-License-Identifier: MIT */
/* floor 3: task. Contexts: who has which variables.
 *
 * A context is held as one word: 0 (nothing set), a counted map, or a counted skua_context. Whoever
 * only inherited has the map, which makes a copy one more reference. The first write turns it into
 * a context of its own, which from then on the writer changes in place. A skua_context may belong
 * to several tasks, so it has a lock.
 */
#ifndef RT_TASK_VARS_H
#define RT_TASK_VARS_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "task/varmap.h"

/* The word's low bits. No bit set and not 0: not a context word, see struct skua_task.cold. */
#define RT_VARS_MAP  ((uintptr_t)1) /* struct rt_varmap *  */
#define RT_VARS_OWN  ((uintptr_t)2) /* struct skua_context * */
#define RT_VARS_TAGS ((uintptr_t)3)

/* Whether any variable was ever set, or a context copied, in this process. Alone in its cache line:
 * every spawn reads it. */
extern struct rt_vars_used {
    RT_CACHELINE RT_ATOMIC(uint32_t) flag;
} rt_vars_used;

static inline bool rt_vars_are_used(void)
{
    return rt_load_relaxed(&rt_vars_used.flag) != 0; /* relaxed: own writes and what hands over
                                                        tasks put it before any context word */
}

/* --- words --- */

/* A copy, in constant time: a map or 0. The word stays. */
uintptr_t rt_vars_copy(uintptr_t word);
/* One more reference to the same thing. */
uintptr_t rt_vars_share(uintptr_t word);
void      rt_vars_drop(uintptr_t word);

/* --- contexts --- */

static inline uintptr_t rt_vars_word(struct skua_context *c)
{
    return (uintptr_t)c | RT_VARS_OWN;
}

/* NULL unless the word is a skua_context. */
static inline struct skua_context *rt_vars_own(uintptr_t word)
{
    return word & RT_VARS_OWN ? (struct skua_context *)(word & ~RT_VARS_TAGS) : NULL;
}

/* A fresh context that begins with a copy of the word. NULL: no memory. */
struct skua_context *rt_vars_new(uintptr_t word);

/* The value, or the variable's default. The word is that of the caller's own task, callback or
 * thread. */
void *rt_vars_get(uintptr_t word, const skua_var *var);
/* The same of any context on which somebody has a reference. */
void *rt_vars_get_in(struct skua_context *c, const skua_var *var);
/* 0 or -ENOMEM. Any thread that has a reference. */
RT_MUST_USE int rt_vars_set(struct skua_context *c, const skua_var *var, void *value,
                            skua_var_token *ret_token);
/* 0, -EALREADY, -ENOMEM; -EINVAL: the token is not of this variable and this context. */
RT_MUST_USE int rt_vars_reset(struct skua_context *c, const skua_var *var,
                              const skua_var_token *token);

#endif
