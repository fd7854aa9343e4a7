/* SPDX-License-Identifier: MIT */
/* skua/run.h: starting the runtime and running a program in it. asyncio: Runners. */
#ifndef SKUA_RUN_H
#define SKUA_RUN_H

#include <skua/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct skua_run_opts {
    size_t size;             /* sizeof(struct skua_run_opts); the macro fills it in */
    int workers;             /* threads that run tasks, each with its own loop; 0: SKUA_WORKERS,
                                else the CPUs this process may use; 1: single-thread mode */
    void **result;           /* gets main's value; written only on success */
    bool debug;              /* also SKUA_DEBUG=1: at the end, report handles never released, errors
                                never looked at and cancellations swallowed, each with the place
                                where its task was spawned */
    bool free_main;          /* main is a free task, and so is what it spawns */
    size_t stack_size;       /* bytes of a task's stack; 0: 64 KiB, touched lazily */
    int blocking_threads;    /* most threads of the to_thread pool; 0: min(32, CPUs + 4) */
    int spare_threads;       /* most workers started in place of stuck ones, 256 with the workers;
                                0: SKUA_SPARE_THREADS, else as many as workers; -1: none */
    uint64_t seed;           /* of the scheduler's free choices; 0: a new one each run */
    bool simulate;           /* a later release: answers -ENOTSUP */
    bool virtual_time;       /* time stands still while anything runs and jumps to the next timer
                                when nothing can: an hour of sleep takes no time */
    double shutdown_timeout; /* seconds that leftover tasks get to end once they are cancelled;
                                0: no limit */
};

/* Starts the runtime, runs main_fn(arg) as a task, stops the runtime. Main runs in a pinned group
 * on the calling thread, and so do the tasks it spawns: one at a time, switching only where they
 * suspend, in asyncio's order. When main has ended, however it ended, every task that is left is
 * cancelled and waited for (its clean-up may still suspend), then the to_thread pool is
 * drained; errors of leftovers do not change the result.
 * Blocks the calling thread. From: any thread, but not inside a task.
 * SIGINT, when this is the main thread and the signal's handler is the default one: the first
 * cancels main, the second has its default action. SIGPIPE is ignored while a runtime exists.
 * Returns 0 if main returned a value; else main's error (-ECANCELED when it ended cancelled);
 * -EINTR if SIGINT ended it; -EPERM inside a runtime; -EINVAL for bad options; -ENOTSUP for
 * .simulate; -ENOMEM, or what starting a thread or a poller answers. asyncio: run(). */
SKUA_API int skua_run_with(skua_fn main_fn, void *arg, const struct skua_run_opts *opts);

/* Sets the program's allocator up for many threads (background purging, decay) when it is
 * jemalloc, else does nothing. Call it first thing in main() of a server; a library should leave
 * this to the program. Never suspends. From: any thread, before the runtime starts. */
SKUA_API void skua_tune_allocator(void);

#ifndef __cplusplus
/* int skua_run(skua_fn main_fn, void *arg, [.workers = 1, ...]) */
#define skua_run(main_fn, ...) \
    SKUA_RUN_(main_fn, __VA_ARGS__, .size = sizeof(struct skua_run_opts))
#define SKUA_RUN_(main_fn, arg, ...) \
    skua_run_with((main_fn), (arg), &(const struct skua_run_opts){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
