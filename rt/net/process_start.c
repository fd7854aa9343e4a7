/* SPDX-License-Identifier: MIT */
/* floor 8: net. Starting a child.
 *
 * The task makes the pipes; a thread of the lane "file" starts the program and gets its pidfd. A
 * pidfd of this process is got before, and given back when the child's is due: so an old kernel or
 * a lack of descriptors is found out while there is no child yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include <skua/thread.h>

#include "base/mem.h"
#include "base/sys.h"
#include "net/process.h"
#include "net/sock.h"
#include "sched/queues.h"

enum { PASS_MAX = 4096 };

struct start {
    struct rt_child_plan plan;
    struct skua_process *p;
    int *fds; /* of the plan; those >= 0 are to be closed here */
    int r;    /* of the thread; 0: the child is there */
};

/* --- descriptors --- */

static void close_fds(struct start *s)
{
    for (int i = 0; i < s->plan.n_fds; i++) {
        if (s->fds[i] >= 0)
            SKUA_IGNORE(rt_sys_close(s->fds[i])); /* a copy, or the child's end of a pipe */
        s->fds[i] = RT_CHILD_KEEP;
    }
}

/* Above those that the child gets, so that none is overwritten before it has been copied. Takes fd
 * over. */
static int lift(struct start *s, int fd)
{
    if (fd < 0 || fd >= s->plan.n_fds)
        return fd;
    int lifted = rt_sys_fcntl_dupfd(fd, s->plan.n_fds);
    SKUA_IGNORE(rt_sys_close(fd)); /* the copy is used */
    return lifted;
}

static int adopt(struct skua_process *p, int i, int fd)
{
    int r = rt_sys_fcntl_setfl(fd, O_NONBLOCK);
    if (r == 0)
        return rt_held_take(&p->end[i], fd);
    SKUA_IGNORE(rt_sys_close(fd)); /* the first error is reported */
    return r;
}

/* The child's end, or -errno. */
static int open_pipe(struct start *s, int i)
{
    int fds[2];
    int childs = i == 0 ? 0 : 1;
    int r = rt_sys_pipe2(fds, O_CLOEXEC);
    if (r < 0)
        return r;
    r = adopt(s->p, i, fds[!childs]);
    if (r == 0)
        return lift(s, fds[childs]);
    SKUA_IGNORE(rt_sys_close(fds[childs])); /* the first error is reported */
    return r;
}

static int open_one(struct start *s, int i, int what)
{
    int fd;
    if (what == SKUA_STDOUT && i == STDERR_FILENO) {
        s->fds[i] = RT_CHILD_AS_BEFORE;
        return 0;
    }
    if (what == 0 && i <= STDERR_FILENO)
        return 0; /* the parent's own */
    if (what == SKUA_PIPE)
        fd = open_pipe(s, i);
    else if (what == SKUA_DEVNULL)
        fd = lift(s, rt_sys_open("/dev/null", O_RDWR, 0));
    else
        fd = what < 0 ? -EINVAL : rt_sys_fcntl_dupfd(what, s->plan.n_fds);
    if (fd < 0)
        return fd;
    s->fds[i] = fd;
    return 0;
}

static int open_fds(struct start *s, const struct skua_process_opts *opts)
{
    const int what[3] = {opts->stdin, opts->stdout, opts->stderr};
    int n = 3 + (int)opts->n_pass_fds;
    s->fds = rt_malloc((size_t)n * sizeof *s->fds);
    if (!s->fds)
        return -ENOMEM;
    for (int i = 0; i < n; i++)
        s->fds[i] = RT_CHILD_KEEP;
    s->plan.fds = s->fds;
    s->plan.n_fds = n;
    int r = 0;
    for (int i = 0; r == 0 && i < 3; i++)
        r = open_one(s, i, what[i]);
    for (int i = 3; r == 0 && i < n; i++)
        r = opts->pass_fds[i - 3] < 0 ? -EBADF : open_one(s, i, opts->pass_fds[i - 3]);
    return r;
}

/* --- on the thread --- */

/* A child that is gone already, or whose number is a stranger's by now, was reaped by somebody
 * else. */
static int get_pidfd(struct skua_process *p)
{
    int code;
    int fd = rt_sys_pidfd_open(p->pid);
    int r = fd;
    if (fd >= 0 && rt_sys_pidfd_wait(fd, true, &code) < 0) {
        SKUA_IGNORE(rt_sys_close(fd)); /* of nobody we know */
        r = -ESRCH;
    } else if (fd >= 0) {
        r = rt_held_take(&p->pidfd, fd);
    }
    if (r < 0 && r != -ESRCH) {
        rt_sys_child_discard(p->pid);
        return r;
    }
    p->has_ended = r < 0;
    p->code = RT_CHILD_UNKNOWN;
    return 0;
}

/* A pidfd, or -errno. Nobody is a child of himself, so a wait by it says -ECHILD where there are
 * such waits. */
static int keep_place(void)
{
    int code;
    int fd = rt_sys_pidfd_open(rt_sys_getpid());
    if (fd < 0 || rt_sys_pidfd_wait(fd, true, &code) != -EINVAL)
        return fd;
    SKUA_IGNORE(rt_sys_close(fd)); /* the first error is reported */
    return -ENOSYS;
}

static int start_child(struct start *s)
{
    int kept = keep_place();
    if (kept < 0)
        return kept;
    int pid = rt_sys_child_start(&s->plan);
    close_fds(s);
    SKUA_IGNORE(rt_sys_close(kept)); /* it has kept a place */
    if (pid < 0)
        return pid;
    s->p->pid = pid;
    return get_pidfd(s->p);
}

static void *on_thread(void *arg)
{
    struct start *s = arg;
    s->r = start_child(s);
    return NULL;
}

/* --- the calls --- */

static int check(const char *const *argv, skua_process **ret_process,
                 const struct skua_process_opts *opts)
{
    if (!argv || !argv[0] || !ret_process || opts->size != sizeof *opts)
        return -EINVAL;
    if (opts->n_pass_fds > PASS_MAX || (opts->n_pass_fds && !opts->pass_fds))
        return -EINVAL;
    if (opts->process_group < 0 || (opts->process_group && opts->new_process_group))
        return -EINVAL;
    return rt_current() ? 0 : -EPERM;
}

static void plan(struct start *s, const char *const *argv, const struct skua_process_opts *opts)
{
    /* posix_spawn writes to neither */
    s->plan.file = argv[0];
    s->plan.argv = (char *const *)(uintptr_t)argv;
    s->plan.env = (char *const *)(uintptr_t)opts->env;
    s->plan.cwd = opts->cwd;
    s->plan.new_session = opts->start_new_session;
    s->plan.in_group = opts->new_process_group || opts->process_group;
    s->plan.group = opts->process_group;
}

/* 0: the child is there. */
static int run(struct start *s)
{
    static const struct skua_thread_opts opts = {.size = sizeof opts, .lane = "file"};
    s->r = -ECHILD; /* not started */
    int r = skua_to_thread_with(on_thread, s, NULL, &opts);
    if (r == 0 || s->r < 0)
        return r < 0 ? r : s->r;
    SKUA_IGNORE(skua_process_kill(s->p)); /* cancelled: nobody is told of it */
    skua_process_release(s->p);
    s->p = NULL;
    return r;
}

int skua_process_exec_with(const char *const *argv, skua_process **ret_process,
                           const struct skua_process_opts *opts)
{
    static const struct skua_process_opts no_opts = {.size = sizeof no_opts};
    struct start s = {.fds = NULL};
    if (!opts)
        opts = &no_opts;
    int r = check(argv, ret_process, opts);
    if (r < 0)
        return r;
    rt_reaper_sweep();
    s.p = rt_process_new();
    if (!s.p)
        return -ENOMEM;
    plan(&s, argv, opts);
    r = open_fds(&s, opts);
    if (r == 0)
        r = run(&s);
    close_fds(&s);
    rt_free(s.fds);
    if (r == 0) {
        *ret_process = s.p;
    } else if (s.p) {
        for (int i = 0; i < 3; i++)
            rt_process_close_end(s.p, i);
        rt_process_free(s.p);
    }
    return r;
}

int skua_process_shell_with(const char *command, skua_process **ret_process,
                            const struct skua_process_opts *opts)
{
    const char *argv[] = {"/bin/sh", "-c", "--", command, NULL}; /* it may begin with a dash */
    return command ? skua_process_exec_with(argv, ret_process, opts) : -EINVAL;
}
