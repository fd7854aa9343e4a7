/* SPDX-License-Identifier: MIT */
/* add_reader, add_writer and what they do to the order of a round: rules 12 and 13. */
#include "../support/ends.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static void send_byte(char c)
{
    T_EXPECT_INT(write(end_b, &c, 1), 1);
}

static void read_byte(void)
{
    char c;
    T_EXPECT_INT(read(end_a, &c, 1), 1);
    t_log("%c", c);
}

/* Rounds of the loop until nothing of the kernel's can be on its way. */
static void rounds(int n)
{
    while (n-- > 0)
        T_EXPECT_INT(skua_yield(), 0);
}

static void take_one(void *word)
{
    calls++;
    t_log("%s", (const char *)word);
    read_byte();
}

/* ---- again and again, as long as it is ready ---- */

static void *repeats_main(void *owned)
{
    calls = 0;
    make_pair(owned != NULL);
    T_EXPECT_INT(skua_add_reader(end_a, take_one, "r"), 0);
    rounds(70);
    T_EXPECT_INT(calls, 0);
    send_byte('1');
    send_byte('2');
    send_byte('3');
    until_called(3);
    rounds(70);
    T_EXPECT_INT(calls, 3);
    send_byte('4');
    until_called(4);
    T_EXPECT_INT(skua_remove_reader(end_a), 1);
    T_EXPECT_INT(skua_remove_reader(end_a), 0);
    send_byte('5');
    rounds(70);
    T_EXPECT_INT(calls, 4);
    drop_pair();
    return NULL;
}

static void test_a_reader_is_called_once_a_round_as_long_as_there_is_something(void **state)
{
    /* Goal: level-like, one byte a call; after its removal silence. Foreign and owned. */
    (void)state;
    t_run(repeats_main, NULL, .real_time = true);
    t_check_log("r 1 r 2 r 3 r 4");
    t_run(repeats_main, T_PTR(1), .real_time = true);
    t_check_log("r 1 r 2 r 3 r 4");
}

/* ---- its place in the round ---- */

static skua_future *over;

static void say_and_end(void *word)
{
    t_log("%s", (const char *)word);
    T_EXPECT(skua_future_set_result(over, NULL));
}

static void *order_main(void *owned)
{
    make_pair(owned != NULL);
    calls = 0;
    over = skua_future_new();
    T_EXPECT_INT(skua_add_reader(end_a, take_one, "r"), 0);
    send_byte('1');
    (void)skua_call_later(0.002, say_and_end, "timer");
    (void)skua_call_soon(t_say, "soon");
    t_nap(0.004); /* both have come when the loop looks next */
    T_EXPECT_INT(skua_join(over, NULL), 0);
    T_EXPECT_INT(skua_remove_reader(end_a), 1);
    drop_pair();
    return NULL;
}

static void test_rule_13_readers_come_after_what_is_ready_and_before_timers(void **state)
{
    /* Goal: ready, then events, then timers, as in one iteration of asyncio. */
    (void)state;
    /* beside other workers an event may be found by one of those, and come a round later */
    t_run(order_main, NULL, .workers = 1, .real_time = true);
    t_check_log("soon r 1 timer");
    t_run(order_main, T_PTR(1), .workers = 1, .real_time = true);
    t_check_log("soon r 1 timer");
}

/* ---- replaced, removed ---- */

static void never(void *arg)
{
    (void)arg;
    t_log("never");
}

static void remove_both(void *arg)
{
    (void)arg;
    calls++;
    T_EXPECT_INT(skua_remove_reader(end_a), 1);
    T_EXPECT_INT(skua_remove_writer(end_a), 1);
    t_log("once");
}

static void *replace_main(void *owned)
{
    make_pair(owned != NULL);
    calls = 0;
    T_EXPECT_INT(skua_add_reader(end_a, never, NULL), 0);
    T_EXPECT_INT(skua_add_reader(end_a, take_one, "second"), 0);
    send_byte('1');
    until_called(1);
    T_EXPECT_INT(skua_add_reader(end_a, remove_both, NULL), 0);
    T_EXPECT_INT(skua_add_writer(end_a, never, NULL), 0);
    T_EXPECT_INT(skua_remove_writer(end_a), 1);
    send_byte('2');
    /* whichever of the two comes first removes both */
    T_EXPECT_INT(skua_add_writer(end_a, remove_both, NULL), 0);
    until_called(2);
    rounds(70);
    T_EXPECT_INT(calls, 2);
    drop_pair();
    return NULL;
}

static void test_a_second_add_replaces_and_a_removal_holds_at_once(void **state)
{
    /* Goal: the former callback is never called again, even if it was ready. */
    (void)state;
    t_run(replace_main, NULL, .real_time = true);
    t_check_log("second 1 once");
    t_run(replace_main, T_PTR(1), .real_time = true);
    t_check_log("second 1 once");
}

/* ---- a writer of an owned descriptor is not called for what the reader's side tells ---- */

static void count(void *arg)
{
    (void)arg;
    calls++;
}

static void *full_main(void *arg)
{
    (void)arg;
    static char block[65536];
    make_pair(true);
    while (write(end_a, block, sizeof block) > 0)
        continue;
    calls = 0;
    T_EXPECT_INT(skua_add_writer(end_a, count, NULL), 0);
    rounds(70);
    T_EXPECT_INT(shutdown(end_b, SHUT_WR), 0); /* an event of the other direction */
    rounds(140);
    T_EXPECT_INT(calls, 0);
    while (read(end_b, block, sizeof block) > 0)
        rounds(1);
    until_called(2);
    T_EXPECT_INT(skua_remove_writer(end_a), 1);
    drop_pair();
    return NULL;
}

static void test_a_writer_waits_for_room(void **state)
{
    /* Goal: a full socket whose peer has shut down calls no writer, until there is room. */
    (void)state;
    t_run(full_main, NULL, .real_time = true);
    t_check();
}

/* ---- closing ---- */

static void close_it(void *arg)
{
    (void)arg;
    calls++;
    T_EXPECT_INT(skua_close(end_a), 0);
}

static void *close_main(void *owned)
{
    make_pair(owned != NULL);
    calls = 0;
    T_EXPECT_INT(skua_add_reader(end_a, count, NULL), 0);
    T_EXPECT_INT(skua_add_writer(end_a, close_it, NULL), 0);
    until_called(1);
    int number = end_a;
    close(end_b);
    make_pair(owned != NULL); /* the numbers come back: nothing of what was is left */
    T_EXPECT_INT(end_a, number);
    T_EXPECT_INT(skua_remove_reader(end_a), 0);
    T_EXPECT_INT(skua_remove_writer(end_a), 0);
    T_EXPECT_INT(skua_add_reader(end_a, take_one, "new"), 0);
    send_byte('1');
    until_called(2);
    T_EXPECT_INT(calls, 2);
    T_EXPECT_INT(skua_remove_reader(end_a), 1);
    drop_pair();
    return NULL;
}

static void test_closing_removes_them_also_from_their_own_callback(void **state)
{
    /* Goal: skua_close() ends both directions; the number begins anew. */
    (void)state;
    t_run(close_main, NULL, .real_time = true);
    t_check_log("new 1");
    t_run(close_main, T_PTR(1), .real_time = true);
    t_check_log("new 1");
}

/* ---- a direction has one user ---- */

static void *waits_for_input(void *arg)
{
    int r = skua_poll_fd(end_a, POLLIN, 20);
    t_log("woken");
    return r == POLLIN ? arg : skua_fail(r < 0 ? r : -EIO);
}

static void *shared_main(void *owned)
{
    char c;
    make_pair(owned != NULL);
    skua_task *t = skua_spawn(waits_for_input, NULL);
    rounds(2);
    T_EXPECT_INT(skua_add_reader(end_a, count, NULL), -EBUSY);
    calls = 0;
    T_EXPECT_INT(skua_add_writer(end_a, count, NULL), 0);
    until_called(3);
    T_EXPECT_INT(skua_remove_writer(end_a), 1);
    send_byte('1');
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(read(end_a, &c, 1), 1);
    T_EXPECT_INT(skua_add_reader(end_a, count, NULL), 0);
    T_EXPECT_INT(skua_read(end_a, &c, 1, 20), -EBUSY);
    T_EXPECT_INT(skua_remove_reader(end_a), 1);
    T_EXPECT_INT(skua_read(end_a, &c, 1, 0), -ETIMEDOUT);
    drop_pair();
    return NULL;
}

static void test_a_task_and_a_reader_cannot_wait_for_one_direction(void **state)
{
    /* Goal: -EBUSY for whoever comes second; the other direction goes on. */
    (void)state;
    t_run(shared_main, NULL, .real_time = true);
    t_check_log("woken");
    t_run(shared_main, T_PTR(1), .real_time = true);
    t_check_log("woken");
}

/* It runs before the reader, whose event has come. */
static void *takes_it_away(void *arg)
{
    char c;
    T_EXPECT_INT(read(end_a, &c, 1), 1);
    T_EXPECT_INT(skua_poll_fd(end_a, POLLIN, 20), -EBUSY);
    return arg;
}

static void take_what_is_there(void *arg)
{
    char c;
    (void)arg;
    calls += read(end_a, &c, 1) == 1;
}

static void *event_main(void *owned)
{
    make_pair(owned != NULL);
    calls = 0;
    T_EXPECT_INT(skua_add_reader(end_a, take_what_is_there, NULL), 0);
    send_byte('1');
    skua_task *t = skua_spawn(takes_it_away, NULL);
    t_nap(0.01); /* the loop looks around next */
    rounds(1);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(calls, 0);
    send_byte('2');
    until_called(1);
    T_EXPECT_INT(skua_remove_reader(end_a), 1);
    drop_pair();
    return NULL;
}

static void test_a_task_does_not_get_between_an_event_and_its_reader(void **state)
{
    /* Goal: a reader has its direction also while its event waits for its turn. */
    (void)state;
    t_run(event_main, NULL, .real_time = true);
    t_check();
    t_run(event_main, T_PTR(1), .real_time = true);
    t_check();
}

/* ---- groups, free tasks, the end ---- */

static void *free_remover(void *arg)
{
    T_EXPECT_INT(skua_add_reader(end_a, count, arg), 0);
    T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT_INT(skua_remove_reader(end_a), 1);
    T_EXPECT_INT(skua_add_reader(end_a, count, arg), 0); /* left for the end of run */
    return NULL;
}

static void *in_group(void *arg)
{
    (void)arg;
    T_EXPECT_INT(skua_add_reader(end_a, count, NULL), -EBUSY);
    T_EXPECT_INT(skua_remove_reader(end_a), 0);
    return NULL;
}

static void *homes_main(void *arg)
{
    (void)arg;
    make_pair(false);
    T_EXPECT_INT(skua_add_reader(end_a, never, NULL), 0);
    skua_group *g = skua_group_new(.name = "other");
    T_EXPECT_INT(skua_join(skua_spawn(in_group, NULL, .group = g), NULL), 0);
    skua_group_release(g);
    T_EXPECT_INT(skua_remove_reader(end_a), 1);
    T_EXPECT_INT(skua_join(skua_go(free_remover, NULL), NULL), 0);
    return NULL;
}

static void test_a_reader_belongs_to_its_loop_and_ends_with_it(void **state)
{
    /* Goal: another loop cannot have it, nor remove it; free tasks are one; nothing is leaked. */
    (void)state;
    calls = 0;
    t_run(homes_main, NULL, .real_time = true);
    close(end_a);
    close(end_b);
    t_check();
}

/* ---- bad input ---- */

static void *bad_main(void *arg)
{
    (void)arg;
    make_pair(false);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    T_EXPECT_INT(skua_add_reader(-1, count, NULL), -EBADF);
    T_EXPECT_INT(skua_add_reader(100000, count, NULL), -EBADF);
    T_EXPECT_INT(skua_add_writer(end_a, NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_add_reader(file, count, NULL), -EPERM);
    T_EXPECT_INT(skua_remove_reader(file), 0);
    T_EXPECT_INT(skua_remove_reader(-1), -EBADF);
    T_EXPECT_INT(skua_remove_writer(end_a), 0);
    close(file);
    drop_pair();
    return NULL;
}

static void test_bad_input_gets_a_clear_error(void **state)
{
    /* Goal: nothing is lost, nothing hangs. */
    (void)state;
    assert_int_equal(skua_add_reader(0, count, NULL), -EPERM);
    assert_int_equal(skua_remove_writer(0), -EPERM);
    t_run(bad_main, NULL, .real_time = true);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_a_reader_is_called_once_a_round_as_long_as_there_is_something),
    T_TEST(test_rule_13_readers_come_after_what_is_ready_and_before_timers),
    T_TEST(test_a_second_add_replaces_and_a_removal_holds_at_once),
    T_TEST(test_a_writer_waits_for_room),
    T_TEST(test_closing_removes_them_also_from_their_own_callback),
    T_TEST(test_a_task_and_a_reader_cannot_wait_for_one_direction),
    T_TEST(test_a_task_does_not_get_between_an_event_and_its_reader),
    T_TEST(test_a_reader_belongs_to_its_loop_and_ends_with_it),
    T_TEST(test_bad_input_gets_a_clear_error),
};
static const struct t_scenario scenarios[] = { { 0 } };
T_MAIN(tests, scenarios)
