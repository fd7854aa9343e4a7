/* SPDX-License-Identifier: MIT */
/* floor 3: task. The map from variables to values. */
#include "task/varmap.h"

#include <errno.h>
#include <stdbool.h>

#include "base/mem.h"
#include "base/rand.h"

enum { LEVEL_BITS = 5, PLACES = 32 };

#define CHILD ((uintptr_t)1)

static uint64_t hash_of(const skua_var *var)
{
    return rt_rand_mix((uint64_t)(uintptr_t)var);
}

static uint32_t bit_of(uint64_t hash, unsigned shift)
{
    return UINT32_C(1) << ((hash >> shift) & (PLACES - 1));
}

static unsigned place_of(const struct rt_varmap *m, uint32_t bit)
{
    return (unsigned)__builtin_popcount(m->bits & (bit - 1));
}

static struct rt_varmap *child_of(uintptr_t slot)
{
    return slot & CHILD ? (struct rt_varmap *)(slot - CHILD) : NULL;
}

/* --- references --- */

struct rt_binding *rt_binding_new(const skua_var *var, void *value)
{
    struct rt_binding *b = rt_malloc(sizeof *b);
    if (!b)
        return NULL;
    rt_init(&b->refs, 1);
    b->var = var;
    b->value = value;
    b->id = 0;
    b->before = NULL;
    return b;
}

struct rt_binding *rt_binding_retain(struct rt_binding *b)
{
    if (b)
        (void)rt_add_relaxed(&b->refs, 1); /* relaxed: the caller's reference keeps it */
    return b;
}

void rt_binding_release(struct rt_binding *b)
{
    while (b && rt_sub_acq_rel(&b->refs, 1) == 1) { /* pairs: VARS -> rt_binding_release */
        struct rt_binding *before = b->before;      /* pairs: VARS <- rt_binding_release */
        if (b->var->release && b->value)
            b->var->release(b->value);
        rt_free(b);
        b = before;
    }
}

struct rt_varmap *rt_varmap_retain(struct rt_varmap *m)
{
    if (m)
        (void)rt_add_relaxed(&m->refs, 1); /* relaxed: the caller's reference keeps it */
    return m;
}

static uintptr_t retain_slot(uintptr_t slot)
{
    if (slot & CHILD)
        (void)rt_varmap_retain(child_of(slot));
    else
        (void)rt_binding_retain((struct rt_binding *)slot);
    return slot;
}

static void release_slot(uintptr_t slot)
{
    if (slot & CHILD)
        rt_varmap_release(child_of(slot));
    else
        rt_binding_release((struct rt_binding *)slot);
}

void rt_varmap_release(struct rt_varmap *m)
{
    if (!m || rt_sub_acq_rel(&m->refs, 1) != 1) /* pairs: VARS -> rt_varmap_release */
        return;                                 /* pairs: VARS <- rt_varmap_release */
    unsigned n = (unsigned)__builtin_popcount(m->bits);
    for (unsigned i = 0; i < n; i++)
        release_slot(m->slot[i]);
    rt_free(m);
}

/* --- looking up --- */

struct rt_binding *rt_varmap_find(const struct rt_varmap *m, const skua_var *var)
{
    uint64_t hash = hash_of(var);
    for (unsigned shift = 0; m; shift += LEVEL_BITS) {
        uint32_t bit = bit_of(hash, shift);
        if (!(m->bits & bit))
            return NULL;
        uintptr_t slot = m->slot[place_of(m, bit)];
        if (!(slot & CHILD)) {
            struct rt_binding *b = (struct rt_binding *)slot;
            return b->var == var ? b : NULL;
        }
        m = child_of(slot);
    }
    return NULL;
}

/* --- copies that differ in one place --- */

/* m with `slot` at the place of `bit`; without anything there if slot is 0. Takes the slot's
 * reference over, also on failure (NULL). m may be NULL. */
static struct rt_varmap *with(const struct rt_varmap *m, uint32_t bit, uintptr_t slot)
{
    uint32_t          before = m ? m->bits : 0;
    uint32_t          bits = slot ? before | bit : before & ~bit;
    unsigned          n = (unsigned)__builtin_popcount(bits);
    struct rt_varmap *made = rt_malloc(sizeof *made + n * sizeof made->slot[0]);
    if (!made) {
        if (slot)
            release_slot(slot);
        return NULL;
    }
    rt_init(&made->refs, 1);
    made->bits = bits;
    for (unsigned at = 0; bits != 0; at++) {
        uint32_t low = bits & -bits;
        made->slot[at] = low == bit ? slot : retain_slot(m->slot[place_of(m, low)]);
        bits &= bits - 1;
    }
    return made;
}

static struct rt_varmap *put(const struct rt_varmap *m, unsigned shift, struct rt_binding *b)
{
    uint64_t  hash = hash_of(b->var);
    uint32_t  bit = bit_of(hash, shift);
    uintptr_t slot = m && (m->bits & bit) ? m->slot[place_of(m, bit)] : 0;
    struct rt_binding *there = slot & CHILD ? NULL : (struct rt_binding *)slot;
    struct rt_varmap  *below = child_of(slot), *alone = NULL;
    if (!below && (!there || there->var == b->var))
        return with(m, bit, (uintptr_t)rt_binding_retain(b));
    if (there) { /* two variables in one place: both move a level down */
        uint32_t down = bit_of(hash_of(there->var), shift + LEVEL_BITS);
        below = alone = with(NULL, down, (uintptr_t)rt_binding_retain(there));
        if (!alone)
            return NULL;
    }
    struct rt_varmap *changed = put(below, shift + LEVEL_BITS, b);
    rt_varmap_release(alone);
    return changed ? with(m, bit, (uintptr_t)changed + CHILD) : NULL;
}

int rt_varmap_put(struct rt_varmap *m, struct rt_binding *b, struct rt_varmap **ret_map)
{
    struct rt_varmap *changed = put(m, 0, b);
    if (!changed)
        return -ENOMEM;
    *ret_map = changed;
    return 0;
}

static bool is_last(const struct rt_varmap *m, uint32_t bit)
{
    return m->bits == bit;
}

/* The variable is in m. */
static int drop(const struct rt_varmap *m, unsigned shift, uint64_t hash,
                struct rt_varmap **ret_map)
{
    uint32_t          bit = bit_of(hash, shift);
    uintptr_t         slot = m->slot[place_of(m, bit)];
    struct rt_varmap *below = NULL;
    if (slot & CHILD) {
        int r = drop(child_of(slot), shift + LEVEL_BITS, hash, &below);
        if (r < 0)
            return r;
    }
    if (!below && is_last(m, bit)) {
        *ret_map = NULL;
        return 0;
    }
    *ret_map = with(m, bit, below ? (uintptr_t)below + CHILD : 0);
    return *ret_map ? 0 : -ENOMEM;
}

int rt_varmap_remove(struct rt_varmap *m, const skua_var *var, struct rt_varmap **ret_map)
{
    if (rt_varmap_find(m, var))
        return drop(m, 0, hash_of(var), ret_map);
    *ret_map = rt_varmap_retain(m);
    return 0;
}
