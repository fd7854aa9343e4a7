/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Stacks: address space, guards, pools, overflow reports.
 *
 * A stack is carved once from an arena of its size class and lives until the process ends. Its
 * descriptor sits at its top, shifted by a few cache lines so that the hot tops do not fall into
 * one cache set. An idle stack is one whose loop is parked inside the switch: whoever takes it just
 * switches to it.
 */
#ifndef RT_FIBER_STACK_H
#define RT_FIBER_STACK_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/san.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Address space of one stack by class, guard included: 64 KiB, 256 KiB, 1 MiB, 8 MiB. */
enum { RT_STACK_CLASSES = 4, RT_STACK_CLASS_DEFAULT = 0 };

/* A multiple of the page: 4 KiB, and on aarch64 perhaps 16. */
#if defined(__aarch64__)
#define RT_STACK_GUARD_BYTES  16384u
#else
#define RT_STACK_GUARD_BYTES  8192u
#endif
#define RT_STACK_CACHE_MAX    64u    /* idle stacks of the smallest class that a cache keeps */
#define RT_STACK_DEPOT_KEEP   1024u  /* and that the depot keeps in memory, needed or not */
#define RT_STACK_MPROTECT_CAP 16384u /* stacks per process where guards cost a mapping each */

/* The larger the class, the fewer: 64, 16, 4, 1 and 1024, 256, 64, 16. */
static inline uint32_t rt_stack_cache_max(unsigned size_class)
{
    return RT_STACK_CACHE_MAX >> 2 * size_class;
}

static inline uint32_t rt_stack_depot_keep(unsigned size_class)
{
    return RT_STACK_DEPOT_KEEP >> 2 * size_class;
}

struct rt_stack {
    void *sp;              /* saved stack pointer; valid while nobody runs on the stack */
    struct rt_stack *next; /* idle list, or free for the one who took the stack */
    char *base;            /* lowest usable address, just above the guard */
    char *top;             /* end of the stack's memory */
    void *inl;  /* the scheduler's: innermost frame of a task called inline; NULL when fresh */
    void *user; /* the scheduler's: task shown in an overflow report */
    uint8_t size_class;
    uint8_t is_thread;       /* adopted from a thread: not from an arena, never put into a pool */
    uint16_t chunk;          /* the arena's number of the chunk that it was cut from */
    void (*entry)(void);     /* body of the stack: the loop */
    struct rt_san_fiber san; /* what sanitizers keep per stack: nothing in other builds */
};

/* Idle stacks of one worker. Zero-filled is a valid empty cache. Owner only, except for the counts,
 * which others read when they add up. */
struct rt_stack_cache {
    struct rt_stack *list[RT_STACK_CLASSES];
    RT_ATOMIC(uint32_t) count[RT_STACK_CLASSES];
    uint32_t limit[RT_STACK_CLASSES]; /* 0 until the cache is known to rt_stacks_idle() */
    struct rt_stack_cache *link_next, *link_prev;
};

struct rt_stack *rt_stack_get_slow(struct rt_stack_cache *c, unsigned size_class,
                                   void (*entry)(void), int *ret_err);
void rt_stack_put_slow(struct rt_stack_cache *c, struct rt_stack *s);

/* An idle stack (whose loop is parked in the switch) or a fresh one that will enter entry().
 * Without one returns NULL and stores -ENOMEM (no memory) or -EAGAIN (cap of guarded stacks
 * reached) in *ret_err. */
static inline struct rt_stack *rt_stack_get(struct rt_stack_cache *c, unsigned size_class,
                                            void (*entry)(void), int *ret_err)
{
    struct rt_stack *s = c->list[size_class];

    if (RT_UNLIKELY(s == NULL))
        return rt_stack_get_slow(c, size_class, entry, ret_err);
    c->list[size_class] = s->next;
    /* relaxed: only the owner writes, others read for statistics */
    rt_store_relaxed(&c->count[size_class], rt_load_relaxed(&c->count[size_class]) - 1);
    return s;
}

/* Gives an idle stack back. It must have been left completely. */
static inline void rt_stack_put(struct rt_stack_cache *c, struct rt_stack *s)
{
    /* relaxed: only the owner writes, others read for statistics */
    uint32_t count = rt_load_relaxed(&c->count[s->size_class]);

    if (RT_UNLIKELY(count >= c->limit[s->size_class])) {
        rt_stack_put_slow(c, s);
        return;
    }
    s->next = c->list[s->size_class];
    c->list[s->size_class] = s;
    rt_store_relaxed(&c->count[s->size_class], count + 1);
}

/* Moves everything to the process-wide depot; the cache is as fresh afterwards and may be freed. */
void rt_stack_cache_flush(struct rt_stack_cache *c);

/* Smallest class whose stacks leave that many bytes to a task; the largest when none does. */
unsigned rt_stack_class_for(size_t bytes);
/* Bytes that a task finds on a fresh stack of the class (a floor: guard, descriptor and colour are
 * off). */
size_t rt_stack_class_usable(unsigned size_class);

/* Bytes left between the caller's frame and the guard of the stack it runs on. */
static inline size_t rt_stack_left(const struct rt_stack *s)
{
    return (size_t)((char *)__builtin_frame_address(0) - s->base);
}

/* Looks after the depot: stacks that it could have done without ever since the last call give
 * memory back. A reserve keeps the page that its parked loop lies in, and goes on from there when
 * taken; the others keep nothing. It stops after some milliseconds: false, call again soon. Any
 * thread; who finds another one at it does nothing. */
bool rt_stacks_tend(void);
/* The same for all that is there at this moment. */
void rt_stacks_tend_now(void);
/* Whether rt_stacks_tend() may find something, now or later. */
bool rt_stacks_untended(void);

/* Process totals, read at any time from any thread. */
uint64_t rt_stacks_created(void);
uint64_t rt_stacks_idle(void);
/* Whether guards are free of mappings (MADV_GUARD_INSTALL works); false: mprotect and
 * RT_STACK_MPROTECT_CAP. */
int rt_stack_guards_are_cheap(void);

/* Describes the stack that the calling thread was born with, so that it can be left and come back
 * to. 0, -ENOMEM or what the system answered. Only that thread may be switched to it. */
int rt_stack_adopt_thread(struct rt_stack *s);

/* Installs the handler of SIGSEGV and SIGBUS once per process. report() runs on the alternate stack
 * of the faulting thread, may only do what a signal handler may, and gets the stack whose guard was
 * hit. Then the previous disposition is restored and the signal hits again. 0 or -errno. */
int rt_stack_overflow_handler_install(void (*report)(const struct rt_stack *s, void *addr));
/* Puts the previous dispositions back, where they are still ours. */
void rt_stack_overflow_handler_remove(void);

/* Alternate signal stack of the calling thread; without it an overflow kills silently. Nests: a
 * thread that has one of its own keeps it. 0 or -ENOMEM. leave() by the same thread. */
int rt_stack_altstack_enter(void);
void rt_stack_altstack_leave(void);

#endif
