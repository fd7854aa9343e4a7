/* SPDX-License-Identifier: MIT */
/* Goal: streams move every byte once and in order, tell where something ends, keep to their limits,
 * and lose nothing by a cancel or a timeout. Method: TCP, unix sockets and pipes, blocking ones
 * included, on 1, 2 and 4 workers, pinned and free; transfers of one byte at a time. */
#include "stream_support.h"

/* --- what goes wrong before anything happens --- */

static void *check_arguments(void *arg)
{
    skua_stream *s[2];
    skua_stream *none = NULL;
    char buf[8];
    struct iovec bad = {NULL, 1};
    struct iovec huge[2] = {{buf, SIZE_MAX / 2}, {buf, SIZE_MAX / 2}};
    struct skua_stream_opts swapped = {.size = sizeof swapped, .high_water = 1, .low_water = 2};
    struct skua_stream_opts old = {.size = 3};
    open_pair(UNIX, s);
    assert_int_equal(skua_stream_read(NULL, buf, 1, 1.0), -EINVAL);
    assert_int_equal(skua_stream_read(s[0], buf, 1, NAN), -EINVAL);
    assert_int_equal(skua_stream_read(s[0], NULL, 1, 1.0), -EFAULT);
    assert_int_equal(skua_stream_read(s[0], NULL, 0, 1.0), 0);
    assert_int_equal(skua_stream_read_exactly(s[0], NULL, 0, 1.0), 0);
    assert_int_equal(skua_stream_read_exactly(s[0], buf, SIZE_MAX, 1.0), -EINVAL);
    assert_int_equal(skua_stream_read_all(s[0], buf, SIZE_MAX, 1.0), -EINVAL);
    assert_int_equal(skua_stream_read_until(s[0], "", 0, buf, 8, 1.0), -EINVAL);
    assert_int_equal(skua_stream_read_until(s[0], NULL, 1, buf, 8, 1.0), -EINVAL);
    assert_int_equal(skua_stream_read_until(s[0], "abc", 3, buf, 2, 1.0), -EINVAL);
    assert_int_equal(skua_stream_read_line(s[0], buf, 1, 1.0), -EINVAL);
    assert_int_equal(skua_stream_read_line(s[0], NULL, 2, 1.0), -EFAULT);
    assert_int_equal(skua_stream_write(NULL, buf, 1), -EINVAL);
    assert_int_equal(skua_stream_write(s[0], NULL, 1), -EFAULT);
    assert_int_equal(skua_stream_write(s[0], NULL, 0), 0);
    assert_int_equal(skua_stream_writelines(s[0], NULL, 1), -EFAULT);
    assert_int_equal(skua_stream_writelines(s[0], &bad, 1), -EFAULT);
    assert_int_equal(skua_stream_writelines(s[0], &bad, -1), -EINVAL);
    assert_int_equal(skua_stream_writelines(s[0], huge, 2), -EINVAL);
    assert_int_equal(skua_stream_drain(NULL, 1.0), -EINVAL);
    assert_int_equal(skua_stream_drain(s[0], NAN), -EINVAL);
    assert_int_equal(skua_stream_wait_closed(s[0], 0.0), -ETIMEDOUT);
    assert_int_equal(skua_stream_close(NULL), -EINVAL);
    assert_int_equal(skua_stream_abort(NULL), -EINVAL);
    assert_int_equal(skua_stream_write_eof(NULL), -EINVAL);
    assert_int_equal(skua_stream_fd(NULL), -EINVAL);
    assert_int_equal(skua_stream_peer_name(NULL, buf, 8), -EINVAL);
    assert_int_equal(skua_stream_peer_name(s[0], buf, 2), -ENOSPC);
    assert_int_equal(skua_stream_set_write_buffer_limits(s[0], 1, 2), -EINVAL);
    assert_int_equal(skua_stream_set_write_buffer_limits(NULL, 2, 1), -EINVAL);
    assert_int_equal(skua_stream_unsent(NULL) + skua_stream_partial(NULL), 0);
    assert_false(skua_stream_at_eof(NULL) || skua_stream_is_closing(NULL));
    assert_false(skua_stream_can_write_eof(NULL));
    assert_null(skua_stream_retain(NULL));
    skua_stream_release(NULL);
    assert_int_equal(skua_stream_open(-1, -1, &none), -EINVAL);
    assert_int_equal(skua_stream_open(-2, 0, &none), -EBADF);
    assert_int_equal(skua_stream_open(900, 900, &none), -EBADF);
    assert_int_equal(skua_stream_open(0, 1, NULL), -EINVAL);
    assert_int_equal(skua_stream_open_with(0, 1, &none, &swapped), -EINVAL);
    assert_int_equal(skua_stream_open_with(0, 1, &none, &old), -EINVAL);
    assert_int_equal(skua_stream_open_connection("nonsense", 1.0, NULL), -EINVAL);
    assert_null(none);
    release_pair(s);
    return arg;
}

static void test_streams_refuse_bad_arguments(void **state)
{
    (void)state;
    run_few(check_arguments);
}

static void *open_one(void *arg)
{
    skua_stream **s = arg;
    open_pair(UNIX, s);
    return NULL;
}

static void test_streams_outside_a_task(void **state)
{
    /* Goal: what suspends says -EPERM; closing works, also after the runtime has ended. */
    skua_stream *s[2];
    char byte;
    (void)state;
    assert_int_equal(skua_run(open_one, s), 0);
    assert_int_equal(skua_stream_read(s[0], &byte, 1, 1.0), -EPERM);
    assert_int_equal(skua_stream_write(s[0], "x", 1), -EPERM);
    assert_int_equal(skua_stream_drain(s[0], 1.0), -EPERM);
    assert_int_equal(skua_stream_wait_closed(s[0], 1.0), -EPERM);
    assert_true(skua_stream_fd(s[0]) >= 0);
    assert_int_equal(skua_stream_close(s[0]), 0);
    assert_int_equal(skua_stream_close(s[0]), 0);
    assert_int_equal(skua_stream_fd(s[0]), -EBADF);
    release_pair(s);
}

/* --- reading --- */

static void some(enum link link)
{
    skua_stream *s[2];
    char buf[64];
    open_pair(link, s);
    say(s[0], "hello, world");
    ssize_t n = skua_stream_read(s[1], buf, 5, 10.0);
    assert_true(n > 0 && n <= 5);
    assert_memory_equal(buf, "hello", (size_t)n);
    hear(s[1], &"hello, world"[n]);
    assert_int_equal(skua_stream_read(s[1], buf, 5, 0.0), -ETIMEDOUT);
    assert_false(skua_stream_at_eof(s[1]));
    say(s[1], "and back");
    hear(s[0], "and back");
    assert_int_equal(skua_stream_close(s[0]), 0);
    assert_int_equal(skua_stream_wait_closed(s[0], 10.0), 0);
    assert_int_equal(skua_stream_read(s[1], buf, sizeof buf, 10.0), 0);
    assert_int_equal(skua_stream_read(s[1], buf, sizeof buf, 10.0), 0);
    assert_true(skua_stream_at_eof(s[1]));
    release_pair(s);
}

static void *check_some(void *arg)
{
    for (enum link link = 0; link < LINKS; link++)
        some(link);
    rt_fault_transfer_cap(1); /* not on TCP, where a short read says that nothing is left */
    some(UNIX);
    some(PIPES);
    rt_fault_transfer_cap(0);
    return arg;
}

static void test_streams_read_what_was_written(void **state)
{
    (void)state;
    run_few(check_some);
}

static void lines(enum link link)
{
    skua_stream *s[2];
    char buf[16];
    open_pair(link, s);
    say(s[0], "one\n\ntwo\nthree");
    assert_int_equal(skua_stream_read_line(s[1], buf, sizeof buf, 10.0), 4);
    assert_string_equal(buf, "one\n");
    assert_int_equal(skua_stream_read_line(s[1], buf, sizeof buf, 10.0), 1);
    assert_string_equal(buf, "\n");
    assert_int_equal(skua_stream_read_line(s[1], buf, 5, 10.0), 4); /* fits to the byte */
    assert_string_equal(buf, "two\n");
    assert_int_equal(skua_stream_read_line(s[1], buf, sizeof buf, 0.0), -ETIMEDOUT);
    skua_stream_release(s[0]);
    assert_int_equal(skua_stream_read_line(s[1], buf, sizeof buf, 10.0), 5);
    assert_string_equal(buf, "three");
    assert_true(skua_stream_at_eof(s[1]));
    assert_int_equal(skua_stream_read_line(s[1], buf, sizeof buf, 10.0), 0);
    assert_string_equal(buf, "");
    skua_stream_release(s[1]);
}

static void *check_lines(void *arg)
{
    for (enum link link = 0; link < LINKS; link++)
        lines(link);
    rt_fault_transfer_cap(1);
    lines(UNIX);
    rt_fault_transfer_cap(0);
    return arg;
}

static void test_streams_read_lines(void **state)
{
    (void)state;
    run_few(check_lines);
}

static void *check_exactly(void *arg)
{
    skua_stream *s[2];
    char buf[20000];
    open_pair(TCP, s);
    memset(buf, 'x', sizeof buf);
    assert_int_equal(skua_stream_write(s[0], buf, sizeof buf), 0);
    say(s[0], "tail");
    memset(buf, 0, sizeof buf);
    assert_int_equal(skua_stream_read_exactly(s[1], buf, sizeof buf, 10.0), sizeof buf);
    assert_true(buf[0] == 'x' && buf[sizeof buf - 1] == 'x');
    assert_int_equal(skua_stream_partial(s[1]), 0);
    assert_int_equal(skua_stream_write_eof(s[0]), 0);
    assert_int_equal(skua_stream_read_exactly(s[1], buf, 5, 10.0), -ENODATA);
    assert_int_equal(skua_stream_partial(s[1]), 4);
    assert_memory_equal(buf, "tail", 4);
    assert_int_equal(skua_stream_read_exactly(s[1], buf, 5, 10.0), -ENODATA);
    assert_int_equal(skua_stream_partial(s[1]), 0);
    assert_int_equal(skua_stream_read_exactly(s[1], buf, 0, 10.0), 0);
    release_pair(s);
    return arg;
}

static void test_streams_read_exactly_or_tell_what_was_left(void **state)
{
    (void)state;
    run_few(check_exactly);
}

/* --- separators --- */

/* The text in two writes, apart at `at`. */
static void until_split(const char *text, size_t at, const char *separator, const char *first,
                        const char *rest)
{
    skua_stream *s[2];
    char buf[64];
    open_pair(UNIX, s);
    assert_int_equal(skua_stream_write(s[0], text, at), 0);
    ssize_t r = skua_stream_read_until(s[1], separator, strlen(separator), buf, sizeof buf, 0.0);
    if (r == -ETIMEDOUT) {
        assert_int_equal(skua_stream_write(s[0], text + at, strlen(text + at)), 0);
        r = skua_stream_read_until(s[1], separator, strlen(separator), buf, sizeof buf, 10.0);
    } else {
        assert_int_equal(skua_stream_write(s[0], text + at, strlen(text + at)), 0);
    }
    assert_int_equal(r, strlen(first));
    assert_memory_equal(buf, first, strlen(first));
    hear(s[1], rest);
    release_pair(s);
}

static void *check_separators(void *arg)
{
    for (size_t at = 0; at <= 12; at++) {
        until_split("aaab-ab-\r\n--", at, "ab-\r\n", "aaab-ab-\r\n", "--");
        until_split("aaaaaaab----", at, "aab", "aaaaaaab", "----");
        until_split("\r\r\n\r\n-xyz123", at, "\r\n\r\n", "\r\r\n\r\n", "-xyz123");
    }
    return arg;
}

static void test_streams_find_separators_wherever_they_are_split(void **state)
{
    (void)state;
    run_with(check_separators, 1, false);
}

static void *check_limit(void *arg)
{
    skua_stream *s[2];
    char buf[64];
    struct skua_stream_opts opts = {.size = sizeof opts, .limit = 8};
    open_pair_with(UNIX, s, &opts);
    say(s[0], "12345678;87654321+;"); /* 8 before the separator are allowed, 9 are not */
    assert_int_equal(skua_stream_read_until(s[1], ";", 1, buf, 64, 10.0), 9);
    assert_int_equal(skua_stream_read_until(s[1], ";", 1, buf, 64, 10.0), -EMSGSIZE);
    assert_int_equal(skua_stream_partial(s[1]), 9);
    hear(s[1], "87654321+"); /* nothing was consumed, and what may be has no separator in it */
    assert_int_equal(skua_stream_read_until(s[1], ";", 1, buf, 64, 10.0), 1);
    say(s[0], "123456789ab");
    assert_int_equal(skua_stream_read_until(s[1], "abc", 3, buf, 64, 10.0), -EMSGSIZE);
    assert_int_equal(skua_stream_partial(s[1]), 9); /* "ab" may be its beginning */
    hear(s[1], "123456789");
    say(s[0], "c");
    assert_int_equal(skua_stream_read_until(s[1], "abc", 3, buf, 64, 10.0), 3);
    say(s[0], "12345\n");
    assert_int_equal(skua_stream_read_line(s[1], buf, 6, 10.0), -EMSGSIZE); /* the caller's n */
    assert_int_equal(skua_stream_partial(s[1]), 5);
    assert_int_equal(skua_stream_read_line(s[1], buf, 7, 10.0), 6);
    assert_int_equal(skua_stream_partial(s[1]), 0);
    say(s[0], "end");
    assert_int_equal(skua_stream_close(s[0]), 0);
    assert_int_equal(skua_stream_read_until(s[1], ";", 1, buf, 64, 10.0), -ENODATA);
    assert_int_equal(skua_stream_partial(s[1]), 3);
    assert_memory_equal(buf, "end", 3);
    release_pair(s);
    return arg;
}

static void test_streams_keep_to_the_limit_and_keep_the_bytes(void **state)
{
    (void)state;
    run_few(check_limit);
}

static void *check_flood(void *arg)
{
    /* A peer that never sends a newline costs no more than the limit allows. */
    skua_stream *s[2];
    char *junk = calloc(1, 1 << 20);
    char *line = malloc(1 << 20);
    open_pair(UNIX, s);
    assert_int_equal(skua_stream_write(s[0], junk, 1 << 20), 0);
    assert_int_equal(skua_stream_read_line(s[1], line, 1 << 20, 10.0), -EMSGSIZE);
    assert_true(skua_stream_partial(s[1]) > 64 << 10);
    assert_true(skua_stream_partial(s[1]) <= 2 * ((64 << 10) + 1));
    free(junk);
    free(line);
    assert_int_equal(skua_stream_abort(s[0]), 0);
    release_pair(s);
    return arg;
}

static void test_streams_lines_are_bounded_by_default(void **state)
{
    (void)state;
    run_few(check_flood);
}

static void *check_all(void *arg)
{
    skua_stream *s[2];
    char buf[64];
    open_pair(TCP, s);
    say(s[0], "all of ");
    hear(s[1], "all");
    say(s[0], "it");
    assert_int_equal(skua_stream_read_all(s[1], buf, 64, 0.0), -ETIMEDOUT);
    assert_int_equal(skua_stream_write_eof(s[0]), 0);
    assert_int_equal(skua_stream_read_all(s[1], buf, 5, 10.0), -EMSGSIZE);
    assert_int_equal(skua_stream_read_all(s[1], buf, 6, 10.0), 6);
    assert_memory_equal(buf, " of it", 6);
    assert_int_equal(skua_stream_read_all(s[1], buf, 6, 10.0), 0);
    assert_int_equal(skua_stream_read_all(s[1], NULL, 0, 10.0), 0);
    release_pair(s);
    return arg;
}

static void test_streams_read_to_the_end(void **state)
{
    (void)state;
    run_few(check_all);
}

/* --- cancels and timeouts --- */

static ssize_t (*const all_reads[])(skua_stream *s, char *buf, double timeout) = {
    read_ten, read_line, read_until, read_all};

static void *check_kept(void *arg)
{
    skua_stream *s[2];
    for (size_t i = 0; i < sizeof all_reads / sizeof *all_reads; i++) {
        open_pair(UNIX, s);
        struct read_task t = {.s = s[1], .read = all_reads[i], .timeout = INFINITY};
        say(s[0], "kept");
        skua_task *task = skua_spawn(run_read, &t);
        let_them();
        assert_true(skua_cancel(task, NULL));
        join(task);
        assert_int_equal(t.r, -ECANCELED);
        t.timeout = 0.001;
        run_read(&t);
        assert_int_equal(t.r, -ETIMEDOUT);
        hear(s[1], "kept");
        release_pair(s);
    }
    return arg;
}

static void test_streams_lose_nothing_by_cancels_and_timeouts(void **state)
{
    (void)state;
    run_few(check_kept);
}

static void *check_two_readers(void *arg)
{
    skua_stream *s[2];
    char buf[64];
    for (enum link link = 0; link < LINKS; link++) {
        open_pair(link, s);
        struct read_task t = {.s = s[1], .read = read_line, .timeout = INFINITY};
        skua_task *task = skua_spawn(run_read, &t);
        let_them();
        assert_int_equal(skua_stream_read(s[1], buf, 1, 1.0), -EBUSY);
        assert_int_equal(skua_stream_read_all(s[1], buf, 1, 1.0), -EBUSY);
        assert_int_equal(skua_stream_read(s[1], buf, 1, 0.0), -EBUSY); /* not -ETIMEDOUT */
        assert_false(skua_stream_at_eof(s[1]));
        assert_int_equal(skua_stream_partial(s[1]), 0);
        say(s[1], "the other way is free");
        hear(s[0], "the other way is free");
        say(s[0], "line\n");
        join(task);
        assert_int_equal(t.r, 5);
        release_pair(s);
    }
    return arg;
}

static void test_streams_have_one_reader_at_a_time(void **state)
{
    (void)state;
    run_few(check_two_readers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_streams_refuse_bad_arguments),
        NET_TEST(test_streams_outside_a_task),
        NET_TEST(test_streams_read_what_was_written),
        NET_TEST(test_streams_read_lines),
        NET_TEST(test_streams_read_exactly_or_tell_what_was_left),
        NET_TEST(test_streams_find_separators_wherever_they_are_split),
        NET_TEST(test_streams_keep_to_the_limit_and_keep_the_bytes),
        NET_TEST(test_streams_lines_are_bounded_by_default),
        NET_TEST(test_streams_read_to_the_end),
        NET_TEST(test_streams_lose_nothing_by_cancels_and_timeouts),
        NET_TEST(test_streams_have_one_reader_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
