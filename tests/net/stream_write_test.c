/* SPDX-License-Identifier: MIT */
/* Goal: writing takes all or nothing, sends it in order whoever sends, pushes back, and stays
 * within its bounds whatever the peers do. Method: peers that read late, never, or in another
 * task; several writers; a thousand stalled peers. */
#include "stream_support.h"

#include "scale.h"

enum { MUCH = 4 << 20 };

static char *pattern(size_t n)
{
    char *data = malloc(n);
    assert_non_null(data);
    for (size_t i = 0; i < n; i++)
        data[i] = (char)(i * 7 >> 3);
    return data;
}

struct sink {
    skua_stream *s;
    size_t got;
};

/* Reads the pattern to its end. */
static void *run_sink(void *arg)
{
    struct sink *k = arg;
    char buf[5000];
    ssize_t n;
    while ((n = skua_stream_read(k->s, buf, sizeof buf, 10.0)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(buf[i], (char)((k->got + (size_t)i) * 7 >> 3));
        k->got += (size_t)n;
    }
    assert_int_equal(n, 0);
    return NULL;
}

static void bulk(enum link link, size_t piece)
{
    skua_stream *s[2];
    char *data = pattern(MUCH);
    open_pair(link, s);
    struct sink sink = {.s = s[1]};
    skua_task *t = skua_spawn(run_sink, &sink);
    for (size_t at = 0; at < MUCH; at += piece) {
        assert_int_equal(skua_stream_write(s[0], data + at, piece), 0);
        assert_int_equal(skua_stream_drain(s[0], 10.0), 0);
        assert_true(skua_stream_unsent(s[0]) <= 64 << 10);
    }
    assert_int_equal(skua_stream_close(s[0]), 0); /* what is unsent is sent first */
    join(t);
    assert_int_equal(sink.got, MUCH);
    release_pair(s);
    free(data);
}

static void *check_bulk(void *arg)
{
    for (enum link link = 0; link < LINKS; link++)
        bulk(link, 16384);
    bulk(TCP, 512);
    bulk(UNIX, MUCH); /* in one piece */
    return arg;
}

static void test_writes_arrive_in_order(void **state)
{
    (void)state;
    run_few(check_bulk);
}

/* Until the kernel takes no more, and no further than that. */
static void stuff_a_little(skua_stream *s)
{
    char *data = calloc(1, 100000);
    while (skua_stream_unsent(s) == 0)
        assert_int_equal(skua_stream_write(s, data, 100000), 0);
    free(data);
}

/* Reads until nothing is unsent. Another worker may have sent the last of it and not said so yet:
 * then there is nothing to be read any more. */
static void read_what_is_unsent(skua_stream *s[2])
{
    char *all = malloc(1 << 20);
    while (skua_stream_unsent(s[0])) {
        ssize_t n = skua_stream_read(s[1], all, 1 << 20, 0.01);
        assert_true(n > 0 || n == -ETIMEDOUT); /* the test as a whole has a deadline */
    }
    free(all);
}

static void *check_bounds(void *arg)
{
    skua_stream *s[2];
    char kb[1024] = {0};
    struct skua_stream_opts opts = {
        .size = sizeof opts, .high_water = 8192, .low_water = 1024, .write_max = 20000};
    open_pair_with(UNIX, s, &opts);
    stuff_a_little(s[0]);
    while (skua_stream_unsent(s[0]) < 20000)
        assert_int_equal(skua_stream_write(s[0], kb, sizeof kb), 0);
    size_t unsent = skua_stream_unsent(s[0]);
    assert_int_equal(skua_stream_write(s[0], kb, sizeof kb), -ENOBUFS);
    assert_int_equal(skua_stream_write(s[0], kb, 0), 0);
    assert_int_equal(skua_stream_unsent(s[0]), unsent); /* nothing of it was taken */
    assert_int_equal(skua_stream_drain(s[0], 0.0), -ETIMEDOUT);
    assert_int_equal(skua_stream_drain(s[0], 0.001), -ETIMEDOUT);
    struct drain_task d = {.s = s[0], .timeout = INFINITY};
    skua_task *t = skua_spawn(run_drain, &d);
    let_them();
    assert_true(skua_cancel(t, NULL));
    join(t);
    assert_int_equal(d.r, -ECANCELED);
    assert_int_equal(skua_stream_unsent(s[0]), unsent);
    t = skua_spawn(run_drain, &d);
    read_what_is_unsent(s);
    join(t);
    assert_int_equal(d.r, 0);
    assert_int_equal(skua_stream_write(s[0], kb, sizeof kb), 0);
    release_pair(s);
    return arg;
}

static void test_writes_are_refused_at_the_bound_and_drain_waits(void **state)
{
    (void)state;
    run_few(check_bounds);
}

static void *check_marks(void *arg)
{
    skua_stream *s[2];
    char *all = malloc(1 << 20);
    open_pair(UNIX, s);
    stuff_a_little(s[0]);
    assert_int_equal(skua_stream_set_write_buffer_limits(s[0], SIZE_MAX, SIZE_MAX), 0);
    assert_int_equal(skua_stream_set_write_buffer_limits(s[0], SIZE_MAX, 1 << 20), 0);
    assert_int_equal(skua_stream_drain(s[0], 0.0), 0); /* far from it */
    assert_int_equal(skua_stream_set_write_buffer_limits(s[0], 0, SIZE_MAX), 0);
    assert_int_equal(skua_stream_drain(s[0], 0.0), -ETIMEDOUT);
    struct drain_task d = {.s = s[0], .timeout = INFINITY};
    skua_task *t = skua_spawn(run_drain, &d);
    while (!skua_done(t))
        assert_true(skua_stream_read(s[1], all, 1 << 20, 10.0) > 0 || skua_done(t));
    join(t);
    assert_int_equal(d.r, 0);
    assert_int_equal(skua_stream_unsent(s[0]), 0); /* high 0: all is sent */
    stuff_a_little(s[0]);
    d.timeout = 10.0;
    t = skua_spawn(run_drain, &d);
    let_them();
    assert_int_equal(skua_stream_set_write_buffer_limits(s[0], 1 << 20, 1 << 20), 0);
    join(t); /* the marks let it go */
    assert_int_equal(d.r, 0);
    assert_int_equal(skua_stream_abort(s[0]), 0);
    free(all);
    release_pair(s);
    return arg;
}

static void test_marks_can_be_moved(void **state)
{
    (void)state;
    run_few(check_marks);
}

static void *check_pieces(void *arg)
{
    skua_stream *s[2];
    struct iovec nothing[2] = {{NULL, 0}, {"", 0}};
    struct iovec some[] = {{NULL, 0}, {"ab", 2}, {NULL, 0}, {"c", 1}, {"", 0}};
    struct iovec many[200];
    for (enum link link = 0; link < LINKS; link++) {
        open_pair(link, s);
        for (int i = 0; i < 200; i++)
            many[i] = (struct iovec){i % 2 ? "xyz" : "", i % 2 ? 3 : 0};
        assert_int_equal(skua_stream_writelines(s[0], nothing, 2), 0);
        assert_int_equal(skua_stream_writelines(s[0], NULL, 0), 0);
        assert_int_equal(skua_stream_writelines(s[0], some, 5), 0);
        assert_int_equal(skua_stream_drain(s[0], 10.0), 0);
        hear(s[1], "abc");
        assert_int_equal(skua_stream_writelines(s[0], many, 200), 0);
        for (int i = 0; i < 100; i++)
            hear(s[1], "xyz");
        stuff_a_little(s[0]);
        assert_int_equal(skua_stream_writelines(s[0], some, 5), 0); /* behind what is unsent */
        assert_int_equal(skua_stream_writelines(s[0], nothing, 2), 0);
        assert_int_equal(skua_stream_abort(s[0]), 0);
        release_pair(s);
    }
    return arg;
}

static void test_writelines_passes_over_empty_pieces(void **state)
{
    /* gh-155888: an empty last piece must not keep anybody waiting. */
    (void)state;
    run_few(check_pieces);
}

/* --- several writers --- */

enum { WRITERS = 8, RECORDS = 500, RECORD = 100 };

struct writer {
    skua_stream *s;
    int number;
};

static void *run_writer(void *arg)
{
    struct writer *w = arg;
    char record[RECORD];
    memset(record, 'a' + w->number, sizeof record);
    for (int i = 0; i < RECORDS; i++) {
        int r = skua_stream_write(w->s, record, sizeof record);
        assert_true(r == 0 || r == -ENOBUFS);
        if (r < 0)
            i--;
        assert_int_equal(skua_stream_drain(w->s, 30.0), 0);
    }
    return NULL;
}

static void *check_writers(void *arg)
{
    skua_stream *s[2];
    struct writer w[WRITERS];
    skua_task *t[WRITERS];
    char record[RECORD];
    int counts[WRITERS] = {0};
    struct skua_stream_opts opts = {.size = sizeof opts, .high_water = 1, .write_max = 300};
    open_pair_with(UNIX, s, &opts);
    assert_int_equal(skua_stream_set_write_buffer_limits(s[0], 0, 0), 0); /* all wake at once */
    rt_fault_transfer_cap(37); /* so that records are sent in pieces */
    for (int i = 0; i < WRITERS; i++) {
        w[i] = (struct writer){s[0], i};
        t[i] = skua_go(run_writer, &w[i]);
    }
    for (int i = 0; i < WRITERS * RECORDS; i++) {
        assert_int_equal(skua_stream_read_exactly(s[1], record, RECORD, 30.0), RECORD);
        for (int k = 1; k < RECORD; k++)
            assert_int_equal(record[k], record[0]); /* not torn apart */
        counts[record[0] - 'a']++;
    }
    for (int i = 0; i < WRITERS; i++) {
        join(t[i]);
        assert_int_equal(counts[i], RECORDS);
    }
    rt_fault_transfer_cap(0);
    release_pair(s);
    return arg;
}

static void test_what_several_write_is_not_torn_apart(void **state)
{
    (void)state;
    run_few(check_writers);
}

/* --- who comes at the bound at the same time --- */

enum { CROWD = 4, BATCH = 8000, BOUND = 10000, ROUNDS = T_SCALE(300, 30) };

static void *run_crowd(void *arg)
{
    static const char batch[BATCH];
    int r;
    while ((r = skua_stream_write(arg, batch, BATCH)) == 0) {
    }
    assert_int_equal(r, -ENOBUFS);
    return NULL;
}

static void *check_crowd(void *arg)
{
    struct skua_stream_opts opts = {.size = sizeof opts, .high_water = 1, .write_max = BOUND};
    for (int i = 0; i < ROUNDS; i++) {
        skua_stream *s[2];
        skua_task *t[CROWD];
        open_pair_with(UNIX, s, &opts);
        int small = 4608;
        setsockopt(skua_stream_fd(s[0]), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        for (int k = 0; k < CROWD; k++)
            t[k] = skua_go(run_crowd, s[0]);
        for (int k = 0; k < CROWD; k++)
            join(t[k]);
        assert_true(skua_stream_unsent(s[0]) < BOUND + 2 * BATCH); /* one may be half sent */
        assert_int_equal(skua_stream_abort(s[0]), 0);
        release_pair(s);
    }
    return arg;
}

static void test_writers_at_once_keep_to_the_bound(void **state)
{
    (void)state;
    run_with(check_crowd, 4, true);
}

/* --- from a callback --- */

static void write_callback(void *arg)
{
    assert_int_equal(skua_stream_write(arg, "from a callback", 15), 0);
    assert_int_equal(skua_stream_drain(arg, 1.0), -EPERM);
    assert_int_equal(skua_stream_write_eof(arg), 0);
}

static void write_only_callback(void *arg)
{
    say(arg, "nothing else");
}

static void *check_callback(void *arg)
{
    skua_stream *s[2];
    char buf[64];
    open_pair(TCP, s);
    skua_call_soon(write_only_callback, s[0]);
    hear(s[1], "nothing else");
    skua_call_soon(write_callback, s[0]);
    assert_int_equal(skua_stream_read_all(s[1], buf, sizeof buf, 10.0), 15);
    release_pair(s);
    return arg;
}

static void test_callbacks_may_write(void **state)
{
    (void)state;
    run_with(check_callback, 1, false);
    run_with(check_callback, 2, false);
}

/* --- a thousand peers that never read --- */

enum { STALLED = T_SCALE(1000, 200), LINE = 1000 };

static void *check_stalled(void *arg)
{
    static skua_stream *s[STALLED][2];
    char line[LINE] = {0};
    struct skua_stream_opts opts = {.size = sizeof opts, .high_water = 4096};
    struct rlimit limit;
    size_t unsent = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < STALLED; i++)
        open_pair_with(UNIX, s[i], &opts);
    long before = t_resident_kib();
    for (int i = 0; i < STALLED; i++) {
        int r;
        while ((r = skua_stream_write(s[i][0], line, sizeof line)) == 0) {
        }
        assert_int_equal(r, -ENOBUFS);
        unsent += skua_stream_unsent(s[i][0]);
        assert_int_equal(skua_stream_drain(s[i][0], 0.0), -ETIMEDOUT);
    }
    assert_true(unsent <= STALLED * (size_t)(16 * 4096 + LINE));
    long grown = t_resident_kib() - before; /* buffers, and a flushing task with a stack for each */
    if (!T_SANITIZED)
        assert_true(grown < STALLED * 120L);
    skua_stream *quick[2];
    open_pair(TCP, quick); /* others are not hindered */
    say(quick[0], "still here");
    hear(quick[1], "still here");
    release_pair(quick);
    for (int i = 0; i < STALLED; i++) {
        assert_int_equal(skua_stream_abort(s[i][0]), 0);
        assert_int_equal(skua_stream_wait_closed(s[i][0], 10.0), -ECONNABORTED);
        release_pair(s[i]);
    }
    return arg;
}

static void test_stalled_peers_cost_bounded_memory(void **state)
{
    (void)state;
    run_with(check_stalled, 2, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_writes_arrive_in_order),
        NET_TEST(test_writes_are_refused_at_the_bound_and_drain_waits),
        NET_TEST(test_marks_can_be_moved),
        NET_TEST(test_writelines_passes_over_empty_pieces),
        NET_TEST(test_what_several_write_is_not_torn_apart),
        NET_TEST(test_writers_at_once_keep_to_the_bound),
        NET_TEST(test_callbacks_may_write),
        NET_TEST(test_stalled_peers_cost_bounded_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
