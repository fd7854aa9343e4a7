/* SPDX-License-Identifier: MIT */
/* Goal: descriptors that others share can be streams, and stay what they were. Method: pipes,
 * terminals, sockets and files that block, kept or given away; a terminal whose other end goes;
 * addresses of each family. */
#include "stream_support.h"

#include <pty.h>
#include <termios.h>

static bool blocks(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    assert_true(flags >= 0);
    return !(flags & O_NONBLOCK);
}

/* --- kept --- */

static void kept(const int fds[2], int peer_in, int peer_out)
{
    skua_stream *s;
    char buf[64];
    bool blocked[] = {blocks(fds[0]), blocks(fds[1])};
    assert_int_equal(skua_stream_open(fds[0], fds[1], &s, .keep = true), 0);
    struct read_task t = {.s = s, .read = read_line, .timeout = INFINITY};
    skua_task *task = skua_spawn(run_read, &t);
    let_them(); /* it waits, and blocks nobody */
    assert_int_equal(write(peer_out, "question\n", 9), 9);
    join(task);
    assert_int_equal(t.r, 9);
    say(s, "answer");
    assert_int_equal(skua_stream_drain(s, 10.0), 0);
    for (size_t got = 0; got < 6;)
        got += (size_t)skua_read(peer_in, buf, 6 - got, 10.0);
    assert_int_equal(blocks(fds[0]), blocked[0]);
    assert_int_equal(blocks(fds[1]), blocked[1]);
    task = skua_spawn(run_read, &t);
    let_them();
    assert_int_equal(skua_stream_close(s), 0); /* although the descriptors stay */
    join(task);
    assert_int_equal(t.r, -EBADF);
    assert_int_equal(skua_stream_wait_closed(s, 10.0), 0);
    skua_stream_release(s);
    assert_int_equal(blocks(fds[0]), blocked[0]);
    assert_int_equal(blocks(fds[1]), blocked[1]);
}

static void raw_terminal(int fds[2])
{
    struct termios how;
    assert_int_equal(openpty(&fds[0], &fds[1], NULL, NULL, NULL), 0);
    assert_int_equal(tcgetattr(fds[1], &how), 0);
    cfmakeraw(&how);
    assert_int_equal(tcsetattr(fds[1], TCSANOW, &how), 0);
}

static void *check_kept(void *arg)
{
    int near[2];
    int far[2];
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        pipes(near, far, nonblocking ? O_NONBLOCK : 0);
        kept(near, far[0], far[1]);
        for (int i = 0; i < 2; i++)
            assert_int_equal(close(near[i]) + close(far[i]), 0);
        int type = SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0);
        assert_int_equal(socketpair(AF_UNIX, type, 0, near), 0);
        kept((int[]){near[0], near[0]}, near[1], near[1]);
        assert_int_equal(close(near[0]) + close(near[1]), 0);
    }
    raw_terminal(near);
    kept((int[]){near[1], near[1]}, near[0], near[0]);
    assert_int_equal(close(near[0]) + close(near[1]), 0);
    return arg;
}

static void test_kept_descriptors_stay_as_they_are(void **state)
{
    (void)state;
    run_few(check_kept);
}

static void *check_without_proc(void *arg)
{
    /* What cannot be opened anew is polled. */
    int near[2];
    int far[2];
    pipes(near, far, 0);
    rt_fault_arm_from(RT_SYS_OPEN, 1, ENOENT);
    kept(near, far[0], far[1]);
    rt_fault_reset();
    for (int i = 0; i < 2; i++)
        assert_int_equal(close(near[i]) + close(far[i]), 0);
    return arg;
}

static void test_kept_pipes_without_proc(void **state)
{
    (void)state;
    run_few(check_without_proc);
}

/* --- given away --- */

static void *check_given(void *arg)
{
    int near[2];
    int far[2];
    skua_stream *s;
    char buf[8];
    pipes(near, far, 0);
    assert_int_equal(skua_stream_open(near[0], near[1], &s), 0);
    say(s, "x");
    assert_int_equal(skua_stream_close(s), 0);
    assert_int_equal(skua_stream_wait_closed(s, 10.0), 0);
    assert_int_equal(read(far[0], buf, 8), 1);
    assert_int_equal(read(far[0], buf, 8), 0); /* the end: nobody else holds it */
    skua_stream_release(s);
    assert_int_equal(close(far[0]) + close(far[1]), 0);
    assert_int_equal(fcntl(near[0], F_GETFL), -1);
    assert_int_equal(fcntl(near[1], F_GETFL), -1);
    return arg;
}

static void test_given_descriptors_are_closed(void **state)
{
    (void)state;
    run_few(check_given);
}

static void *check_one_side(void *arg)
{
    int fds[2];
    skua_stream *s[2];
    char buf[8];
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(skua_stream_open(fds[0], -1, &s[1]), 0);
    assert_int_equal(skua_stream_open(-1, fds[1], &s[0]), 0);
    assert_int_equal(skua_stream_write(s[1], "x", 1), -EBADF);
    assert_int_equal(skua_stream_write_eof(s[1]), -EBADF);
    assert_false(skua_stream_can_write_eof(s[1]));
    assert_int_equal(skua_stream_read(s[0], buf, 1, 1.0), -EBADF);
    assert_int_equal(skua_stream_fd(s[0]), fds[1]);
    assert_int_equal(skua_stream_fd(s[1]), fds[0]);
    assert_int_equal(skua_stream_peer_name(s[0], buf, 8), -ENOTSOCK);
    say(s[0], "one way");
    hear(s[1], "one way");
    assert_int_equal(skua_stream_write_eof(s[0]), 0);
    assert_int_equal(skua_stream_read(s[1], buf, 8, 10.0), 0);
    release_pair(s);
    return arg;
}

static void test_streams_of_one_side(void **state)
{
    (void)state;
    run_few(check_one_side);
}

static void *check_file(void *arg)
{
    char path[] = "/tmp/skua-stream-XXXXXX";
    char buf[64];
    skua_stream *s;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(skua_stream_open(-1, fd, &s, .keep = true), 0);
    say(s, "first\nsecond\n");
    assert_int_equal(skua_stream_drain(s, 10.0), 0);
    skua_stream_release(s);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(skua_stream_open(fd, -1, &s), 0);
    assert_int_equal(skua_stream_read_line(s, buf, sizeof buf, 10.0), 6);
    assert_int_equal(skua_stream_read_line(s, buf, sizeof buf, 10.0), 7);
    assert_int_equal(skua_stream_read_line(s, buf, sizeof buf, 10.0), 0);
    skua_stream_release(s);
    return arg;
}

static void test_redirected_files(void **state)
{
    (void)state;
    run_few(check_file);
}

/* --- terminals --- */

static void *check_hang_up(void *arg)
{
    /* A terminal that hangs up while it has more than one read's worth: all of it comes first. */
    int fds[2];
    char all[8192];
    skua_stream *s;
    raw_terminal(fds);
    memset(all, 'x', sizeof all);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(skua_stream_open(fds[0], fds[0], &s), 0);
    assert_false(skua_stream_can_write_eof(s));
    assert_int_equal(skua_stream_write_eof(s), -EOPNOTSUPP);
    ssize_t put = write(fds[1], all, 3000);
    assert_true(put > 0);
    assert_int_equal(close(fds[1]), 0);
    size_t got = 0;
    ssize_t n;
    while ((n = skua_stream_read(s, all, 700, 10.0)) > 0)
        got += (size_t)n;
    assert_true(n == -EIO || n == 0);
    assert_int_equal(got, put);
    skua_stream_release(s);
    return arg;
}

static void *check_master(void *arg)
{
    for (int keep = 0; keep < 2; keep++) {
        int fds[2];
        char buf[8];
        skua_stream *s;
        raw_terminal(fds);
        assert_int_equal(skua_stream_open(fds[0], fds[0], &s, .keep = keep), 0);
        assert_int_equal(write(fds[1], "from\n", 5), 5);
        assert_int_equal(skua_stream_read_line(s, buf, sizeof buf, 10.0), 5);
        say(s, "to");
        assert_int_equal(skua_stream_drain(s, 10.0), 0);
        assert_int_equal(read(fds[1], buf, sizeof buf), 2);
        skua_stream_release(s);
        assert_int_equal(close(fds[1]), 0);
        if (keep)
            assert_int_equal(close(fds[0]), 0);
    }
    return arg;
}

static void test_masters_of_terminals_are_not_opened_anew(void **state)
{
    /* Each time that is another pair, whose other end nobody has. */
    (void)state;
    run_few(check_master);
}

static void test_terminals_hang_up_after_the_last_byte(void **state)
{
    (void)state;
    run_few(check_hang_up);
}

/* --- names --- */

static void check_name(const char *listen_at, const char *prefix, bool is_exact)
{
    char want[64];
    char name[128];
    skua_stream *s;
    int fd = skua_listen(listen_at);
    if (fd < 0 && listen_at[0] == '[')
        return; /* no IPv6 here */
    assert_true(fd >= 0);
    if (is_exact)
        snprintf(want, sizeof want, "%s", listen_at);
    else
        address_of(fd, want);
    assert_int_equal(skua_stream_open_connection(want, 10.0, &s), 0);
    int n = skua_stream_peer_name(s, name, sizeof name);
    assert_int_equal(n, strlen(want));
    assert_string_equal(name, want);
    assert_int_equal(skua_stream_peer_name(s, name, (size_t)n), -ENOSPC);
    assert_int_equal(skua_stream_peer_name(s, name, (size_t)n + 1), n);
    assert_true(skua_stream_local_name(s, name, sizeof name) > 0);
    assert_memory_equal(name, prefix, strlen(prefix));
    assert_int_equal(skua_stream_close(s), 0);
    assert_int_equal(skua_stream_peer_name(s, name, sizeof name), -EBADF);
    skua_stream_release(s);
    assert_int_equal(skua_close(fd), 0);
}

static void *check_names(void *arg)
{
    char path[64];
    snprintf(path, sizeof path, "unix:/tmp/skua-stream-%d", (int)getpid());
    check_name("127.0.0.1:0", "127.0.0.1:", false);
    check_name("[::1]:0", "[::1]:", false);
    check_name("unix:@skua-stream-test", "unix:", true);
    check_name(path, "unix:", true);
    unlink(path + 5);
    return arg;
}

static void test_names_of_both_ends(void **state)
{
    (void)state;
    run_few(check_names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_kept_descriptors_stay_as_they_are),
        NET_TEST(test_kept_pipes_without_proc),
        NET_TEST(test_given_descriptors_are_closed),
        NET_TEST(test_streams_of_one_side),
        NET_TEST(test_redirected_files),
        NET_TEST(test_terminals_hang_up_after_the_last_byte),
        NET_TEST(test_masters_of_terminals_are_not_opened_anew),
        NET_TEST(test_names_of_both_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
