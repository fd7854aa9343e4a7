/* SPDX-License-Identifier: MIT */
/* Goal: each door returns >= 0 or -errno with the right EINTR policy, and faults strike when armed.
 * Method: real descriptors; injected errors in testing builds. */
#include "capture.h"

#include "base/clock.h"
#include "base/sys.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>

static void test_sys_errors_are_negative_errno(void **state)
{
    char byte = 0;
    struct stat st;

    (void)state;
    assert_int_equal(rt_sys_read(-1, &byte, 1), -EBADF);
    assert_int_equal(rt_sys_write(-1, &byte, 1), -EBADF);
    assert_int_equal(rt_sys_close(-1), -EBADF);
    assert_int_equal(rt_sys_fstat(-1, &st), -EBADF);
    assert_int_equal(rt_sys_open("/nonexistent/file", O_RDONLY, 0), -ENOENT);
    assert_int_equal(rt_sys_epoll_del(-1, 0), -EBADF);
    assert_int_equal(rt_sys_munmap((void *)1, 1), -EINVAL);
    assert_int_equal(rt_sys_tgkill(rt_sys_gettid(), 0), 0);
}

static void test_sys_eventfd_rings_once_per_drain(void **state)
{
    int fd = rt_sys_eventfd();

    (void)state;
    assert_true(fd >= 0);
    assert_true((rt_sys_fcntl_getfl(fd) & O_NONBLOCK) != 0);
    assert_int_equal(rt_sys_eventfd_drain(fd), 0);
    assert_int_equal(rt_sys_eventfd_ring(fd), 0);
    assert_int_equal(rt_sys_eventfd_ring(fd), 0);
    assert_int_equal(rt_sys_eventfd_drain(fd), 1);
    assert_int_equal(rt_sys_eventfd_drain(fd), 0);
    assert_int_equal(rt_sys_close(fd), 0);
}

static void test_sys_eventfd_full_counts_as_rung(void **state)
{
    uint64_t almost = UINT64_MAX - 1;
    int fd = rt_sys_eventfd();

    (void)state;
    assert_int_equal(rt_sys_write(fd, &almost, sizeof(almost)), sizeof(almost));
    assert_int_equal(rt_sys_eventfd_ring(fd), 0);
    assert_int_equal(rt_sys_eventfd_drain(fd), 1);
    assert_int_equal(rt_sys_close(fd), 0);
}

static void test_sys_epoll_reports_and_times_out(void **state)
{
    struct epoll_event ev[4];
    int ep = rt_sys_epoll_create();
    int fd = rt_sys_eventfd();
    uint64_t before;

    (void)state;
    assert_int_equal(rt_sys_epoll_add(ep, fd, EPOLLIN | EPOLLET, 0x123456789abcdef0), 0);
    assert_int_equal(rt_sys_epoll_add(ep, fd, EPOLLIN, 0), -EEXIST);
    assert_int_equal(rt_sys_epoll_wait(ep, ev, 4, 0), 0);
    before = rt_clock_now();
    assert_int_equal(rt_sys_epoll_wait(ep, ev, 4, 3000001), 0);
    assert_true(rt_clock_now() - before >= 3000001);
    assert_int_equal(rt_sys_eventfd_ring(fd), 0);
    assert_int_equal(rt_sys_epoll_wait(ep, ev, 4, -1), 1);
    assert_true(ev[0].data.u64 == 0x123456789abcdef0);
    assert_int_equal(rt_sys_epoll_wait(ep, ev, 4, 0), 0);
    assert_int_equal(rt_sys_epoll_mod(ep, fd, EPOLLIN | EPOLLET, 7), 0);
    assert_int_equal(rt_sys_epoll_wait(ep, ev, 4, INT64_MAX), 1);
    assert_true(ev[0].data.u64 == 7);
    assert_int_equal(rt_sys_epoll_del(ep, fd), 0);
    assert_int_equal(rt_sys_epoll_wait(ep, ev, 4, 0), 0);
    rt_sys_close(fd);
    rt_sys_close(ep);
}

static int listener(struct sockaddr_in *ret_addr)
{
    socklen_t len = sizeof(*ret_addr);
    int fd = rt_sys_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *ret_addr = (struct sockaddr_in){ .sin_family = AF_INET };
    ret_addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(rt_sys_setsockopt_int(fd, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    assert_int_equal(rt_sys_bind(fd, (struct sockaddr *)ret_addr, len), 0);
    assert_int_equal(rt_sys_listen(fd, 8), 0);
    assert_int_equal(rt_sys_getsockname(fd, (struct sockaddr *)ret_addr, &len), 0);
    return fd;
}

static void test_sys_tcp_round_trip(void **state)
{
    struct sockaddr_in addr;
    struct sockaddr_in peer;
    socklen_t len = sizeof(peer);
    struct iovec iov = { .iov_base = (char[]){ "ab" }, .iov_len = 2 };
    char buf[8];
    int value = -1;
    int server = listener(&addr);
    int client = rt_sys_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int conn;

    (void)state;
    assert_int_equal(rt_sys_connect(client, (struct sockaddr *)&addr, sizeof(addr)), 0);
    conn = rt_sys_accept4(server, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(conn >= 0);
    assert_true((rt_sys_fcntl_getfl(conn) & O_NONBLOCK) != 0);
    assert_int_equal(peer.sin_family, AF_INET);
    assert_int_equal(rt_sys_recv(conn, buf, sizeof(buf), 0), -EAGAIN);
    assert_int_equal(rt_sys_send(client, "xyz", 3, 0), 3);
    assert_int_equal(rt_sys_poll1(conn, POLLIN, -1), POLLIN);
    assert_int_equal(rt_sys_recv(conn, buf, sizeof(buf), 0), 3);
    assert_int_equal(rt_sys_writev(conn, &iov, 1), 2);
    iov.iov_base = buf;
    assert_int_equal(rt_sys_readv(client, &iov, 1), 2);
    assert_int_equal(rt_sys_getsockopt_int(conn, SOL_SOCKET, SO_TYPE, &value), 0);
    assert_int_equal(value, SOCK_STREAM);
    assert_int_equal(rt_sys_getpeername(client, (struct sockaddr *)&peer, &len), 0);
    assert_int_equal(peer.sin_port, addr.sin_port);
    assert_int_equal(rt_sys_shutdown(client, SHUT_WR), 0);
    assert_int_equal(rt_sys_read(conn, buf, sizeof(buf)), 0);
    rt_sys_close(conn);
    rt_sys_close(client);
    rt_sys_close(server);
}

static void test_sys_poll1_times_out(void **state)
{
    int fd = rt_sys_eventfd();
    uint64_t before = rt_clock_now();

    (void)state;
    assert_int_equal(rt_sys_poll1(fd, POLLIN, 0), 0);
    assert_int_equal(rt_sys_poll1(fd, POLLIN, 5), 0);
    assert_true(rt_clock_now() - before >= 5 * RT_NS_PER_MS);
    assert_int_equal(rt_sys_poll1(fd, POLLOUT, 1000), POLLOUT);
    rt_sys_close(fd);
}

static void test_sys_memory_round_trip(void **state)
{
    size_t page = rt_sys_page_size();
    void *addr = NULL;

    (void)state;
    assert_int_equal(rt_sys_mmap_reserve(16 * page, &addr), 0);
    memset((char *)addr + page, 1, 15 * page);
    assert_int_equal(rt_sys_mprotect_none(addr, page), 0);
    assert_int_equal(rt_sys_madvise((char *)addr + page, page, MADV_DONTNEED), 0);
    assert_int_equal(((char *)addr)[page], 0);
    assert_int_equal(((char *)addr)[2 * page], 1);
    assert_int_equal(rt_sys_munmap(addr, 16 * page), 0);
    assert_int_equal(rt_sys_mmap_reserve(0, &addr), -EINVAL);
}

static void *name_and_tid(void *arg)
{
    char name[16];

    assert_int_equal(rt_sys_thread_name("a name that is far too long"), 0);
    assert_int_equal(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
    *(int *)arg = strcmp(name, "a name that is ") == 0 ? rt_sys_gettid() : -1;
    return NULL;
}

static void test_sys_thread_has_name_and_tid(void **state)
{
    struct rt_thread thread;
    int tid = 0;

    (void)state;
    assert_int_equal(rt_sys_thread_create(&thread, name_and_tid, &tid, NULL), 0);
    assert_int_equal(rt_sys_thread_join(thread), 0);
    assert_true(tid > 0 && tid != rt_sys_gettid());
    assert_true(rt_sys_affinity_count() >= 1);
    assert_int_equal(rt_sys_sched_yield(), 0);
}

static void test_sys_futex_results(void **state)
{
    RT_ATOMIC(uint32_t) word;
    uint64_t before = rt_clock_now();

    (void)state;
    rt_init(&word, 1);
    assert_int_equal(rt_sys_futex_wait(&word, 0, -1), -EAGAIN);
    assert_int_equal(rt_sys_futex_wait(&word, 1, 2000000), -ETIMEDOUT);
    assert_true(rt_clock_now() - before >= 2000000);
    assert_int_equal(rt_sys_futex_wake(&word, 1), 0);
}

static void write_to_closed_pipe(void)
{
    int fds[2];

    if (rt_sys_ignore_sigpipe() != 1 || rt_sys_pipe2(fds, O_CLOEXEC) != 0)
        _exit(1);
    rt_sys_close(fds[0]);
    if (rt_sys_write(fds[1], "x", 1) != -EPIPE)
        _exit(2);
    if (rt_sys_restore_sigpipe() != 0)
        _exit(3);
    rt_sys_write(fds[1], "x", 1); /* kills */
    _exit(4);
}

static void sigpipe_already_ignored(void)
{
    struct sigaction sa = { .sa_handler = SIG_IGN };

    rt_sys_sigaction(SIGPIPE, &sa, NULL);
    if (rt_sys_ignore_sigpipe() != 0 || rt_sys_restore_sigpipe() != 0)
        _exit(1);
    rt_sys_sigaction(SIGPIPE, NULL, &sa);
    _exit(sa.sa_handler == SIG_IGN ? 0 : 2);
}

static void test_sys_sigpipe_is_tamed_and_restored(void **state)
{
    struct capture c;

    (void)state;
    capture_run(&c, write_to_closed_pipe);
    assert_true(WIFSIGNALED(c.status));
    assert_int_equal(WTERMSIG(c.status), SIGPIPE);
    capture_run(&c, sigpipe_already_ignored);
    assert_true(WIFEXITED(c.status));
    assert_int_equal(WEXITSTATUS(c.status), 0);
}

static void test_sys_send_to_closed_socket_does_not_signal(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(rt_sys_socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    rt_sys_close(fds[0]);
    assert_int_equal(rt_sys_send(fds[1], "x", 1, 0), -EPIPE);
    rt_sys_close(fds[1]);
}

#ifdef RT_TESTING
static int reset_faults(void **state)
{
    (void)state;
    rt_fault_reset();
    return 0;
}

static void test_fault_nth_use_fails_once(void **state)
{
    int fd = rt_sys_eventfd();

    (void)state;
    rt_fault_arm(RT_SYS_FCNTL, 2, EIO);
    assert_true(rt_sys_fcntl_getfl(fd) >= 0);
    assert_int_equal(rt_sys_fcntl_getfl(fd), -EIO);
    assert_true(rt_sys_fcntl_getfl(fd) >= 0);
    assert_int_equal(rt_fault_uses(RT_SYS_FCNTL), 3);
    assert_int_equal(rt_fault_hits(RT_SYS_FCNTL), 1);
    rt_fault_arm_from(RT_SYS_FCNTL, 2, -ENOSYS);
    assert_true(rt_sys_fcntl_getfl(fd) >= 0);
    assert_int_equal(rt_sys_fcntl_getfl(fd), -ENOSYS);
    assert_int_equal(rt_sys_fcntl_getfl(fd), -ENOSYS);
    rt_fault_arm(RT_SYS_FCNTL, 0, 0);
    assert_true(rt_sys_fcntl_getfl(fd) >= 0);
    rt_sys_close(fd);
}

static void test_fault_eintr_meets_each_policy(void **state)
{
    struct epoll_event ev;
    int ep = rt_sys_epoll_create();
    int fd = rt_sys_eventfd();
    struct sockaddr_in addr = { .sin_family = AF_INET };

    (void)state;
    rt_fault_arm(RT_SYS_WRITE, 1, EINTR);
    assert_int_equal(rt_sys_write(fd, &(uint64_t){ 1 }, 8), 8); /* retried */
    assert_int_equal(rt_fault_uses(RT_SYS_WRITE), 2);
    rt_fault_arm(RT_SYS_EPOLL_WAIT, 1, EINTR);
    assert_int_equal(rt_sys_epoll_wait(ep, &ev, 1, -1), 0); /* as if woken */
    rt_fault_arm(RT_SYS_CONNECT, 1, EINTR);
    assert_int_equal(rt_sys_connect(fd, (struct sockaddr *)&addr, sizeof(addr)), -EINPROGRESS);
    rt_fault_arm(RT_SYS_POLL, 1, EINTR);
    assert_int_equal(rt_sys_poll1(fd, POLLIN, 1000), POLLIN);
    rt_fault_arm(RT_SYS_CLOSE, 1, EINTR);
    assert_int_equal(rt_sys_close(fd), 0); /* closed, not retried */
    assert_int_equal(rt_sys_close(fd), -EBADF);
    rt_fault_arm(RT_SYS_CLOSE, 1, EIO);
    assert_int_equal(rt_sys_close(ep), -EIO);
    assert_int_equal(rt_sys_close(ep), -EBADF);
}

static void test_fault_eventfd_errors(void **state)
{
    int fd = rt_sys_eventfd();

    (void)state;
    rt_fault_arm(RT_SYS_EVENTFD_RING, 1, EAGAIN);
    assert_int_equal(rt_sys_eventfd_ring(fd), 0);
    rt_fault_arm(RT_SYS_EVENTFD_RING, 1, EIO);
    assert_int_equal(rt_sys_eventfd_ring(fd), -EIO);
    rt_fault_arm(RT_SYS_EVENTFD_DRAIN, 1, EIO);
    assert_int_equal(rt_sys_eventfd_drain(fd), -EIO);
    rt_fault_arm(RT_SYS_EVENTFD, 1, EMFILE);
    assert_int_equal(rt_sys_eventfd(), -EMFILE);
    rt_sys_close(fd);
}

static void test_fault_missing_pwait2_falls_back(void **state)
{
    struct epoll_event ev;
    int ep = rt_sys_epoll_create();
    uint64_t before = rt_clock_now();

    (void)state;
    rt_fault_arm(RT_SYS_EPOLL_PWAIT2, 1, ENOSYS);
    assert_int_equal(rt_sys_epoll_wait(ep, &ev, 1, 1500000), 0);
    assert_true(rt_clock_now() - before >= 1500000);
    assert_int_equal(rt_sys_epoll_wait(ep, &ev, 1, 0), 0);
    assert_true(rt_fault_uses(RT_SYS_EPOLL_PWAIT2) <= 1); /* not asked again */
    assert_int_equal(rt_sys_epoll_wait(-1, &ev, 1, 0), -EBADF);
    rt_fault_reset();
    rt_fault_arm(RT_SYS_EPOLL_WAIT, 1, EBADF);
    assert_int_equal(rt_sys_epoll_wait(ep, &ev, 1, 0), -EBADF);
    rt_sys_close(ep);
}

static void test_fault_thread_and_memory(void **state)
{
    struct rt_thread thread;
    void *addr = NULL;

    (void)state;
    rt_fault_arm(RT_SYS_THREAD_CREATE, 1, EAGAIN);
    assert_int_equal(rt_sys_thread_create(&thread, name_and_tid, NULL, NULL), -EAGAIN);
    rt_fault_arm(RT_SYS_MMAP, 1, ENOMEM);
    assert_int_equal(rt_sys_mmap_reserve(4096, &addr), -ENOMEM);
    assert_null(addr);
}

static void test_fault_transfer_cap_makes_short_reads(void **state)
{
    char buf[8];
    int fds[2];

    (void)state;
    assert_int_equal(rt_sys_pipe2(fds, O_CLOEXEC), 0);
    rt_fault_transfer_cap(3);
    assert_int_equal(rt_sys_write(fds[1], "abcdef", 6), 3);
    rt_fault_transfer_cap(1);
    assert_int_equal(rt_sys_read(fds[0], buf, sizeof(buf)), 1);
    rt_fault_reset();
    assert_int_equal(rt_sys_read(fds[0], buf, sizeof(buf)), 2);
    rt_sys_close(fds[0]);
    rt_sys_close(fds[1]);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sys_errors_are_negative_errno),
        cmocka_unit_test(test_sys_eventfd_rings_once_per_drain),
        cmocka_unit_test(test_sys_eventfd_full_counts_as_rung),
        cmocka_unit_test(test_sys_epoll_reports_and_times_out),
        cmocka_unit_test(test_sys_tcp_round_trip),
        cmocka_unit_test(test_sys_poll1_times_out),
        cmocka_unit_test(test_sys_memory_round_trip),
        cmocka_unit_test(test_sys_thread_has_name_and_tid),
        cmocka_unit_test(test_sys_futex_results),
        cmocka_unit_test(test_sys_sigpipe_is_tamed_and_restored),
        cmocka_unit_test(test_sys_send_to_closed_socket_does_not_signal),
#ifdef RT_TESTING
        cmocka_unit_test_teardown(test_fault_nth_use_fails_once, reset_faults),
        cmocka_unit_test_teardown(test_fault_eintr_meets_each_policy, reset_faults),
        cmocka_unit_test_teardown(test_fault_eventfd_errors, reset_faults),
        cmocka_unit_test_teardown(test_fault_missing_pwait2_falls_back, reset_faults),
        cmocka_unit_test_teardown(test_fault_thread_and_memory, reset_faults),
        cmocka_unit_test_teardown(test_fault_transfer_cap_makes_short_reads, reset_faults),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
