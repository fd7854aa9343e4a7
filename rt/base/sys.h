/* SPDX-License-Identifier: MIT */
/* floor 0: base. Every system call goes through here.
 *
 * Each function returns >= 0 or -errno; errno is read right behind the call, inside one function
 * that is never inlined, because its address must not be carried over a suspension. EINTR is
 * retried where that is right: not for close (the descriptor is gone) and not for waits (they
 * return as if woken). ECANCELED from the kernel is reported as -EIO, since -ECANCELED means "this
 * task was cancelled" everywhere in skua.
 *
 * SIGPIPE: rt_sys_send, rt_sys_sendto and rt_sys_sendmsg never raise it. rt_sys_write and
 * rt_sys_writev on a pipe whose reader is gone do; rt_sys_ignore_sigpipe at runtime start keeps the
 * default action from ending the process.
 */
#ifndef RT_BASE_SYS_H
#define RT_BASE_SYS_H

#include "base/atomic.h"
#include "base/compiler.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Bytes. */
ssize_t rt_sys_read(int fd, void *buf, size_t n);
ssize_t rt_sys_write(int fd, const void *buf, size_t n);
ssize_t rt_sys_readv(int fd, const struct iovec *iov, int n);
ssize_t rt_sys_writev(int fd, const struct iovec *iov, int n);
ssize_t rt_sys_recv(int fd, void *buf, size_t n, int flags);
ssize_t rt_sys_send(int fd, const void *buf, size_t n, int flags);
ssize_t rt_sys_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from,
                        socklen_t *from_len);
ssize_t rt_sys_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
                      socklen_t to_len);
ssize_t rt_sys_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t rt_sys_sendmsg(int fd, const struct msghdr *msg, int flags);
/* From `offset` of in_fd, whose position stays. Raises SIGPIPE as rt_sys_write does. */
ssize_t rt_sys_sendfile(int out_fd, int in_fd, off_t offset, size_t n);
/* Best effort, no retry, no fault injection: the way of logs and panics. */
void rt_sys_stderr(const char *buf, size_t n);

/* Descriptors. */
int rt_sys_open(const char *path, int flags, mode_t mode); /* O_CLOEXEC is added */
int rt_sys_close(int fd);                                  /* EINTR counts as done */
int rt_sys_fstat(int fd, struct stat *ret_st);
int rt_sys_fcntl_getfl(int fd);
int rt_sys_fcntl_setfl(int fd, int flags);
int rt_sys_fcntl_dupfd(int fd, int min_fd); /* F_DUPFD_CLOEXEC */
/* A terminal, and not the master of one, which is another pair each time it is opened. */
bool rt_sys_is_terminal(int fd);
int rt_sys_pipe2(int ret_fds[2], int flags);
int rt_sys_eventfd(void); /* nonblocking, close-on-exec */
/* Adds 1. A full counter (EAGAIN) is as good: the reader has yet to see it. */
int rt_sys_eventfd_ring(int fd);
/* 1 when it had been rung since the last drain, 0 when not. */
int rt_sys_eventfd_drain(int fd);

/* Files, for threads that may block (sys_file.c). EINTR is told, not retried: the caller may have
 * been asked to stop. Paths are relative to the working directory. */
int rt_sys_file_open(const char *path, int flags, mode_t mode); /* O_CLOEXEC is added */
ssize_t rt_sys_file_read(int fd, void *buf, size_t n);
ssize_t rt_sys_file_write(int fd, const void *buf, size_t n);
ssize_t rt_sys_file_pread(int fd, void *buf, size_t n, off_t offset);
ssize_t rt_sys_file_pwrite(int fd, const void *buf, size_t n, off_t offset);
int64_t rt_sys_file_seek(int fd, off_t offset, int whence);
int rt_sys_file_sync(int fd, bool data_only);
int rt_sys_file_truncate(int fd, off_t size);
int rt_sys_file_chmod(int fd, mode_t mode);
int rt_sys_path_stat(const char *path, bool follow, struct stat *ret_st);
int rt_sys_path_rename(const char *from, const char *to);
int rt_sys_path_unlink(const char *path);
int rt_sys_path_mkdir(const char *path, mode_t mode);
int rt_sys_path_rmdir(const char *path);
/* A directory, entry by entry. next: 1 and *ret_name, which stays until the next call; 0 at the
 * end. */
int rt_sys_dir_open(const char *path, void **ret_dir);
int rt_sys_dir_next(void *dir, const char **ret_name);
void rt_sys_dir_close(void *dir);

/* Children (sys_child.c). */
enum { RT_CHILD_KEEP = -1, RT_CHILD_AS_BEFORE = -2 };
struct rt_child_plan {
    const char *file; /* looked up in PATH unless it has a slash */
    char *const *argv;
    char *const *env; /* NULL: as here */
    const char *cwd;  /* NULL: as here */
    /* What becomes descriptor i of the child: one >= n_fds; RT_CHILD_KEEP: what i is here;
     * RT_CHILD_AS_BEFORE: the same as i - 1. No other is open in the child. */
    const int *fds;
    int n_fds;
    bool new_session;
    bool in_group; /* it joins `group`, or leads a new one if that is 0 */
    pid_t group;
};
/* Starts it, with no signal blocked and SIGPIPE as it is by default. Blocks until it has become the
 * other program. Its number, which is to be reaped, or -errno, also of what went wrong in the
 * child; then there is none. */
int rt_sys_child_start(const struct rt_child_plan *plan);
/* A child that was just started and cannot be kept: ends it and reaps it. Blocks for that long. */
void rt_sys_child_discard(int pid);
int rt_sys_pidfd_open(int pid); /* close-on-exec */
int rt_sys_pidfd_signal(int pidfd, int sig);
/* 1: it has ended, with *ret_code, a negative one for the signal that did it; 0: not yet. -ECHILD:
 * no child of ours, or reaped by somebody else. Unless `keep`, that reaps it. */
int rt_sys_pidfd_wait(int pidfd, bool keep, int *ret_code);

/* Sockets. */
int rt_sys_socket(int domain, int type, int protocol);
int rt_sys_socketpair(int domain, int type, int protocol, int ret_fds[2]);
int rt_sys_bind(int fd, const struct sockaddr *addr, socklen_t len);
int rt_sys_listen(int fd, int backlog);
/* EINTR reads as -EINPROGRESS: the connect goes on. */
int rt_sys_connect(int fd, const struct sockaddr *addr, socklen_t len);
/* flags: SOCK_NONBLOCK | SOCK_CLOEXEC; peer and peer_len may be NULL. */
int rt_sys_accept4(int fd, struct sockaddr *peer, socklen_t *peer_len, int flags);
int rt_sys_getsockopt_int(int fd, int level, int name, int *ret_value);
int rt_sys_setsockopt_int(int fd, int level, int name, int value);
int rt_sys_getsockname(int fd, struct sockaddr *ret_addr, socklen_t *len);
int rt_sys_getpeername(int fd, struct sockaddr *ret_addr, socklen_t *len);
int rt_sys_shutdown(int fd, int how);

/* Names: both ask the C library's resolver and may block for long. What it answers is an errno
 * value here: -ENOENT no such name, -ENODATA the name has no such address, -EAGAIN, -EREMOTEIO (the
 * servers failed), ... Lists are freed by rt_sys_freeaddrinfo. */
struct addrinfo;
int rt_sys_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_list);
void rt_sys_freeaddrinfo(struct addrinfo *list);
int rt_sys_getnameinfo(const struct sockaddr *addr, socklen_t len, char *ret_host, size_t host_n,
                       char *ret_service, size_t service_n, int flags);
/* Of the interface with this name; 0: there is none. */
unsigned rt_sys_interface_index(const char *name);

/* Readiness. */
int rt_sys_epoll_create(void);
int rt_sys_epoll_add(int ep, int fd, uint32_t events, uint64_t data);
int rt_sys_epoll_mod(int ep, int fd, uint32_t events, uint64_t data);
int rt_sys_epoll_del(int ep, int fd);
/* Events filled in; 0 on timeout and on EINTR. timeout_ns: -1 for ever, 0 looks only. Rounds up to
 * milliseconds on kernels without epoll_pwait2. */
int rt_sys_epoll_wait(int ep, struct epoll_event *ret_events, int n, int64_t timeout_ns);
/* revents, or 0 on timeout; timeout_ms: -1 for ever. Retries EINTR with the time that is left. */
int rt_sys_poll1(int fd, short events, int timeout_ms);
/* How many of the n are ready for reading; 0 on timeout and on EINTR. timeout_ns: -1 for ever. */
int rt_sys_poll_many(struct pollfd *fds, unsigned n, int64_t timeout_ns);

/* Memory. */
/* Read-write, private, no swap reserved, meant for stacks. */
int rt_sys_mmap_reserve(size_t size, void **ret_addr);
int rt_sys_munmap(void *addr, size_t len);
int rt_sys_mprotect_none(void *addr, size_t len);
int rt_sys_madvise(void *addr, size_t len, int advice);
size_t rt_sys_page_size(void);

/* Threads and signals. */
struct rt_thread {
    pthread_t id;
};

/* name may be NULL and is cut to 15 characters. The thread inherits the caller's signal mask; under
 * ThreadSanitizer it avoids signals until it says otherwise. */
int rt_sys_thread_create(struct rt_thread *ret, void *(*fn)(void *), void *arg, const char *name);
int rt_sys_thread_join(struct rt_thread thread);
void rt_sys_thread_detach(struct rt_thread thread);
int rt_sys_thread_name(const char *name); /* of the calling thread */
int rt_sys_gettid(void);
int rt_sys_getpid(void);
uint64_t rt_sys_thread_blocked(void); /* how often the calling thread has really slept */
/* Only under ThreadSanitizer, which keeps a signal for the fiber that a thread runs at that moment
 * and forgets it when the fiber is left for long, and forgets those that come before the first call
 * that blocks: threads that switch stacks take none then, and others none before they are up. */
void rt_sys_signals_avoid(bool avoid);
void rt_sys_signal_allow(int sig); /* the calling thread takes it, whatever mask it inherited */
/* The stack that the calling thread was born with. 0 or -errno. */
int rt_sys_thread_stack(void **ret_base, size_t *ret_bytes);
bool rt_sys_is_main_thread(void);
int rt_sys_tgkill(int tid, int sig); /* within this process */
int rt_sys_sigaction(int sig, const struct sigaction *act, struct sigaction *ret_old);
int rt_sys_sigaltstack(const stack_t *ss, stack_t *ret_old);
int rt_sys_sched_yield(void);
int rt_sys_affinity_count(void); /* CPUs the calling thread may run on */

/* A handler that does nothing is installed when the disposition is SIG_DFL (a handler, unlike
 * SIG_IGN, does not reach programs started by exec). 1 when installed, 0 when the process had
 * decided otherwise. Callers serialise. */
int rt_sys_ignore_sigpipe(void);
/* Back to SIG_DFL, if our handler is still the one in place. */
int rt_sys_restore_sigpipe(void);

/* 0 when woken (or interrupted, or for no reason), -EAGAIN when *word was not expected, -ETIMEDOUT.
 * timeout_ns: relative, -1 for ever. */
int rt_sys_futex_wait(RT_ATOMIC(uint32_t) *word, uint32_t expected, int64_t timeout_ns);
/* How many were woken. */
int rt_sys_futex_wake(RT_ATOMIC(uint32_t) *word, int n);

#ifdef RT_TESTING
enum rt_sys_call {
    RT_SYS_READ,
    RT_SYS_WRITE,
    RT_SYS_READV,
    RT_SYS_WRITEV,
    RT_SYS_RECV,
    RT_SYS_SEND,
    RT_SYS_RECVFROM,
    RT_SYS_SENDTO,
    RT_SYS_RECVMSG,
    RT_SYS_SENDMSG,
    RT_SYS_OPEN,
    RT_SYS_CLOSE,
    RT_SYS_FSTAT,
    RT_SYS_FCNTL,
    RT_SYS_IOCTL,
    RT_SYS_PIPE2,
    RT_SYS_EVENTFD,
    RT_SYS_EVENTFD_RING,
    RT_SYS_EVENTFD_DRAIN,
    RT_SYS_SOCKET,
    RT_SYS_SOCKETPAIR,
    RT_SYS_BIND,
    RT_SYS_LISTEN,
    RT_SYS_CONNECT,
    RT_SYS_ACCEPT4,
    RT_SYS_GETSOCKOPT,
    RT_SYS_SETSOCKOPT,
    RT_SYS_GETSOCKNAME,
    RT_SYS_GETPEERNAME,
    RT_SYS_SHUTDOWN,
    RT_SYS_EPOLL_CREATE,
    RT_SYS_EPOLL_CTL,
    RT_SYS_EPOLL_WAIT,
    RT_SYS_EPOLL_PWAIT2,
    RT_SYS_POLL,
    RT_SYS_MMAP,
    RT_SYS_MUNMAP,
    RT_SYS_MPROTECT,
    RT_SYS_MADVISE,
    RT_SYS_THREAD_CREATE,
    RT_SYS_SIGACTION,
    RT_SYS_SIGALTSTACK,
    RT_SYS_TGKILL,
    RT_SYS_FUTEX_WAIT,
    RT_SYS_FUTEX_WAKE,
    RT_SYS_AFFINITY,
    RT_SYS_FILE_OPEN,
    RT_SYS_FILE_READ,
    RT_SYS_FILE_WRITE,
    RT_SYS_FILE_SEEK,
    RT_SYS_FILE_SYNC,
    RT_SYS_FILE_TRUNCATE,
    RT_SYS_FILE_CHMOD,
    RT_SYS_PATH_STAT,
    RT_SYS_PATH_CHANGE, /* rename, unlink, mkdir, rmdir */
    RT_SYS_DIR_OPEN,
    RT_SYS_DIR_NEXT,
    RT_SYS_CHILD_START,
    RT_SYS_PIDFD_OPEN,
    RT_SYS_PIDFD_SIGNAL,
    RT_SYS_PIDFD_WAIT,
    RT_SYS_SENDFILE,
    RT_SYS_GETADDRINFO,
    RT_SYS_GETNAMEINFO,
    RT_SYS_CALL_COUNT
};

/* The nth use of the call from now on, counted from 1 over all threads, fails once with err (an
 * errno value, either sign) in place of the system call; nth 0 disarms. EINTR meets the function's
 * own EINTR policy. A failing close has closed all the same, as in the kernel. RT_SYS_EPOLL_WAIT is
 * every rt_sys_epoll_wait, RT_SYS_EPOLL_PWAIT2 only its modern form. */
void rt_fault_arm(enum rt_sys_call call, unsigned nth, int err);
/* The nth and all later uses fail. */
void rt_fault_arm_from(enum rt_sys_call call, unsigned nth, int err);
/* Disarms all calls, lifts the transfer cap, forgets that epoll_pwait2 was missing. */
void rt_fault_reset(void);
/* Uses and injected failures since the call was last armed, or reset. */
unsigned rt_fault_uses(enum rt_sys_call call);
unsigned rt_fault_hits(enum rt_sys_call call);
/* rt_sys_read, write, recv, send, sendfile and those of files move at most this many bytes at a
 * time; 0 lifts. */
void rt_fault_transfer_cap(size_t max);

/* Asked in place of the C library, with its results and its EAI values; NULL: as before. Threads
 * that are inside go on with the one they found. */
struct rt_resolver {
    int (*getaddrinfo)(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_list);
    void (*freeaddrinfo)(struct addrinfo *list);
    int (*getnameinfo)(const struct sockaddr *addr, socklen_t len, char *ret_host, socklen_t host_n,
                       char *ret_service, socklen_t service_n, int flags);
};
void rt_sys_resolver_set(const struct rt_resolver *resolver);
#endif

#endif
