/* SPDX-License-Identifier: MIT */
/* floor 3: task. The task object: what runs, and what can be awaited.
 *
 * A future is a task without a body. The object is 128 bytes, lives in a slab that is never
 * unmapped, and keeps its slot number and its wait word across reuse, so that late wakers fail
 * instead of crashing. What is rarely used (names, messages) hangs off `cold`.
 *
 * Field law. "Owner" is whoever runs the task just now, or, while nobody does, whoever claimed its
 * wait.
 */
#ifndef RT_TASK_TASK_H
#define RT_TASK_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "fiber/slab.h"
#include "fiber/stack.h"
#include "runq/link.h"
#include "runq/step.h"
#include "task/cancelword.h"
#include "task/stateword.h"
#include "task/timer_node.h"
#include "task/vars.h"
#include "task/waitword.h"

#include <skua.h>

struct rt_text;

/* In debug mode: something that the task has to end yet, see task/owed.h. */
struct rt_owed {
    struct rt_owed *next;
    const void     *place;
    const char     *what;
};

/* What few tasks have. Made on first use, freed with the task; texts live as long as the task. */
struct rt_cold {
    RT_ATOMIC(const char *) name;
    RT_ATOMIC(const char *) message; /* of the cancel request, then of the error */
    RT_ATOMIC(struct rt_text *) texts; /* every text ever given, for freeing */
    skua_cb drop;                    /* called with arg when the body never ran */
    void   *copy;                    /* arg is this copy, freed with the task */
    uintptr_t vars;                  /* the context, see task/vars.h; the owner */
    struct rt_owed *owed;            /* the newest; the owner */
};

enum rt_task_flag {
    RT_TASK_STARTED = 1, /* the body has been entered                                        */
    RT_TASK_POSTED = 2,  /* spawned into a group from elsewhere, has not arrived there yet   */
    RT_TASK_MISSED = 4,  /* a cancel was delivered to the body (debug report)                */
    RT_TASK_JOB = 8,     /* runs a forked job, which has to run                              */
};

/* What the object is: below RT_KIND_FUTURE a task, whose number is the class of its stack. */
enum rt_kind {
    RT_KIND_FUTURE = 0xf0, /* no body                                                       */
    RT_KIND_CALL = 0xf1,   /* a callback handle that lives in the same slab                 */
    RT_KIND_READER = 0xf2, /* a descriptor's callback, likewise; who claims it queues its step */
};

struct rt_awaitable;

/* What is waited for: in words and by the tasks that could end the wait, for the report of a
 * deadlock, made while no worker runs. A wait without it may be ended by something outside. */
struct rt_wait_kind {
    const char *what;  /* "a lock" */
    bool is_shown;     /* rt_awaitable.object is something that the user knows */
    const char *whose; /* before the names of the tasks: ", held by "; or NULL */
    void (*tasks)(const struct rt_awaitable *self,
                  void (*see)(struct skua_task *task, void *arg), void *arg); /* or NULL */
    /* The wait has ended, but its task will never run: gives back what was handed to it. Or NULL */
    void (*lost)(const struct rt_awaitable *self);
};

/* What a suspended task waits for, so that a cancel can be passed on. Written by the owner before
 * it arms the wait; read by its own thread only (pinned), or inside rt_ww_inline_visit, or while no
 * worker runs. */
struct rt_awaitable {
    /* cancels what is waited for; false: nothing was left to cancel. NULL: a cancel ends the wait
     * itself */
    bool (*cancel)(struct rt_awaitable *self);
    const struct rt_wait_kind *kind;   /* or NULL */
    const void                *object; /* or NULL */
};

#define RT_AWAITS_COMBINED ((uintptr_t)1) /* of skua_task.awaiting */

struct skua_task {
    struct rt_link      run;     /* ready queue; owner of the claim                               */
    struct rt_cancelword cancels; /* any thread, see cancelword.h                                 */
    uint32_t            slot;    /* set once when carved                                          */
    struct rt_waitword  wait;    /* any thread, see waitword.h                                    */
    struct rt_stateword state;   /* any thread, see stateword.h                                   */
    union {
        skua_fn              fn;       /* until started                                           */
        struct skua_task    *target;   /* what a NESTED wait or an await waits for                */
        struct rt_awaitable *combined; /* what a combinator waits for (low bit set)               */
        uintptr_t            awaiting; /* 0: a leaf wait                                          */
    };
    void               *value;   /* argument until started; result when DONE                      */
    struct rt_stack    *stack;   /* its stack while suspended; NULL before it ever ran            */
    struct skua_group  *group;   /* fixed for life; NULL = free                                   */

    struct rt_waiter   *waiters; /* first of a ring; under the state word's lock                  */
    RT_ATOMIC(uintptr_t) cold;   /* 0, a context word, or struct rt_cold *, which then has it    */
    const char         *where;   /* place of spawn: "file:line", static storage                   */
    struct rt_link      hop;     /* item of an expired timer; the thread of its group             */
    struct rt_link      cancel_link; /* item of a posted cancel; owned by who set CANCEL_POSTED   */
    struct rt_timer     timer;   /* of the current suspension; the task itself and its heap       */
    uint32_t            id;      /* the n of Task-n                                               */
    RT_ATOMIC(uint16_t) runtime; /* id of the runtime it belongs to; 0 = free object              */
    uint8_t             flags;   /* enum rt_task_flag; owner                                      */
    RT_ATOMIC(uint8_t)  kind;    /* enum rt_kind or a stack class; fixed for life                 */
};

_Static_assert(sizeof(struct skua_task) == RT_SLAB_OBJECT_BYTES, "a task fills one slab object");
_Static_assert(offsetof(struct skua_task, slot) == RT_SLAB_SLOT_OFFSET,
               "the slab numbers its objects");
_Static_assert(offsetof(struct skua_task, value) == RT_SLAB_BATCH_OFFSET &&
                   offsetof(struct skua_task, group) == RT_SLAB_BATCH_OFFSET + RT_SLAB_BATCH_BYTES,
               "value and stack are nobody's while the object is free");

/* NULL: it waits for one task, or for nothing of the kind. */
static inline struct rt_awaitable *rt_combined(const struct skua_task *t)
{
    return t->awaiting & RT_AWAITS_COMBINED
               ? (struct rt_awaitable *)(t->awaiting & ~RT_AWAITS_COMBINED)
               : NULL;
}

static inline void rt_await_combined(struct skua_task *t, struct rt_awaitable *a)
{
    t->awaiting = (uintptr_t)a | RT_AWAITS_COMBINED;
}

/* The step of an object that is a callback and no task. */
static inline struct rt_step *rt_callback_step(struct skua_task *t)
{
    return (struct rt_step *)(void *)&t->fn;
}

/* --- names of waits --- */

static inline uint64_t rt_wait_name(const struct skua_task *t, uint64_t ticket)
{
    return ticket | t->slot;
}

static inline struct skua_task *rt_name_task(uint64_t name)
{
    return rt_slab_at((uint32_t)(name & RT_SLAB_SLOT_MAX));
}

/* Any thread: claim the named wait with `value` (an errno value or 0). A task to be queued is added
 * to `out`, or the step of a descriptor's callback. */
bool rt_name_claim(uint64_t name, unsigned value, struct rt_fifo *out);

/* --- waiters: who wants to know when a task is done --- */

struct rt_waiter {
    /* ring; NULL when not linked; under the lock of the task awaited */
    struct rt_waiter *next, *prev;
    /* Called once, under that lock, by whoever completes the task; may claim, link and post,
     * nothing else. NULL: claim `name` with 0. */
    void (*fire)(struct rt_waiter *self, struct skua_task *done, struct rt_fifo *out);
    uint64_t name;
};

/* Any thread. False: the task is done already (nothing was linked). */
bool rt_waiter_add(struct skua_task *t, struct rt_waiter *waiter);
/* Any thread. Afterwards nobody touches the waiter any more. True: it had not fired. */
bool rt_waiter_remove(struct skua_task *t, struct rt_waiter *waiter);

/* Any thread. Unlinks and returns the first waiter that `matches` (called under the lock), or
 * NULL. */
struct rt_waiter *rt_waiter_take(struct skua_task *t, bool (*matches)(struct rt_waiter *, void *),
                                 void *arg);

/* --- life --- */

static inline bool rt_task_is_done(const struct skua_task *t)
{
    return (rt_st_load((struct rt_stateword *)&t->state) & RT_ST_DONE) != 0;
}

static inline uint8_t rt_task_kind(const struct skua_task *t)
{
    return rt_load_relaxed(&((struct skua_task *)t)->kind); /* relaxed: fixed for life */
}

static inline bool rt_task_is_future(const struct skua_task *t)
{
    return rt_task_kind(t) == RT_KIND_FUTURE;
}

/* Make the result visible, fire the waiters, drop `drop` references. True: that was the last one,
 * free it. */
bool rt_task_complete(struct skua_task *t, void *result, uint64_t outcome, unsigned drop,
                      struct rt_fifo *out);

/* What ends a task as: RT_ST_CANCELLED, RT_ST_FAILED or 0, by its result. */
uint64_t rt_task_outcome(const void *result);

/* Free the object; its last reference is gone. */
void rt_task_free(struct rt_slab_cache *cache, struct skua_task *t);

/* --- texts --- */

struct rt_cold *rt_task_cold(struct skua_task *t); /* NULL: out of memory */
/* The cold part that a word of it stands for; NULL: there is none. */
static inline struct rt_cold *rt_cold_of(uintptr_t word)
{
    return word & RT_VARS_TAGS ? NULL : (struct rt_cold *)word;
}
/* The same of a task, which may be any thread's. */
static inline struct rt_cold *rt_task_cold_if_any(const struct skua_task *t)
{
    /* pairs: COLD <- rt_task_cold */
    return rt_cold_of(rt_load_acquire(&((struct skua_task *)t)->cold));
}
/* Copies `text` (at most 127 bytes for messages) and lets *slot of the cold part point to it. 0 or
 * -ENOMEM. */
int         rt_task_set_name(struct skua_task *t, const char *name);
int         rt_task_set_message(struct skua_task *t, const char *text);
const char *rt_task_message(const struct skua_task *t); /* or NULL */
const char *rt_task_name(struct skua_task *t);          /* never NULL; makes "Task-n" on demand */

/* --- context; the owner --- */

uintptr_t rt_task_vars(const struct skua_task *t);
/* Takes the word over; what was there before is the caller's. */
void      rt_task_set_vars(struct skua_task *t, uintptr_t word);

#endif
