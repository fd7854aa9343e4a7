/* SPDX-License-Identifier: MIT */
/* A race on purpose: two groups on two workers count without a lock. TSan must report it, through
 * our stacks and switches as anywhere else; were it silent here, its silence elsewhere would mean
 * nothing. */
#include <sched.h>
#include <skua.h>
#include <stdatomic.h>

enum { TASKS = 2, ROUNDS = 2000 };

static volatile int counter;
static atomic_int here;

/* They count at the same time for certain: relaxed operations order nothing, so meeting by them
 * hides no race. Were one over before the other began, the runtime might have ordered the two. */
static void meet(void)
{
    atomic_fetch_add_explicit(&here, 1, memory_order_relaxed);
    while (atomic_load_explicit(&here, memory_order_relaxed) < TASKS)
        sched_yield();
}

static void *count(void *arg)
{
    (void)arg;
    SKUA_IGNORE(skua_yield()); /* onto a stack that has been left and come back to */
    meet();
    for (int i = 0; i < ROUNDS; i++)
        counter = counter + 1;
    return NULL;
}

static void *run(void *arg)
{
    (void)arg;
    skua_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++) {
        skua_group *group = skua_group_new(.worker = i + 1);
        tasks[i] = skua_spawn(count, NULL, .group = group);
        skua_group_release(group);
    }
    int err = skua_gather(tasks, TASKS, NULL, SKUA_RELEASE);
    return err < 0 ? skua_fail(err) : NULL;
}

int main(void)
{
    return skua_run(run, NULL, .workers = TASKS) < 0;
}
