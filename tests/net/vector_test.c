/* SPDX-License-Identifier: MIT */
/* Goal: vectors are read and written to the last byte in their order, whatever the pieces and
 * however little the kernel takes. Method: TCP, unix sockets and pipes, ours and foreign; tiny
 * buffers; more pieces than the kernel takes; a peer that is gone. */
#include "net_support.h"

#include <limits.h>
#include <sys/uio.h>

enum { PIECES = 2500, BYTES = 400000 };

static unsigned char letter(size_t i)
{
    return (unsigned char)(i * 131 + i / 251);
}

struct sink {
    int fd;
    size_t want;
    size_t got;
    bool in_order;
};

/* Reads into three pieces at a time, the middle one empty. */
static void *drain(void *arg)
{
    struct sink *s = arg;
    unsigned char a[100], b[3000];
    struct iovec iov[] = {{a, sizeof a}, {NULL, 0}, {b, sizeof b}};
    s->in_order = true;
    while (s->got < s->want) {
        ssize_t n = skua_readv(s->fd, iov, 3, 10.0);
        if (n <= 0)
            return NULL;
        for (size_t i = 0; i < (size_t)n; i++, s->got++)
            s->in_order &= (i < sizeof a ? a[i] : b[i - sizeof a]) == letter(s->got);
    }
    return NULL;
}

/* Pieces of 0 to 319 bytes, more than IOV_MAX of them. */
static int cut(unsigned char *bytes, struct iovec *iov)
{
    size_t at = 0;
    int n = 0;
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = letter(i);
    for (; at < BYTES && n < PIECES - 1; n++) {
        size_t size = (size_t)(n * 37 % 320);
        size = size < BYTES - at ? size : BYTES - at;
        iov[n] = (struct iovec){size ? bytes + at : NULL, size};
        at += size;
    }
    iov[n++] = (struct iovec){bytes + at, BYTES - at};
    return n;
}

static void send_through(const int fds[2])
{
    unsigned char *bytes = malloc(BYTES);
    struct iovec *iov = calloc(PIECES, sizeof *iov);
    struct sink s = {.fd = fds[1], .want = BYTES};
    int n = cut(bytes, iov);
    assert_true(n > IOV_MAX);
    skua_task *t = skua_spawn(drain, &s);
    assert_int_equal(skua_writev(fds[0], iov, n, 10.0), BYTES);
    join(t);
    assert_int_equal(s.got, BYTES);
    assert_true(s.in_order);
    free(iov);
    free(bytes);
}

static void *check_streams(void *arg)
{
    int fds[2];
    int small = 4096;
    (void)arg;
    tcp_pair(fds);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    send_through(fds);
    close_pair(fds);
    unix_pair(fds);
    send_through(fds);
    close_pair(fds);
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(skua_fd_adopt(fds[0]), 0);
    assert_int_equal(skua_fd_adopt(fds[1]), 0);
    send_through((const int[]){fds[1], fds[0]});
    close_pair(fds);
    return NULL;
}

static void test_vector_arrives_whole(void **state)
{
    (void)state;
    run_all(check_streams);
}

static void *check_foreign(void *arg)
{
    int fds[2];
    (void)arg;
    for (int blocks = 0; blocks < 2; blocks++) {
        int flags = blocks ? 0 : SOCK_NONBLOCK;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, fds), 0);
        send_through(fds);
        close(fds[0]);
        close(fds[1]);
        assert_int_equal(pipe2(fds, O_CLOEXEC | (blocks ? 0 : O_NONBLOCK)), 0);
        send_through((const int[]){fds[1], fds[0]});
        close(fds[0]);
        close(fds[1]);
    }
    return NULL;
}

static void test_vector_on_foreign_descriptors(void **state)
{
    (void)state;
    run_with(check_foreign, 1, false);
    run_with(check_foreign, 2, true);
}

static void *check_bad(void *arg)
{
    char byte = 'x';
    struct iovec one = {&byte, 1}, none = {NULL, 0}, null = {NULL, 1};
    struct iovec huge[] = {{&byte, SSIZE_MAX}, {&byte, 1}};
    struct iovec empty[IOV_MAX + 1];
    int fds[2];
    (void)arg;
    unix_pair(fds);
    assert_int_equal(skua_writev(fds[0], NULL, 0, 1.0), 0);
    assert_int_equal(skua_readv(fds[0], NULL, 0, 1.0), 0);
    assert_int_equal(skua_writev(fds[0], &none, 1, 1.0), 0);
    assert_int_equal(skua_readv(fds[0], &none, 1, 1.0), 0);
    assert_int_equal(skua_writev(fds[0], NULL, 1, 1.0), -EFAULT);
    assert_int_equal(skua_readv(fds[0], &null, 1, 1.0), -EFAULT);
    assert_int_equal(skua_writev(fds[0], &one, -1, 1.0), -EINVAL);
    assert_int_equal(skua_readv(fds[0], huge, 2, 1.0), -EINVAL);
    assert_int_equal(skua_writev(fds[0], &one, 1, NAN), -EINVAL);
    assert_int_equal(skua_readv(fds[0], &one, 1, 0), -ETIMEDOUT);
    memset(empty, 0, sizeof empty);
    empty[IOV_MAX] = one;
    assert_int_equal(skua_writev(fds[0], empty, IOV_MAX + 1, 1.0), 1);
    assert_int_equal(skua_readv(fds[1], empty, IOV_MAX + 1, 1.0), 1);
    assert_int_equal(skua_shutdown(fds[0], 99), -EINVAL);
    assert_int_equal(skua_shutdown(fds[0], SHUT_WR), 0);
    assert_int_equal(skua_readv(fds[1], &one, 1, 1.0), 0);
    assert_int_equal(skua_writev(fds[0], &one, 1, 1.0), -EPIPE);
    assert_int_equal(skua_write(fds[1], "y", 1, 1.0), 1); /* the other way goes on */
    assert_int_equal(skua_readv(fds[0], &one, 1, 1.0), 1);
    assert_int_equal(byte, 'y');
    close_pair(fds);
    assert_int_equal(skua_shutdown(fds[0], SHUT_RDWR), -EBADF);
    assert_int_equal(skua_writev(fds[0], &one, 1, 1.0), -EBADF);
    return NULL;
}

static void test_vector_edges(void **state)
{
    struct iovec none = {NULL, 0};
    (void)state;
    run_with(check_bad, 1, false);
    assert_int_equal(skua_writev(1, &none, 1, 1.0), -EPERM);
    assert_int_equal(skua_readv(0, &none, 1, 1.0), -EPERM);
}

struct writing {
    int fd;
    ssize_t r;
};

static void *write_much(void *arg)
{
    static char much[4 << 20];
    struct writing *w = arg;
    struct iovec iov[] = {{much, 1000}, {much + 1000, sizeof much - 1000}};
    w->r = skua_writev(w->fd, iov, 2, INFINITY);
    return NULL;
}

static void *check_interrupted(void *arg)
{
    struct iovec one;
    int fds[2];
    (void)arg;
    for (int way = 0; way < 3; way++) {
        static char much[4 << 20];
        unix_pair(fds);
        struct writing w = {.fd = fds[0]};
        one = (struct iovec){much, sizeof much};
        if (way == 0) {
            assert_int_equal(skua_writev(fds[0], &one, 1, 0.02), -ETIMEDOUT);
        } else {
            skua_task *t = skua_spawn(write_much, &w);
            let_others_wait();
            if (way == 1)
                skua_cancel(t, NULL);
            else
                assert_int_equal(skua_close(fds[1]), 0);
            join(t);
            assert_int_equal(w.r, way == 1 ? -ECANCELED : -EPIPE);
        }
        assert_int_equal(skua_close(fds[0]), 0);
        assert_int_equal(skua_close(fds[1]), way == 2 ? -EBADF : 0);
    }
    return NULL;
}

static void test_vector_is_interrupted(void **state)
{
    (void)state;
    run_all(check_interrupted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_vector_arrives_whole),
        NET_TEST(test_vector_on_foreign_descriptors),
        NET_TEST(test_vector_edges),
        NET_TEST(test_vector_is_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
