/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Pools of stacks.
 *
 * Design: a cache per worker that nobody else touches, a depot behind a lock; between the two
 * stacks move in batches. A fresh stack is made only when both are empty, so the number of stacks
 * is the largest number that was ever in use at once, plus what caches hold.
 *
 * Who runs what: a cache belongs to its worker, only its counts are read by others; caches with
 * something in them are listed so that rt_stacks_idle() finds them.
 */
#include "fiber/stack.h"

#include "base/check.h"
#include "base/lock.h"
#include "base/sys.h"
#include "fiber/arena.h"
#include "fiber/ctx.h"
#include "fiber/switch_entry.h"

#include <string.h>

static struct {
    struct rt_lock lock;
    struct rt_stack *list[RT_STACK_CLASSES];
    uint32_t count[RT_STACK_CLASSES];
    struct rt_stack_cache *caches; /* those with a limit */
} depot = {.lock = RT_LOCK_INIT(RT_RANK_DEPOT)};

static struct rt_stack *make(unsigned size_class, void (*entry)(void), int *ret_err)
{
    struct rt_stack *s = rt_arena_carve(size_class, ret_err);

    if (s == NULL)
        return NULL;
    s->entry = entry;
    rt_san_fiber_init(&s->san, s->base, (size_t)(s->top - s->base));
    /* The first function finds its descriptor as the top of the stack that it starts on. */
    s->sp = rt_ctx_make(s, (void (*)(void))rt_stack_first_entry);
    return s;
}

/* Moves up to n stacks from one list to another. */
static uint32_t move(struct rt_stack **to, struct rt_stack **from, uint32_t n)
{
    uint32_t moved = 0;

    while (moved < n && *from != NULL) {
        struct rt_stack *s = *from;

        *from = s->next;
        s->next = *to;
        *to = s;
        moved++;
    }
    return moved;
}

RT_NOINLINE struct rt_stack *rt_stack_get_slow(struct rt_stack_cache *c, unsigned size_class,
                                               void (*entry)(void), int *ret_err)
{
    struct rt_stack *s;
    uint32_t moved;

    RT_ASSERT(size_class < RT_STACK_CLASSES);
    rt_lock(&depot.lock);
    moved = move(&c->list[size_class], &depot.list[size_class], RT_STACK_CACHE_BATCH);
    depot.count[size_class] -= moved;
    rt_unlock(&depot.lock);
    if (moved == 0)
        return make(size_class, entry, ret_err);
    s = c->list[size_class];
    c->list[size_class] = s->next;
    rt_store_relaxed(&c->count[size_class], moved - 1); /* relaxed: read by others for statistics */
    return s;
}

/* Lock held. */
static void enlist(struct rt_stack_cache *c)
{
    c->limit = RT_STACK_CACHE_MAX;
    c->link_prev = NULL;
    c->link_next = depot.caches;
    if (c->link_next != NULL)
        c->link_next->link_prev = c;
    depot.caches = c;
}

/* Lock held. */
static void delist(struct rt_stack_cache *c)
{
    if (c->link_prev != NULL)
        c->link_prev->link_next = c->link_next;
    else
        depot.caches = c->link_next;
    if (c->link_next != NULL)
        c->link_next->link_prev = c->link_prev;
    c->limit = 0;
    c->link_prev = c->link_next = NULL;
}

/* Lock held. */
static void give_back(struct rt_stack_cache *c, unsigned size_class, uint32_t n)
{
    uint32_t count = rt_load_relaxed(&c->count[size_class]); /* relaxed: the owner's own count */
    uint32_t moved = move(&depot.list[size_class], &c->list[size_class], n);

    depot.count[size_class] += moved;
    rt_store_relaxed(&c->count[size_class], count - moved);
}

RT_NOINLINE void rt_stack_put_slow(struct rt_stack_cache *c, struct rt_stack *s)
{
    RT_CHECK(!s->is_thread);
    rt_lock(&depot.lock);
    if (c->limit == 0)
        enlist(c);
    if (rt_load_relaxed(&c->count[s->size_class]) >= c->limit) /* relaxed: the owner's own count */
        give_back(c, s->size_class, RT_STACK_CACHE_BATCH);
    rt_unlock(&depot.lock);
    rt_stack_put(c, s);
}

void rt_stack_cache_flush(struct rt_stack_cache *c)
{
    rt_lock(&depot.lock);
    for (unsigned i = 0; i < RT_STACK_CLASSES; i++)
        give_back(c, i, UINT32_MAX);
    if (c->limit != 0)
        delist(c);
    rt_unlock(&depot.lock);
}

size_t rt_stack_class_usable(unsigned size_class)
{
    size_t taken =
        RT_STACK_GUARD_BYTES + RT_ARENA_COLOURS * RT_CACHE_LINE + RT_ARENA_DESCRIPTOR_BYTES;

    return rt_arena_class_bytes(size_class) - taken;
}

unsigned rt_stack_class_for(size_t bytes)
{
    unsigned i = RT_STACK_CLASS_DEFAULT;

    while (i < RT_STACK_CLASSES - 1 && rt_stack_class_usable(i) < bytes)
        i++;
    return i;
}

uint64_t rt_stacks_created(void)
{
    return rt_arena_carved();
}

uint64_t rt_stacks_idle(void)
{
    uint64_t n = 0;

    rt_lock(&depot.lock);
    for (unsigned i = 0; i < RT_STACK_CLASSES; i++)
        n += depot.count[i];
    for (struct rt_stack_cache *c = depot.caches; c != NULL; c = c->link_next) {
        for (unsigned i = 0; i < RT_STACK_CLASSES; i++)
            n += rt_load_relaxed(&c->count[i]); /* relaxed: a statistic */
    }
    rt_unlock(&depot.lock);
    return n;
}

int rt_stack_adopt_thread(struct rt_stack *s)
{
    void *base = NULL;
    size_t bytes = 0;
    int r = rt_sys_thread_stack(&base, &bytes);

    if (r < 0)
        return r;
    memset(s, 0, sizeof(*s));
    s->base = base;
    s->top = s->base + bytes;
    s->is_thread = 1;
    rt_san_fiber_init_thread(&s->san, s->base, bytes);
    return 0;
}
