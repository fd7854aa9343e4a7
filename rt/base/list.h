/* SPDX-License-Identifier: MIT */
/* floor 0: base. Intrusive doubly linked circular list. The head is a struct rt_list too.
 *
 * A node is on at most one list. A node at rest is zeroed or points to itself, so rt_list_is_linked
 * tells; removing puts it back to rest. No locking inside.
 */
#ifndef RT_BASE_LIST_H
#define RT_BASE_LIST_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct rt_list {
    struct rt_list *next;
    struct rt_list *prev;
};

#define RT_LIST_INIT(name) { &(name), &(name) }

static inline void rt_list_init(struct rt_list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool rt_list_is_empty(const struct rt_list *head)
{
    return head->next == head;
}

static inline bool rt_list_is_linked(const struct rt_list *node)
{
    return node->next != NULL && node->next != node;
}

/* Puts node right before pos (pos may be the head: then last). */
static inline void rt_list_insert_before(struct rt_list *pos, struct rt_list *node)
{
    RT_ASSERT(!rt_list_is_linked(node));
    RT_ASSERT(pos->prev->next == pos);
    node->next = pos;
    node->prev = pos->prev;
    pos->prev->next = node;
    pos->prev = node;
}

static inline void rt_list_push_back(struct rt_list *head, struct rt_list *node)
{
    rt_list_insert_before(head, node);
}

static inline void rt_list_push_front(struct rt_list *head, struct rt_list *node)
{
    rt_list_insert_before(head->next, node);
}

static inline void rt_list_remove(struct rt_list *node)
{
    RT_ASSERT(rt_list_is_linked(node));
    RT_ASSERT(node->prev->next == node);
    RT_ASSERT(node->next->prev == node);
    node->prev->next = node->next;
    node->next->prev = node->prev;
    rt_list_init(node);
}

/* First or last node, NULL when empty. */
static inline struct rt_list *rt_list_first(const struct rt_list *head)
{
    return rt_list_is_empty(head) ? NULL : head->next;
}

static inline struct rt_list *rt_list_last(const struct rt_list *head)
{
    return rt_list_is_empty(head) ? NULL : head->prev;
}

static inline struct rt_list *rt_list_pop_front(struct rt_list *head)
{
    struct rt_list *node = rt_list_first(head);

    if (node != NULL)
        rt_list_remove(node);
    return node;
}

static inline struct rt_list *rt_list_pop_back(struct rt_list *head)
{
    struct rt_list *node = rt_list_last(head);

    if (node != NULL)
        rt_list_remove(node);
    return node;
}

/* Moves all of src behind the last of dst; src is empty afterwards. */
static inline void rt_list_splice_back(struct rt_list *dst, struct rt_list *src)
{
    if (rt_list_is_empty(src))
        return;
    src->next->prev = dst->prev;
    src->prev->next = dst;
    dst->prev->next = src->next;
    dst->prev = src->prev;
    rt_list_init(src);
}

/* Walks the list; O(n). */
static inline size_t rt_list_count(const struct rt_list *head)
{
    size_t n = 0;

    for (const struct rt_list *p = head->next; p != head; p = p->next)
        n++;
    return n;
}

#define rt_list_entry(node, type, member) rt_container_of(node, type, member)

#define rt_list_foreach(it, head) \
    for (struct rt_list *it = (head)->next; it != (head); it = it->next)

/* The node it stands on may be removed (and freed) in the body. */
#define rt_list_foreach_safe(it, head) \
    for (struct rt_list *it = (head)->next, *it##_next = it->next; it != (head); \
         it = it##_next, it##_next = it->next)

#endif
