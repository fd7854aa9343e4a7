/* SPDX-License-Identifier: MIT */
#include "base/sys_door.h"

#include "base/clock.h"
#include "base/san.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

/* Every use and the reading of errno that belongs to it. */
RT_NOINLINE int rt_sys_failure(void)
{
    int err = errno;
    return err == ECANCELED ? -EIO : -err;
}

/* relaxed: at worst the kernel is asked once more */
static RT_ATOMIC(bool) pwait2_is_missing;

#ifdef RT_TESTING

struct fault {
    RT_ATOMIC(uint64_t) plan; /* nth | err << 32 | is_from << 48; 0: none */
    RT_ATOMIC(unsigned) uses;
    RT_ATOMIC(unsigned) hits;
};

/* relaxed throughout: test bookkeeping, a plan is one word */
static struct fault faults[RT_SYS_CALL_COUNT];
static RT_ATOMIC(size_t) transfer_cap;

static void fault_plan(enum rt_sys_call call, uint64_t plan)
{
    struct fault *f = &faults[call];
    rt_store_relaxed(&f->plan, 0);
    rt_store_relaxed(&f->uses, 0);
    rt_store_relaxed(&f->hits, 0);
    rt_store_relaxed(&f->plan, plan);
}

static uint64_t fault_word(unsigned nth, int err, bool is_from)
{
    return nth == 0 ? 0 : nth | (uint64_t)(err < 0 ? -err : err) << 32 | (uint64_t)is_from << 48;
}

void rt_fault_arm(enum rt_sys_call call, unsigned nth, int err)
{
    fault_plan(call, fault_word(nth, err, false));
}

void rt_fault_arm_from(enum rt_sys_call call, unsigned nth, int err)
{
    fault_plan(call, fault_word(nth, err, true));
}

void rt_fault_reset(void)
{
    for (int call = 0; call < RT_SYS_CALL_COUNT; call++)
        fault_plan((enum rt_sys_call)call, 0);
    rt_store_relaxed(&transfer_cap, 0);
    rt_store_relaxed(&pwait2_is_missing, false);
}

unsigned rt_fault_uses(enum rt_sys_call call)
{
    return rt_load_relaxed(&faults[call].uses);
}

unsigned rt_fault_hits(enum rt_sys_call call)
{
    return rt_load_relaxed(&faults[call].hits);
}

void rt_fault_transfer_cap(size_t max)
{
    rt_store_relaxed(&transfer_cap, max);
}

int rt_sys_fault(enum rt_sys_call call)
{
    struct fault *f = &faults[call];
    uint64_t plan = rt_load_relaxed(&f->plan);
    unsigned use = rt_add_relaxed(&f->uses, 1) + 1;
    unsigned nth = (unsigned)(plan & UINT32_MAX);

    if (RT_LIKELY(plan == 0) || use < nth || (use > nth && (plan >> 48) == 0))
        return 0;
    rt_add_relaxed(&f->hits, 1);
    return -(int)(plan >> 32 & 0xffff);
}

size_t rt_sys_capped(size_t n)
{
    size_t cap = rt_load_relaxed(&transfer_cap);

    return cap != 0 && n > cap ? cap : n;
}

#endif

/* ---- bytes ---- */

RT_NOINLINE ssize_t rt_sys_read(int fd, void *buf, size_t n)
{
    return RT_SYS_RETRY(RT_SYS_READ, read(fd, buf, rt_sys_capped(n)));
}

RT_NOINLINE ssize_t rt_sys_write(int fd, const void *buf, size_t n)
{
    return RT_SYS_RETRY(RT_SYS_WRITE, write(fd, buf, rt_sys_capped(n)));
}

RT_NOINLINE ssize_t rt_sys_readv(int fd, const struct iovec *iov, int n)
{
    return RT_SYS_RETRY(RT_SYS_READV, readv(fd, iov, n));
}

RT_NOINLINE ssize_t rt_sys_writev(int fd, const struct iovec *iov, int n)
{
    return RT_SYS_RETRY(RT_SYS_WRITEV, writev(fd, iov, n));
}

RT_NOINLINE void rt_sys_stderr(const char *buf, size_t n)
{
    ssize_t done = write(STDERR_FILENO, buf, n);

    (void)done; /* there is nowhere left to complain to */
}

/* ---- descriptors ---- */

RT_NOINLINE int rt_sys_open(const char *path, int flags, mode_t mode)
{
    return (int)RT_SYS_RETRY(RT_SYS_OPEN, open(path, flags | O_CLOEXEC, mode));
}

RT_NOINLINE int rt_sys_close(int fd)
{
    int injected = rt_sys_fault(RT_SYS_CLOSE);
    int rc = close(fd);
    if (rc < 0)
        rc = rt_sys_failure();
    if (injected < 0)
        rc = injected;
    return rc == -EINTR ? 0 : rc;
}

RT_NOINLINE int rt_sys_fstat(int fd, struct stat *ret_st)
{
    return (int)RT_SYS_RETRY(RT_SYS_FSTAT, fstat(fd, ret_st));
}

RT_NOINLINE int rt_sys_fcntl_getfl(int fd)
{
    return (int)RT_SYS_RETRY(RT_SYS_FCNTL, fcntl(fd, F_GETFL));
}

RT_NOINLINE int rt_sys_fcntl_setfl(int fd, int flags)
{
    return (int)RT_SYS_RETRY(RT_SYS_FCNTL, fcntl(fd, F_SETFL, flags));
}

RT_NOINLINE int rt_sys_fcntl_dupfd(int fd, int min_fd)
{
    return (int)RT_SYS_RETRY(RT_SYS_FCNTL, fcntl(fd, F_DUPFD_CLOEXEC, min_fd));
}

RT_NOINLINE bool rt_sys_is_terminal(int fd)
{
    struct termios how;
    unsigned number;
    return RT_SYS_RETRY(RT_SYS_IOCTL, tcgetattr(fd, &how)) == 0 &&
           RT_SYS_RETRY(RT_SYS_IOCTL, ioctl(fd, TIOCGPTN, &number)) < 0;
}

RT_NOINLINE int rt_sys_pipe2(int ret_fds[2], int flags)
{
    return (int)RT_SYS_ONCE(RT_SYS_PIPE2, pipe2(ret_fds, flags));
}

RT_NOINLINE int rt_sys_eventfd(void)
{
    return (int)RT_SYS_ONCE(RT_SYS_EVENTFD, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

RT_NOINLINE int rt_sys_eventfd_ring(int fd)
{
    uint64_t one = 1;
    int64_t rc = RT_SYS_RETRY(RT_SYS_EVENTFD_RING, write(fd, &one, sizeof(one)));
    return rc < 0 && rc != -EAGAIN ? (int)rc : 0;
}

RT_NOINLINE int rt_sys_eventfd_drain(int fd)
{
    uint64_t count;
    int64_t rc = RT_SYS_RETRY(RT_SYS_EVENTFD_DRAIN, read(fd, &count, sizeof(count)));
    if (rc == -EAGAIN)
        return 0;
    return rc < 0 ? (int)rc : 1;
}

/* ---- readiness ---- */

RT_NOINLINE int rt_sys_epoll_create(void)
{
    return (int)RT_SYS_ONCE(RT_SYS_EPOLL_CREATE, epoll_create1(EPOLL_CLOEXEC));
}

RT_NOINLINE int rt_sys_epoll_add(int ep, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event ev = { .events = events, .data.u64 = data };
    return (int)RT_SYS_ONCE(RT_SYS_EPOLL_CTL, epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
}

RT_NOINLINE int rt_sys_epoll_mod(int ep, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event ev = { .events = events, .data.u64 = data };
    return (int)RT_SYS_ONCE(RT_SYS_EPOLL_CTL, epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev));
}

RT_NOINLINE int rt_sys_epoll_del(int ep, int fd)
{
    struct epoll_event ev = { 0 };
    return (int)RT_SYS_ONCE(RT_SYS_EPOLL_CTL, epoll_ctl(ep, EPOLL_CTL_DEL, fd, &ev));
}

/* The modern form; -ENOSYS where it is missing, and under ThreadSanitizer, which does not know it.
 */
static int64_t epoll_wait_ns(int ep, struct epoll_event *ret_events, int n, int64_t timeout_ns)
{
#if RT_TSAN
    (void)ep;
    (void)ret_events;
    (void)n;
    (void)timeout_ns;
    return -ENOSYS;
#else
    struct timespec ts = rt_timespec_from_ns((uint64_t)timeout_ns);
    return RT_SYS_ONCE(RT_SYS_EPOLL_PWAIT2,
                epoll_pwait2(ep, ret_events, n, timeout_ns < 0 ? NULL : &ts, NULL));
#endif
}

RT_NOINLINE int rt_sys_epoll_wait(int ep, struct epoll_event *ret_events, int n, int64_t timeout_ns)
{
    int64_t rc = rt_sys_fault(RT_SYS_EPOLL_WAIT);
    if (rc == 0) {
        rc = -ENOSYS;
        if (!rt_load_relaxed(&pwait2_is_missing)) {
            rc = epoll_wait_ns(ep, ret_events, n, timeout_ns);
            if (rc == -EPERM) /* what some sandboxes say to a call they do not know */
                rc = -ENOSYS;
            if (rc == -ENOSYS)
                rt_store_relaxed(&pwait2_is_missing, true);
        }
        if (rc == -ENOSYS) {
            rc = epoll_wait(ep, ret_events, n, rt_ms_from_ns(timeout_ns));
            if (rc < 0)
                rc = rt_sys_failure();
        }
    }
    return rc == -EINTR ? 0 : (int)rc;
}

RT_NOINLINE int rt_sys_poll1(int fd, short events, int timeout_ms)
{
    struct pollfd p = { .fd = fd, .events = events };
    uint64_t forth = timeout_ms < 0 ? RT_NEVER : (uint64_t)timeout_ms * RT_NS_PER_MS;
    uint64_t deadline = rt_ns_add(rt_clock_now(), forth);
    int64_t rc;
    do {
        rc = RT_SYS_ONCE(RT_SYS_POLL, poll(&p, 1, timeout_ms));
        timeout_ms = rt_ms_from_ns(rt_ns_until(deadline, rt_clock_now()));
    } while (rc == -EINTR);
    return rc > 0 ? p.revents : (int)rc;
}

RT_NOINLINE int rt_sys_poll_many(struct pollfd *fds, unsigned n, int64_t timeout_ns)
{
    struct timespec t = rt_timespec_from_ns((uint64_t)timeout_ns);
    int rc = (int)RT_SYS_ONCE(RT_SYS_POLL, ppoll(fds, n, timeout_ns < 0 ? NULL : &t, NULL));
    return rc == -EINTR ? 0 : rc;
}

/* ---- memory ---- */
RT_NOINLINE int rt_sys_mmap_reserve(size_t size, void **ret_addr)
{
    void *addr = MAP_FAILED;
    int rc = rt_sys_fault(RT_SYS_MMAP);
    if (rc < 0)
        return rc;
    addr = mmap(NULL, size, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (addr == MAP_FAILED)
        return rt_sys_failure();
    *ret_addr = addr;
    return 0;
}

RT_NOINLINE int rt_sys_munmap(void *addr, size_t len)
{
    return (int)RT_SYS_ONCE(RT_SYS_MUNMAP, munmap(addr, len));
}

RT_NOINLINE int rt_sys_mprotect_none(void *addr, size_t len)
{
    return (int)RT_SYS_ONCE(RT_SYS_MPROTECT, mprotect(addr, len, PROT_NONE));
}

RT_NOINLINE int rt_sys_madvise(void *addr, size_t len, int advice)
{
    return (int)RT_SYS_ONCE(RT_SYS_MADVISE, madvise(addr, len, advice));
}

size_t rt_sys_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- threads and signals ---- */

static void cut_name(char ret_name[16], const char *name)
{
    size_t n = strnlen(name, 15);
    memcpy(ret_name, name, n);
    ret_name[n] = '\0';
}

RT_NOINLINE void rt_sys_signals_avoid(bool avoid)
{
#if RT_TSAN
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    sigset_t set;
    sigfillset(&set);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&set, faults[i]);
    (void)poll(NULL, 0, 0); /* the first call that blocks makes room for signals, and loses one */
    (void)pthread_sigmask(avoid ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL); /* no error can be */
#else
    (void)avoid;
#endif
}

int rt_sys_thread_create(struct rt_thread *ret, void *(*fn)(void *), void *arg, const char *name)
{
    int rc = -rt_sys_fault(RT_SYS_THREAD_CREATE);
    int before = errno;
    if (rc == 0) {
        sigset_t mask;
        (void)pthread_sigmask(SIG_BLOCK, NULL, &mask); /* no error can be, here and below */
        rt_sys_signals_avoid(true);
        rc = pthread_create(&ret->id, NULL, fn, arg);
        (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
    }
    errno = before; /* as above */
    if (rc != 0)
        return -rc;
    if (name != NULL) {
        char cut[16];

        cut_name(cut, name);
        pthread_setname_np(ret->id, cut); /* for the reader of top only: may fail */
    }
    return 0;
}

int rt_sys_thread_join(struct rt_thread thread)
{
    return -pthread_join(thread.id, NULL);
}

void rt_sys_thread_detach(struct rt_thread thread)
{
    (void)pthread_detach(thread.id); /* it is ours and neither joined nor detached yet */
}

int rt_sys_thread_name(const char *name)
{
    char cut[16];
    cut_name(cut, name);
    return -pthread_setname_np(pthread_self(), cut);
}

void rt_sys_signal_allow(int sig)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* no error can be */
}

int rt_sys_thread_stack(void **ret_base, size_t *ret_bytes)
{
    pthread_attr_t attr;
    int before = errno;
    int rc = pthread_getattr_np(pthread_self(), &attr);
    if (rc == 0) {
        rc = pthread_attr_getstack(&attr, ret_base, ret_bytes);
        (void)pthread_attr_destroy(&attr); /* cannot fail after getattr */
    }
    errno = before; /* the task's own, as above */
    return -rc;
}

bool rt_sys_is_main_thread(void)
{
    return gettid() == getpid();
}

int rt_sys_gettid(void)
{
    return (int)syscall(SYS_gettid);
}

uint64_t rt_sys_thread_blocked(void)
{
    struct rusage used = { 0 };
    (void)getrusage(RUSAGE_THREAD, &used); /* nothing in it can fail */
    return (uint64_t)used.ru_nvcsw;
}

int rt_sys_getpid(void)
{
    return (int)getpid();
}

RT_NOINLINE int rt_sys_tgkill(int tid, int sig)
{
    return (int)RT_SYS_ONCE(RT_SYS_TGKILL, syscall(SYS_tgkill, getpid(), tid, sig));
}

RT_NOINLINE int rt_sys_sigaction(int sig, const struct sigaction *act, struct sigaction *ret_old)
{
    return (int)RT_SYS_ONCE(RT_SYS_SIGACTION, sigaction(sig, act, ret_old));
}

RT_NOINLINE int rt_sys_sigaltstack(const stack_t *ss, stack_t *ret_old)
{
    return (int)RT_SYS_ONCE(RT_SYS_SIGALTSTACK, sigaltstack(ss, ret_old));
}

int rt_sys_sched_yield(void)
{
    return sched_yield();
}

RT_NOINLINE int rt_sys_affinity_count(void)
{
    /* The raw call: it says how much it wrote, and 65536 CPUs are enough where cpu_set_t ends at
     * 1024. */
    unsigned long mask[65536 / (8 * sizeof(unsigned long))];
    int64_t bytes =
        RT_SYS_ONCE(RT_SYS_AFFINITY, syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask));
    int count = 0;
    if (bytes < 0)
        return (int)bytes;
    for (size_t i = 0; i < (size_t)bytes / sizeof(mask[0]); i++)
        count += __builtin_popcountl(mask[i]);
    return count;
}

static void on_sigpipe(int sig)
{
    (void)sig;
}

int rt_sys_ignore_sigpipe(void)
{
    struct sigaction old;
    struct sigaction ours = { .sa_handler = on_sigpipe, .sa_flags = SA_RESTART };
    int rc = rt_sys_sigaction(SIGPIPE, NULL, &old);
    if (rc < 0)
        return rc;
    if ((old.sa_flags & SA_SIGINFO) != 0 || old.sa_handler != SIG_DFL)
        return 0;
    rc = rt_sys_sigaction(SIGPIPE, &ours, NULL);
    return rc < 0 ? rc : 1;
}

int rt_sys_restore_sigpipe(void)
{
    struct sigaction now;
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    int rc = rt_sys_sigaction(SIGPIPE, NULL, &now);
    if (rc < 0)
        return rc;
    if ((now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != on_sigpipe)
        return 0;
    return rt_sys_sigaction(SIGPIPE, &dfl, NULL);
}

RT_NOINLINE int rt_sys_futex_wait(RT_ATOMIC(uint32_t) *word, uint32_t expected, int64_t timeout_ns)
{
    struct timespec ts = rt_timespec_from_ns((uint64_t)timeout_ns);
    int64_t rc =
        RT_SYS_ONCE(RT_SYS_FUTEX_WAIT, syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected,
                                               timeout_ns < 0 ? NULL : &ts, NULL, 0));
    return rc == -EINTR ? 0 : (int)rc;
}

RT_NOINLINE int rt_sys_futex_wake(RT_ATOMIC(uint32_t) *word, int n)
{
    return (int)RT_SYS_ONCE(RT_SYS_FUTEX_WAKE,
                     syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0));
}
