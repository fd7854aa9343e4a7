/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Settings of jemalloc, when that is what the process allocates with. */
#include "aio/allocator.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <skua.h>

int mallctl(const char *name, void *old, size_t *old_size, void *now, size_t now_size)
    __attribute__((weak, visibility("default")));

/* A setting that this build of jemalloc lacks, or an arena that is not in use, changes nothing. */
static void set(const char *name, void *value, size_t size)
{
    SKUA_IGNORE(mallctl(name, NULL, NULL, value, size));
}

static void set_decay(ssize_t ms)
{
    unsigned n = 0;
    size_t   size = sizeof n;
    set("arenas.dirty_decay_ms", &ms, sizeof ms); /* of arenas to come */
    if (mallctl("arenas.narenas", &n, &size, NULL, 0) != 0)
        return;
    for (unsigned i = 0; i < n; i++) {
        char name[48];
        (void)snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", i);
        set(name, &ms, sizeof ms);
    }
}

int rt_allocator_threads(void)
{
    uint64_t epoch = 1;
    size_t   n = 0, size = sizeof n;
    if (!mallctl)
        return 0;
    set("epoch", &epoch, sizeof epoch); /* the figures are those of this moment */
    return mallctl("stats.background_thread.num_threads", &n, &size, NULL, 0) == 0 ? (int)n : 0;
}

/* What is freed in a burst goes back to the system within seconds, by threads of jemalloc's own,
 * and not when some task next calls free. */
void skua_tune_allocator(void)
{
    enum { DECAY_MS = 5000 };
    bool on = true;
    if (!mallctl)
        return;
    set("background_thread", &on, sizeof on);
    set_decay(DECAY_MS);
}
