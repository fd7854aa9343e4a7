/* SPDX-License-Identifier: MIT */
/* skua/run.h: starting the runtime and running a program in it. asyncio: Runners.
 * docs/running.md tells more, above all how a runtime ends. */
#ifndef SKUA_RUN_H
#define SKUA_RUN_H

#include <skua/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Options of skua_run(), skua_runner_new() and skua_loop_new(). */
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
    int blocking_threads;    /* most threads of to_thread's default lane; 0: min(32, CPUs + 4) */
    int spare_threads;       /* most workers started in place of stuck ones, 256 with the workers;
                                0: SKUA_SPARE_THREADS, else as many as workers; -1: none */
    uint64_t seed;           /* of the scheduler's free choices; 0: a new one each run */
    bool simulate;           /* a later release: answers -ENOTSUP */
    bool virtual_time;       /* time stands still while anything runs and jumps to the next timer
                                when nothing can: an hour of sleep takes no time */
    double shutdown_timeout; /* seconds that leftover tasks get to end once they are cancelled;
                                0: no limit. Then thread calls get as long; 0: 300 */
    const char *lanes;       /* lanes of thread calls and their bounds, "dns=2, thumbs=4": changes
                                default, dns and file, adds others; also SKUA_LANES */
};

/* Starts the runtime, runs main_fn(arg) as a task, stops the runtime. Main runs in a pinned group
 * on the calling thread, and so do the tasks it spawns: one at a time, switching only where they
 * suspend, in asyncio's order. When main has ended, however it ended, every task that is left is
 * cancelled and waited for (its clean-up may still suspend), then the thread calls; errors of
 * leftovers do not change the result.
 * Blocks the calling thread. From: any thread, but not inside a task.
 * SIGINT, when this is the main thread and the signal's handler is the default one: the first
 * cancels main, the second has its default action. SIGPIPE is ignored while a runtime exists.
 * Returns 0 if main returned a value; else main's error (-ECANCELED when it ended cancelled);
 * -EINTR if SIGINT ended it; -EDEADLK when nothing could wake a task any more (docs/debugging.md);
 * -EPERM inside a runtime; -EINVAL for bad options; -ENOTSUP for .simulate; -ENOMEM, or what
 * starting a thread or a poller answers. asyncio: run(). */
SKUA_API int skua_run_with(skua_fn main_fn, void *arg, const struct skua_run_opts *opts);

/* ---- run again and again ---- */

/* A runtime that is kept between runs. Make the handle, run as often as you like, close. */
typedef struct skua_runner skua_runner;

/* Makes a runner; the runtime itself is made by the first run. Options as for skua_run(), kept by
 * value; .result is not used. Never suspends. From: any thread. Returns the caller's handle, to be
 * given to skua_runner_close(); NULL: out of memory or bad options. asyncio: Runner(). */
SKUA_API skua_runner *skua_runner_new_with(const struct skua_run_opts *opts);

/* Runs fn(arg) as the main task, as skua_run() does, SIGINT included, but leaves the runtime there:
 * tasks that have not ended stay, free ones run on, those of the loop go on with the next run. All
 * mains of a runner run in one context, a copy of the one that its first user had: what one sets
 * the next one sees. The thread that runs it first has the runner from then on. Blocks the calling
 * thread. From: that thread, not inside a runtime. Returns what skua_run() returns; -EPERM inside a
 * runtime (its own included) or on another thread, -ESHUTDOWN once closed, -EINVAL.
 * asyncio: Runner.run(). */
SKUA_API int skua_runner_run(skua_runner *r, skua_fn fn, void *arg, void **ret_result);

/* The loop on which the runner runs, made if it was not yet; borrowed, and closed by the runner
 * only. Never suspends. From: the runner's thread, not inside a runtime. Returns NULL where
 * skua_runner_run() would answer an error, or out of memory. asyncio: Runner.get_loop(). */
SKUA_API skua_loop *skua_runner_get_loop(skua_runner *r);

/* Cancels what is left, waits for it, stops the runtime, as the end of skua_run() does. Blocks the
 * calling thread. From: the runner's thread, not inside a runtime. Closing again does nothing (for
 * the next 64 runners that are closed; later the handle is no longer valid). Returns 0, -ETIMEDOUT
 * when a task did not end within .shutdown_timeout, -EPERM, -EINVAL for NULL.
 * asyncio: Runner.close(). */
SKUA_API int skua_runner_close(skua_runner *r);

/* ---- the allocator ---- */

/* Sets the program's allocator up for many threads (background purging, decay) when it is
 * jemalloc, else does nothing. Call it first thing in main() of a server; a library should leave
 * this to the program. Never suspends. From: any thread, before the runtime starts. asyncio has no
 * such call. */
SKUA_API void skua_tune_allocator(void);

#ifndef __cplusplus
/* int skua_run(skua_fn main_fn, void *arg, [.workers = 1, ...]) */
#define skua_run(main_fn, ...) \
    SKUA_RUN_(main_fn, __VA_ARGS__, .size = sizeof(struct skua_run_opts))
#define SKUA_RUN_(main_fn, arg, ...) \
    skua_run_with((main_fn), (arg), &(const struct skua_run_opts){ __VA_ARGS__ })

/* skua_runner *skua_runner_new([.workers = 1, ...]) */
#define skua_runner_new(...)                                                                      \
    skua_runner_new_with(                                                                         \
        &(const struct skua_run_opts){ .size = sizeof(struct skua_run_opts), __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
