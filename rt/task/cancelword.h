/* SPDX-License-Identifier: MIT */
/* floor 3: task. The cancel word of a task: how many requests to stop are outstanding, and what is
 * on its way to where it can be felt.
 *
 *   31                     8 7         2   1        0
 *   +-----------------------+-----------+-----+--------+
 *   | requests              | cancellers| DUE | POSTED |
 *   +-----------------------+-----------+-----+--------+
 *
 * A pinned task feels a request of another thread when that has arrived at its own thread. Until
 * then the request is DUE; count and mark are one step, so that whoever reads the word knows of
 * every request in it whether it has still to be felt. POSTED says that an item is on its way
 * there: one at a time, whose arrival is that of all requests so far.
 *
 * A request to a free task is felt through C of the wait word, which is another word: the count
 * comes first, then the mark, and `cancellers` says how many are in between.
 */
#ifndef RT_TASK_CANCELWORD_H
#define RT_TASK_CANCELWORD_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "task/waitword.h"

#define RT_CW_POSTED     ((uint32_t)1)
#define RT_CW_DUE        ((uint32_t)2)
#define RT_CW_INSIDE_ONE ((uint32_t)4) /* one canceller between count and mark */
#define RT_CW_INSIDE     ((uint32_t)0xfc)
#define RT_CW_ONE        ((uint32_t)0x100) /* one request */
#define RT_CW_REQUESTS   (~(RT_CW_ONE - 1))

struct rt_cancelword {
    RT_ATOMIC(uint32_t) bits;
};

static inline uint32_t rt_cw_requests(uint32_t word)
{
    return word / RT_CW_ONE;
}

/* How many requests are outstanding. Any thread. */
static inline uint32_t rt_cw_count(struct rt_cancelword *c)
{
    return rt_cw_requests(rt_load_relaxed(&c->bits)); /* relaxed: a late view is a later cancel */
}

/* `word` and one request; what no task survives to see is not counted. */
static inline uint32_t rt_cw_one_more(uint32_t word)
{
    return RT_LIKELY(word < RT_CW_REQUESTS) ? word + RT_CW_ONE : word;
}

/* --- pinned --- */

/* The group's own thread, which marks it in no time: a request. */
static inline void rt_cw_raise(struct rt_cancelword *c)
{
    uint32_t old = rt_load_relaxed(&c->bits); /* relaxed: a count; the CAS decides */
    while (!rt_cas_relaxed(&c->bits, &old, rt_cw_one_more(old))) {
    }
}

/* Any other thread: a request, or with `is_counted` the mark of one that was raised before. True:
 * the caller posts the item. */
static inline int rt_cw_post(struct rt_cancelword *c, int is_counted)
{
    uint32_t old = rt_load_relaxed(&c->bits); /* relaxed: the CAS decides */
    uint32_t now;
    do {
        now = (is_counted ? old : rt_cw_one_more(old)) | RT_CW_POSTED | RT_CW_DUE;
    } while (!rt_cas_acq_rel(&c->bits, &old, now)); /* pairs: CANCEL <- rt_cw_arrive */
    return (old & RT_CW_POSTED) == 0;
}

/* The group's own thread: the item has arrived, and may be posted again. True: there is a request
 * to be felt. */
static inline int rt_cw_arrive(struct rt_cancelword *c)
{
    /* pairs: CANCEL -> rt_cw_post */
    return (rt_and_acq_rel(&c->bits, ~(RT_CW_POSTED | RT_CW_DUE)) & RT_CW_DUE) != 0;
}

/* The task itself: what is on its way does nothing when it arrives. True: something was. */
static inline int rt_cw_take_due(struct rt_cancelword *c)
{
    if (RT_LIKELY(!(rt_load_relaxed(&c->bits) & RT_CW_DUE))) /* relaxed: later is later */
        return 0;
    return (rt_and_acq_rel(&c->bits, ~RT_CW_DUE) & RT_CW_DUE) != 0;
}

/* --- free --- */

/* Any thread: a request, which the caller marks next. False: too many are about that, try again. */
static inline int rt_cw_enter(struct rt_cancelword *c)
{
    uint32_t old = rt_load_relaxed(&c->bits); /* relaxed: who feels it acquires the mark */
    do {
        if (RT_UNLIKELY((old & RT_CW_INSIDE) == RT_CW_INSIDE))
            return 0;
    } while (!rt_cas_relaxed(&c->bits, &old, rt_cw_one_more(old) + RT_CW_INSIDE_ONE));
    return 1;
}

/* It is marked. */
static inline void rt_cw_leave(struct rt_cancelword *c)
{
    (void)rt_sub_acq_rel(&c->bits, RT_CW_INSIDE_ONE); /* pairs: FELT -> rt_cw_felt */
}

/* --- both --- */

/* The task itself: how many requests it has felt. If some are still to be felt, one less than there
 * are, which does for whoever asks whether others are left. False: that is being decided just now,
 * try again. */
static inline int rt_cw_felt(struct rt_cancelword *c, struct rt_waitword *w, uint32_t *ret_felt)
{
    uint32_t word = rt_load_acquire(&c->bits); /* pairs: FELT <- rt_cw_leave */
    uint32_t n = rt_cw_requests(word);
    uint64_t wait = rt_load_acquire(&w->bits); /* pairs: WAKE <- rt_ww_cancel */
    /* relaxed: the request whose mark was seen is counted in here, and perhaps not in `word` */
    if (RT_UNLIKELY((word & RT_CW_INSIDE) || rt_load_relaxed(&c->bits) != word))
        return 0;
    *ret_felt = n - (n > 0 && ((word & RT_CW_DUE) || (wait & RT_WW_CANCEL)));
    return 1;
}

/* Takes a request back; with the last one goes what has not been felt. *ret_left: how many there
 * are now. *dropped, 0 before the first try: a mark was taken off; if requests are left it was
 * theirs, and the caller marks again. False: one is being marked just now, try again. */
static inline int rt_cw_take_back(struct rt_cancelword *c, struct rt_waitword *w, int *dropped,
                                  uint32_t *ret_left)
{
    uint32_t old = rt_load_acquire(&c->bits); /* pairs: FELT <- rt_cw_leave */
    uint32_t now;
    do {
        int is_last = rt_cw_requests(old) == 1;
        if (RT_UNLIKELY(is_last && (old & RT_CW_INSIDE)))
            return 0;
        if (is_last) /* first: what is counted after that is marked after this, and stays */
            *dropped |= rt_ww_drop_cancel(w);
        now = rt_cw_requests(old) > 0 ? old - RT_CW_ONE : old;
        if (is_last)
            now &= ~RT_CW_DUE;
    } while (now != old && !rt_cas_acq_rel(&c->bits, &old, now)); /* pairs: FELT <- rt_cw_leave */
    *ret_left = rt_cw_requests(now);
    return 1;
}

#endif
