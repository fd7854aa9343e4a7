/* SPDX-License-Identifier: MIT */
/* floor 7: aio. as_completed: tasks in the order in which they end. */
#include <errno.h>

#include "base/mem.h"
#include "sched/queues.h"
#include "sched/report.h"
#include "sched/runtime.h"
#include "sched/wait.h"

struct iterator;

struct node {
    struct rt_waiter waiter;
    struct iterator *it;
    struct skua_task *task;
};

/* On the heap behind the user's object: children may end on other threads. */
struct iterator {
    struct rt_lock    lock;     /* order, ended, name */
    struct rt_step    step;     /* pinned: lets what ended be seen, when its turn comes */
    bool              queued;   /* the step; under lock */
    uint64_t          name;     /* of the task that waits in next; 0 = none; under lock */
    size_t            ended;    /* in order[]; under lock */
    size_t            visible;  /* of those, what next may hand out; under lock */
    size_t            taken;
    size_t            n;
    uint64_t          deadline;
    struct skua_task **order;
    struct node       nodes[];
};

_Static_assert(sizeof(struct iterator *) <= sizeof(skua_as_completed),
               "the iterator hangs off the user's object");

static struct iterator **iterator_of(skua_as_completed *it)
{
    return (struct iterator **)it;
}

static void wake(struct iterator *it, struct rt_fifo *out)
{
    uint64_t name = it->name;
    it->name = 0;
    if (name)
        (void)rt_name_claim(name, 0, out);
}

static void run_step(struct rt_step *step)
{
    struct iterator *it = rt_container_of(step, struct iterator, step);
    struct rt_fifo   out = { 0 };
    rt_lock(&it->lock);
    it->queued = false;
    it->visible = it->ended;
    wake(it, &out);
    rt_unlock(&it->lock);
    rt_ready_batch(&out);
}

static void note_end(struct iterator *it, struct skua_task *done, struct rt_fifo *out)
{
    rt_lock(&it->lock);
    it->order[it->ended++] = done;
    if (!it->step.home) {
        it->visible = it->ended;
        wake(it, out);
    } else if (!it->queued) {
        it->queued = true;
        rt_fire_step(&it->step, out);
    }
    rt_unlock(&it->lock);
}

static void fire(struct rt_waiter *waiter, struct skua_task *done, struct rt_fifo *out)
{
    note_end(rt_container_of(waiter, struct node, waiter)->it, done, out);
}

static struct iterator *make(struct skua_task *const *tasks, size_t n, struct skua_group *home)
{
    if (n > (SIZE_MAX - sizeof(struct iterator)) / (sizeof(struct node) + sizeof(void *)))
        return NULL;
    struct iterator *it = rt_calloc(1, sizeof *it + n * (sizeof(struct node) + sizeof(void *)));
    if (!it)
        return NULL;
    rt_lock_init(&it->lock, RT_RANK_OBJECT);
    it->n = n;
    it->order = (struct skua_task **)(void *)&it->nodes[n];
    it->step = (struct rt_step){ .run = run_step, .home = home };
    for (size_t i = 0; i < n; i++)
        it->nodes[i] = (struct node){ .waiter = { .fire = fire }, .it = it, .task = tasks[i] };
    return it;
}

int skua_as_completed_init(skua_as_completed *it, skua_task *const *tasks, size_t n, double timeout)
{
    struct rt_worker *w = rt_self();
    struct rt_fifo    out = { 0 };
    uint64_t          deadline;
    if (!it || (n > 0 && !tasks))
        return -EINVAL;
    *iterator_of(it) = NULL;
    if (!w || !w->cur)
        return -EPERM;
    for (size_t i = 0; i < n; i++)
        if (!tasks[i])
            return -EINVAL;
    int r = rt_deadline(w, timeout, &deadline);
    if (r < 0)
        return r;
    struct iterator *made = make(tasks, n, w->cur->group);
    if (!made)
        return -ENOMEM;
    made->deadline = deadline;
    *iterator_of(it) = made;
    rt_note_begun(w, it, "an iteration that it never ended");
    for (size_t i = 0; i < n; i++)
        if (!rt_waiter_add_here(w, tasks[i], &made->nodes[i].waiter))
            note_end(made, tasks[i], &out);
    rt_ready_batch(&out);
    return 0;
}

static struct skua_task *take(struct iterator *it)
{
    rt_lock(&it->lock);
    struct skua_task *t = it->taken < it->visible ? it->order[it->taken++] : NULL;
    rt_unlock(&it->lock);
    return t;
}

/* Leaves the name for the next one that ends. False: one has ended already. */
static bool leave_name(struct iterator *it, uint64_t name)
{
    rt_lock(&it->lock);
    bool empty = it->taken == it->visible;
    it->name = empty ? name : 0;
    rt_unlock(&it->lock);
    return empty;
}

static void see_left(const struct rt_awaitable *self,
                     void (*see)(struct skua_task *task, void *arg), void *arg)
{
    const struct iterator *it = self->object;
    for (size_t i = 0; i < it->n; i++)
        if (!rt_task_is_done(it->nodes[i].task))
            see(it->nodes[i].task, arg);
}

static const struct rt_wait_kind next_kind = { .what = "the next of several tasks",
                                               .whose = ": ", .tasks = see_left };

static int wait_for_one(struct iterator *it)
{
    struct rt_worker   *w = rt_self();
    struct rt_awaitable awaitable = { .kind = &next_kind, .object = it };
    uint64_t            name;
    int                 r = rt_wait_begin(w, &name);
    if (r < 0)
        return r;
    rt_await_combined(w->cur, &awaitable);
    if (!leave_name(it, name))
        return rt_wait_abandon(name);
    r = rt_wait_timer(w, it->deadline);
    if (r < 0) {
        (void)leave_name(it, 0);
        return rt_wait_give_up(name, r);
    }
    r = rt_wait_park();
    if (it->deadline != RT_NEVER)
        rt_wait_timer_end(r);
    (void)leave_name(it, 0);
    return r == ETIMEDOUT ? -ETIMEDOUT : r;
}

skua_task *skua_as_completed_next(skua_as_completed *it, int *ret_err)
{
    struct iterator  *i = it ? *iterator_of(it) : NULL;
    struct skua_task *t = NULL;
    int               r = !i ? -EINVAL : rt_current() ? 0 : -EPERM;
    while (r == 0 && i->taken < i->n && !(t = take(i)))
        r = wait_for_one(i);
    if (ret_err)
        *ret_err = r < 0 ? r : 0;
    return t;
}

void skua_as_completed_fini(skua_as_completed *it)
{
    struct iterator *i = it ? *iterator_of(it) : NULL;
    if (!i)
        return;
    *iterator_of(it) = NULL;
    rt_note_ended(rt_self(), it);
    for (size_t k = 0; k < i->n; k++)
        (void)rt_waiter_remove(i->nodes[k].task, &i->nodes[k].waiter);
    if (i->queued)
        rt_unpost_step(&i->step);
    rt_free(i);
}
