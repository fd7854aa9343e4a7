/* SPDX-License-Identifier: MIT */
/* floor 3: task. Contexts. */
#include "task/vars.h"

#include <errno.h>

#include "base/lock.h"
#include "base/mem.h"

struct skua_context {
    RT_ATOMIC(uint64_t) refs;
    uint64_t            serial; /* never used twice: tokens name it */
    struct rt_lock      lock;   /* of map, while there may be others who have the context */
    struct rt_varmap   *map;
};

struct rt_vars_used rt_vars_used;

static RT_ATOMIC(uint64_t) last_serial; /* of contexts and tokens */

static uint64_t new_serial(void)
{
    return rt_add_relaxed(&last_serial, 1) + 1; /* relaxed: only has to be another number */
}

/* --- words --- */

static struct rt_varmap *map_of(uintptr_t word)
{
    return (struct rt_varmap *)(word & ~RT_VARS_TAGS);
}

/* Counted. */
static struct rt_varmap *snapshot(struct skua_context *c)
{
    rt_lock(&c->lock);
    struct rt_varmap *map = rt_varmap_retain(c->map);
    rt_unlock(&c->lock);
    return map;
}

uintptr_t rt_vars_copy(uintptr_t word)
{
    struct skua_context *own = rt_vars_own(word);
    struct rt_varmap    *map = own ? snapshot(own) : rt_varmap_retain(map_of(word));
    return map ? (uintptr_t)map | RT_VARS_MAP : 0;
}

uintptr_t rt_vars_share(uintptr_t word)
{
    struct skua_context *own = rt_vars_own(word);
    if (own)
        (void)rt_add_relaxed(&own->refs, 1); /* relaxed: the caller's reference keeps it */
    else
        (void)rt_varmap_retain(map_of(word));
    return word;
}

void rt_vars_drop(uintptr_t word)
{
    struct skua_context *own = rt_vars_own(word);
    if (!own) {
        rt_varmap_release(map_of(word));
    } else if (rt_sub_acq_rel(&own->refs, 1) == 1) { /* pairs: VARS -> rt_vars_drop */
        rt_varmap_release(own->map);                 /* pairs: VARS <- rt_vars_drop */
        rt_free(own);
    }
}

struct skua_context *rt_vars_new(uintptr_t word)
{
    struct skua_context *c = rt_malloc(sizeof *c);
    if (!c)
        return NULL;
    rt_init(&c->refs, 1);
    c->serial = new_serial();
    rt_lock_init(&c->lock, RT_RANK_VARS);
    c->map = map_of(rt_vars_copy(word));
    rt_store_relaxed(&rt_vars_used.flag, 1); /* relaxed: see rt_vars_are_used */
    return c;
}

/* --- variables --- */

static void *value_in(const struct rt_varmap *map, const skua_var *var)
{
    struct rt_binding *b = rt_varmap_find(map, var);
    return b ? b->value : var->default_value;
}

void *rt_vars_get_in(struct skua_context *c, const skua_var *var)
{
    rt_lock(&c->lock);
    void *value = value_in(c->map, var);
    rt_unlock(&c->lock);
    return value;
}

void *rt_vars_get(uintptr_t word, const skua_var *var)
{
    struct skua_context *own = rt_vars_own(word);
    if (!own)
        return value_in(map_of(word), var);
    if (rt_load_acquire(&own->refs) == 1) /* pairs: VARS <- rt_vars_drop */
        return value_in(own->map, var);   /* the caller's own: nobody else can get at it */
    return rt_vars_get_in(own, var);
}

/* Puts `changed` in place of `seen`, unless somebody else has changed the context meanwhile. Both
 * references are gone then: maps are released without the lock, since values may be. */
static bool install(struct skua_context *c, struct rt_varmap *seen, struct rt_varmap *changed)
{
    rt_lock(&c->lock);
    bool              same = c->map == seen;
    struct rt_varmap *former = c->map;
    if (same)
        c->map = changed;
    rt_unlock(&c->lock);
    rt_varmap_release(same ? former : changed);
    rt_varmap_release(seen);
    return same;
}

/* With a token a binding remembers what was there; without one it stands in for it, so that an
 * older token finds its way still. The binding is the caller's alone. */
static void remember(struct rt_binding *b, const struct rt_varmap *map, uint64_t id)
{
    struct rt_binding *there = rt_varmap_find(map, b->var);
    rt_binding_release(b->before);
    b->id = id || !there ? id : there->id;
    b->before = rt_binding_retain(id || !there ? there : there->before);
}

static int install_binding(struct skua_context *c, struct rt_binding *b, uint64_t id)
{
    struct rt_varmap *seen, *changed;
    do {
        seen = snapshot(c);
        remember(b, seen, id);
        int r = rt_varmap_put(seen, b, &changed);
        if (r < 0) {
            rt_varmap_release(seen);
            return r;
        }
    } while (!install(c, seen, changed));
    return 0;
}

int rt_vars_set(struct skua_context *c, const skua_var *var, void *value,
                skua_var_token *ret_token)
{
    uint64_t           id = ret_token ? new_serial() : 0;
    struct rt_binding *b = rt_binding_new(var, value);
    if (!b)
        return -ENOMEM;
    if (var->retain && value)
        var->retain(value);
    int r = install_binding(c, b, id);
    if (r < 0 && !var->retain)
        b->value = NULL; /* it stays the caller's */
    else if (r == 0 && ret_token)
        *ret_token = (skua_var_token){ { c->serial, id, (uint64_t)(uintptr_t)var } };
    rt_binding_release(b);
    return r;
}

/* The map before the set with that number. */
static int take_back(struct rt_varmap *seen, const skua_var *var, uint64_t id,
                     struct rt_varmap **ret_map)
{
    struct rt_binding *b = rt_varmap_find(seen, var);
    while (b && b->id != id)
        b = b->before;
    if (!b)
        return -EALREADY;
    return b->before ? rt_varmap_put(seen, b->before, ret_map)
                     : rt_varmap_remove(seen, var, ret_map);
}

int rt_vars_reset(struct skua_context *c, const skua_var *var, const skua_var_token *token)
{
    if (token->opaque[0] != c->serial || token->opaque[2] != (uint64_t)(uintptr_t)var)
        return -EINVAL;
    struct rt_varmap *seen, *changed;
    do {
        seen = snapshot(c);
        int r = take_back(seen, var, token->opaque[1], &changed);
        if (r < 0) {
            rt_varmap_release(seen);
            return r;
        }
    } while (!install(c, seen, changed));
    return 0;
}
