/* SPDX-License-Identifier: MIT */
/* Free tasks compute on all cores; what they find is counted in a pinned group, where one task runs
 * at a time: its data is plain, without locks or atomics. */
#include <skua.h>
#include <stdio.h>

enum { TASKS = 16, LIMIT = 160000 };

static skua_group *ledger;
static long primes;                             /* belongs to the tasks of the ledger */
static long entries;                            /* so does this */

static void *enter(void *arg)
{
    primes += *(const long *)arg;
    entries++;
    return NULL;
}

static int is_prime(long n)
{
    for (long d = 2; d * d <= n; d++)
        if (n % d == 0)
            return 0;
    return n > 1;
}

static void *search(void *arg)
{
    long first = *(const long *)arg;
    for (long n = first; n < first + LIMIT / TASKS; n += 100) {
        long found = 0;
        for (long i = n; i < n + 100; i++)
            found += is_prime(i);
        /* Spawned into the group, so it runs at home; joined, so `found` outlives it. */
        int err = skua_join(skua_spawn(enter, &found, .group = ledger), NULL);
        if (err < 0)
            return skua_fail(err);
    }
    return NULL;
}

static void *main_task(void *arg)
{
    ledger = skua_group_new(.name = "ledger");
    if (ledger == NULL)
        return skua_fail(-ENOMEM);
    long first[TASKS];
    skua_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++) {
        first[i] = (long)i * (LIMIT / TASKS);
        tasks[i] = skua_go(search, &first[i]);
    }
    int err = skua_gather(tasks, TASKS, NULL, SKUA_RETURN_ERRORS | SKUA_RELEASE);
    skua_group_release(ledger);
    if (err != 0)
        return skua_fail(err < 0 ? err : -EIO);
    printf("%ld entries, %ld primes below %d\n", entries, primes, LIMIT);
    return NULL;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
