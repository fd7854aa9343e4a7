/* SPDX-License-Identifier: MIT */
/* floor 0: base. The only place that names a memory order.
 *
 * Every verb carries its order in its name, so an order is never an argument and each use can be
 * found by grep. A use that synchronises has a comment naming its partner:
 *     pairs: LABEL -> function   (this side publishes)
 *     pairs: LABEL <- function   (this side observes)
 * docs/memory-order.md has one paragraph per LABEL.
 *
 * The protocol headers (runq/deque.h, runq/inbox.h, task/waitword.h, task/stateword.h,
 * loop/token.h, loop/use.h, sched/idle.h, sched/gate.h, sched/sigseat.h, aio/lane.h and more) and
 * sched/virtual.c use nothing but these verbs and are compiled a second time, as C++ under the
 * Relacy model checker, with RT_MODEL defined: tests/model/ then supplies RT_ATOMIC and the verbs.
 */
#ifndef RT_BASE_ATOMIC_H
#define RT_BASE_ATOMIC_H

#ifdef RT_MODEL
#include "model_atomic.h"
#else
#include <stdatomic.h>

#define RT_ATOMIC(type) _Atomic(type)

/* A plain object whose accesses the model checker has to watch for races. */
#define RT_VAR(type)         type
#define RT_VAR_GET(lvalue)   (lvalue)
#define RT_VAR_SET(lvalue, v) ((void)((lvalue) = (v)))

#define rt_init(p, v)            atomic_init((p), (v))
#define rt_load_relaxed(p)       atomic_load_explicit((p), memory_order_relaxed)
#define rt_load_acquire(p)       atomic_load_explicit((p), memory_order_acquire)
#define rt_load_sc(p)            atomic_load_explicit((p), memory_order_seq_cst)
#define rt_store_relaxed(p, v)   atomic_store_explicit((p), (v), memory_order_relaxed)
#define rt_store_release(p, v)   atomic_store_explicit((p), (v), memory_order_release)
#define rt_xchg_acq_rel(p, v)    atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define rt_xchg_acquire(p, v)    atomic_exchange_explicit((p), (v), memory_order_acquire)
#define rt_xchg_sc(p, v)         atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define rt_add_relaxed(p, v)     atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define rt_add_acq_rel(p, v)     atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define rt_add_sc(p, v)          atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define rt_sub_relaxed(p, v)     atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define rt_sub_acq_rel(p, v)     atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define rt_sub_sc(p, v)          atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)
#define rt_or_acq_rel(p, v)      atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define rt_or_sc(p, v)           atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
#define rt_and_acq_rel(p, v)     atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)
#define rt_and_sc(p, v)          atomic_fetch_and_explicit((p), (v), memory_order_seq_cst)

/* Strong compare-and-swap; on failure *pexpected holds what was there (acquire for acq_rel and
 * sc). */
#define rt_cas_relaxed(p, pexpected, desired) \
    atomic_compare_exchange_strong_explicit((p), (pexpected), (desired), memory_order_relaxed, \
                                            memory_order_relaxed)
#define rt_cas_release(p, pexpected, desired) \
    atomic_compare_exchange_strong_explicit((p), (pexpected), (desired), memory_order_release, \
                                            memory_order_relaxed)
#define rt_cas_acq_rel(p, pexpected, desired) \
    atomic_compare_exchange_strong_explicit((p), (pexpected), (desired), memory_order_acq_rel, \
                                            memory_order_acquire)
#define rt_cas_sc(p, pexpected, desired) \
    atomic_compare_exchange_strong_explicit((p), (pexpected), (desired), memory_order_seq_cst, \
                                            memory_order_seq_cst)

#endif /* RT_MODEL */
#endif
