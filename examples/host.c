/* SPDX-License-Identifier: MIT */
/* A program with threads and a loop of its own, and skua as its guest on one more thread. */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <skua.h>
#include <stdio.h>
#include <unistd.h>

struct host {
    skua_loop *loop;
    sem_t started;
    int bell[2];                                /* a pipe on which the host's own loop listens */
};

static void *guest(void *arg)                   /* the thread that becomes worker 0 */
{
    struct host *host = arg;
    host->loop = skua_loop_new();
    sem_post(&host->started);
    if (host->loop != NULL) {
        skua_loop_run_forever(host->loop);
        skua_loop_close(host->loop);
    }
    return NULL;
}

static void *half_a_second(void *arg)           /* a task */
{
    int err = skua_sleep(0.5);
    return err < 0 ? skua_fail(err) : "an answer";
}

static void *ring(void *arg)                    /* a task, for a caller that must not block */
{
    const struct host *host = arg;
    int err = skua_sleep(1.0);
    ssize_t n = write(host->bell[1], "!", 1);
    return err < 0 || n < 0 ? skua_fail(-EIO) : NULL;
}

static void *plain_thread(void *arg)
{
    struct host *host = arg;
    skua_task *task = skua_spawn_threadsafe(host->loop, half_a_second, NULL);
    void *answer = "no answer";
    skua_wait_blocking(task, 5.0, &answer);
    skua_release(task);
    printf("Host thread: got %s\n", (char *)answer);
    return NULL;
}

int main(void)
{
    struct host host = { .loop = NULL };
    pthread_t runtime, worker;
    if (pipe(host.bell) < 0 || sem_init(&host.started, 0, 0) < 0 ||
        pthread_create(&runtime, NULL, guest, &host) != 0)
        return 1;
    sem_wait(&host.started);
    if (host.loop == NULL || pthread_create(&worker, NULL, plain_thread, &host) != 0)
        return 1;

    skua_detach(skua_spawn_threadsafe(host.loop, ring, &host));
    struct pollfd bell = { .fd = host.bell[0], .events = POLLIN };
    int frames = 0;
    while (poll(&bell, 1, 100) == 0)            /* the host's loop goes on drawing its frames */
        frames++;
    printf("Host loop: the bell rang after %d frames\n", frames);

    pthread_join(worker, NULL);
    skua_loop_stop(host.loop);
    pthread_join(runtime, NULL);
    puts("Host: skua has stopped");
    return 0;
}
