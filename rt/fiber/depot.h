/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Where free objects wait that no cache holds: a lock-free stack that anybody
 * pushes to.
 *
 * It is Concurrency Kit's UPMC stack, hidden here because its operations are opaque to
 * ThreadSanitizer: they run uninstrumented, and the hand-over of each object is told by hand.
 * Taking is always taking everything (one exchange), so no compare-and-swap can mistake an object
 * that left and came back for one that stayed.
 */
#ifndef RT_FIBER_DEPOT_H
#define RT_FIBER_DEPOT_H

#include "base/compiler.h"

/* The first word of an object while it is in the depot. */
struct rt_depot_node {
    struct rt_depot_node *next;
};

/* Layout of ck_stack_t, which depot.c asserts; zero-filled is empty. */
struct rt_depot {
    struct rt_depot_node *head;
    char *generation;
};

/* Any thread. Everything the caller did to the object happens before what its taker does. */
void rt_depot_push(struct rt_depot *d, struct rt_depot_node *node);
/* Any thread; the whole content as a list, newest first, or NULL. The taker calls rt_depot_taken()
 * for each node before it reads the link. */
struct rt_depot_node *rt_depot_take_all(struct rt_depot *d);
void rt_depot_taken(struct rt_depot_node *node);

#endif
