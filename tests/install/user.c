/* SPDX-License-Identifier: MIT */
/* A program of somebody who has installed skua: `user jemalloc` or `user system` runs tasks, then
 * looks whether that allocator is the one that malloc belongs to. Compiled as C11 and as C++17. */
#include <skua.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<base/atomic.h>) || __has_include(<skua/worker.h>) || defined(RT_TESTING)
#error "insides of the library can be seen from here"
#endif

#define TASK_COUNT 100
#define BLOCK      ((size_t)1 << 20)

#ifdef __cplusplus
extern "C"
#endif
int mallctl(const char *name, void *old, size_t *old_size, void *now, size_t now_size)
    __attribute__((weak));

static void *child(void *arg)
{
    return skua_sleep(0.001) < 0 ? NULL : arg;
}

static void *parent(void *arg)
{
    skua_task *tasks[TASK_COUNT];
    int *sum = (int *)arg;

    for (int i = 0; i < TASK_COUNT; i++)
        tasks[i] = skua_go_with(child, arg, NULL);
    for (int i = 0; i < TASK_COUNT; i++) {
        void *value = NULL;

        if (skua_join(tasks[i], &value) == 0 && value == arg)
            ++*sum;
    }
    return NULL;
}

static size_t allocated(void)
{
    size_t bytes = 0, size = sizeof(bytes);
    uint64_t epoch = 1;

    if (!mallctl || mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) != 0 ||
        mallctl("stats.allocated", &bytes, &size, NULL, 0) != 0)
        return 0;
    return bytes;
}

int main(int argc, char **argv)
{
    int sum = 0;
    bool wants_jemalloc = argc > 1 && strcmp(argv[1], "jemalloc") == 0;
    int err = skua_run_with(parent, &sum, NULL);
    size_t before = allocated();
    void *volatile block = malloc(BLOCK);
    size_t after = allocated();

    free(block);
    printf("skua %d.%d.%d: %d tasks, error %d, %zu bytes of jemalloc\n", SKUA_VERSION_MAJOR,
           SKUA_VERSION_MINOR, SKUA_VERSION_PATCH, sum, err, before);
    if (err != 0 || sum != TASK_COUNT)
        return 1;
    if (wants_jemalloc)
        return before > 0 && after >= before + BLOCK ? 0 : 2;
    return mallctl ? 3 : 0;
}
