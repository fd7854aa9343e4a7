/* SPDX-License-Identifier: MIT */
/* Goal: every end of a stream (closed here, closed there, half of it, reset, aborted, released,
 * cancelled) gives each call its one answer, wakes who waits, and leaves nothing behind. Method: a
 * table of what the peer does by what is called here; waiters of each kind under each end. */
#include "stream_support.h"

#include <signal.h>

enum { ALL = 32 << 20 }; /* more than kernel and stream hold */

/* --- what the peer does, and what is called here --- */

enum act { NOTHING, FIN, FIN_AFTER_DATA, HALF, RST, RST_AFTER_DATA, ACTS };

static void reset(skua_stream *s)
{
    struct linger now = {1, 0};
    assert_int_equal(setsockopt(skua_stream_fd(s), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    assert_int_equal(skua_stream_close(s), 0);
}

/* And sees to it that the other end has been told. */
static void act(enum act act, skua_stream *peer, skua_stream *told)
{
    if (act == FIN_AFTER_DATA || act == RST_AFTER_DATA)
        say(peer, "data");
    if (act == FIN || act == FIN_AFTER_DATA)
        assert_int_equal(skua_stream_close(peer), 0);
    if (act == HALF)
        assert_int_equal(skua_stream_write_eof(peer), 0);
    if (act == RST || act == RST_AFTER_DATA)
        reset(peer);
    unsigned event = act == NOTHING ? POLLOUT : POLLRDHUP;
    assert_true(skua_poll_fd(skua_stream_fd(told), event, 10.0) > 0);
}

static long op_read(skua_stream *s)
{
    char buf[64];
    return skua_stream_read(s, buf, 2, 0.01);
}

static long op_line(skua_stream *s)
{
    char buf[64];
    return skua_stream_read_line(s, buf, sizeof buf, 0.01);
}

static long op_exactly(skua_stream *s)
{
    char buf[64];
    return skua_stream_read_exactly(s, buf, 5, 0.01);
}

static long op_all(skua_stream *s)
{
    char buf[64];
    return skua_stream_read_all(s, buf, 64, 0.01);
}

static long op_write(skua_stream *s)
{
    int r = skua_stream_write(s, "x", 1);
    return r < 0 ? r : skua_stream_drain(s, 0.01);
}

/* The first write after a FIN goes through; the answer to it tells the kernel. */
static long op_write_on(skua_stream *s)
{
    long r = 0;
    for (int i = 0; i < 10 && r == 0; i++) {
        r = op_write(s);
        SKUA_IGNORE(skua_sleep(i * 0.001));
    }
    return r;
}

static const struct row {
    const char *name;
    long (*op)(skua_stream *s);
    long want[ACTS];
} table[] = {
    /* the peer:      waits       FIN       data, FIN  half      RST          data, RST */
    {"read", op_read, {-ETIMEDOUT, 0, 2, 0, -ECONNRESET, 2}},
    {"read_line", op_line, {-ETIMEDOUT, 0, 4, 0, -ECONNRESET, -ECONNRESET}},
    {"read_exactly", op_exactly,
     {-ETIMEDOUT, -ENODATA, -ENODATA, -ENODATA, -ECONNRESET, -ECONNRESET}},
    {"read_all", op_all, {-ETIMEDOUT, 0, 4, 0, -ECONNRESET, -ECONNRESET}},
    {"write", op_write, {0, 0, 0, 0, -ECONNRESET, -ECONNRESET}},
    {"write on", op_write_on, {0, -EPIPE, -EPIPE, 0, -ECONNRESET, -ECONNRESET}},
};

static void *check_table(void *arg)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (enum act what = 0; what < ACTS; what++) {
            skua_stream *s[2];
            open_pair(TCP, s);
            act(what, s[1], s[0]);
            long r = table[i].op(s[0]);
            if (r != table[i].want[what])
                print_error("%s, peer %d: %ld\n", table[i].name, what, r);
            assert_int_equal(r, table[i].want[what]);
            long again = table[i].op(s[0]); /* an error stays, and an end */
            if (r < 0 && r != -ENODATA)
                assert_int_equal(again, r);
            release_pair(s);
        }
    return arg;
}

static void test_peer_actions_by_local_calls(void **state)
{
    (void)state;
    run_few(check_table);
}

static void *check_pipe_ends(void *arg)
{
    skua_stream *s[2];
    for (enum link link = PIPES; link < LINKS; link++) {
        open_pair(link, s);
        say(s[0], "data");
        skua_stream_release(s[0]);
        hear(s[1], "data");
        assert_int_equal(op_read(s[1]), 0);
        assert_int_equal(op_write_on(s[1]), -EPIPE); /* and no SIGPIPE */
        assert_int_equal(op_write(s[1]), -EPIPE);
        skua_stream_release(s[1]);
    }
    return arg;
}

static void test_the_other_end_of_a_pipe_goes(void **state)
{
    (void)state;
    void (*before)(int) = signal(SIGPIPE, SIG_DFL); /* whoever runs the tests may ignore it */
    run_few(check_pipe_ends);
    signal(SIGPIPE, before);
}

/* --- closed under who waits --- */

static void *check_close_wakes(void *arg)
{
    for (enum link link = 0; link < LINKS; link++)
        for (int unsent = 0; unsent < 2; unsent++)
            for (int abort = 0; abort < 2; abort++) {
                skua_stream *s[2];
                open_pair(link, s);
                if (unsent)
                    stuff(s[0]);
                assert_int_equal(skua_stream_set_write_buffer_limits(s[0], 0, 0), 0);
                struct read_task in = {.s = s[0], .read = read_line, .timeout = INFINITY};
                struct drain_task out = {s[0], INFINITY, 1};
                struct drain_task end = {s[0], INFINITY, 1};
                skua_task *t[] = {skua_spawn(run_read, &in), skua_spawn(run_drain, &out),
                                  skua_spawn(run_wait_closed, &end)};
                let_them();
                assert_false(skua_done(t[0]) || skua_done(t[2]) || (unsent && skua_done(t[1])));
                if (!abort) {
                    assert_int_equal(skua_stream_close(s[0]), 0);
                    join(t[0]); /* although there is more to send */
                    assert_int_equal(skua_stream_fd(s[0]), -EBADF);
                    assert_int_equal(op_read(s[0]), -EBADF);
                    assert_int_equal(skua_stream_write(s[0], "x", 1), -EBADF);
                    assert_int_equal(skua_stream_write_eof(s[0]), -EBADF);
                    assert_true(skua_stream_is_closing(s[0]));
                }
                if (unsent && !abort)
                    assert_int_equal(skua_stream_wait_closed(s[0], 0.0), -ETIMEDOUT);
                if (unsent || abort)
                    assert_int_equal(skua_stream_abort(s[0]), 0);
                if (abort)
                    join(t[0]);
                join(t[1]);
                join(t[2]);
                assert_int_equal(in.r, -EBADF);
                assert_int_equal(out.r, unsent ? -ECONNABORTED : 0);
                assert_int_equal(end.r, unsent ? -ECONNABORTED : 0);
                assert_int_equal(skua_stream_unsent(s[0]), 0);
                release_pair(s);
            }
    return arg;
}

static void test_closing_wakes_who_waits(void **state)
{
    (void)state;
    run_few(check_close_wakes);
}

static void *check_close_sends(void *arg)
{
    skua_stream *s[2];
    char *all = malloc(ALL);
    for (enum link link = 0; link < LINKS; link++) {
        open_pair(link, s);
        stuff(s[0]);
        say(s[0], "last");
        skua_stream_release(s[0]); /* nobody is left but the flushing task */
        ssize_t n = skua_stream_read_all(s[1], all, ALL, 30.0);
        assert_true(n > 4);
        assert_memory_equal(all + n - 4, "last", 4);
        skua_stream_release(s[1]);
    }
    free(all);
    return arg;
}

static void test_released_streams_send_what_is_unsent(void **state)
{
    (void)state;
    run_few(check_close_sends);
}

static void *check_half(void *arg)
{
    char *all = malloc(ALL);
    for (enum link link = 0; link < LINKS; link++) {
        skua_stream *s[2];
        open_pair(link, s);
        stuff(s[0]);
        assert_true(skua_stream_can_write_eof(s[0]));
        assert_int_equal(skua_stream_write_eof(s[0]), 0); /* once it is sent */
        assert_int_equal(skua_stream_write_eof(s[0]), 0);
        assert_int_equal(skua_stream_write(s[0], "x", 1), -EPIPE);
        assert_false(skua_stream_is_closing(s[0]));
        assert_true(skua_stream_read_all(s[1], all, ALL, 30.0) > 0);
        assert_true(skua_stream_at_eof(s[1]));
        say(s[1], "the other half");
        hear(s[0], "the other half");
        assert_int_equal(skua_stream_close(s[0]), 0);
        assert_int_equal(skua_stream_wait_closed(s[0], 10.0), 0);
        release_pair(s);
    }
    free(all);
    return arg;
}

static void test_half_of_a_stream_ends(void **state)
{
    (void)state;
    run_few(check_half);
}

/* --- the flushing task --- */

static void cancel_all_but(const skua_task *spared)
{
    skua_task *t[16];
    size_t n = skua_all_tasks(t, 16);
    for (size_t i = 0; i < n && i < 16; i++)
        if (t[i] != skua_current_task() && t[i] != spared)
            skua_cancel(t[i], NULL);
    skua_release_all(t, n < 16 ? n : 16);
}

static void *check_flush_cancelled(void *arg)
{
    char *all = malloc(ALL);
    for (int started = 0; started < 2; started++) {
        skua_stream *s[2];
        open_pair(UNIX, s);
        stuff(s[0]);
        say(s[0], "last");
        assert_int_equal(skua_stream_set_write_buffer_limits(s[0], 0, 0), 0);
        if (started)
            let_them();
        cancel_all_but(NULL);
        let_them();
        assert_true(skua_stream_unsent(s[0]) > 0); /* kept: the next call sees to it */
        assert_int_equal(skua_stream_drain(s[0], 0.0), -ETIMEDOUT);
        struct drain_task d = {.s = s[0], .timeout = 20.0};
        skua_task *t = skua_spawn(run_drain, &d);
        let_them();
        cancel_all_but(t); /* who waits starts another, too */
        assert_int_equal(skua_stream_write_eof(s[0]), 0);
        ssize_t n = skua_stream_read_all(s[1], all, ALL, 30.0);
        assert_true(n > 4);
        assert_memory_equal(all + n - 4, "last", 4);
        join(t);
        assert_int_equal(d.r, 0);
        release_pair(s);
    }
    free(all);
    return arg;
}

static void *check_abort_of_unsent(void *arg)
{
    /* Nobody is sending what is unsent: abort itself has to deal with it. */
    skua_stream *s[2];
    open_pair(UNIX, s);
    stuff(s[0]);
    cancel_all_but(NULL);
    let_them();
    assert_int_equal(skua_stream_abort(s[0]), 0);
    assert_int_equal(skua_stream_unsent(s[0]), 0);
    assert_int_equal(skua_stream_wait_closed(s[0], 20.0), -ECONNABORTED);
    release_pair(s);
    return arg;
}

static void *check_cancelled_while_closing(void *arg)
{
    /* Who waits for the close was not cancelled. */
    skua_stream *s[2];
    open_pair(UNIX, s);
    stuff(s[0]);
    assert_int_equal(skua_stream_close(s[0]), 0);
    cancel_all_but(NULL);
    assert_int_equal(skua_stream_wait_closed(s[0], 20.0), -ECONNABORTED);
    release_pair(s);
    return arg;
}

static void *check_flush_by_reader(void *arg)
{
    /* A question whose sending was cancelled, and nothing but the wait for its answer. */
    skua_stream *s[2];
    char *all = malloc(ALL);
    open_pair(UNIX, s);
    stuff(s[0]);
    say(s[0], "?");
    let_them();
    cancel_all_but(NULL);
    let_them();
    struct read_task t = {.s = s[0], .read = read_line, .timeout = 20.0};
    skua_task *task = skua_spawn(run_read, &t);
    ssize_t n = 0;
    while (n == 0 || all[n - 1] != '?')
        assert_true((n = skua_stream_read(s[1], all, ALL, 20.0)) > 0);
    say(s[1], "answer\n");
    join(task);
    assert_int_equal(t.r, 7);
    free(all);
    release_pair(s);
    return arg;
}

static void test_a_cancelled_flush_loses_nothing(void **state)
{
    (void)state;
    run_with(check_flush_by_reader, 1, false);
    run_with(check_flush_by_reader, 2, false);
    run_with(check_cancelled_while_closing, 1, false);
    run_with(check_cancelled_while_closing, 2, false);
    run_with(check_abort_of_unsent, 1, false);
    run_with(check_abort_of_unsent, 2, false);
    run_with(check_flush_cancelled, 1, false);
    run_with(check_flush_cancelled, 2, false);
}

static skua_stream *left[2];

static void *leave_nothing(void *arg)
{
    return arg;
}

static void *leave_unsent(void *arg)
{
    open_pair(UNIX, left);
    stuff(left[0]);
    return arg;
}

static void *leave_closing(void *arg)
{
    leave_unsent(arg);
    skua_stream_release(left[0]);
    left[0] = NULL;
    return arg;
}

static void test_the_runtime_ends_before_all_is_sent(void **state)
{
    /* Goal: nothing hangs, nothing leaks; what could not be sent is lost, and said to be. */
    (void)state;
    for (int workers = 1; workers <= 2; workers++) {
        int64_t live = rt_mem_live();
        run_with(leave_nothing, workers, false);
        run_with(leave_nothing, workers, false);
        int64_t kept = rt_mem_live() - live; /* by two runtimes, whatever they do */
        run_with(leave_unsent, workers, false);
        assert_true(skua_stream_unsent(left[0]) > 0);
        assert_int_equal(skua_stream_close(left[0]), -EPERM);
        release_pair(left);
        run_with(leave_closing, workers, false);
        skua_stream_release(left[1]);
        assert_int_equal(rt_mem_live() - live, 2 * kept);
    }
}

/* --- from a plain thread --- */

static void *close_in_thread(void *arg)
{
    skua_stream *s = arg;
    usleep(5000);
    assert_int_equal(skua_stream_close(s), 0);
    return NULL;
}

static void *check_thread(void *arg)
{
    skua_stream *s[2];
    pthread_t thread;
    open_pair(TCP, s);
    struct read_task in = {.s = s[0], .read = read_line, .timeout = INFINITY};
    skua_task *t = skua_spawn(run_read, &in);
    assert_int_equal(pthread_create(&thread, NULL, close_in_thread, s[0]), 0);
    join(t);
    assert_int_equal(in.r, -EBADF);
    assert_int_equal(pthread_join(thread, NULL), 0);
    release_pair(s);
    return arg;
}

static void test_threads_may_close(void **state)
{
    (void)state;
    run_few(check_thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_peer_actions_by_local_calls),
        NET_TEST(test_the_other_end_of_a_pipe_goes),
        NET_TEST(test_closing_wakes_who_waits),
        NET_TEST(test_released_streams_send_what_is_unsent),
        NET_TEST(test_half_of_a_stream_ends),
        NET_TEST(test_a_cancelled_flush_loses_nothing),
        NET_TEST(test_the_runtime_ends_before_all_is_sent),
        NET_TEST(test_threads_may_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
