/* SPDX-License-Identifier: MIT */
/* floor 0: base. The door to the kernel: children.
 *
 * A child is named by its pidfd. Its number is used once, right after it was started, to get that
 * pidfd: then nobody of ours has reaped it yet.
 */
#include "base/sys_door.h"

#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- start ---- */

static int add_fds(posix_spawn_file_actions_t *acts, const struct rt_child_plan *plan)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < plan->n_fds; i++) {
        int from = plan->fds[i] == RT_CHILD_AS_BEFORE ? i - 1 : plan->fds[i];
        if (from != RT_CHILD_KEEP)
            rc = posix_spawn_file_actions_adddup2(acts, from, i);
    }
    return rc;
}

static int add_actions(posix_spawn_file_actions_t *acts, const struct rt_child_plan *plan)
{
    int rc = add_fds(acts, plan);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(acts, plan->n_fds);
    if (rc == 0 && plan->cwd)
        rc = posix_spawn_file_actions_addchdir_np(acts, plan->cwd);
    return rc;
}

/* What we catch is SIG_DFL after the exec anyway, but what is ignored stays so: right for SIGHUP
 * under nohup, wrong for the two that programs ignore for reasons of their own. */
static int set_attributes(posix_spawnattr_t *attr, const struct rt_child_plan *plan)
{
    sigset_t none;
    sigset_t by_default;
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigemptyset(&none);
    sigemptyset(&by_default);
    sigaddset(&by_default, SIGPIPE);
    sigaddset(&by_default, SIGXFSZ);
    if (plan->new_session)
        flags |= POSIX_SPAWN_SETSID;
    if (plan->in_group)
        flags |= POSIX_SPAWN_SETPGROUP;
    int rc = posix_spawnattr_setflags(attr, (short)flags);
    if (rc == 0)
        rc = posix_spawnattr_setsigmask(attr, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attr, &by_default);
    if (rc == 0)
        rc = posix_spawnattr_setpgroup(attr, plan->in_group ? plan->group : 0);
    return rc;
}

static int start(const struct rt_child_plan *plan, posix_spawn_file_actions_t *acts,
                 posix_spawnattr_t *attr)
{
    pid_t pid = -1;
    int rc = add_actions(acts, plan);
    if (rc == 0)
        rc = set_attributes(attr, plan);
    if (rc == 0)
        rc = posix_spawnp(&pid, plan->file, acts, attr, plan->argv,
                          plan->env ? plan->env : environ);
    return rc == 0 ? (int)pid : -rc;
}

RT_NOINLINE int rt_sys_child_start(const struct rt_child_plan *plan)
{
    posix_spawn_file_actions_t acts;
    posix_spawnattr_t attr;
    int before = errno;
    int r = rt_sys_fault(RT_SYS_CHILD_START);
    if (r < 0)
        return r;
    r = -posix_spawn_file_actions_init(&acts);
    if (r < 0)
        return r;
    r = -posix_spawnattr_init(&attr);
    if (r == 0) {
        r = start(plan, &acts, &attr);
        (void)posix_spawnattr_destroy(&attr); /* both free memory and cannot fail */
    }
    (void)posix_spawn_file_actions_destroy(&acts);
    errno = before;
    return r == -ECANCELED ? -EIO : r;
}

RT_NOINLINE void rt_sys_child_discard(int pid)
{
    siginfo_t info;
    int before = errno;
    /* Still there, or still unreaped: then the number cannot be another's. */
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        kill(pid, SIGKILL) == 0) {
        while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 && errno == EINTR)
            continue;
    }
    errno = before;
}

/* ---- by pidfd ---- */

RT_NOINLINE int rt_sys_pidfd_open(int pid)
{
    return (int)RT_SYS_ONCE(RT_SYS_PIDFD_OPEN, syscall(SYS_pidfd_open, pid, 0));
}

RT_NOINLINE int rt_sys_pidfd_signal(int pidfd, int sig)
{
    return (int)RT_SYS_ONCE(RT_SYS_PIDFD_SIGNAL,
                            syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0));
}

RT_NOINLINE int rt_sys_pidfd_wait(int pidfd, bool keep, int *ret_code)
{
    siginfo_t info;
    int how = WEXITED | WNOHANG | (keep ? WNOWAIT : 0);
    memset(&info, 0, sizeof info);
    int r = (int)RT_SYS_RETRY(RT_SYS_PIDFD_WAIT, waitid(P_PIDFD, (id_t)pidfd, &info, how));
    if (r < 0 || info.si_pid == 0)
        return r;
    *ret_code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return 1;
}
