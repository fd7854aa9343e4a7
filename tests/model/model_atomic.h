/* SPDX-License-Identifier: MIT */
/* The verbs of base/atomic.h over the Relacy model checker, for the protocol headers compiled as
 * C++.
 *
 * A model lists *mutants*, and the variable RT_MODEL_MUTANT names one of them: then one verb in
 * one function does the wrong thing given in the list, and the checker has to object. So the
 * headers are mutated without being copied or touched.
 */
#ifndef RT_MODEL_ATOMIC_H
#define RT_MODEL_ATOMIC_H

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <relacy/relacy.hpp>

/* Relacy allocates its own objects and knows no alignment beyond the usual one. */
#include "base/compiler.h"
#undef RT_CACHELINE
#define RT_CACHELINE

enum model_wrong {
    MODEL_RIGHT,   /* as written                                                     */
    MODEL_RELAXED, /* the same operation without its order                           */
    MODEL_BLIND,   /* a compare-and-swap that does not compare                       */
    MODEL_SPLIT,   /* a read-modify-write as a load and then a store                 */
    MODEL_SKIP,    /* no write at all, reported as done                              */
    MODEL_ONE_OFF, /* a load that returns one more than is there                     */
    MODEL_ZERO,    /* a load that returns nothing                                    */
};

struct model_mutant {
    const char *name;
    const char *suite;    /* the one that has to fail                                      */
    const char *function; /* NULL: the model itself asks with MODEL_IS                     */
    const char *verb;
    model_wrong wrong;
};

static const model_mutant *model_chosen; /* NULL: none; fixed before the first suite begins */

static inline model_wrong model_here(const char *function, const char *verb)
{
    const model_mutant *m = model_chosen;
    return m && m->function && !strcmp(function, m->function) && !strcmp(verb, m->verb)
               ? m->wrong
               : MODEL_RIGHT;
}

static inline bool model_is(const char *name)
{
    return model_chosen && !strcmp(model_chosen->name, name);
}

/* Each place asks once, so that a right run is not slowed down by the wrong ones. */
#define MODEL_HERE(verb)                                        \
    ({                                                          \
        static const model_wrong here = model_here(__func__, verb); \
        here;                                                   \
    })
#define MODEL_IS(name)                          \
    ({                                          \
        static const bool is = model_is(name);  \
        is;                                     \
    })

enum model_op { MODEL_SET, MODEL_ADD, MODEL_SUB, MODEL_OR, MODEL_AND };

/* The order of a plain load or store that stands in for a read-modify-write. */
static inline rl::memory_order model_load_order(rl::memory_order mo)
{
    return mo == rl::mo_acq_rel ? rl::mo_acquire : mo == rl::mo_release ? rl::mo_relaxed : mo;
}

static inline rl::memory_order model_store_order(rl::memory_order mo)
{
    return mo == rl::mo_acq_rel ? rl::mo_release : mo == rl::mo_acquire ? rl::mo_relaxed : mo;
}

template <typename T>
static inline T model_load(rl::atomic<T> *p, rl::memory_order mo, model_wrong wrong,
                           rl::debug_info_param info)
{
    T value = p->load(wrong == MODEL_RELAXED ? rl::mo_relaxed : mo, info);
    return wrong == MODEL_ONE_OFF ? value + 1 : wrong == MODEL_ZERO ? 0 : value;
}

template <typename T, typename V>
static inline void model_store(rl::atomic<T> *p, V value, rl::memory_order mo, model_wrong wrong,
                               rl::debug_info_param info)
{
    if (wrong != MODEL_SKIP)
        p->store((T)value, wrong == MODEL_RELAXED ? rl::mo_relaxed : mo, info);
}

template <typename T> static inline T model_apply(model_op op, T old, T v)
{
    switch (op) {
    case MODEL_ADD:
        return old + v;
    case MODEL_SUB:
        return old - v;
    case MODEL_OR:
        return old | v;
    case MODEL_AND:
        return old & v;
    default:
        return v;
    }
}

template <typename T, typename V>
static inline T model_rmw(model_op op, rl::atomic<T> *p, V value, rl::memory_order mo,
                          model_wrong wrong, rl::debug_info_param info)
{
    T v = (T)value;
    if (wrong == MODEL_SPLIT || wrong == MODEL_SKIP) {
        T old = p->load(model_load_order(mo), info);
        if (wrong == MODEL_SPLIT)
            p->store(model_apply(op, old, v), model_store_order(mo), info);
        return old;
    }
    if (wrong == MODEL_RELAXED)
        mo = rl::mo_relaxed;
    switch (op) {
    case MODEL_ADD:
        return p->fetch_add(v, mo, info);
    case MODEL_SUB:
        return p->fetch_sub(v, mo, info);
    case MODEL_OR:
        return p->fetch_or(v, mo, info);
    case MODEL_AND:
        return p->fetch_and(v, mo, info);
    default:
        return p->exchange(v, mo, info);
    }
}

template <typename T, typename V>
static inline bool model_cas(rl::atomic<T> *p, T *expected, V desired, rl::memory_order mo,
                             rl::memory_order failure, model_wrong wrong, rl::debug_info_param info)
{
    if (wrong == MODEL_BLIND) {
        (void)p->exchange((T)desired, mo, info);
        return true;
    }
    if (wrong == MODEL_SPLIT || wrong == MODEL_SKIP) {
        T old = p->load(model_load_order(mo), info);
        if (old != *expected) {
            *expected = old;
            return false;
        }
        if (wrong == MODEL_SPLIT)
            p->store((T)desired, model_store_order(mo), info);
        return true;
    }
    if (wrong == MODEL_RELAXED)
        mo = failure = rl::mo_relaxed;
    return p->compare_exchange_strong(*expected, (T)desired, mo, info, failure, info);
}

#define RT_ATOMIC(type)       rl::atomic<type>
#define RT_VAR(type)          rl::var<type>
#define RT_VAR_GET(lvalue)    ((lvalue)($).load())
#define RT_VAR_SET(lvalue, v) ((lvalue)($).store(v))

#define rt_init(p, v) ((p)->store((v), rl::mo_relaxed, $))

#define MODEL_LOAD(p, mo, verb)        model_load((p), mo, MODEL_HERE(verb), $)
#define MODEL_STORE(p, v, mo, verb)    model_store((p), (v), mo, MODEL_HERE(verb), $)
#define MODEL_RMW(op, p, v, mo, verb)  model_rmw(op, (p), (v), mo, MODEL_HERE(verb), $)
#define MODEL_CAS(p, e, d, mo, f, verb) model_cas((p), (e), (d), mo, f, MODEL_HERE(verb), $)

#define rt_load_relaxed(p)     MODEL_LOAD(p, rl::mo_relaxed, "load_relaxed")
#define rt_load_acquire(p)     MODEL_LOAD(p, rl::mo_acquire, "load_acquire")
#define rt_load_sc(p)          MODEL_LOAD(p, rl::mo_seq_cst, "load_sc")
#define rt_store_relaxed(p, v) MODEL_STORE(p, v, rl::mo_relaxed, "store_relaxed")
#define rt_store_release(p, v) MODEL_STORE(p, v, rl::mo_release, "store_release")
#define rt_xchg_acq_rel(p, v)  MODEL_RMW(MODEL_SET, p, v, rl::mo_acq_rel, "xchg_acq_rel")
#define rt_xchg_acquire(p, v)  MODEL_RMW(MODEL_SET, p, v, rl::mo_acquire, "xchg_acquire")
#define rt_xchg_sc(p, v)       MODEL_RMW(MODEL_SET, p, v, rl::mo_seq_cst, "xchg_sc")
#define rt_add_relaxed(p, v)   MODEL_RMW(MODEL_ADD, p, v, rl::mo_relaxed, "add_relaxed")
#define rt_add_acq_rel(p, v)   MODEL_RMW(MODEL_ADD, p, v, rl::mo_acq_rel, "add_acq_rel")
#define rt_add_sc(p, v)        MODEL_RMW(MODEL_ADD, p, v, rl::mo_seq_cst, "add_sc")
#define rt_sub_relaxed(p, v)   MODEL_RMW(MODEL_SUB, p, v, rl::mo_relaxed, "sub_relaxed")
#define rt_sub_acq_rel(p, v)   MODEL_RMW(MODEL_SUB, p, v, rl::mo_acq_rel, "sub_acq_rel")
#define rt_sub_sc(p, v)        MODEL_RMW(MODEL_SUB, p, v, rl::mo_seq_cst, "sub_sc")
#define rt_or_acq_rel(p, v)    MODEL_RMW(MODEL_OR, p, v, rl::mo_acq_rel, "or_acq_rel")
#define rt_or_sc(p, v)         MODEL_RMW(MODEL_OR, p, v, rl::mo_seq_cst, "or_sc")
#define rt_and_acq_rel(p, v)   MODEL_RMW(MODEL_AND, p, v, rl::mo_acq_rel, "and_acq_rel")
#define rt_and_sc(p, v)        MODEL_RMW(MODEL_AND, p, v, rl::mo_seq_cst, "and_sc")

#define rt_cas_relaxed(p, e, d) MODEL_CAS(p, e, d, rl::mo_relaxed, rl::mo_relaxed, "cas_relaxed")
#define rt_cas_release(p, e, d) MODEL_CAS(p, e, d, rl::mo_release, rl::mo_relaxed, "cas_release")
#define rt_cas_acq_rel(p, e, d) MODEL_CAS(p, e, d, rl::mo_acq_rel, rl::mo_acquire, "cas_acq_rel")
#define rt_cas_sc(p, e, d)      MODEL_CAS(p, e, d, rl::mo_seq_cst, rl::mo_seq_cst, "cas_sc")

#endif
