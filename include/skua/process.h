/* SPDX-License-Identifier: MIT */
/* skua/process.h: child processes. asyncio: Subprocesses.
 *
 *     const char *argv[] = {"sort", "-u", NULL};
 *     struct skua_process_output out;
 *     skua_process *p;
 *     int r = skua_process_exec(argv, &p, .stdin = SKUA_PIPE, .stdout = SKUA_PIPE);
 *     if (r == 0) {
 *         r = skua_process_communicate(p, "b\na\nb\n", 6, &out, 5.0);
 *         ...
 *         skua_process_release(p);
 *     }
 *
 * A child is held by a descriptor of its own (a pidfd), never by its number, so that no signal hits
 * a stranger who got the number later. It sees its descriptors 0, 1 and 2 and what .pass_fds names;
 * no signal is blocked in it, SIGPIPE and SIGXFSZ have their default action, and what the parent
 * ignores otherwise stays ignored.
 *
 * Linux 5.4 is needed; before it starting a process answers -ENOSYS. */
#ifndef SKUA_PROCESS_H
#define SKUA_PROCESS_H

#include <skua/base.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A child that was started. The caller's to release; any thread may use it. */
typedef struct skua_process skua_process;

/* What stands for a descriptor in .stdin, .stdout and .stderr. */
enum {
    SKUA_PIPE = -1,   /* a pipe; its other end is skua_process_stdin(), _stdout(), _stderr() */
    SKUA_STDOUT = -2, /* .stderr only: where .stdout goes */
    SKUA_DEVNULL = -3
};

/* Options of skua_process_exec() and skua_process_shell(). */
struct skua_process_opts {
    size_t size;           /* sizeof(struct skua_process_opts); the macro fills it in */
    int stdin;             /* each: 0: the parent's own; SKUA_PIPE, SKUA_DEVNULL, SKUA_STDOUT, */
    int stdout;            /* or a descriptor, which stays the caller's */
    int stderr;            /* likewise */
    const char *cwd;       /* the child's working directory; NULL: the parent's */
    const char *const *env; /* "NAME=value", ..., NULL; NULL: the parent's */
    const int *pass_fds;   /* these are 3, 4, ... in the child, in this order */
    size_t n_pass_fds;     /* so many */
    bool start_new_session; /* the child leads a new session: setsid() */
    bool new_process_group; /* the child leads a new process group */
    int process_group;      /* > 0: the child joins this process group */
};

/* Options of skua_process_communicate(). */
struct skua_communicate_opts {
    size_t size;  /* sizeof(struct skua_communicate_opts); the macro fills it in */
    size_t limit; /* of each output, in bytes; 0: none */
};

/* What a child wrote, each with a NUL behind it that does not count; the caller's to free by
 * skua_free(). NULL and 0 for what is no pipe. */
struct skua_process_output {
    char *out;      /* what it wrote to standard output */
    size_t out_n;   /* so many bytes */
    char *err;      /* what it wrote to standard error */
    size_t err_n;   /* so many bytes */
    int returncode; /* as of skua_process_wait() */
};

/* Starts a program: argv[0] without a slash is looked up in the parent's PATH; argv ends with NULL.
 * It is started by a thread of the lane "file", since that takes as long as reading the program
 * does. Suspends. From: task.
 * Returns 0 and *ret_process; -ENOENT or -EACCES (the program, or .cwd), -E2BIG and whatever else
 * exec(2) answers; -EMFILE, -EAGAIN (no process or no thread to be had), -ENOMEM; -EBADF (a
 * descriptor of the options); -EINVAL; -ENOSYS; -ESHUTDOWN; -EPERM. After -ECANCELED no child is
 * left: one that had been started already was killed. asyncio: create_subprocess_exec(). */
SKUA_API int skua_process_exec_with(const char *const *argv, skua_process **ret_process,
                                    const struct skua_process_opts *opts) SKUA_CHECKED;

/* Starts "/bin/sh -c -- command". Take care what goes into the command. Suspends. From: task.
 * Returns as skua_process_exec(). asyncio: create_subprocess_shell(). */
SKUA_API int skua_process_shell_with(const char *command, skua_process **ret_process,
                                     const struct skua_process_opts *opts) SKUA_CHECKED;

/* Lets go of it: closes the parent's ends of the pipes and frees the handle. A child that still
 * runs runs on, and is reaped when it ends, also after the end of the runtime (by a thread that is
 * there only as long as such children are); kill it first if it shall not. NULL: does nothing.
 * Under tasks that wait for it these go on; who communicates gets -EBADF. Never suspends. From: any
 * thread. asyncio: the garbage collector, which kills the child. */
SKUA_API void skua_process_release(skua_process *process);

/* Waits until it has ended. With pipes that nobody reads this may take for ever: the child waits
 * for room; skua_process_communicate() reads. Any number of tasks may wait. May suspend. From:
 * task.
 * Returns 0 and *ret_returncode: its exit status, minus the signal that ended it, or 255 if
 * somebody else has reaped it (a waitpid(-1) of the program, or SIGCHLD ignored); -ETIMEDOUT,
 * -ECANCELED, -EINVAL, -EPERM, -ENOMEM. asyncio: Process.wait(). */
SKUA_API int skua_process_wait(skua_process *process, double timeout,
                               int *ret_returncode) SKUA_CHECKED;

/* Has it ended? Returns 1 and *ret_returncode, 0 while it runs, -EINVAL. Never suspends. From: any
 * thread. asyncio: Process.returncode. */
SKUA_API int skua_process_poll(skua_process *process, int *ret_returncode);

/* Writes n bytes of input to its standard input and closes that, reads its outputs until they
 * end, then waits for it to end; whichever of them are pipes. A child that does not want its input
 * is no error. Suspends. From: task.
 * Returns 0 and *ret_output (NULL: it is dropped), or -ETIMEDOUT, -ECANCELED, -EMSGSIZE (more than
 * .limit bytes), -ENOMEM: then the child runs on, and another call with the same input goes on
 * where this one stopped, nothing is lost. -EBUSY: another task communicates with it; -EBADF: a
 * pipe was closed meanwhile; -EINVAL, -EPERM. asyncio: Process.communicate(). */
SKUA_API int skua_process_communicate_with(skua_process *process, const void *input, size_t n,
                                           struct skua_process_output *ret_output, double timeout,
                                           const struct skua_communicate_opts *opts) SKUA_CHECKED;

/* Sends it a signal: signo, SIGTERM, SIGKILL. Never suspends. From: any thread. Returns 0, -ESRCH
 * when it has ended, -EINVAL. asyncio: Process.send_signal(), terminate(), kill(). */
SKUA_API int skua_process_send_signal(skua_process *process, int signo);
SKUA_API int skua_process_terminate(skua_process *process);
SKUA_API int skua_process_kill(skua_process *process);

/* Its number, for reports; signals go by skua_process_send_signal(). Never suspends. From: any
 * thread. Returns it or -EINVAL. asyncio: Process.pid. */
SKUA_API int skua_process_pid(const skua_process *process);

/* The parent's end of a pipe, for skua_read() and skua_write(). Closed by skua_close(), which ends
 * the child's input, or with the handle. Never suspends. From: any thread. Returns it; -EINVAL
 * where there is none. asyncio: Process.stdin, stdout, stderr. */
SKUA_API int skua_process_stdin(const skua_process *process);
SKUA_API int skua_process_stdout(const skua_process *process);
SKUA_API int skua_process_stderr(const skua_process *process);

#ifndef __cplusplus
/* int skua_process_exec(const char *const *argv, skua_process **ret, [.stdout = SKUA_PIPE, ...]) */
#define skua_process_exec(argv, ...) \
    SKUA_PROCESS_EXEC_(argv, __VA_ARGS__, .size = sizeof(struct skua_process_opts))
#define SKUA_PROCESS_EXEC_(argv, ret_process, ...) \
    skua_process_exec_with((argv), (ret_process), &(const struct skua_process_opts){ __VA_ARGS__ })

/* int skua_process_shell(const char *command, skua_process **ret, [.cwd = "/tmp", ...]) */
#define skua_process_shell(command, ...) \
    SKUA_PROCESS_SHELL_(command, __VA_ARGS__, .size = sizeof(struct skua_process_opts))
#define SKUA_PROCESS_SHELL_(command, ret_process, ...) \
    skua_process_shell_with((command), (ret_process), \
                            &(const struct skua_process_opts){ __VA_ARGS__ })

/* int skua_process_communicate(skua_process *p, const void *input, size_t n,
 *                              struct skua_process_output *ret, double timeout, [.limit = 4096]) */
#define skua_process_communicate(process, input, n, ret_output, ...) \
    SKUA_PROCESS_COMMUNICATE_(process, input, n, ret_output, __VA_ARGS__, \
                              .size = sizeof(struct skua_communicate_opts))
#define SKUA_PROCESS_COMMUNICATE_(process, input, n, ret_output, timeout, ...) \
    skua_process_communicate_with((process), (input), (n), (ret_output), (timeout), \
                                  &(const struct skua_communicate_opts){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
