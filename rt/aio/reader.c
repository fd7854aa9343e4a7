/* SPDX-License-Identifier: MIT */
/* floor 7: aio. add_reader, add_writer: callbacks that run as long as a descriptor is ready.
 *
 * A reader lives in a slab object like a task does, and waits for its descriptor under a name as a
 * task would: so what events, closing and another waiter mean is known already. An event claims the
 * name and queues the step, in the place of descriptor events; after the callback the name is left
 * again and the kernel is asked again, in the next poll.
 *
 * The readers of a runtime are in lists by descriptor, under its lock. Who frees one: whoever
 * removes it, if the name could be claimed; else its step, which is queued, or runs.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "loop/fd.h"
#include "sched/context.h"
#include "sched/queues.h"
#include "sched/report.h"
#include "sched/runtime.h"
#include "sched/spawn.h"

struct rt_reader {
    struct rt_link      unused;
    uint32_t            unused_count;
    uint32_t            slot;
    struct rt_waitword  wait;  /* claimed by the event, or by whoever removes it */
    struct rt_stateword state; /* no references: walkers pass it by */
    struct rt_step      step;
    struct rt_reader   *next;  /* this and the rest: under the lock of the runtime */
    struct rt_fd       *rec;
    skua_cb             cb;
    void               *arg;
    uintptr_t           vars;  /* the context, of which each call gets a copy */
    uint32_t            generation; /* of the descriptor when it was added */
    uint8_t             dir;   /* enum rt_dir */
    bool                removed;
};

_Static_assert(offsetof(struct rt_reader, slot) == RT_SLAB_SLOT_OFFSET,
               "the slab numbers its objects");
_Static_assert(offsetof(struct rt_reader, wait) == offsetof(struct skua_task, wait) &&
                   offsetof(struct rt_reader, state) == offsetof(struct skua_task, state),
               "names are looked up in tasks, and walkers look at them");
_Static_assert(offsetof(struct rt_reader, step) == offsetof(struct skua_task, fn),
               "see rt_callback_step");
_Static_assert(offsetof(struct rt_reader, removed) < offsetof(struct skua_task, runtime),
               "what follows is the task's");

/* --- life --- */

static void free_reader(struct rt_reader *r)
{
    struct rt_worker *w = rt_self();
    rt_group_unkeep(r->step.home);
    rt_vars_drop(r->vars);
    memset(&r->step, 0, offsetof(struct rt_reader, removed) - offsetof(struct rt_reader, step));
    rt_slab_put(w ? &w->slab : NULL, r); /* as a task leaves it: nothing cold */
}

static struct rt_reader **list_of(struct rt_runtime *rt, const struct rt_fd *rec)
{
    return &rt->readers[(unsigned)rec->fd % RT_READER_LISTS];
}

/* Locked. */
static void link_reader(struct rt_runtime *rt, struct rt_reader *r)
{
    struct rt_reader **list = list_of(rt, r->rec);
    r->next = *list;
    *list = r;
    rt->reader_count++;
}

/* Locked. */
static void unlink_reader(struct rt_runtime *rt, struct rt_reader *r)
{
    struct rt_reader **at = list_of(rt, r->rec);
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    rt->reader_count--;
}

static void leave(struct rt_fd *rec, struct rt_fifo *out)
{
    if (rt_fd_leave(rec))
        SKUA_IGNORE(rt_fd_finish_close(rec, out)); /* who asked for it has returned */
}

static uint64_t name_of(struct rt_reader *r)
{
    /* relaxed: written under the lock */
    return rt_ww_ticket(rt_load_relaxed(&r->wait.bits)) | r->slot;
}

/* Locked. From now on an event queues the step. 0, or -EBADF, -EBUSY, -errno. */
static int arm(struct rt_reader *r, bool calm, struct rt_fifo *out)
{
    if (!rt_fd_resume(r->rec, r->generation))
        return -EBADF;
    SKUA_IGNORE(rt_ww_arm_pinned(&r->wait) == 0); /* nobody cancels it */
    int err = rt_fd_watch(r->rec, (enum rt_dir)r->dir, name_of(r), &r->step.home->worker->poller,
                          calm);
    leave(r->rec, out);
    if (err < 0 && rt_ww_claim(&r->wait, rt_ww_ticket(name_of(r)), 0) == RT_CLAIM_STALE)
        err = 0; /* closed meanwhile: the step is on its way */
    return err;
}

/* Locked. True: nobody will come by any more, the caller frees it. False: its step does. */
static bool remove_reader(struct rt_runtime *rt, struct rt_reader *r)
{
    uint64_t name = name_of(r);
    bool     claimed = rt_ww_claim(&r->wait, rt_ww_ticket(name), 0) != RT_CLAIM_STALE;
    r->removed = true;
    if (rt_load_acquire(&r->rec->use) & RT_FD_OWNED) /* pairs: FD-USE <- rt_use_own */
        rt_fd_unwait(r->rec, (enum rt_dir)r->dir, name);
    else
        rt_fd_unwait_foreign(r->rec, name);
    if (claimed)
        unlink_reader(rt, r);
    return claimed;
}

static void give_back(struct rt_reader *r)
{
    rt_fd_unreserve(r->rec, (enum rt_dir)r->dir, r->generation);
}

/* --- the step --- */

static bool is_ready(struct rt_reader *r)
{
    return rt_sys_poll1(r->rec->fd, r->dir == RT_DIR_OUT ? POLLOUT : POLLIN, 0) != 0;
}

/* An owned descriptor tells of more than what this one waits for. */
static bool has_come(struct rt_reader *r)
{
    return !(rt_load_acquire(&r->rec->use) & RT_FD_OWNED) || /* pairs: FD-USE <- rt_use_own */
           is_ready(r);
}

/* Locked. It waits again, or is unlinked for the caller to free (true). */
static bool go_on(struct rt_runtime *rt, struct rt_reader *r, bool calm, struct rt_fifo *out)
{
    int err = r->removed ? -EBADF : arm(r, calm, out);
    if (err == 0) {
        if (calm && is_ready(r)) /* since it was looked at */
            rt_fd_kick(r->rec, (enum rt_dir)r->dir, out);
        return false;
    }
    if (err == -EBUSY) { /* by a task that is just being refused */
        rt_fifo_push(out, rt_item(&r->step.link, RT_TAG_STEP));
        return false;
    }
    if (!r->removed)
        give_back(r);
    if (err != -EBADF)
        rt_warn("descriptor %d cannot be watched any more: %s", r->rec->fd, strerror(-err));
    unlink_reader(rt, r);
    return true;
}

static void run(struct rt_step *step)
{
    struct rt_reader  *r = rt_container_of(step, struct rt_reader, step);
    struct rt_runtime *rt = step->home->worker->rt;
    struct rt_fifo     out = { 0 };
    rt_lock(&rt->lock);
    /* pairs: WAKE <- rt_ww_claim */
    if (rt_ww_value(rt_load_acquire(&r->wait.bits)) == EBADF)
        r->removed = true; /* closed */
    bool    calls = !r->removed && has_come(r);
    skua_cb cb = r->cb;
    void   *arg = r->arg;
    if (calls)
        rt_context_step_begin(rt_self(), rt_vars_copy(r->vars));
    rt_unlock(&rt->lock);
    if (calls) {
        cb(arg);
        rt_context_step_end(rt_self());
    }
    rt_lock(&rt->lock);
    bool ends = go_on(rt, r, !calls, &out);
    rt_unlock(&rt->lock);
    if (ends)
        free_reader(r);
    rt_ready_batch(&out);
}

/* --- the end of the runtime, its workers gone --- */

static void end_reader(struct rt_runtime *rt, struct rt_reader *r)
{
    if (!r->removed)
        give_back(r);
    bool gone = remove_reader(rt, r);
    if (!gone)
        unlink_reader(rt, r);
    while (!gone && !rt_unpost_step(&r->step)) /* a worker of another runtime is about to */
        SKUA_IGNORE(rt_sys_sched_yield());     /* post it */
    free_reader(r);
}

static void end_readers(struct rt_runtime *rt)
{
    for (unsigned i = 0; i < RT_READER_LISTS; i++)
        while (rt->readers[i])
            end_reader(rt, rt->readers[i]);
}

/* --- calls --- */

/* Callbacks of free tasks have one home, whichever worker it is on. */
static struct skua_group *home_of(struct rt_worker *w)
{
    return w->in_group ? w->in_group : w->step_home;
}

/* Locked. One whose descriptor was closed since is none. */
static struct rt_reader *find(struct rt_worker *w, struct rt_fd *rec, enum rt_dir dir)
{
    uint32_t generation =
        (uint32_t)(rt_load_acquire(&rec->use) >> RT_FD_GEN_BIT); /* pairs: FD-USE <- rt_use_own */
    struct rt_reader *r = *list_of(w->rt, rec);
    for (; r; r = r->next) {
        struct skua_group *a = r->step.home, *b = home_of(w);
        if (r->rec == rec && r->dir == dir && !r->removed && r->generation == generation &&
            (a == b || (a->is_free && b->is_free)))
            break;
    }
    return r;
}

static struct rt_reader *make(struct rt_worker *w, struct rt_fd *rec, uint32_t generation,
                              enum rt_dir dir)
{
    uint32_t          slot;
    struct rt_reader *r = rt_slab_get(&w->slab, &slot);
    if (!r)
        return NULL;
    struct skua_task *t = (struct skua_task *)(void *)r;
    rt_store_relaxed(&t->kind, RT_KIND_READER); /* relaxed, these: published by the lock */
    rt_store_relaxed(&t->runtime, w->rt->id);
    rt_store_relaxed(&r->state.bits, 0);
    rt_store_relaxed(&r->wait.bits, rt_load_relaxed(&r->wait.bits) & RT_WW_TICKET);
    r->step = (struct rt_step){ .run = run, .home = home_of(w) };
    r->rec = rec;
    r->generation = generation;
    r->dir = (uint8_t)dir;
    r->removed = false;
    r->vars = rt_context_capture();
    rt_group_keep(r->step.home);
    return r;
}

/* Inside the descriptor. It takes the place of a former one. */
static int add_made(struct rt_worker *w, struct rt_reader *r, struct rt_fifo *out)
{
    struct rt_runtime *rt = w->rt;
    rt_lock(&rt->lock);
    struct rt_reader *former = find(w, r->rec, (enum rt_dir)r->dir);
    int               err = 0;
    if (!former) /* or the direction is taken over from it */
        err = rt_fd_reserve(r->rec, (enum rt_dir)r->dir, r->generation);
    if (former && !remove_reader(rt, former))
        former = NULL;
    if (err == 0 && (err = arm(r, false, out)) < 0)
        give_back(r);
    if (err == 0) {
        link_reader(rt, r);
        rt->readers_end = end_readers;
    }
    rt_unlock(&rt->lock);
    if (former)
        free_reader(former);
    if (err < 0)
        free_reader(r);
    return err;
}

static int add(int fd, enum rt_dir dir, skua_cb cb, void *arg, const char *call)
{
    struct rt_worker *w = rt_self();
    struct rt_fifo    out = { 0 };
    struct rt_fd     *rec;
    uint32_t          generation;
    if (!w)
        return rt_wrong_thread(call);
    int r = cb ? rt_sys_fcntl_getfl(fd) : -EINVAL;
    if (r >= 0)
        r = rt_fd_enter(fd, &rec, &generation);
    if (r < 0)
        return r;
    struct rt_reader *reader = make(w, rec, generation, dir);
    r = -ENOMEM;
    if (reader) {
        reader->cb = cb;
        reader->arg = arg;
        r = add_made(w, reader, &out);
    }
    leave(rec, &out);
    rt_ready_batch(&out);
    return r;
}

/* 1: removed, 0: there was none. */
static int take_off(int fd, enum rt_dir dir, const char *call)
{
    struct rt_worker *w = rt_self();
    struct rt_fifo    out = { 0 };
    struct rt_fd     *rec;
    uint32_t          generation;
    if (!w)
        return rt_wrong_thread(call);
    int r = fd < 0 ? -EBADF : rt_fd_enter(fd, &rec, &generation);
    if (r < 0)
        return fd >= 0 && r == -EBADF ? 0 : r; /* being closed: it is gone with that */
    rt_lock(&w->rt->lock);
    struct rt_reader *reader = find(w, rec, dir);
    bool              ours = reader && remove_reader(w->rt, reader);
    if (reader)
        give_back(reader);
    rt_unlock(&w->rt->lock);
    if (ours)
        free_reader(reader);
    leave(rec, &out);
    rt_ready_batch(&out);
    return reader != NULL;
}

int skua_add_reader(int fd, skua_cb cb, void *arg)
{
    return add(fd, RT_DIR_IN, cb, arg, "skua_add_reader");
}

int skua_add_writer(int fd, skua_cb cb, void *arg)
{
    return add(fd, RT_DIR_OUT, cb, arg, "skua_add_writer");
}

int skua_remove_reader(int fd)
{
    return take_off(fd, RT_DIR_IN, "skua_remove_reader");
}

int skua_remove_writer(int fd)
{
    return take_off(fd, RT_DIR_OUT, "skua_remove_writer");
}
