/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>

#define HEAP_ARITY        4u
#define HEAP_CAPACITY_MIN 64u
#define HEAP_CAPACITY_MAX (UINT32_MAX / 2)

static inline bool is_before(const struct rt_heap_entry *a, const struct rt_heap_entry *b)
{
    return a->deadline < b->deadline || (a->deadline == b->deadline && a->seq < b->seq);
}

static inline void put_at(struct rt_heap *h, uint32_t at, struct rt_heap_entry e)
{
    h->entries[at] = e;
    e.node->index = at + 1;
}

/* Both move a hole from at to where e belongs and put e there. */
static void sift_up(struct rt_heap *h, uint32_t at, struct rt_heap_entry e)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / HEAP_ARITY;

        if (!is_before(&e, &h->entries[parent]))
            break;
        put_at(h, at, h->entries[parent]);
        at = parent;
    }
    put_at(h, at, e);
}

static void sift_down(struct rt_heap *h, uint32_t at, struct rt_heap_entry e)
{
    uint32_t count = h->count;

    for (;;) {
        uint64_t first = (uint64_t)at * HEAP_ARITY + 1;
        uint64_t last = first + HEAP_ARITY < count ? first + HEAP_ARITY : count;
        uint32_t best = (uint32_t)first;

        if (first >= count)
            break;
        for (uint32_t child = best + 1; child < last; child++) {
            if (is_before(&h->entries[child], &h->entries[best]))
                best = child;
        }
        if (!is_before(&h->entries[best], &e))
            break;
        put_at(h, at, h->entries[best]);
        at = best;
    }
    put_at(h, at, e);
}

static void sift(struct rt_heap *h, uint32_t at, struct rt_heap_entry e)
{
    if (at > 0 && is_before(&e, &h->entries[(at - 1) / HEAP_ARITY]))
        sift_up(h, at, e);
    else
        sift_down(h, at, e);
}

void rt_heap_init(struct rt_heap *h)
{
    *h = (struct rt_heap){ 0 };
}

void rt_heap_fini(struct rt_heap *h)
{
    rt_free(h->entries);
    *h = (struct rt_heap){ 0 };
}

int rt_heap_reserve(struct rt_heap *h, uint32_t n)
{
    struct rt_heap_entry *entries;

    if (n <= h->capacity)
        return 0;
    if (n > HEAP_CAPACITY_MAX)
        return -ENOMEM;
    entries = rt_realloc(h->entries, (size_t)n * sizeof(*entries));
    if (entries == NULL)
        return -ENOMEM;
    h->entries = entries;
    h->capacity = n;
    return 0;
}

static RT_NOINLINE int grow(struct rt_heap *h)
{
    if (h->capacity == HEAP_CAPACITY_MAX)
        return -ENOMEM;
    if (h->capacity > HEAP_CAPACITY_MAX / 2)
        return rt_heap_reserve(h, HEAP_CAPACITY_MAX);
    return rt_heap_reserve(h,
                           h->capacity < HEAP_CAPACITY_MIN ? HEAP_CAPACITY_MIN : h->capacity * 2);
}

int rt_heap_push(struct rt_heap *h, struct rt_heap_node *node, uint64_t deadline)
{
    struct rt_heap_entry e = { .deadline = deadline, .node = node };

    RT_ASSERT(node->index == 0);
    if (RT_UNLIKELY(h->count == h->capacity)) {
        int rc = grow(h);

        if (rc < 0)
            return rc;
    }
    e.seq = h->next_seq++;
    sift_up(h, h->count++, e);
    return 0;
}

void rt_heap_remove(struct rt_heap *h, struct rt_heap_node *node)
{
    uint32_t at = node->index - 1;
    struct rt_heap_entry last;

    RT_CHECK(node->index != 0 && at < h->count);
    RT_ASSERT(h->entries[at].node == node);
    last = h->entries[--h->count];
    node->index = 0;
    if (at != h->count)
        sift(h, at, last);
}

void rt_heap_update(struct rt_heap *h, struct rt_heap_node *node, uint64_t deadline)
{
    struct rt_heap_entry e = { .deadline = deadline, .node = node };
    uint32_t at = node->index - 1;

    RT_CHECK(node->index != 0 && at < h->count);
    RT_ASSERT(h->entries[at].node == node);
    e.seq = h->next_seq++;
    sift(h, at, e);
}

struct rt_heap_node *rt_heap_pop(struct rt_heap *h)
{
    struct rt_heap_node *node;

    if (h->count == 0)
        return NULL;
    node = h->entries[0].node;
    rt_heap_remove(h, node);
    return node;
}

struct due {
    struct rt_heap *heap;
    uint64_t now;
    uint64_t next;  /* the earliest deadline after now */
    bool has_taken; /* the heap has changed: places that were passed may hold others now */
    bool (*wanted)(struct rt_heap_node *node);
    void (*take)(struct rt_heap_node *node, void *arg);
    void *arg;
};

/* Recursion is as deep as the heap, 16 at most. */
static void take_due_below(struct due *d, uint32_t at)
{
    struct rt_heap *h = d->heap;

    while (at < h->count && h->entries[at].deadline <= d->now &&
           d->wanted(h->entries[at].node)) {
        struct rt_heap_node *node = h->entries[at].node;

        rt_heap_remove(h, node);
        d->take(node, d->arg);
        d->has_taken = true;
    }
    if (at >= h->count)
        return;
    if (h->entries[at].deadline > d->now) {
        if (h->entries[at].deadline < d->next)
            d->next = h->entries[at].deadline;
        return;
    }
    for (uint32_t child = at * HEAP_ARITY + 1; child <= at * HEAP_ARITY + HEAP_ARITY; child++)
        take_due_below(d, child);
}

uint64_t rt_heap_take_due(struct rt_heap *h, uint64_t now, bool (*wanted)(struct rt_heap_node *),
                          void (*take)(struct rt_heap_node *, void *), void *arg)
{
    struct due d = { .heap = h, .now = now, .wanted = wanted, .take = take, .arg = arg };

    do {
        d.next = RT_NEVER;
        d.has_taken = false;
        take_due_below(&d, 0);
    } while (d.has_taken);
    return d.next;
}

bool rt_heap_valid(const struct rt_heap *h)
{
    if (h->count > h->capacity || (h->capacity != 0 && h->entries == NULL))
        return false;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct rt_heap_entry *e = &h->entries[i];

        if (e->node == NULL || e->node->index != i + 1 || e->seq >= h->next_seq)
            return false;
        if (i > 0 && !is_before(&h->entries[(i - 1) / HEAP_ARITY], e))
            return false;
    }
    return true;
}

void rt_heap_dump(const struct rt_heap *h, uint32_t max)
{
    rt_log("heap: %" PRIu32 " of %" PRIu32 " entries", h->count, h->capacity);
    for (uint32_t i = 0; i < h->count && i < max; i++) {
        const struct rt_heap_entry *e = &h->entries[i];

        rt_log("heap: [%" PRIu32 "] deadline %" PRIu64 " seq %" PRIu64 " node %p", i, e->deadline,
               e->seq, (const void *)e->node);
    }
}
