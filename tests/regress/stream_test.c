/* SPDX-License-Identifier: MIT */
/* Bugs that asyncio and others had in streams, each named after its issue. bpo-33674 is a race in
 * beginning TLS, which there is not here: what is tested is what it broke, that no byte is lost
 * which comes before anybody reads. */
#include "../support/t.h"

#include <math.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* One end as a stream, the other as it is. */
static skua_stream *stream_pair(int *ret_peer)
{
    int fds[2];
    skua_stream *s = NULL;
    T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    T_EXPECT_INT(skua_stream_open(fds[0], fds[0], &s), 0);
    *ret_peer = fds[1];
    return s;
}

static struct iovec piece(const char *text)
{
    return (struct iovec){ (void *)(uintptr_t)text, strlen(text) };
}

/* Reads from the peer until the end of the stream. */
static size_t read_peer(int peer, char *buf, size_t n)
{
    size_t got = 0;
    for (;;) {
        ssize_t r = skua_read(peer, buf + got, n - got, 20);
        if (r <= 0)
            return T_EXPECT_INT((int)r, 0) ? got : 0;
        got += (size_t)r;
    }
}

/* ---- empty pieces ---- */

enum { PIECES = 4 };

static void write_pieces(unsigned empty)
{
    static const char *const words[PIECES] = { "one", "two", "three", "four" };
    struct iovec iov[PIECES];
    char want[32] = "", got[32] = "";
    int peer;
    skua_stream *s = stream_pair(&peer);
    for (int i = 0; i < PIECES; i++) {
        iov[i] = piece(empty >> i & 1 ? "" : words[i]);
        strcat(want, iov[i].iov_base);
    }
    T_EXPECT_INT(skua_stream_writelines(s, iov, PIECES), 0);
    T_EXPECT_INT(skua_stream_close(s), 0);
    T_EXPECT_INT(skua_stream_wait_closed(s, 20), 0);
    T_EXPECT_INT(read_peer(peer, got, sizeof got - 1), strlen(want));
    T_EXPECT_STR(got, want);
    skua_stream_release(s);
    close(peer);
}

static void *pieces_main(void *arg)
{
    for (unsigned empty = 0; empty < 1u << PIECES; empty++)
        write_pieces(empty);
    return arg;
}

enum { BULK = 1 << 20 };

static void *behind_main(void *arg)
{
    /* the same behind bytes that the peer does not take yet, so that the pieces are kept */
    static char bulk[BULK], got[BULK + 8];
    struct iovec iov[3] = { piece(""), piece("tail"), piece("") };
    int peer;
    skua_stream *s = stream_pair(&peer);
    T_EXPECT_INT(skua_stream_write(s, bulk, sizeof bulk), 0);
    T_EXPECT(skua_stream_unsent(s) > 0);
    T_EXPECT_INT(skua_stream_writelines(s, iov, 3), 0);
    T_EXPECT_INT(skua_stream_close(s), 0);
    T_EXPECT_INT(read_peer(peer, got, sizeof got), BULK + 4);
    T_EXPECT(memcmp(got + BULK, "tail", 4) == 0);
    T_EXPECT_INT(skua_stream_wait_closed(s, 20), 0);
    skua_stream_release(s);
    close(peer);
    return arg;
}

static void gh_155888_empty_pieces_do_not_keep_a_stream_from_closing(void **state)
{
    /* Goal: wherever they stand, the last one and all of them included. */
    (void)state;
    t_run(pieces_main, NULL, .real_time = true);
    t_run(behind_main, NULL, .real_time = true);
}

static void *zero_main(void *arg)
{
    char buf[8] = "";
    int peer;
    skua_stream *s = stream_pair(&peer);
    T_EXPECT_INT((int)skua_stream_read(s, buf, 0, 20), 0);
    T_EXPECT_INT((int)skua_stream_read_exactly(s, buf, 0, 20), 0);
    T_EXPECT(!skua_stream_at_eof(s));
    T_EXPECT_INT(skua_stream_write(s, buf, 0), 0);
    T_EXPECT_INT(skua_stream_writelines(s, NULL, 0), 0);
    T_EXPECT_INT((int)skua_read(peer, buf, sizeof buf, 0.01), -ETIMEDOUT); /* and not the end */
    T_EXPECT_INT((int)skua_write(peer, buf, 0, 20), 0);
    T_EXPECT_INT((int)skua_stream_read(s, buf, sizeof buf, 0.01), -ETIMEDOUT);
    T_EXPECT_INT((int)skua_write(peer, "x", 1, 20), 1);
    T_EXPECT_INT((int)skua_stream_read(s, buf, 0, 20), 0);
    T_EXPECT_INT((int)skua_stream_read(s, buf, sizeof buf, 20), 1);
    T_EXPECT_INT(buf[0], 'x');
    T_EXPECT(!skua_stream_at_eof(s));
    close(peer);
    T_EXPECT_INT((int)skua_stream_read(s, buf, sizeof buf, 20), 0);
    T_EXPECT(skua_stream_at_eof(s));
    skua_stream_release(s);
    return arg;
}

static void photon_1602_nothing_to_read_or_write_is_not_the_end(void **state)
{
    (void)state;
    t_run(zero_main, NULL, .real_time = true);
}

/* ---- bytes that come early ---- */

static void *early_main(void *arg)
{
    for (int i = 0; i < 20; i++) {
        int fds[2];
        char line[16];
        skua_stream *s = NULL;
        T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        T_EXPECT_INT((int)skua_write(fds[1], "early\n", 6, 20), 6);
        if (i % 2)
            close(fds[1]);
        T_EXPECT_INT(skua_stream_open(fds[0], fds[0], &s), 0);
        T_EXPECT_INT((int)skua_stream_read_line(s, line, sizeof line, 20), 6);
        T_EXPECT_STR(line, "early\n");
        if (i % 2)
            T_EXPECT_INT((int)skua_stream_read_line(s, line, sizeof line, 20), 0);
        else
            close(fds[1]);
        skua_stream_release(s);
    }
    return arg;
}

static void bpo_33674_what_comes_before_anybody_reads_is_read(void **state)
{
    (void)state;
    t_run(early_main, NULL, .real_time = true);
}

static void *flow_main(void *arg)
{
    static char bulk[1 << 16];
    struct iovec iov = { bulk, sizeof bulk };
    int peer, r = 0, writes = 0;
    skua_stream *s = stream_pair(&peer);
    while (writes < 1000 && (r = skua_stream_writelines(s, &iov, 1)) == 0)
        writes++;
    T_EXPECT_INT(r, -ENOBUFS); /* a peer that does not read costs no more than so much memory */
    T_EXPECT_INT(skua_stream_drain(s, 0.01), -ETIMEDOUT);
    T_EXPECT_INT(skua_stream_abort(s), 0);
    skua_stream_release(s);
    close(peer);
    return arg;
}

static void gh_127655_writelines_is_held_up_as_write_is(void **state)
{
    (void)state;
    t_run(flow_main, NULL, .real_time = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(gh_155888_empty_pieces_do_not_keep_a_stream_from_closing),
    T_TEST(photon_1602_nothing_to_read_or_write_is_not_the_end),
    T_TEST(bpo_33674_what_comes_before_anybody_reads_is_read),
    T_TEST(gh_127655_writelines_is_held_up_as_write_is),
};

T_MAIN(tests, NULL)
