/* SPDX-License-Identifier: MIT */
#ifndef SKUA_H
#define SKUA_H
/* skua: asyncio for all your cores. */
#include <bits/types/sigset_t.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#ifdef __cplusplus
extern "C" {
#endif
#define SKUA_CHECKED __attribute__((warn_unused_result))

/* ---- nouns ---- */
typedef struct skua_task   skua_task;            /* anything that can be awaited           */
typedef struct skua_task   skua_future;          /* same type; the name shows intent       */
typedef struct skua_group  skua_group;           /* a pinned group, which is a loop        */
typedef struct skua_group  skua_loop;            /* same type: group = loop                */
typedef struct { uint64_t id; } skua_handle;     /* a callback by name; {0} = none; never dangles, nothing to release */
typedef struct { uint64_t opaque[12]; } skua_timeout;
typedef struct { uint64_t opaque[8];  } skua_as_completed;

typedef void *(*skua_fn)(void *arg);
typedef void  (*skua_cb)(void *arg);                         /* runs on its loop, not in a task: may not suspend (-EPERM) */
typedef void  (*skua_done_cb)(skua_task *task, void *arg);
typedef void  (*skua_conn_fn)(int fd, void *arg);            /* skua_serve closes fd when it returns or never started */

/* ---- results: a value or an error in one pointer ---- */
void *skua_fail(int err);                                    /* err in -4095..-1, else -EINVAL; pure, works in any thread */
void *skua_failf(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int   skua_failed(const void *value);                        /* 0 = a value; else the negative errno it carries */

/* ---- options: zero means default; .size is filled in by the macro ---- */
struct skua_run_opts {
    size_t size; int workers; void **result; bool debug; bool free_main; size_t stack_size;
    int blocking_threads; int spare_threads; uint64_t seed; bool simulate; bool virtual_time; double shutdown_timeout;
};
struct skua_spawn_opts {
    size_t size; const char *name; skua_group *group; size_t copy;
    skua_cb drop; size_t stack_size; bool eager; int *ret_err;
    const char *where;               /* place of spawn for reports; the macros fill it in */
};
typedef struct { uint64_t opaque[2]; } skua_token;           /* asks a blocking call to stop */
#define SKUA_TOKEN_INIT {{0}}
#define SKUA_IGNORE(call) ((void)!(call))                    /* a result ignored on purpose */
struct skua_thread_opts { size_t size; const char *lane; size_t copy; bool abandon; bool interrupt; skua_token *token; const char *name; int *ret_err; };
struct skua_group_opts  { size_t size; int worker; const char *name; };
struct skua_serve_opts  { size_t size; skua_group *group; int max_connections; double drain; };
struct skua_listen_opts { size_t size; int backlog; bool reuseport; };
struct skua_connect_opts { size_t size; const char *local; };

/* ---- running ---- */
int  skua_run_with(skua_fn main, void *arg, const struct skua_run_opts *opts);
skua_loop *skua_loop_new_with(const struct skua_run_opts *opts);
int  skua_loop_run_until_complete(skua_loop *loop, skua_task *task, void **ret_result);
int  skua_loop_run_forever(skua_loop *loop);
void skua_loop_stop(skua_loop *loop);
int  skua_loop_close(skua_loop *loop);
skua_loop *skua_loop_current(void);
double skua_loop_time(void);
skua_handle skua_call_soon(skua_cb cb, void *arg);
skua_handle skua_call_later(double delay, skua_cb cb, void *arg);
skua_handle skua_call_at(double when, skua_cb cb, void *arg);
bool skua_handle_cancel(skua_handle h);
int  skua_call_soon_threadsafe(skua_loop *loop, skua_cb cb, void *arg);
skua_task *skua_spawn_threadsafe_with(skua_loop *loop, skua_fn fn, void *arg, const struct skua_spawn_opts *opts);
int  skua_wait_blocking(skua_task *task, double timeout, void **ret_result);

/* ---- tasks and futures ---- */
skua_task *skua_spawn_with(skua_fn fn, void *arg, const struct skua_spawn_opts *opts);
skua_task *skua_go_with(skua_fn fn, void *arg, const struct skua_spawn_opts *opts);
int  skua_await(skua_task *task, void **ret_result) SKUA_CHECKED;
int  skua_join(skua_task *task, void **ret_result) SKUA_CHECKED;
skua_task *skua_retain(skua_task *task);
void skua_release(skua_task *task);
void skua_release_all(skua_task *const *tasks, size_t n);
void skua_detach(skua_task *task);
bool skua_cancel(skua_task *task, const char *msg);
int  skua_cancelling(const skua_task *task);
int  skua_uncancel(skua_task *task);
bool skua_done(const skua_task *task);
bool skua_cancelled(const skua_task *task);
int  skua_result(skua_task *task, void **ret_result);
int  skua_error(skua_task *task);
const char *skua_error_message(const skua_task *task);
const char *skua_name(const skua_task *task);
int  skua_set_name(skua_task *task, const char *name);
skua_task *skua_current_task(void);
size_t skua_all_tasks(skua_task **ret_tasks, size_t n);
int  skua_sleep(double s) SKUA_CHECKED;
int  skua_sleep_result(double s, void *result, void **ret_result) SKUA_CHECKED;
int  skua_sleep_until(double when) SKUA_CHECKED;
int  skua_yield(void);
skua_future *skua_future_new(void);
bool skua_future_set_result(skua_future *f, void *value);
bool skua_future_set_error(skua_future *f, int err);
int  skua_add_done_callback(skua_task *task, skua_done_cb cb, void *arg);
size_t skua_remove_done_callback(skua_task *task, skua_done_cb cb, void *arg);

/* ---- fan-in, scopes, timeouts ---- */
#define SKUA_RETURN_ERRORS 1u
#define SKUA_RELEASE       2u
enum skua_when { SKUA_ALL_COMPLETED, SKUA_FIRST_COMPLETED, SKUA_FIRST_EXCEPTION };
int  skua_gather(skua_task *const *tasks, size_t n, void **results, unsigned flags) SKUA_CHECKED;
int  skua_wait(skua_task **tasks, size_t n, double timeout, enum skua_when when, size_t *ret_done) SKUA_CHECKED;
int  skua_wait_for(skua_task *task, double timeout, void **ret_result) SKUA_CHECKED;
skua_task *skua_shield(skua_task *task);
int  skua_as_completed_init(skua_as_completed *it, skua_task *const *tasks, size_t n, double timeout);
skua_task *skua_as_completed_next(skua_as_completed *it, int *ret_err);
void skua_as_completed_fini(skua_as_completed *it);
int  skua_timeout_enter(skua_timeout *scope, double delay);
int  skua_timeout_reschedule(skua_timeout *scope, double when);
bool skua_timeout_expired(const skua_timeout *scope);
int  skua_timeout_exit(skua_timeout *scope, int err) SKUA_CHECKED;
skua_group *skua_group_new_with(const struct skua_group_opts *opts);
void skua_group_release(skua_group *g);


/* ---- threads ---- */
int  skua_to_thread_with(skua_fn fn, void *arg, void **ret_result, const struct skua_thread_opts *opts) SKUA_CHECKED;
void skua_token_set(skua_token *token);
bool skua_token_is_set(const skua_token *token);
int *skua_errno_location(void);
void skua_tune_allocator(void);
skua_task *skua_spawn_thread_with(skua_fn fn, void *arg, const struct skua_thread_opts *opts);

/* ---- sockets of the first issue ---- */
int     skua_listen_with(const char *addr, const struct skua_listen_opts *opts);
int     skua_accept(int fd, double timeout) SKUA_CHECKED;
int     skua_connect_with(const char *addr, double timeout, const struct skua_connect_opts *opts) SKUA_CHECKED;
int     skua_serve_with(int fd, skua_conn_fn handler, void *arg, const struct skua_serve_opts *opts) SKUA_CHECKED;
ssize_t skua_read(int fd, void *buf, size_t n, double timeout) SKUA_CHECKED;
ssize_t skua_write(int fd, const void *buf, size_t n, double timeout) SKUA_CHECKED;
int     skua_poll_fd(int fd, unsigned events, double timeout) SKUA_CHECKED;
int     skua_close(int fd);
int     skua_fd_adopt(int fd);                               /* a foreign non-blocking fd becomes ours, closed by skua_close */

/* ---- signals ---- */
int  skua_add_signal_handler(int signo, skua_cb cb, void *arg);
int  skua_remove_signal_handler(int signo);
int  skua_signal_wait(const sigset_t *set, double timeout) SKUA_CHECKED;   /* the signal's number, or < 0 */

/* ---- looking at a running runtime (from inside it) ---- */
struct skua_stats { size_t size; int workers; uint64_t tasks_alive, stacks_created, stacks_idle, unretrieved; };
struct skua_worker_stats { size_t size; uint64_t tasks, steals, polls, connections, parks, wakeups; };
int  skua_stats_get(struct skua_stats *ret_stats);
int  skua_worker_stats_get(int worker, struct skua_worker_stats *ret_stats);
int  skua_worker_index(void);                                /* of the calling worker thread, or -1 */
const char *skua_version(void);

#if !defined SKUA_NO_ERRNO_MACRO
#undef errno
#define errno (*skua_errno_location())
#endif

#ifndef __cplusplus
#define SKUA_RUN_(fn, arg, ...)   skua_run_with((fn), (arg), &(const struct skua_run_opts){ __VA_ARGS__ })
#define skua_run(fn, ...)         SKUA_RUN_(fn, __VA_ARGS__, .size = sizeof(struct skua_run_opts))
#define SKUA_SPAWN_(fn, arg, ...) skua_spawn_with((fn), (arg), &(const struct skua_spawn_opts){ __VA_ARGS__ })
#define skua_spawn(fn, ...)       SKUA_SPAWN_(fn, __VA_ARGS__, .size = sizeof(struct skua_spawn_opts))
#define SKUA_GO_(fn, arg, ...)    skua_go_with((fn), (arg), &(const struct skua_spawn_opts){ __VA_ARGS__ })
#define skua_go(fn, ...)          SKUA_GO_(fn, __VA_ARGS__, .size = sizeof(struct skua_spawn_opts))
#define SKUA_LISTEN_(addr, ...)   skua_listen_with((addr), &(const struct skua_listen_opts){ __VA_ARGS__ })
#define skua_listen(...)          SKUA_LISTEN_(__VA_ARGS__, .size = sizeof(struct skua_listen_opts))
#define skua_group_new(...)       skua_group_new_with(&(const struct skua_group_opts){ .size = sizeof(struct skua_group_opts), __VA_ARGS__ })
#define SKUA_TO_THREAD_(fn, arg, ret, ...) skua_to_thread_with((fn), (arg), (ret), &(const struct skua_thread_opts){ __VA_ARGS__ })
#define skua_to_thread(fn, arg, ...) SKUA_TO_THREAD_(fn, arg, __VA_ARGS__, .size = sizeof(struct skua_thread_opts))
#define SKUA_SERVE_(fd, h, arg, ...) skua_serve_with((fd), (h), (arg), &(const struct skua_serve_opts){ __VA_ARGS__ })
#define skua_serve(fd, h, ...)    SKUA_SERVE_(fd, h, __VA_ARGS__, .size = sizeof(struct skua_serve_opts))
#define SKUA_CONNECT_(addr, timeout, ...) skua_connect_with((addr), (timeout), &(const struct skua_connect_opts){ __VA_ARGS__ })
#define skua_connect(addr, ...) SKUA_CONNECT_(addr, __VA_ARGS__, .size = sizeof(struct skua_connect_opts))
#define skua_loop_new(...) skua_loop_new_with(&(const struct skua_run_opts){ .size = sizeof(struct skua_run_opts), __VA_ARGS__ })
#define skua_taskgroup_spawn(tg, fn, ...) SKUA_TASKGROUP_SPAWN_(tg, fn, __VA_ARGS__, .size = sizeof(struct skua_spawn_opts))
#define SKUA_SPAWN_THREAD_(fn, arg, ...) skua_spawn_thread_with((fn), (arg), &(const struct skua_thread_opts){ __VA_ARGS__ })
#define skua_spawn_thread(fn, ...) SKUA_SPAWN_THREAD_(fn, __VA_ARGS__, .size = sizeof(struct skua_thread_opts))
#define SKUA_SPAWN_THREADSAFE_(loop, fn, arg, ...) skua_spawn_threadsafe_with((loop), (fn), (arg), &(const struct skua_spawn_opts){ __VA_ARGS__ })
#define skua_spawn_threadsafe(loop, fn, ...) SKUA_SPAWN_THREADSAFE_(loop, fn, __VA_ARGS__, .size = sizeof(struct skua_spawn_opts))
#endif
#ifdef __cplusplus
}
#endif
#endif
