/* SPDX-License-Identifier: MIT */
/* A producer and three consumers: the queue hands out the work, and knows when it is done. */
#include <math.h>
#include <skua.h>
#include <stdio.h>

enum { WORKERS = 3, JOBS = 8 };

static skua_queue queue = SKUA_QUEUE_INIT(4);   /* four in line at most: then put waits */

static void *worker(void *name)
{
    void *item;
    int err;
    while ((err = skua_queue_get(&queue, &item, INFINITY)) == 0) {
        double seconds = *(const double *)item;
        err = skua_sleep(seconds);
        if (err < 0)
            break;
        printf("%s has slept for %.1f seconds\n", (char *)name, seconds);
        skua_queue_task_done(&queue);
    }
    return err == -EPIPE ? NULL : skua_fail(err); /* shut down: that is the end of the work */
}

static void *main_task(void *arg)
{
    static const double seconds[JOBS] = { 0.3, 0.1, 0.4, 0.1, 0.5, 0.9, 0.2, 0.7 };
    static char *names[WORKERS] = { "worker-0", "worker-1", "worker-2" };
    skua_task *workers[WORKERS];
    double start = skua_loop_time(), total = 0;
    int err = 0;
    for (int i = 0; i < WORKERS; i++)
        workers[i] = skua_spawn(worker, names[i]);
    for (int i = 0; i < JOBS && err == 0; i++) {
        total += seconds[i];
        err = skua_queue_put(&queue, (void *)&seconds[i], INFINITY);
    }
    if (err == 0)
        err = skua_queue_join(&queue);          /* all are done, not only handed out */
    printf("3 workers slept in parallel for %.1f seconds\n", skua_loop_time() - start);
    printf("the sum of all sleeps is %.1f seconds\n", total);
    skua_queue_shutdown(&queue, false);
    int end = skua_gather(workers, WORKERS, NULL, SKUA_RELEASE);
    skua_queue_fini(&queue);
    err = err < 0 ? err : end;
    return err < 0 ? skua_fail(err) : arg;
}

int main(void) { return skua_run(main_task, NULL, .virtual_time = true) < 0; }
