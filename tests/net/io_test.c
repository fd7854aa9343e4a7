/* SPDX-License-Identifier: MIT */
/* Goal: reading, writing and polling wait for what they shall wait for, end as promised, and leave
 * nothing behind. Method: TCP, unix, pipes and terminals on 1, 2 and 4 workers, pinned and free;
 * capped transfers. */
#include "net_support.h"
#include "scale.h"

#include <signal.h>

static int pipe_fds(int fds[2], int flags)
{
    return pipe2(fds, flags | O_CLOEXEC);
}

/* --- what goes wrong before anything happens --- */

static void *check_arguments(void *arg)
{
    char byte = 0;
    int fds[2];
    (void)arg;
    unix_pair(fds);
    assert_int_equal(skua_read(-1, &byte, 1, 1.0), -EBADF);
    assert_int_equal(skua_write(-1, &byte, 1, 1.0), -EBADF);
    assert_int_equal(skua_poll_fd(-1, POLLIN, 1.0), -EBADF);
    assert_int_equal(skua_accept(-1, 1.0), -EBADF);
    assert_int_equal(skua_read(fds[0], &byte, 1, NAN), -EINVAL);
    assert_int_equal(skua_write(fds[0], &byte, 1, NAN), -EINVAL);
    assert_int_equal(skua_poll_fd(fds[0], POLLIN, NAN), -EINVAL);
    assert_int_equal(skua_read(fds[0], NULL, 1, 1.0), -EFAULT);
    assert_int_equal(skua_write(fds[0], NULL, 1, 1.0), -EFAULT);
    assert_int_equal(skua_read(fds[0], NULL, 0, 1.0), 0);
    assert_int_equal(skua_write(fds[0], NULL, 0, 1.0), 0);
    assert_int_equal(skua_poll_fd(fds[0], 0, 1.0), -EINVAL);
    assert_int_equal(skua_poll_fd(fds[0], 0x10000, 1.0), -EINVAL);
    close_pair(fds);
    assert_int_equal(skua_read(900, &byte, 1, 1.0), -EBADF);
    assert_int_equal(skua_write(900, &byte, 1, 1.0), -EBADF);
    assert_int_equal(skua_poll_fd(900, POLLIN, 1.0), -EBADF);
    assert_int_equal(skua_close(900), -EBADF);
    assert_int_equal(skua_close(-1), -EBADF);
    assert_int_equal(skua_close(fds[0]), -EBADF);
    return NULL;
}

static void test_io_refuses_bad_arguments(void **state)
{
    char byte = 0;
    (void)state;
    run_all(check_arguments);
    assert_int_equal(skua_read(0, &byte, 1, 1.0), -EPERM);
    assert_int_equal(skua_write(1, &byte, 1, 1.0), -EPERM);
    assert_int_equal(skua_poll_fd(0, POLLIN, 1.0), -EPERM);
    assert_int_equal(skua_accept(0, 1.0), -EPERM);
    assert_int_equal(skua_connect("127.0.0.1:1", 1.0), -EPERM);
}

static void *check_adopt(void *arg)
{
    int fds[2];
    (void)arg;
    assert_int_equal(pipe_fds(fds, 0), 0);
    assert_int_equal(skua_fd_adopt(fds[0]), -EINVAL);
    assert_int_equal(skua_fd_adopt(-1), -EBADF);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(skua_fd_adopt(fds[0]), 0);
    assert_int_equal(skua_fd_adopt(fds[0]), -EBUSY);
    close_pair(fds);
    return NULL;
}

static void test_io_adopts_nonblocking_descriptors_once(void **state)
{
    (void)state;
    run_with(check_adopt, 1, false);
}

/* --- bytes --- */

static void ping_pong(const int fds[2], int rounds)
{
    char out[64];
    char in[64];
    for (int i = 0; i < rounds; i++) {
        size_t n = (size_t)(i % 60) + 1;
        memset(out, i, sizeof out);
        assert_int_equal(skua_write(fds[i & 1], out, n, 5.0), n);
        for (size_t got = 0; got < n;) {
            ssize_t r = skua_read(fds[!(i & 1)], in + got, n - got, 5.0);
            assert_true(r > 0);
            got += (size_t)r;
        }
        assert_memory_equal(in, out, n);
    }
}

static void *check_ping_pong(void *arg)
{
    int fds[2];
    (void)arg;
    tcp_pair(fds);
    ping_pong(fds, 300);
    close_pair(fds);
    unix_pair(fds);
    ping_pong(fds, 300);
    rt_fault_transfer_cap(1);
    ping_pong(fds, 100);
    rt_fault_transfer_cap(0);
    close_pair(fds);
    return NULL;
}

static void test_io_moves_bytes(void **state)
{
    (void)state;
    run_all(check_ping_pong);
}

enum { BULK = 4 << 20 };

static void *drain_all(void *arg)
{
    struct call *c = arg;
    uint8_t buf[5000];
    ssize_t n;
    c->r = 0;
    while ((n = skua_read(c->fd, buf, sizeof buf, 10.0)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(buf[i], (uint8_t)((size_t)(c->r + i) * 7 >> 3));
        c->r += n;
    }
    assert_int_equal(n, 0);
    return NULL;
}

static void bulk(const int fds[2], bool is_socket)
{
    uint8_t *data = malloc(BULK);
    struct call in = {.fd = fds[1]};
    for (size_t i = 0; i < BULK; i++)
        data[i] = (uint8_t)(i * 7 >> 3);
    skua_task *t = skua_spawn(drain_all, &in);
    assert_int_equal(skua_write(fds[0], data, BULK, 30.0), BULK);
    if (is_socket) {
        assert_int_equal(shutdown(fds[0], SHUT_WR), 0); /* half closed: the other way still works */
        join(t);
        assert_int_equal(skua_write(fds[1], "x", 1, 1.0), 1);
        assert_int_equal(skua_read(fds[0], data, 10, 5.0), 1);
        assert_int_equal(skua_close(fds[0]), 0);
    } else {
        assert_int_equal(skua_close(fds[0]), 0);
        join(t);
    }
    assert_int_equal(in.r, BULK);
    assert_int_equal(skua_close(fds[1]), 0);
    free(data);
}

static void *check_bulk(void *arg)
{
    int fds[2];
    int ends[2];
    (void)arg;
    tcp_pair(fds);
    bulk(fds, true);
    unix_pair(fds);
    bulk(fds, true);
    assert_int_equal(pipe_fds(fds, O_NONBLOCK), 0); /* foreign, nonblocking */
    ends[0] = fds[1];
    ends[1] = fds[0];
    bulk(ends, false);
    assert_int_equal(pipe_fds(fds, 0), 0); /* foreign, blocking */
    ends[0] = fds[1];
    ends[1] = fds[0];
    bulk(ends, false);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
                     0); /* foreign, blocking */
    bulk(fds, true);
    return NULL;
}

static void test_io_writes_all_of_it_and_keeps_both_directions_apart(void **state)
{
    (void)state;
    run_all(check_bulk);
}

/* --- timeouts --- */

static void *check_timeouts(void *arg)
{
    int fds[2];
    char byte;
    char big[1 << 13];
    long r;
    uint64_t before;
    (void)arg;
    memset(big, 0, sizeof big);
    tcp_pair(fds);
    assert_int_equal(skua_read(fds[0], &byte, 1, 0.0), -ETIMEDOUT);
    assert_int_equal(skua_read(fds[0], &byte, 1, -1.0), -ETIMEDOUT);
    before = rt_clock_now();
    assert_int_equal(skua_read(fds[0], &byte, 1, 0.02), -ETIMEDOUT);
    assert_true(rt_clock_now() - before >= 20 * RT_NS_PER_MS);
    assert_int_equal(skua_poll_fd(fds[0], POLLIN, 0.01), -ETIMEDOUT);
    assert_int_equal(skua_poll_fd(fds[0], POLLIN | POLLOUT, 0.01), POLLOUT);
    assert_int_equal(skua_write(fds[1], "a", 1, 0.0), 1);
    while ((r = skua_read(fds[0], &byte, 1, 0.0)) == -ETIMEDOUT) {
    } /* one try each, without the loop ever looking */
    assert_int_equal(r, 1);
    while ((r = skua_write(fds[1], big, sizeof big, 0.0)) > 0) {
    }
    assert_int_equal(r, -ETIMEDOUT);
    assert_int_equal(skua_write(fds[1], big, sizeof big, 0.01), -ETIMEDOUT);
    assert_int_equal(skua_poll_fd(fds[1], POLLOUT, 0.01), -ETIMEDOUT);
    while (skua_read(fds[0], big, sizeof big, 0.05) > 0) {
    }
    assert_int_equal(skua_poll_fd(fds[1], POLLOUT, 5.0), POLLOUT);
    assert_int_equal(skua_write(fds[1], "b", 1, 5.0), 1);
    assert_int_equal(skua_read(fds[0], &byte, 1, 5.0), 1);
    assert_int_equal(byte, 'b');
    close_pair(fds);
    return NULL;
}

static void test_io_timeouts_end_waits_and_nothing_else(void **state)
{
    (void)state;
    run_all(check_timeouts);
}

/* A look for something else must not pass for one that found nothing to read. */
static void *check_looks(void *arg)
{
    static const unsigned events[] = {POLLPRI, POLLRDHUP, POLLPRI | POLLRDHUP};
    int fds[2];
    char byte;
    (void)arg;
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        tcp_pair(fds);
        assert_int_equal(skua_read(fds[0], &byte, 1, 0.001), -ETIMEDOUT); /* registered */
        assert_int_equal(skua_write(fds[1], "ab", 2, 1.0), 2);
        let_others_wait(); /* all events are told */
        assert_int_equal(skua_read(fds[0], &byte, 1, 5.0), 1);
        assert_int_equal(skua_poll_fd(fds[0], events[i], 0), -ETIMEDOUT);
        assert_int_equal(skua_read(fds[0], &byte, 1, 5.0), 1);
        assert_int_equal(byte, 'b');
        close_pair(fds);
    }
    return NULL;
}

static void test_io_a_look_for_something_else_hides_no_bytes(void **state)
{
    (void)state;
    run_all(check_looks);
}

/* --- ended by others --- */

static void *check_close_wakes(void *arg)
{
    int fds[2];
    char byte;
    struct call in = {.buf = &byte, .n = 1, .timeout = FOREVER};
    struct call both = {.n = POLLIN | POLLPRI, .timeout = FOREVER};
    (void)arg;
    tcp_pair(fds);
    in.fd = fds[0];
    both.fd = fds[1];
    skua_task *t1 = skua_spawn(read_call, &in);
    skua_task *t2 = skua_spawn(poll_call, &both);
    let_others_wait();
    int number = fds[0];
    assert_int_equal(skua_close(fds[0]), 0);
    assert_int_equal(fcntl(number, F_GETFD), -1); /* closed at once: nobody was inside */
    join(t1);
    assert_int_equal(in.r, -EBADF);
    join(t2);
    assert_true(both.r & POLLIN); /* the end of the stream */
    assert_int_equal(skua_close(fds[1]), 0);
    assert_int_equal(pipe_fds(fds, 0), 0);
    in.fd = fds[0];
    in.r = 0;
    t1 = skua_spawn(read_call, &in);
    let_others_wait();
    assert_int_equal(skua_close(fds[0]), 0); /* foreign: the same */
    join(t1);
    assert_int_equal(in.r, -EBADF);
    assert_int_equal(skua_close(fds[1]), 0);
    return NULL;
}

static void test_io_close_wakes_waiters(void **state)
{
    (void)state;
    run_all(check_close_wakes);
}

static void *close_in_thread(void *arg)
{
    struct call *c = arg;
    usleep(20000);
    c->r = skua_close(c->fd);
    return NULL;
}

static void *check_close_from_thread(void *arg)
{
    int fds[2];
    char byte;
    pthread_t thread;
    struct call closing = {0};
    (void)arg;
    unix_pair(fds);
    closing.fd = fds[0];
    assert_int_equal(pthread_create(&thread, NULL, close_in_thread, &closing), 0);
    assert_int_equal(skua_read(fds[0], &byte, 1, FOREVER), -EBADF);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(closing.r, 0);
    assert_int_equal(skua_close(fds[1]), 0);
    return NULL;
}

static void test_io_close_from_a_plain_thread(void **state)
{
    (void)state;
    run_all(check_close_from_thread);
}

static void *check_cancel(void *arg)
{
    int fds[2];
    char byte;
    struct call in = {.buf = &byte, .n = 1, .timeout = FOREVER};
    (void)arg;
    for (int foreign = 0; foreign < 2; foreign++) {
        unix_pair(fds);
        if (foreign) {
            close_pair(fds);
            assert_int_equal(pipe_fds(fds, 0), 0);
        }
        in.fd = fds[0];
        skua_task *t = skua_spawn(read_call, &in);
        let_others_wait();
        assert_true(skua_cancel(t, NULL));
        join(t);
        assert_int_equal(in.r, -ECANCELED);
        assert_int_equal(skua_write(fds[1], "c", 1, 1.0), 1); /* nothing was left behind */
        assert_int_equal(skua_read(fds[0], &byte, 1, 5.0), 1);
        close_pair(fds);
    }
    return NULL;
}

static void test_io_cancel_ends_a_wait(void **state)
{
    (void)state;
    run_all(check_cancel);
}

static void *check_two_readers(void *arg)
{
    int fds[2];
    char bytes[2];
    struct call in = {.buf = bytes, .n = 1, .timeout = FOREVER};
    (void)arg;
    for (int foreign = 0; foreign < 2; foreign++) {
        if (foreign)
            assert_int_equal(pipe_fds(fds, 0), 0);
        else
            tcp_pair(fds);
        in.fd = fds[0];
        skua_task *t = skua_spawn(read_call, &in);
        let_others_wait();
        assert_int_equal(skua_read(fds[0], bytes + 1, 1, 5.0), -EBUSY);
        assert_int_equal(skua_write(fds[1], "d", 1, 1.0), 1);
        join(t);
        assert_int_equal(in.r, 1);
        close_pair(fds);
    }
    return NULL;
}

static void test_io_one_waiter_for_each_direction(void **state)
{
    (void)state;
    run_all(check_two_readers);
}

/* --- foreign descriptors --- */

static void *check_foreign_directions(void *arg)
{
    int fds[2];
    char big[4096];
    char byte;
    struct call in = {.buf = &byte, .n = 1, .timeout = FOREVER};
    struct call out = {.n = POLLOUT, .timeout = FOREVER};
    (void)arg;
    memset(big, 'x', sizeof big);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    while (write(fds[0], big, sizeof big) > 0) {
    }
    in.fd = out.fd = fds[0];
    skua_task *t1 = skua_spawn(read_call, &in);
    skua_task *t2 = skua_spawn(poll_call, &out);
    let_others_wait();
    assert_int_equal(write(fds[1], "e", 1), 1); /* one direction fires; the other must stay armed */
    join(t1);
    assert_int_equal(in.r, 1);
    while (read(fds[1], big, sizeof big) > 0) {
    }
    join(t2);
    assert_int_equal(out.r, POLLOUT);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
    return NULL;
}

static void test_io_foreign_directions_are_armed_apart(void **state)
{
    (void)state;
    run_all(check_foreign_directions);
}

static void *check_terminal(void *arg)
{
    char buf[300];
    (void)arg;
    for (int owned = 0; owned < 2; owned++) {
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
            return NULL;
        int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(slave >= 0);
        if (owned)
            assert_int_equal(skua_fd_adopt(master), 0);
        assert_int_equal(skua_read(master, buf, 10, 0.01), -ETIMEDOUT);
        memset(buf, 'f', sizeof buf);
        assert_int_equal(write(slave, buf, 200), 200);
        assert_int_equal(close(slave),
                         0); /* hung up with data: short reads, all of it, then the error */
        size_t all = 0;
        ssize_t n;
        while ((n = skua_read(master, buf, 150, 5.0)) > 0)
            all += (size_t)n;
        assert_int_equal(all, 200);
        assert_int_equal(n, -EIO);
        assert_int_equal(skua_close(master), 0);
    }
    return NULL;
}

static void test_io_reads_all_before_a_terminal_hangs_up(void **state)
{
    (void)state;
    run_all(check_terminal);
}

static void *check_file(void *arg)
{
    char buf[8];
    char name[] = "/tmp/skua-io-test-XXXXXX";
    int fd = mkstemp(name);
    (void)arg;
    assert_true(fd >= 0);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(skua_poll_fd(fd, POLLIN | POLLOUT, 1.0), POLLIN | POLLOUT);
    assert_int_equal(skua_poll_fd(fd, POLLPRI, 1.0), -EINVAL); /* it never has that */
    assert_int_equal(skua_write(fd, "content", 7, 1.0), 7);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(skua_read(fd, buf, sizeof buf, 1.0), 7);
    assert_int_equal(skua_read(fd, buf, sizeof buf, 1.0), 0);
    assert_int_equal(skua_close(fd), 0);
    return NULL;
}

static void test_io_regular_files_are_always_ready(void **state)
{
    (void)state;
    run_with(check_file, 1, false);
}

static void *check_reused_behind_our_back(void *arg)
{
    int fds[2];
    int again[2];
    char byte;
    struct call in = {.buf = &byte, .n = 1, .timeout = 0.03};
    (void)arg;
    unix_pair(fds);
    in.fd = fds[0];
    skua_task *t = skua_spawn(read_call, &in);
    let_others_wait();
    assert_int_equal(close(fds[0]), 0); /* not the way to do it */
    assert_int_equal(close(fds[1]), 0);
    tcp_pair(again);
    ping_pong(again, 10);
    close_pair(again);
    join(t);
    assert_true(in.r == -EBADF || in.r == -ETIMEDOUT);
    return NULL;
}

static void test_io_survives_a_plain_close(void **state)
{
    (void)state;
    run_with(check_reused_behind_our_back, 2, false);
}

/* --- pipes without a reader --- */

static void *check_no_reader(void *arg)
{
    int fds[2];
    (void)arg;
    assert_int_equal(pipe_fds(fds, O_NONBLOCK), 0);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(skua_write(fds[1], "x", 1, 1.0), -EPIPE);
    assert_int_equal(skua_fd_adopt(fds[1]), 0);
    assert_int_equal(skua_write(fds[1], "x", 1, 1.0), -EPIPE);
    assert_int_equal(skua_close(fds[1]), 0);
    unix_pair(fds);
    assert_int_equal(skua_close(fds[0]), 0);
    assert_int_equal(skua_write(fds[1], "x", 1, 1.0), -EPIPE);
    assert_int_equal(skua_close(fds[1]), 0);
    return NULL;
}

static void test_io_no_signal_for_a_missing_reader(void **state)
{
    int status;
    pid_t child;
    (void)state;
    if (T_EMULATED) {
        print_message("skipped: an emulated program is not started by its own name\n");
        skip();
    }
    child = fork();
    if (child == 0) {
        signal(SIGPIPE, SIG_DFL); /* whatever runs the tests may ignore it */
        execl("/proc/self/exe", "io_test", "no_reader", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        run_with(check_no_reader, 2, false);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        NET_TEST(test_io_refuses_bad_arguments),
        NET_TEST(test_io_adopts_nonblocking_descriptors_once),
        NET_TEST(test_io_moves_bytes),
        NET_TEST(test_io_writes_all_of_it_and_keeps_both_directions_apart),
        NET_TEST(test_io_timeouts_end_waits_and_nothing_else),
        NET_TEST(test_io_a_look_for_something_else_hides_no_bytes),
        NET_TEST(test_io_close_wakes_waiters),
        NET_TEST(test_io_close_from_a_plain_thread),
        NET_TEST(test_io_cancel_ends_a_wait),
        NET_TEST(test_io_one_waiter_for_each_direction),
        NET_TEST(test_io_foreign_directions_are_armed_apart),
        NET_TEST(test_io_reads_all_before_a_terminal_hangs_up),
        NET_TEST(test_io_regular_files_are_always_ready),
        NET_TEST(test_io_survives_a_plain_close),
        NET_TEST(test_io_no_signal_for_a_missing_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
