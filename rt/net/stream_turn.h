/* SPDX-License-Identifier: MIT */
/* floor 8: net. Streams: who keeps one, and who sends.
 *
 * References: those of users, who together hold one of `all`; each flushing task holds another. The
 * last user closes the stream, the last reference frees it.
 *
 * The turn is `sending`, under the lock of the stream: its holder alone sends, shuts down and
 * closes. It is given back in the same step in which nothing is found to do, so what comes later
 * finds it free.
 */
#ifndef RT_NET_STREAM_TURN_H
#define RT_NET_STREAM_TURN_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

/* --- references --- */

struct rt_stream_refs {
    RT_ATOMIC(uint32_t) users;
    RT_ATOMIC(uint32_t) all;
};

static inline void rt_stream_refs_init(struct rt_stream_refs *r)
{
    rt_init(&r->users, 1);
    rt_init(&r->all, 1);
}

/* One more user; the caller is one. */
static inline void rt_stream_refs_join(struct rt_stream_refs *r)
{
    (void)rt_add_relaxed(&r->users, 1); /* relaxed: the caller has one */
}

/* True: it was the last one, who closes, and then drops what users held together. */
static inline bool rt_stream_refs_leave(struct rt_stream_refs *r)
{
    return rt_sub_acq_rel(&r->users, 1) == 1; /* pairs: STREAM-REFS -> rt_stream_refs_leave */
}

/* For a task that the caller, who has one, is about to spawn. */
static inline void rt_stream_refs_hold(struct rt_stream_refs *r)
{
    (void)rt_add_relaxed(&r->all, 1); /* relaxed: the caller has one */
}

/* There is no such task. */
static inline void rt_stream_refs_unhold(struct rt_stream_refs *r)
{
    (void)rt_sub_relaxed(&r->all, 1); /* relaxed: the caller has one still */
}

/* True: it was the last one, the caller frees. */
static inline bool rt_stream_refs_drop(struct rt_stream_refs *r)
{
    return rt_sub_acq_rel(&r->all, 1) == 1; /* pairs: STREAM-REFS <- rt_stream_refs_drop */
}

/* --- the turn: all of it under the lock --- */

struct rt_stream_turn {
    RT_VAR(bool) sending;
    RT_VAR(bool) eof_wanted, eof_sent;
    RT_VAR(bool) closing, closed;
    RT_VAR(int)  error; /* sending has failed, or bytes were thrown away */
};

enum rt_stream_next {
    RT_STREAM_NOTHING, /* the turn has been given back */
    RT_STREAM_SEND,
    RT_STREAM_SHUT,
    RT_STREAM_CLOSE,
};

/* True: the turn is the caller's. */
static inline bool rt_stream_turn_take(struct rt_stream_turn *t)
{
    if (RT_VAR_GET(t->sending))
        return false;
    RT_VAR_SET(t->sending, true);
    return true;
}

/* True: the turn is the caller's. */
static inline bool rt_stream_turn_close(struct rt_stream_turn *t, bool *ret_first)
{
    *ret_first = !RT_VAR_GET(t->closing);
    RT_VAR_SET(t->closing, true);
    return *ret_first && rt_stream_turn_take(t);
}

/* The same, and nothing is sent any more. */
static inline bool rt_stream_turn_abort(struct rt_stream_turn *t, bool has_unsent)
{
    RT_VAR_SET(t->closing, true);
    if (has_unsent && !RT_VAR_GET(t->error))
        RT_VAR_SET(t->error, -ECONNABORTED);
    return !RT_VAR_GET(t->closed) && rt_stream_turn_take(t);
}

/* The holder has sent, with result r. */
static inline void rt_stream_turn_note(struct rt_stream_turn *t, int r, bool has_unsent)
{
    /* not an end: the same may go well later */
    bool is_passing = r == -ECANCELED || r == -ENOMEM;
    bool is_closing = RT_VAR_GET(t->closing);
    if (r >= 0 || RT_VAR_GET(t->error) || (is_passing && !(is_closing && has_unsent)))
        return;
    RT_VAR_SET(t->error, is_closing && (r == -EBADF || is_passing) ? -ECONNABORTED : r);
}

/* What the holder does next. */
static inline enum rt_stream_next rt_stream_turn_next(struct rt_stream_turn *t, int r,
                                                      bool has_unsent)
{
    if (r == 0 && has_unsent)
        return RT_STREAM_SEND;
    if (RT_VAR_GET(t->eof_wanted) && !RT_VAR_GET(t->eof_sent) && !has_unsent &&
        !RT_VAR_GET(t->error)) {
        RT_VAR_SET(t->eof_sent, true);
        return RT_STREAM_SHUT;
    }
    if (RT_VAR_GET(t->closing))
        return RT_STREAM_CLOSE;
    RT_VAR_SET(t->sending, false);
    return RT_STREAM_NOTHING;
}

/* The descriptors are gone; the turn is given back. */
static inline void rt_stream_turn_closed(struct rt_stream_turn *t)
{
    RT_VAR_SET(t->closed, true);
    RT_VAR_SET(t->sending, false);
}

#endif
