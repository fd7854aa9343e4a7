/* SPDX-License-Identifier: MIT */
/* A race on purpose: two groups on two workers count without a lock. TSan must report it, through
 * our stacks and switches as anywhere else; were it silent here, its silence elsewhere would mean
 * nothing. */
#include <skua.h>

enum { ROUNDS = 2000 };

static volatile int counter;

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        counter = counter + 1;
        if (i % 100 == 0)
            SKUA_IGNORE(skua_yield());
    }
    return NULL;
}

static void *run(void *arg)
{
    (void)arg;
    skua_task *tasks[2];
    for (int i = 0; i < 2; i++) {
        skua_group *group = skua_group_new(.worker = i + 1);
        tasks[i] = skua_spawn(count, NULL, .group = group);
        skua_group_release(group);
    }
    int err = skua_gather(tasks, 2, NULL, SKUA_RELEASE);
    return err < 0 ? skua_fail(err) : NULL;
}

int main(void)
{
    return skua_run(run, NULL, .workers = 2) < 0;
}
