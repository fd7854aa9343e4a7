/* SPDX-License-Identifier: MIT */
/* floor 0: base. Intrusive 4-ary min-heap by (deadline, order of arming): the pending timers of one
 * loop.
 *
 * Design: the keys lie in the array next to each other, so that a sift reads no node but writes one
 * index per move; four children share one or two cache lines and halve the depth of a binary heap.
 * Equal deadlines leave in the order of their last push or update. No locking inside: the owner's
 * lock guards all of it.
 */
#ifndef RT_BASE_HEAP_H
#define RT_BASE_HEAP_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct rt_heap_node {
    uint32_t index; /* 0: in no heap; else 1 + place in the array */
};

struct rt_heap_entry {
    uint64_t deadline;
    uint64_t seq;
    struct rt_heap_node *node;
};

struct rt_heap {
    struct rt_heap_entry *entries;
    uint32_t count;
    uint32_t capacity;
    uint64_t next_seq;
};

void rt_heap_init(struct rt_heap *h);
/* Must be empty, or its nodes must never be looked at again. */
void rt_heap_fini(struct rt_heap *h);
/* Room for n entries in all: 0 or -ENOMEM. Pushes within that room cannot fail. */
int rt_heap_reserve(struct rt_heap *h, uint32_t n);
/* 0 or -ENOMEM (nothing changed). The node must be in no heap. */
int rt_heap_push(struct rt_heap *h, struct rt_heap_node *node, uint64_t deadline);
/* The node must be in this heap. */
void rt_heap_remove(struct rt_heap *h, struct rt_heap_node *node);
/* Moves a node of this heap to another deadline, behind its equals. Cannot fail. */
void rt_heap_update(struct rt_heap *h, struct rt_heap_node *node, uint64_t deadline);
/* Takes the earliest out; NULL when empty. */
struct rt_heap_node *rt_heap_pop(struct rt_heap *h);
/* Takes out the nodes due at `now` that `wanted` accepts and hands each to `take`, in no particular
 * order; those refused stay. Returns the earliest deadline after `now`, or RT_NEVER. The callbacks
 * may not change the heap. */
uint64_t rt_heap_take_due(struct rt_heap *h, uint64_t now, bool (*wanted)(struct rt_heap_node *),
                          void (*take)(struct rt_heap_node *, void *), void *arg);
/* Walks everything: order, indexes, links. For audits. */
bool rt_heap_valid(const struct rt_heap *h);
/* One line per entry to the log, at most max lines. */
void rt_heap_dump(const struct rt_heap *h, uint32_t max);

/* The earliest, or NULL; valid until the next change. */
static inline const struct rt_heap_entry *rt_heap_top(const struct rt_heap *h)
{
    return h->count == 0 ? NULL : &h->entries[0];
}

static inline uint32_t rt_heap_count(const struct rt_heap *h)
{
    return h->count;
}

static inline bool rt_heap_contains(const struct rt_heap_node *node)
{
    return node->index != 0;
}

/* The deadline of a node of this heap. */
static inline uint64_t rt_heap_deadline(const struct rt_heap *h, const struct rt_heap_node *node)
{
    return h->entries[node->index - 1].deadline;
}

#endif
