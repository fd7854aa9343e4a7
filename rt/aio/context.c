/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Context variables. */
#include "sched/context.h"

#include <errno.h>

/* A context that may be written: who only inherited gets its own with the first write. */
static struct skua_context *own_context(void)
{
    uintptr_t            word = rt_context_word(), former;
    struct skua_context *own = rt_vars_own(word);
    if (own)
        return own;
    own = rt_vars_new(word);
    if (!own)
        return NULL;
    if (rt_context_swap(rt_vars_word(own), &former) < 0) {
        rt_vars_drop(rt_vars_word(own));
        return NULL;
    }
    rt_vars_drop(former);
    return own;
}

int skua_var_set(skua_var *var, void *value, skua_var_token *ret_token)
{
    if (!var)
        return -EINVAL;
    struct skua_context *own = own_context();
    return own ? rt_vars_set(own, var, value, ret_token) : -ENOMEM;
}

void *skua_var_get(const skua_var *var)
{
    if (!var)
        return NULL;
    return rt_vars_are_used() ? rt_vars_get(rt_context_word(), var) : var->default_value;
}

int skua_var_reset(skua_var *var, skua_var_token token)
{
    struct skua_context *own = rt_vars_own(rt_context_word());
    return var && own ? rt_vars_reset(own, var, &token) : -EINVAL;
}

/* --- contexts by name --- */

skua_context *skua_context_copy(void)
{
    return rt_vars_new(rt_context_word());
}

skua_context *skua_context_retain(skua_context *context)
{
    if (context)
        (void)rt_vars_share(rt_vars_word(context));
    return context;
}

void skua_context_release(skua_context *context)
{
    if (context)
        rt_vars_drop(rt_vars_word(context));
}

void *skua_context_get(skua_context *context, const skua_var *var)
{
    return context && var ? rt_vars_get_in(context, var) : NULL;
}

void *skua_context_run(skua_context *context, skua_fn fn, void *arg)
{
    uintptr_t former, inner;
    if (!context || !fn)
        return skua_fail(-EINVAL);
    inner = rt_vars_share(rt_vars_word(context));
    if (rt_context_swap(inner, &former) < 0) {
        rt_vars_drop(inner);
        return skua_fail(-ENOMEM);
    }
    void *result = fn(arg);
    SKUA_IGNORE(rt_context_swap(former, &inner)); /* what went once goes again */
    rt_vars_drop(inner);
    return result;
}
