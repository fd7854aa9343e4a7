/* SPDX-License-Identifier: MIT */
/* floor 8: net. A child process, held by its pidfd.
 *
 * Who learns that it has ended: one of the tasks that wait watches the pidfd (a descriptor that
 * can be polled in one direction by one task), the others follow: they wait until it has ended, or
 * until the one that watches leaves early (cancelled, timed out) and wakes the first of them to
 * watch instead. A watching task that is woken looks again, so that a wake for nothing does no
 * harm.
 *
 * Whoever looks and finds it ended reaps it, once, and from then on there is no pidfd to signal;
 * its number is never used for that. The pidfd is closed by who found it so, except under the task
 * that watches, which closes it when it leaves.
 *
 * A handle is counted by its user and by the calls that are inside. The last one to leave a child
 * that still runs hands it to the reaper.
 */
#ifndef RT_NET_PROCESS_H
#define RT_NET_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include <skua/process.h>

#include "net/blob.h"
#include "sync/waitq.h"

enum { RT_CHILD_UNKNOWN = 255 }; /* how it ended, when somebody else has reaped it; as asyncio */

/* A descriptor of the runtime's, so that nobody closes another one that got its number. */
struct rt_held {
    int fd; /* -1: none */
    uint32_t generation;
};

struct skua_process {
    struct rt_waitq q; /* its lock guards the fields down to `end`; in its list are who follow */
    unsigned refs;
    bool is_watched;
    bool has_ended;
    bool is_talking; /* a task is in communicate */
    int code;        /* once it has ended */
    struct rt_held pidfd; /* -1: closed, or about to be */
    struct rt_held end[3];
    int pid; /* fixed */
    /* of the task that communicates */
    struct rt_blob got[3]; /* from descriptors 1 and 2 */
    size_t written;
    /* of the reaper, under its lock */
    struct skua_process *next;
    bool is_polled;
};

/* A handle without a child; one reference. NULL: no memory. */
struct skua_process *rt_process_new(void);
void rt_process_keep(struct skua_process *p);
void rt_process_unref(struct skua_process *p);
void rt_process_free(struct skua_process *p);

/* Looks, and reaps it if it has ended. Any thread. */
bool rt_process_look(struct skua_process *p);
/* In a task. Until it has ended. 0, -ETIMEDOUT, -ECANCELED, -ENOMEM. */
int rt_process_await(struct skua_process *p, uint64_t deadline);
/* Takes over a fresh descriptor; on failure it is closed. 0 or -ENOMEM. */
int rt_held_take(struct rt_held *held, int fd);
/* Closes the parent's end for descriptor i of the child, if it is there and nobody has closed it.
 */
void rt_process_close_end(struct skua_process *p, int i);

/* --- the reaper: reaper.c --- */

/* Takes over the last reference of a child that runs: reaps it when it ends, and frees it. */
void rt_reaper_give(struct skua_process *p);
/* Looks after those that it could not get a descriptor or a thread for. */
void rt_reaper_sweep(void);

#endif
