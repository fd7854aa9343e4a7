/* SPDX-License-Identifier: MIT */
/* floor 4: loop. The word of one direction of a descriptor: what is known of its readiness, or who
 * waits for it. The head of loop/fd.h says what the values mean.
 *
 * Who runs what: begin, drained and wait by tasks that use the direction, from any thread; event by
 * whoever polled an epoll in which the descriptor is, several at a time while one serves the loop
 * of a worker that is held or naps; unwait by the task that waited.
 */
#ifndef RT_LOOP_TOKEN_H
#define RT_LOOP_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

#define RT_FD_TOKEN   ((uint64_t)1)
#define RT_FD_DRAINED ((uint64_t)2)

/* The words of one direction. */
struct rt_token {
    RT_ATOMIC(uint64_t) *dir;
    RT_ATOMIC(uint32_t) *tick; /* events so far, of both directions */
};

static inline bool rt_token_is_name(uint64_t word)
{
    return word > RT_FD_DRAINED;
}

/* Before the system call: true = try it, false = known to be drained, wait at once. */
static inline bool rt_token_begin(struct rt_token t, uint32_t *ret_seen)
{
    uint64_t word = rt_load_acquire(t.dir); /* pairs: FD-DIR <- rt_token_put */
    if (word == RT_FD_DRAINED)
        return false;
    if (word == RT_FD_TOKEN)
        (void)rt_cas_sc(t.dir, &word, 0); /* failing: somebody else cleared it */
    *ret_seen = rt_load_sc(t.tick);       /* pairs: FD-TICK <- rt_token_event */
    return true;
}

/* After it took everything. An event raises the tick first and sets the token then; here it is the
 * other way round, so one of both sees the other. False: an event came meanwhile, and a task has
 * believed the mark and waits: the caller makes up for the event. */
static inline bool rt_token_drained(struct rt_token t, uint32_t seen)
{
    uint64_t word = 0;
    if (!rt_cas_sc(t.dir, &word, RT_FD_DRAINED)) /* pairs: FD-DIR -> rt_token_wait */
        return true;
    if (rt_load_sc(t.tick) == seen) /* pairs: FD-TICK <- rt_token_event */
        return true;
    word = RT_FD_DRAINED;
    return rt_cas_sc(t.dir, &word, RT_FD_TOKEN) || !rt_token_is_name(word);
}

/* Leaves the name of a wait. 0: an event will claim it; else what is there: a name, or the reason
 * to try again. */
static inline uint64_t rt_token_wait(struct rt_token t, uint64_t name)
{
    uint64_t word = RT_FD_DRAINED;
    if (rt_cas_sc(t.dir, &word, name)) /* pairs: FD-DIR -> rt_token_put */
        return 0;
    return word ? word : RT_FD_TOKEN;
}

/* Leaves the name in place of whatever is known: for one who has the kernel look again. False:
 * another name is there. */
static inline bool rt_token_leave(struct rt_token t, uint64_t name)
{
    uint64_t word = rt_load_relaxed(t.dir); /* relaxed: the CAS decides */
    do {
        if (rt_token_is_name(word))
            return false;
    } while (!rt_cas_sc(t.dir, &word, name)); /* pairs: FD-DIR -> rt_token_put */
    return true;
}

/* Forgets the name if it is still there. 0 and not DRAINED: the next call looks for itself. */
static inline bool rt_token_unwait(struct rt_token t, uint64_t name)
{
    return rt_cas_sc(t.dir, &name, 0);
}

/* Puts `word` there. Returns what was there: a name is the caller's to claim. */
static inline uint64_t rt_token_put(struct rt_token t, uint64_t word)
{
    return rt_xchg_sc(t.dir, word); /* pairs: FD-DIR <- rt_token_wait */
}

/* An event. Returns a name to claim, or something else. */
static inline uint64_t rt_token_event(struct rt_token t)
{
    (void)rt_add_sc(t.tick, 1);             /* pairs: FD-TICK -> rt_token_drained */
    if (rt_load_sc(t.dir) == RT_FD_TOKEN) /* whoever takes it off reads the tick after that */
        return 0;
    return rt_token_put(t, RT_FD_TOKEN);
}

#endif
