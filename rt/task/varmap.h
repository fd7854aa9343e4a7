/* SPDX-License-Identifier: MIT */
/* floor 3: task. The map from variables to values: immutable, counted, shared by all who copied it.
 *
 * A hash trie of 32-way nodes. The hash is a bijection of the variable's address, so two variables
 * never have the same one and there is nothing like a collision list: after 13 levels at most they
 * part. A change copies the nodes on one path and shares the rest. NULL is the empty map.
 *
 * Any thread may read a map on which it, or something it can rely on, has a reference.
 */
#ifndef RT_TASK_VARMAP_H
#define RT_TASK_VARMAP_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

#include <skua.h>

/* One value of one variable, in all the maps that have it. */
struct rt_binding {
    RT_ATOMIC(uint64_t) refs;
    const skua_var     *var;
    void               *value;
    uint64_t            id;     /* of the token that takes it back; 0: none was asked for */
    struct rt_binding  *before; /* what that token brings back; counted; NULL: no value   */
};

struct rt_varmap {
    RT_ATOMIC(uint64_t) refs;
    uint32_t            bits;   /* which of the 32 places are taken */
    uintptr_t           slot[]; /* one for each bit: a binding, or a node with the low bit set */
};

/* One reference for the caller. The value is taken over: the end of the binding releases it. NULL:
 * no memory. */
struct rt_binding *rt_binding_new(const skua_var *var, void *value);
struct rt_binding *rt_binding_retain(struct rt_binding *b);
void               rt_binding_release(struct rt_binding *b);

struct rt_varmap *rt_varmap_retain(struct rt_varmap *m);
void              rt_varmap_release(struct rt_varmap *m);

/* Borrowed, or NULL. */
struct rt_binding *rt_varmap_find(const struct rt_varmap *m, const skua_var *var);
/* A map with b in place of what b's variable had. 0 or -ENOMEM. */
RT_MUST_USE int rt_varmap_put(struct rt_varmap *m, struct rt_binding *b,
                              struct rt_varmap **ret_map);
/* A map without the variable. 0 or -ENOMEM. */
RT_MUST_USE int rt_varmap_remove(struct rt_varmap *m, const skua_var *var,
                                 struct rt_varmap **ret_map);

#endif
