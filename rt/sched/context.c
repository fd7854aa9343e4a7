/* SPDX-License-Identifier: MIT */
/* floor 5: sched. The current context. */
#include "sched/context.h"

#include <errno.h>
#include <pthread.h>

/* --- of a plain thread, as Python has it: its own, empty at first, gone with the thread --- */

static __thread uintptr_t thread_word;

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t  key; /* its value only says that the thread has a context to give back */
static int            key_error;

static void end_thread(void *unused)
{
    (void)unused;
    rt_vars_drop(thread_word);
    thread_word = 0;
}

static void make_key(void)
{
    key_error = pthread_key_create(&key, end_thread);
}

/* Not inline and behind a barrier for the reason given at rt_self(). */
static RT_NOINLINE uintptr_t *thread_place(void)
{
    uintptr_t *place = &thread_word;
    RT_COMPILER_BARRIER();
    return place;
}

static int watch_thread_end(void)
{
    (void)pthread_once(&key_once, make_key);
    return key_error || pthread_setspecific(key, &key) ? -ENOMEM : 0;
}

/* --- the current one --- */

/* Where it is, unless it is a task's. */
static uintptr_t *place_of(struct rt_worker *w)
{
    return w && w->in_step_group ? &w->step_vars : thread_place();
}

uintptr_t rt_context_word(void)
{
    struct rt_worker *w = rt_self();
    return w && w->cur ? rt_task_vars(w->cur) : *place_of(w);
}

int rt_context_swap(uintptr_t word, uintptr_t *ret_former)
{
    struct rt_worker *w = rt_self();
    if (w && w->cur) {
        *ret_former = rt_task_vars(w->cur);
        rt_task_set_vars(w->cur, word);
        return 0;
    }
    uintptr_t *place = place_of(w);
    if (place == thread_place() && watch_thread_end() < 0)
        return -ENOMEM;
    *ret_former = *place;
    *place = word;
    return 0;
}

void rt_context_give(struct skua_task *t, const struct skua_spawn_opts *opts)
{
    if (opts && opts->context)
        rt_task_set_vars(t, rt_vars_share(rt_vars_word(opts->context)));
    else
        rt_task_set_vars(t, rt_vars_copy(rt_context_word()));
}

void rt_context_step_begin(struct rt_worker *w, uintptr_t word)
{
    w->step_vars = word;
}

void rt_context_step_end(struct rt_worker *w)
{
    uintptr_t word = w->step_vars;
    w->step_vars = 0;
    if (RT_UNLIKELY(word != 0))
        rt_vars_drop(word);
}

void rt_context_thread_begin(uintptr_t word)
{
    *thread_place() = word;
}

void rt_context_thread_end(void)
{
    uintptr_t *place = thread_place();
    uintptr_t  word = *place;
    *place = 0;
    rt_vars_drop(word);
}
