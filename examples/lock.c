/* SPDX-License-Identifier: MIT */
/* When is a lock needed? Not between two waits of a pinned task, which no other task of the group
 * can come between; it is over a wait, and wherever free tasks share something. */
#include <skua.h>
#include <stdio.h>

enum { TASKS = 4, ROUNDS = 1000 };

static skua_lock lock = SKUA_LOCK_INIT;
static long count;

static void *no_wait_between(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        count = count + 1;
        skua_yield();
    }
    return arg;
}

static void *wait_between(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        long seen = count;
        skua_yield();                           /* the others read the same number */
        count = seen + 1;
    }
    return arg;
}

static void *locked(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        int err = skua_lock_acquire(&lock);
        if (err < 0)
            return skua_fail(err);              /* cancelled: the lock is not ours */
        long seen = count;
        skua_yield();
        count = seen + 1;
        skua_lock_release(&lock);               /* to the one that waits longest */
    }
    return arg;
}

static int show(const char *text, skua_fn body, skua_task *(*start)(skua_fn body))
{
    skua_task *tasks[TASKS];
    count = 0;
    for (int i = 0; i < TASKS; i++)
        tasks[i] = start(body);
    int err = skua_gather(tasks, TASKS, NULL, SKUA_RELEASE);
    printf("%-32s %ld\n", text, count);
    return err;
}

static skua_task *pinned(skua_fn body)
{
    return skua_spawn(body, NULL);
}

static skua_task *on_all_cores(skua_fn body)
{
    return skua_go(body, NULL);
}

static void *main_task(void *arg)
{
    int err = show("pinned, no wait in between:", no_wait_between, pinned);
    if (err == 0)
        err = show("pinned, a wait in between:", wait_between, pinned);
    if (err == 0)
        err = show("pinned, a wait under the lock:", locked, pinned);
    if (err == 0)
        err = show("free, a wait under the lock:", locked, on_all_cores);
    return err < 0 ? skua_fail(err) : arg;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
