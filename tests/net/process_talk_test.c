/* SPDX-License-Identifier: MIT */
/* Goal: communicate moves everything both ways, whatever the child does with its pipes, and when it
 * is cut off nothing is lost; a broken pipe kills nobody. Method: cat, tee and small scripts. */
#include "process_support.h"

static void *talk_main(void *arg)
{
    expect_output("cat", "hello", "hello");
    expect_output("cat", "", "");
    expect_output("exit 0", "not wanted", "");
    expect_output("head -c 3", "abcdef", "abc");
    expect_output("cat >&2; echo done", "", "done\n");
    skua_free(output_of("exit 7", "", 7));
    skua_free(output_of("kill -9 $$", "", -9));
    return arg;
}

static void test_process_communicates(void **state)
{
    run_clean(talk_main);
}

/* --- much of everything at once --- */

enum { MUCH = T_SCALE(3000000, 500000) };

static void *much_main(void *arg)
{
    struct skua_process_output out;
    skua_process *p;
    char *input = malloc(MUCH);
    for (size_t i = 0; i < MUCH; i++)
        input[i] = (char)('a' + i % 23);
    T_EXPECT_INT(skua_process_shell("tee /dev/stderr", &p, .stdin = SKUA_PIPE, .stdout = SKUA_PIPE,
                                    .stderr = SKUA_PIPE), 0);
    T_EXPECT_INT(skua_process_communicate(p, input, MUCH, &out, SOON), 0);
    T_EXPECT_INT(out.returncode, 0);
    T_EXPECT(out.out_n == MUCH && memcmp(out.out, input, MUCH) == 0);
    T_EXPECT(out.err_n == MUCH && memcmp(out.err, input, MUCH) == 0);
    skua_free(out.out);
    skua_free(out.err);
    skua_process_release(p);
    free(input);
    return arg;
}

static void test_process_megabytes_both_ways_at_once(void **state)
{
    run_clean(much_main);
}

/* --- cut off, then again --- */

static void *again_main(void *arg)
{
    struct skua_process_output out;
    skua_process *p;
    T_EXPECT_INT(skua_process_shell("read a; echo $a; read b; echo $b; exec sleep 60", &p,
                                    .stdin = SKUA_PIPE, .stdout = SKUA_PIPE), 0);
    T_EXPECT_INT(skua_process_communicate(p, "one\ntwo\n", 8, &out, 0), -ETIMEDOUT);
    int r;
    do { /* until all of it is there: nothing is lost on the way */
        r = skua_process_communicate(p, "one\ntwo\n", 8, &out, 0.01, .limit = 7);
    } while (r == -ETIMEDOUT);
    T_EXPECT_INT(r, -EMSGSIZE);
    T_EXPECT_INT(skua_process_poll(p, NULL), 0);
    T_EXPECT_INT(skua_process_kill(p), 0);
    T_EXPECT_INT(skua_process_communicate(p, NULL, 0, &out, SOON), 0);
    T_EXPECT_STR(out.out, "one\ntwo\n");
    T_EXPECT_INT(out.returncode, -SIGKILL);
    skua_free(out.out);
    skua_process_release(p);
    return arg;
}

static void test_process_communicate_cut_off_loses_nothing(void **state)
{
    run_clean(again_main);
}

/* What a call found drained may have been filled since: one that may not wait looks again. */
static void *polled_main(void *arg)
{
    struct skua_process_output out = { 0 };
    skua_process *p;
    T_EXPECT_INT(skua_process_shell("sleep 0.05; echo late; exit 4", &p, .stdout = SKUA_PIPE), 0);
    double begin = t_wall();
    int r;
    do {
        r = skua_process_communicate(p, NULL, 0, &out, 0);
        SKUA_IGNORE(skua_sleep(0.001));
    } while (r == -ETIMEDOUT && t_wall() - begin < SOON);
    T_EXPECT_INT(r, 0);
    T_EXPECT_STR(out.out ? out.out : "", "late\n");
    T_EXPECT_INT(out.returncode, 4);
    skua_free(out.out);
    skua_process_release(p);
    return arg;
}

static void test_process_communicate_without_time_looks_again(void **state)
{
    run_clean(polled_main);
}

static void *closed_main(void *arg)
{
    skua_process *p;
    struct skua_process_output out;
    T_EXPECT_INT(skua_process_shell("cat; exit 3", &p, .stdin = SKUA_PIPE, .stdout = SKUA_PIPE), 0);
    int fd = skua_process_stdin(p);
    T_EXPECT_INT(skua_write(fd, "typed", 5, SOON), 5);
    T_EXPECT_INT(skua_close(fd), 0);
    /* the number is somebody else's now: it stays his */
    int other = open("/dev/null", O_RDWR | O_CLOEXEC);
    T_EXPECT_INT(other, fd);
    T_EXPECT_INT(skua_process_communicate(p, "late", 4, &out, SOON), 0);
    T_EXPECT_STR(out.out, "typed");
    T_EXPECT_INT(out.returncode, 3);
    skua_free(out.out);
    skua_process_release(p);
    T_EXPECT(fcntl(other, F_GETFD) >= 0);
    close(other);
    return arg;
}

static void test_process_an_end_its_user_closed_is_left_alone(void **state)
{
    run_clean(closed_main);
}

/* --- cancelling --- */

struct talk_call {
    skua_process *p;
    int r;
};

static void *talk_call(void *arg)
{
    struct talk_call *c = arg;
    c->r = skua_process_communicate(c->p, NULL, 0, NULL, FOREVER);
    return NULL;
}

static void *talk_cancel_main(void *arg)
{
    struct talk_call c = { .r = 1 };
    T_EXPECT_INT(skua_process_exec(ARGV("sleep", "100"), &c.p, .stdin = SKUA_PIPE,
                                   .stdout = SKUA_PIPE), 0);
    skua_task *t = skua_spawn(talk_call, &c);
    let_others_wait();
    T_EXPECT_INT(skua_process_communicate(c.p, NULL, 0, NULL, 1), -EBUSY);
    (void)skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(c.r, -ECANCELED);
    t = skua_spawn(talk_call, &c);
    let_others_wait();
    T_EXPECT_INT(skua_close(skua_process_stdout(c.p)), 0);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(c.r, -EBADF);
    T_EXPECT_INT(skua_process_terminate(c.p), 0);
    T_EXPECT_INT(skua_process_communicate(c.p, NULL, 0, NULL, SOON), 0);
    int code = 0;
    T_EXPECT_INT(skua_process_poll(c.p, &code), 1);
    T_EXPECT_INT(code, -SIGTERM);
    skua_process_release(c.p);
    return arg;
}

static void test_process_communicate_can_be_cancelled(void **state)
{
    run_clean(talk_cancel_main);
}

/* --- a child that never pauses --- */

enum { FLOOD = 2000000 };

/* One byte at a time, so that its pipe is never empty. */
static void flood(bool is_free)
{
    struct talk_call c = { .r = 1 };
    T_EXPECT_INT(skua_process_shell("yes | head -c 2000000; exec sleep 100", &c.p,
                                    .stdout = SKUA_PIPE), 0);
    rt_fault_transfer_cap(1);
    T_EXPECT_INT(skua_process_communicate(c.p, NULL, 0, NULL, 0.02), -ETIMEDOUT);
    T_EXPECT(c.p->got[1].n < FLOOD);
    T_EXPECT_INT(skua_process_communicate(c.p, NULL, 0, NULL, 0), -ETIMEDOUT);
    T_EXPECT(c.p->got[1].n < FLOOD);
    skua_task *t = is_free ? skua_go(talk_call, &c) : skua_spawn(talk_call, &c);
    let_others_wait();
    (void)skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(c.r, -ECANCELED);
    T_EXPECT(c.p->got[1].n < FLOOD);
    rt_fault_transfer_cap(0);
    T_EXPECT_INT(skua_process_kill(c.p), 0);
    skua_process_release(c.p);
}

static void *flood_main(void *arg)
{
    flood(false);
    flood(true);
    return arg;
}

static void test_process_communicate_hears_time_and_cancel_through_a_flood(void **state)
{
    run_clean(flood_main);
}

/* --- in a process of its own --- */

static void *broken_pipe_main(void *arg)
{
    static char input[200000];
    skua_process *p;
    struct skua_process_output out;
    T_EXPECT_INT(skua_process_shell("exec <&-; sleep 0.05; exit 9", &p, .stdin = SKUA_PIPE), 0);
    T_EXPECT_INT(skua_process_communicate(p, input, sizeof input, &out, SOON), 0);
    T_EXPECT_INT(out.returncode, 9);
    skua_process_release(p);
    return arg;
}

static int broken_pipe_scenario(void)
{
    signal(SIGPIPE, SIG_DFL);
    return skua_run(broken_pipe_main, NULL) < 0;
}

static void test_process_broken_pipe_kills_nobody(void **state)
{
    static struct t_child child;
    t_child_run("broken_pipe", &child);
    assert_true(t_child_exited(&child, 0));
}

static const struct t_scenario scenarios[] = {
    { "broken_pipe", broken_pipe_scenario },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_process_communicates),
    T_TEST(test_process_megabytes_both_ways_at_once),
    T_TEST(test_process_communicate_cut_off_loses_nothing),
    T_TEST(test_process_communicate_without_time_looks_again),
    T_TEST(test_process_an_end_its_user_closed_is_left_alone),
    T_TEST(test_process_communicate_can_be_cancelled),
    T_TEST(test_process_communicate_hears_time_and_cancel_through_a_flood),
    T_TEST(test_process_broken_pipe_kills_nobody),
};

T_MAIN(tests, scenarios)
