/* SPDX-License-Identifier: MIT */
/* Datagrams, vectors and files as a user sees them: create_datagram_endpoint(), sock_recvfrom(),
 * sock_sendto(), sock_sendfile(). */
#include "../support/t.h"

#include <math.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CLIENTS = 6, ROUNDS = 50 };

static int bound(char text[SKUA_ADDR_TEXT])
{
    skua_addr at;
    int fd = skua_datagram("127.0.0.1:0");
    T_EXPECT(fd >= 0);
    T_EXPECT_INT(skua_sockname(fd, &at), 0);
    T_EXPECT(skua_addr_text(&at, text, SKUA_ADDR_TEXT) > 0);
    return fd;
}

/* --- echo --- */

static void *echo(void *arg)
{
    int fd = *(int *)arg;
    char text[64];
    skua_addr from;
    for (;;) {
        bool is_cut = true;
        ssize_t n = skua_recvfrom(fd, text, sizeof text, INFINITY, &from, &is_cut);
        T_EXPECT(n < 0 || !is_cut);
        if (n >= 0)
            n = skua_sendto(fd, text, (size_t)n, &from, INFINITY);
        if (n < 0)
            return skua_fail((int)n);
    }
}

static void *ask(void *arg)
{
    const char *server = arg;
    char said[32], got[32] = "";
    int fd = skua_datagram(NULL, .peer = server);
    T_EXPECT(fd >= 0);
    for (int i = 0; i < ROUNDS; i++) {
        int n = snprintf(said, sizeof said, "%d of %d", i, fd);
        T_EXPECT_INT(skua_sendto(fd, said, (size_t)n, NULL, 10.0), n);
        T_EXPECT_INT(skua_recvfrom(fd, got, sizeof got - 1, 10.0, NULL, NULL), n);
        got[n] = '\0';
        if (!T_EXPECT_STR(got, said))
            break;
    }
    T_EXPECT_INT(skua_close(fd), 0);
    return NULL;
}

static void *echo_main(void *arg)
{
    char where[SKUA_ADDR_TEXT];
    skua_task *t[CLIENTS];
    int fd = bound(where);
    skua_task *server = skua_go(echo, &fd);
    for (int i = 0; i < CLIENTS; i++)
        T_EXPECT((t[i] = i % 2 ? skua_go(ask, where) : skua_spawn(ask, where)) != NULL);
    T_EXPECT_INT(skua_gather(t, CLIENTS, NULL, SKUA_RELEASE), 0);
    skua_cancel(server, NULL);
    T_EXPECT_INT(skua_join(server, NULL), -ECANCELED);
    T_EXPECT_INT(skua_close(fd), 0);
    return arg;
}

static void test_echo_from_everywhere(void **state)
{
    (void)state;
    t_run(echo_main, NULL, .real_time = true);
    t_run(echo_main, NULL, .real_time = true, .free_main = true);
}

/* --- time and closing --- */

static void *close_it(void *arg)
{
    T_EXPECT_INT(skua_sleep(3.0), 0);
    T_EXPECT_INT(skua_close(*(int *)arg), 0);
    return NULL;
}

static void *time_main(void *arg)
{
    char where[SKUA_ADDR_TEXT], byte;
    int fd = bound(where);
    double start = skua_loop_time();
    T_EXPECT_INT(skua_recvfrom(fd, &byte, 1, 2.5, NULL, NULL), -ETIMEDOUT);
    T_EXPECT(fabs(t_elapsed(start) - 2.5) < 0.01);
    T_EXPECT_INT(skua_recvfrom(fd, &byte, 1, 0, NULL, NULL), -ETIMEDOUT);
    skua_task *t = skua_spawn(close_it, &fd);
    T_EXPECT_INT(skua_recvfrom(fd, &byte, 1, INFINITY, NULL, NULL), -EBADF);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return arg;
}

static void test_timeouts_and_closing(void **state)
{
    (void)state;
    t_run(time_main, NULL);
    t_run(time_main, NULL, .free_main = true);
}

static void *receive_for_ever(void *arg)
{
    char byte;
    return skua_fail((int)skua_recvfrom(*(int *)arg, &byte, 1, INFINITY, NULL, NULL));
}

static void *busy_main(void *arg)
{
    char where[SKUA_ADDR_TEXT], byte;
    int fd = bound(where);
    skua_task *t = skua_spawn(receive_for_ever, &fd);
    T_EXPECT_INT(skua_sleep(1.0), 0);
    T_EXPECT_INT(skua_recvfrom(fd, &byte, 1, 1.0, NULL, NULL), -EBUSY);
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT_INT(skua_close(fd), 0);
    return arg;
}

static void test_one_receiver_at_a_time(void **state)
{
    (void)state;
    t_run(busy_main, NULL);
}

/* --- vectors and files --- */

static void *send_both(void *arg)
{
    int fd = *(int *)arg;
    char head[] = "head ", tail[] = "tail ";
    struct iovec iov[] = {{head, 5}, {NULL, 0}, {tail, 5}};
    FILE *file = tmpfile();
    T_EXPECT(file && fputs("0123456789", file) >= 0 && fflush(file) == 0);
    T_EXPECT_INT(skua_writev(fd, iov, 3, 10.0), 10);
    T_EXPECT_INT(skua_sendfile(fd, fileno(file), 3, 4, 10.0), 4);
    T_EXPECT_INT(skua_sendfile(fd, fileno(file), 8, SIZE_MAX, 10.0), 2);
    T_EXPECT_INT(skua_shutdown(fd, SHUT_WR), 0);
    fclose(file);
    return NULL;
}

static void *stream_main(void *arg)
{
    int fds[2];
    char a[3], b[40] = "";
    struct iovec iov[] = {{a, sizeof a}, {b, sizeof b - 1}};
    size_t got = 0;
    T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    T_EXPECT_INT(skua_fd_adopt(fds[0]), 0);
    T_EXPECT_INT(skua_fd_adopt(fds[1]), 0);
    skua_task *t = skua_go(send_both, &fds[0]);
    T_EXPECT(skua_readv(fds[1], iov, 1, 10.0) == 3 && memcmp(a, "hea", 3) == 0);
    for (ssize_t n = 1; n > 0; got += (size_t)n) {
        iov[1] = (struct iovec){b + got, sizeof b - 1 - got};
        n = skua_readv(fds[1], iov + 1, 1, 10.0);
        if (!T_EXPECT(n >= 0))
            break;
    }
    T_EXPECT_STR(b, "d tail 345689");
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(skua_close(fds[0]), 0);
    T_EXPECT_INT(skua_close(fds[1]), 0);
    return arg;
}

static void test_vectors_and_files(void **state)
{
    (void)state;
    t_run(stream_main, NULL, .real_time = true);
    t_run(stream_main, NULL, .real_time = true, .free_main = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_echo_from_everywhere),
    T_TEST(test_timeouts_and_closing),
    T_TEST(test_one_receiver_at_a_time),
    T_TEST(test_vectors_and_files),
};

T_MAIN(tests, NULL)
