/* SPDX-License-Identifier: MIT */
/* Goal: what is asked for of a file arrives, by the kernel or through the buffer, and no more than
 * the file has. Method: sockets and pipes, ours and foreign; injected refusals; tiny transfers. */
#include "net_support.h"

enum { BYTES = 300000 };

static char letter(size_t i)
{
    return (char)(i * 131 + i / 251);
}

static int make_file(void)
{
    char name[] = "/tmp/skua-sendfile-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    char *bytes = malloc(BYTES);
    assert_true(fd >= 0);
    assert_int_equal(unlink(name), 0);
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = letter(i);
    assert_int_equal(write(fd, bytes, BYTES), BYTES);
    free(bytes);
    return fd;
}

struct sink {
    int fd;
    size_t from;
    size_t want;
    size_t got;
    bool in_order;
};

static void *drain(void *arg)
{
    struct sink *s = arg;
    char buf[5000];
    s->in_order = true;
    while (s->got < s->want) {
        ssize_t n = skua_read(s->fd, buf, sizeof buf, 10.0);
        if (n <= 0)
            return NULL;
        for (ssize_t i = 0; i < n; i++, s->got++)
            s->in_order &= buf[i] == letter(s->from + s->got);
    }
    return NULL;
}

static void send_part(const int fds[2], int file, size_t offset, size_t count, size_t want)
{
    struct sink s = {.fd = fds[1], .from = offset, .want = want};
    skua_task *t = skua_spawn(drain, &s);
    assert_int_equal(skua_sendfile(fds[0], file, (off_t)offset, count, 10.0), want);
    join(t);
    assert_int_equal(s.got, want);
    assert_true(s.in_order);
}

static void send_parts(const int fds[2], int file)
{
    off_t before = lseek(file, 0, SEEK_CUR);
    send_part(fds, file, 0, SIZE_MAX, BYTES);
    send_part(fds, file, 1000, 2000, 2000);
    send_part(fds, file, BYTES - 10, 1000, 10);
    send_part(fds, file, BYTES, SIZE_MAX, 0);
    send_part(fds, file, BYTES + 5, 1, 0);
    send_part(fds, file, 7, 0, 0);
    assert_int_equal(lseek(file, 0, SEEK_CUR), before);
}

static void *check_ours(void *arg)
{
    int fds[2];
    int file = make_file();
    (void)arg;
    tcp_pair(fds);
    send_parts(fds, file);
    close_pair(fds);
    unix_pair(fds);
    send_parts(fds, file);
    close_pair(fds);
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(skua_fd_adopt(fds[0]), 0);
    assert_int_equal(skua_fd_adopt(fds[1]), 0);
    send_parts((const int[]){fds[1], fds[0]}, file);
    close_pair(fds);
    close(file);
    return NULL;
}

static void test_sendfile_sends_what_there_is(void **state)
{
    (void)state;
    run_all(check_ours);
}

static void *check_foreign(void *arg)
{
    int fds[2];
    int file = make_file();
    (void)arg;
    for (int blocks = 0; blocks < 2; blocks++) {
        int flags = blocks ? 0 : SOCK_NONBLOCK;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, fds), 0);
        send_parts(fds, file);
        close(fds[0]);
        close(fds[1]);
    }
    close(file);
    return NULL;
}

static void test_sendfile_to_foreign_descriptors(void **state)
{
    (void)state;
    run_with(check_foreign, 1, false);
    run_with(check_foreign, 2, true);
}

static void *check_fallback(void *arg)
{
    static const int refusals[] = {EINVAL, ENOSYS, EOPNOTSUPP, EOVERFLOW};
    int fds[2];
    int file = make_file();
    (void)arg;
    unix_pair(fds);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        rt_fault_arm_from(RT_SYS_SENDFILE, 1, refusals[i]);
        send_parts(fds, file);
        rt_fault_reset();
    }
    rt_fault_transfer_cap(1000);
    rt_fault_arm_from(RT_SYS_SENDFILE, 20, EINVAL); /* in the middle */
    send_part(fds, file, 0, 40000, 40000);
    rt_fault_reset();
    rt_fault_arm(RT_SYS_SENDFILE, 1, EAGAIN);
    send_part(fds, file, 0, 4000, 4000);
    rt_fault_arm(RT_SYS_SENDFILE, 1, EIO);
    assert_int_equal(skua_sendfile(fds[0], file, 0, 10, 1.0), -EIO);
    rt_fault_arm(RT_SYS_SENDFILE, 1, EINVAL);
    rt_fault_arm(RT_SYS_FILE_READ, 1, EIO);
    assert_int_equal(skua_sendfile(fds[0], file, 0, 10, 1.0), -EIO);
    rt_fault_arm(RT_SYS_SENDFILE, 1, EINVAL);
    rt_fault_arm(RT_SYS_FILE_READ, 1, EINTR);
    send_part(fds, file, 0, 4000, 4000);
    rt_fault_arm(RT_SYS_SENDFILE, 1, EINVAL);
    rt_fault_alloc_arm(1);
    assert_int_equal(skua_sendfile(fds[0], file, 0, 10, 1.0), -ENOMEM);
    rt_fault_alloc_arm(0);
    rt_fault_reset();
    close_pair(fds);
    close(file);
    return NULL;
}

static void test_sendfile_where_the_kernel_declines(void **state)
{
    (void)state;
    run_with(check_fallback, 1, false);
}

struct sending {
    int fd;
    int file;
    ssize_t r;
};

static void *send_again_and_again(void *arg)
{
    struct sending *s = arg;
    do
        s->r = skua_sendfile(s->fd, s->file, 0, SIZE_MAX, INFINITY);
    while (s->r > 0);
    return NULL;
}

static void *check_ends(void *arg)
{
    int fds[2], pipes[2];
    int file = make_file();
    (void)arg;
    for (int way = 0; way < 2; way++) {
        unix_pair(fds);
        struct sending s = {.fd = fds[0], .file = file};
        skua_task *t = skua_spawn(send_again_and_again, &s);
        let_others_wait();
        if (way == 0)
            skua_cancel(t, NULL);
        else
            assert_int_equal(skua_close(fds[1]), 0);
        join(t);
        assert_int_equal(s.r, way == 0 ? -ECANCELED : -EPIPE);
        assert_int_equal(skua_close(fds[0]), 0);
        assert_int_equal(skua_close(fds[1]), way == 0 ? 0 : -EBADF);
    }
    unix_pair(fds);
    int r = 1;
    while (r > 0)
        r = (int)skua_sendfile(fds[0], file, 0, SIZE_MAX, 0.01);
    assert_int_equal(r, -ETIMEDOUT);
    assert_int_equal(skua_sendfile(fds[0], file, -1, 1, 1.0), -EINVAL);
    assert_int_equal(skua_sendfile(fds[0], file, 0, 1, NAN), -EINVAL);
    close_pair(fds);
    unix_pair(fds);
    assert_int_equal(skua_sendfile(fds[0], -1, 0, 1, 1.0), -EBADF);
    assert_int_equal(skua_sendfile(-1, file, 0, 1, 1.0), -EBADF);
    assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(skua_sendfile(fds[0], pipes[0], 0, 1, 1.0), -ESPIPE);
    close(pipes[0]);
    close(pipes[1]);
    close_pair(fds);
    close(file);
    return NULL;
}

static void test_sendfile_ends_with_an_error(void **state)
{
    (void)state;
    run_all(check_ends);
    assert_int_equal(skua_sendfile(1, 0, 0, 1, 1.0), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_sendfile_sends_what_there_is),
        NET_TEST(test_sendfile_to_foreign_descriptors),
        NET_TEST(test_sendfile_where_the_kernel_declines),
        NET_TEST(test_sendfile_ends_with_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
