/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. The one place that includes ck_stack.h. */
#include "fiber/depot.h"

#include "base/san.h"

#include <stddef.h>

/* ck marks its inline functions by this macro: here they are kept out of the sanitizers' sight. */
#include <ck_cc.h>
#undef CK_CC_INLINE
#define CK_CC_INLINE RT_NO_SANITIZE CK_CC_UNUSED inline
#include <ck_stack.h>

_Static_assert(sizeof(struct rt_depot) == sizeof(ck_stack_t), "same layout as ck_stack_t");
_Static_assert(offsetof(struct rt_depot, head) == offsetof(ck_stack_t, head), "head first");
_Static_assert(sizeof(struct rt_depot_node) == sizeof(ck_stack_entry_t), "a node is one link");

RT_NO_SANITIZE void rt_depot_push(struct rt_depot *d, struct rt_depot_node *node)
{
    RT_TSAN_RELEASE(node);
    /* The push orders stores only. What was read from the object must have been read as well before
     * its next owner writes to it. Nothing on x86-64. */
    ck_pr_fence_release();
    ck_stack_push_upmc((ck_stack_t *)(void *)d, (ck_stack_entry_t *)(void *)node);
}

RT_NO_SANITIZE struct rt_depot_node *rt_depot_take_all(struct rt_depot *d)
{
    return (struct rt_depot_node *)(void *)ck_stack_batch_pop_upmc((ck_stack_t *)(void *)d);
}

RT_NO_SANITIZE void rt_depot_taken(struct rt_depot_node *node)
{
    RT_TSAN_ACQUIRE(node);
    (void)node;
}
