/* SPDX-License-Identifier: MIT */
#ifndef PAIRS_H
#define PAIRS_H
/* A scene of the enumerator: one waiter, in some of them a rival that waits behind it, and what
 * they wait for. See pairs_test.c. */
#include <math.h>
#include <stdatomic.h>

#include "../support/t.h"

enum event { GRANT, CANCEL, TIMEOUT, CLOSE, EVENTS };
enum { WAITER, RIVAL, HELPERS = 4, HOUR = 3600 };

struct row;

struct scene {
    const struct row *row;
    skua_group *other;           /* on another worker, where there is one  */
    skua_task *task[2];          /* waiter and rival                       */
    skua_task *helper[HELPERS];  /* what cannot be done without suspending */
    atomic_int helpers;
    atomic_bool began[2];
    int r[2];                    /* what the waits gave                    */
    int r_after;                 /* the waiter's next suspension           */
    bool timed;
    double deadline;             /* of the waiter                          */
    bool rival_early;            /* it was through before `finish`         */
    atomic_int grants, cancels, closes;
    atomic_bool granted;         /* for what can be granted once           */

    /* what is waited for: of these each row uses its own */
    skua_lock lock;
    skua_event event;
    skua_cond cond;
    skua_semaphore sem;
    skua_barrier barrier;
    skua_rwlock rwlock;
    skua_once once;
    skua_queue queue;
    skua_task *on, *shielded, *both[2];
    skua_taskgroup group;
    atomic_int inside, runs, helper_ok;
    void *item[2];
    int fd, peer, filled;
};

struct row {
    const char *name;
    void (*set_up)(struct scene *s);
    /* One wait, by the waiter or the rival; `timeout` is INFINITY unless has_timer. */
    int (*wait)(struct scene *s, int who, double timeout);
    void (*leave)(struct scene *s, int who);  /* gives back what the wait gave                */
    void (*grant)(struct scene *s);           /* any thread, never suspends; NULL: no such    */
    void (*close)(struct scene *s);           /* likewise                                     */
    int closed;                               /* how it ends a wait: an error, or 0           */
    void (*finish)(struct scene *s);          /* lets everybody go who still waits            */
    void (*check)(struct scene *s);           /* nothing lost, nothing twice; tears down      */
    bool has_timer;                           /* the wait itself has a timeout                */
    bool has_rival;
    bool is_far;                              /* what is waited for may run on another worker */
    bool outlasts;                            /* a cancelled wait goes on until `finish`      */
};

/* True: the caller is the first. */
static inline bool first(struct scene *s)
{
    return !atomic_exchange(&s->granted, true);
}

static inline void add_helper(struct scene *s, skua_fn fn)
{
    int i = atomic_fetch_add(&s->helpers, 1);
    if (T_EXPECT(i < HELPERS))
        s->helper[i] = skua_spawn(fn, s, .group = s->other);
}

/* With `n` grants out, all that the waiter did not take must have reached the rival. */
static inline void check_passed_on(struct scene *s, int n)
{
    int taken = s->r[WAITER] == 0;
    if (s->closes == 0)
        T_EXPECT_INT(s->rival_early, n - taken >= 1);
}

#endif
