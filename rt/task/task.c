/* SPDX-License-Identifier: MIT */
/* floor 3: task. Completion, waiters, texts. */
#include "task/task.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/spin.h"
#include "base/sys.h"
#include "task/owed.h"

struct rt_text {
    struct rt_text *next;
    char            text[];
};

bool rt_name_claim(uint64_t name, unsigned value, struct rt_fifo *out)
{
    struct skua_task *t = rt_name_task(name);
    switch (rt_ww_claim(&t->wait, rt_ww_ticket(name), value)) {
    case RT_CLAIM_SUBMIT:
        if (RT_UNLIKELY(rt_task_kind(t) == RT_KIND_READER))
            rt_fifo_push(out, rt_item(&rt_callback_step(t)->link, RT_TAG_STEP));
        else
            rt_fifo_push(out, rt_item(&t->run, RT_TAG_TASK));
        return true;
    case RT_CLAIM_NOTHING:
        return true;
    case RT_CLAIM_STALE:
        break;
    }
    return false;
}

/* --- waiters --- */

/* The lock is held for a few instructions for each waiter; its holder may have been preempted,
 * though. */
static void wait_turn(struct rt_backoff *b)
{
    rt_backoff_wait(b);
    if (b->turns >= RT_BACKOFF_MAX)
        SKUA_IGNORE(rt_sys_sched_yield());
}

static void lock_any(struct skua_task *t)
{
    struct rt_backoff b = RT_BACKOFF_INIT;
    while (rt_st_try_lock(&t->state) < 0)
        wait_turn(&b);
}

bool rt_waiter_add(struct skua_task *t, struct rt_waiter *waiter)
{
    struct rt_backoff b = RT_BACKOFF_INIT;
    int               locked;
    while ((locked = rt_st_try_lock_pending(&t->state)) < 0)
        wait_turn(&b);
    if (!locked)
        return false;
    if (t->waiters) {
        struct rt_waiter *first = t->waiters;
        waiter->next = first;
        waiter->prev = first->prev;
        first->prev->next = waiter;
        first->prev = waiter;
    } else {
        waiter->next = waiter->prev = waiter;
        t->waiters = waiter;
    }
    rt_st_unlock(&t->state, 1);
    return true;
}

static void unlink_waiter(struct skua_task *t, struct rt_waiter *waiter)
{
    if (waiter->next == waiter) {
        t->waiters = NULL;
    } else {
        waiter->prev->next = waiter->next;
        waiter->next->prev = waiter->prev;
        if (t->waiters == waiter)
            t->waiters = waiter->next;
    }
    waiter->next = waiter->prev = NULL;
}

bool rt_waiter_remove(struct skua_task *t, struct rt_waiter *waiter)
{
    lock_any(t);
    bool was_linked = waiter->next != NULL;
    if (was_linked)
        unlink_waiter(t, waiter);
    rt_st_unlock(&t->state, t->waiters != NULL);
    return was_linked;
}

struct rt_waiter *rt_waiter_take(struct skua_task *t, bool (*matches)(struct rt_waiter *, void *),
                                 void *arg)
{
    lock_any(t);
    struct rt_waiter *at = t->waiters;
    while (at && !matches(at, arg)) {
        at = at->next;
        if (at == t->waiters)
            at = NULL;
    }
    if (at)
        unlink_waiter(t, at);
    rt_st_unlock(&t->state, t->waiters != NULL);
    return at;
}

/* The list is emptied under the lock: who finds its waiter unlinked knows that nobody is inside
 * it. */
static void fire_waiters(struct skua_task *t, struct rt_fifo *out)
{
    lock_any(t);
    while (t->waiters) {
        struct rt_waiter *waiter = t->waiters;
        unlink_waiter(t, waiter);
        if (waiter->fire)
            waiter->fire(waiter, t, out);
        else
            (void)rt_name_claim(waiter->name, 0, out);
    }
    rt_st_unlock(&t->state, 0);
}

bool rt_task_complete(struct skua_task *t, void *result, uint64_t outcome, unsigned drop,
                      struct rt_fifo *out)
{
    uint64_t refs;
    t->value = result;
    if (!rt_st_complete(&t->state, outcome, drop, &refs))
        return drop > 0 && refs == 0;
    fire_waiters(t, out);
    bool last = false;
    while (drop-- > 0)
        last = rt_st_release(&t->state);
    return last;
}

uint64_t rt_task_outcome(const void *result)
{
    int err = skua_failed(result);
    if (err == 0)
        return 0;
    return err == -ECANCELED ? RT_ST_CANCELLED : RT_ST_FAILED;
}

/* --- texts --- */

struct rt_cold *rt_task_cold(struct skua_task *t)
{
    uintptr_t word = rt_load_acquire(&t->cold); /* pairs: COLD <- rt_task_cold */
    if (rt_cold_of(word))
        return rt_cold_of(word);
    struct rt_cold *fresh = rt_calloc(1, sizeof *fresh);
    if (!fresh)
        return NULL;
    do {
        fresh->vars = word;
        /* pairs: COLD -> rt_task_cold_if_any */
        if (rt_cas_acq_rel(&t->cold, &word, (uintptr_t)fresh))
            return fresh;
    } while (!rt_cold_of(word)); /* its owner has another context now */
    rt_free(fresh);
    return rt_cold_of(word);
}

uintptr_t rt_task_vars(const struct skua_task *t)
{
    /* pairs: COLD <- rt_task_cold */
    uintptr_t       word = rt_load_acquire(&((struct skua_task *)t)->cold);
    struct rt_cold *cold = rt_cold_of(word);
    return cold ? cold->vars : word;
}

void rt_task_set_vars(struct skua_task *t, uintptr_t word)
{
    uintptr_t before = rt_load_acquire(&t->cold); /* pairs: COLD <- rt_task_cold */
    while (!rt_cold_of(before)) {
        /* pairs: COLD -> rt_task_cold */
        if (rt_cas_acq_rel(&t->cold, &before, word))
            return;
    }
    rt_cold_of(before)->vars = word;
}

/* Texts are only ever added, so that a string once returned stays valid while the task lives. */
static const char *keep_text(struct rt_cold *cold, const char *text, size_t max)
{
    size_t          n = strnlen(text, max);
    struct rt_text *keep = rt_malloc(sizeof *keep + n + 1);
    if (!keep)
        return NULL;
    memcpy(keep->text, text, n);
    keep->text[n] = '\0';
    keep->next = rt_load_relaxed(&cold->texts); /* relaxed: the CAS decides */
    while (!rt_cas_release(&cold->texts, &keep->next, keep)) {
    } /* pairs: COLD -> rt_task_free */
    return keep->text;
}

static int set_text(struct skua_task *t, bool is_name, const char *text, size_t max)
{
    struct rt_cold *cold = rt_task_cold(t);
    const char     *copy = cold ? keep_text(cold, text, max) : NULL;
    if (!copy)
        return -ENOMEM;
    /* pairs: COLD -> rt_task_name */
    rt_store_release(is_name ? &cold->name : &cold->message, copy);
    return 0;
}

int rt_task_set_name(struct skua_task *t, const char *name)
{
    return set_text(t, true, name, 4096);
}

int rt_task_set_message(struct skua_task *t, const char *text)
{
    return set_text(t, false, text, 127);
}

const char *rt_task_message(const struct skua_task *t)
{
    struct rt_cold *cold = rt_task_cold_if_any(t);
    return cold ? rt_load_acquire(&cold->message) : NULL; /* pairs: COLD <- rt_task_set_message */
}

const char *rt_task_name(struct skua_task *t)
{
    struct rt_cold *cold = rt_task_cold_if_any(t);
    /* pairs: COLD <- rt_task_set_name */
    const char     *name = cold ? rt_load_acquire(&cold->name) : NULL;
    if (name)
        return name;
    char made[32];
    (void)snprintf(made, sizeof made, "%s-%u", rt_task_is_future(t) ? "Future" : "Task", t->id);
    cold = rt_task_cold(t);
    name = cold ? keep_text(cold, made, sizeof made) : NULL;
    if (!name)
        return "Task";
    const char *none = NULL;
    if (rt_cas_acq_rel(&cold->name, &none, name)) /* pairs: COLD -> rt_task_name */
        return name;
    return none; /* somebody named it meanwhile */
}

static void free_cold(struct rt_cold *cold)
{
    struct rt_text *text = rt_load_acquire(&cold->texts); /* pairs: COLD <- rt_task_set_name */
    while (text) {
        struct rt_text *next = text->next;
        rt_free(text);
        text = next;
    }
    rt_vars_drop(cold->vars);
    rt_free(cold->copy);
    rt_free(cold);
}

void rt_task_free(struct rt_slab_cache *cache, struct skua_task *t)
{
    /* relaxed: the last reference is the caller's */
    uintptr_t cold = rt_load_relaxed(&t->cold);
    if (RT_UNLIKELY(cold != 0)) {
        while (rt_owed_take(t) != NULL)
            ; /* it did not end: run did, and left it where it waited */
        if (rt_cold_of(cold))
            free_cold(rt_cold_of(cold));
        else
            rt_vars_drop(cold);
        rt_store_relaxed(&t->cold, 0); /* relaxed: nobody else has the object */
    }
    rt_store_relaxed(&t->runtime, 0);      /* relaxed: walkers check the state word as well */
    /* relaxed: no references, not done: refused by every verb */
    rt_store_relaxed(&t->state.bits, 0);
    rt_slab_put(cache, t);
}
