/* SPDX-License-Identifier: MIT */
/* floor 5: sched. The current context: that of the running task, else of the running callback, else
 * of the thread. */
#ifndef RT_SCHED_CONTEXT_H
#define RT_SCHED_CONTEXT_H

#include "sched/worker.h"
#include "task/vars.h"

/* The word of the current context; it stays there. */
uintptr_t rt_context_word(void);
/* Puts another one in its place, which is taken over, and gives the former one. 0 or -ENOMEM. */
RT_MUST_USE int rt_context_swap(uintptr_t word, uintptr_t *ret_former);

/* A copy of the current context for something that runs later: constant time, cannot fail; 0 where
 * no variable was ever set. Whoever has it drops it. */
static inline uintptr_t rt_context_capture(void)
{
    return RT_UNLIKELY(rt_vars_are_used()) ? rt_vars_copy(rt_context_word()) : 0;
}

/* The context of a task that is being made. */
void rt_context_give(struct skua_task *t, const struct skua_spawn_opts *opts);

/* Around a callback: the word is taken over and is the current context in between. */
void rt_context_step_begin(struct rt_worker *w, uintptr_t word);
void rt_context_step_end(struct rt_worker *w);

/* Around a function on a plain thread that the runtime made. */
void rt_context_thread_begin(uintptr_t word);
void rt_context_thread_end(void);

#endif
