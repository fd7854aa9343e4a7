/* SPDX-License-Identifier: MIT */
/* floor 1: runq. How things are queued: an intrusive link and a tagged reference to it.
 *
 * Whatever can be queued embeds a struct rt_link; a queue stores an *item*, the link's address with
 * a tag in its low bits that says what is around the link. So one queue carries tasks to run,
 * callbacks, timer hops and cancel requests in one order, and this floor knows none of them.
 */
#ifndef RT_RUNQ_LINK_H
#define RT_RUNQ_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

struct rt_link {
    RT_VAR(uintptr_t) next; /* the next item; meaning belongs to the queue that holds the link */
};

enum rt_tag {
    RT_TAG_TASK = 0,   /* a task that is ready to run                                       */
    RT_TAG_STEP = 1,   /* a callback object (struct rt_step)                                */
    RT_TAG_HOP = 2,    /* an expired timer of a pinned task: wakes it when its turn comes   */
    RT_TAG_CANCEL = 3, /* a cancel request for a pinned task, posted from elsewhere         */
    RT_TAG_NOW = 4,    /* a callback object that is never queued: called as its batch is made
                          ready, with no lock held; it must not suspend                     */
};

#define RT_TAG_MASK ((uintptr_t)7)

static inline uintptr_t rt_item(struct rt_link *link, enum rt_tag tag)
{
    return (uintptr_t)link | (uintptr_t)tag;
}

static inline struct rt_link *rt_item_link(uintptr_t item)
{
    return (struct rt_link *)(item & ~RT_TAG_MASK);
}

static inline enum rt_tag rt_item_tag(uintptr_t item)
{
    return (enum rt_tag)(item & RT_TAG_MASK);
}

#ifndef RT_MODEL
/* A first-in first-out list of items. One thread at a time. */
struct rt_fifo {
    uintptr_t       head; /* 0 = empty */
    struct rt_link *tail;
    size_t          count;
};

static inline void rt_fifo_push(struct rt_fifo *f, uintptr_t item)
{
    struct rt_link *link = rt_item_link(item);
    link->next = 0;
    if (f->head)
        f->tail->next = item;
    else
        f->head = item;
    f->tail = link;
    f->count++;
}

static inline uintptr_t rt_fifo_pop(struct rt_fifo *f)
{
    uintptr_t item = f->head;
    if (item) {
        f->head = rt_item_link(item)->next;
        f->count--;
    }
    return item;
}

/* Moves everything of `from` behind `to`. */
static inline void rt_fifo_append(struct rt_fifo *to, struct rt_fifo *from)
{
    if (!from->head)
        return;
    if (to->head)
        to->tail->next = from->head;
    else
        to->head = from->head;
    to->tail = from->tail;
    to->count += from->count;
    *from = (struct rt_fifo){ 0 };
}

/* Takes `item` out of the middle. Its place counted from 1, or 0 when it is not there. Linear: for
 * rare undo paths only. */
static inline size_t rt_fifo_remove(struct rt_fifo *f, uintptr_t item)
{
    struct rt_link *before = NULL;
    size_t          place = 1;
    for (uintptr_t at = f->head; at; at = rt_item_link(at)->next) {
        if (at == item) {
            uintptr_t next = rt_item_link(at)->next;
            if (before)
                before->next = next;
            else
                f->head = next;
            if (!next)
                f->tail = before;
            f->count--;
            return place;
        }
        before = rt_item_link(at);
        place++;
    }
    return 0;
}
#endif /* !RT_MODEL */

#endif
