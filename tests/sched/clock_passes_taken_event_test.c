/* SPDX-License-Identifier: MIT */
/* Goal: in virtual time no time passes between an event and what it wakes. A worker used to take an
 * event while it still counted as asleep, and another one that fell asleep just then moved the
 * clock. Method: a reader on one worker notes when it reads what a task on another one wrote. It
 * takes a loaded machine to fail; tests/semantics/pairs_test.c failed two times out of three
 * there. */
#include <math.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t.h"

enum { ROUNDS = 2000 };

static int    ends[2];
static double read_at; /* written by the reader, read a virtual second later */

static void *read_all(void *arg)
{
    char c;
    for (int i = 0; i < ROUNDS; i++) {
        T_EXPECT_INT(skua_read(ends[0], &c, 1, INFINITY), 1);
        read_at = skua_loop_time();
    }
    return arg;
}

static void *event_main(void *arg)
{
    T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    T_EXPECT_INT(skua_fd_adopt(ends[0]), 0);
    skua_group *g = skua_group_new(.worker = 1);
    skua_task  *t = skua_spawn(read_all, NULL, .group = g);
    int         late = 0;
    for (int i = 0; i < ROUNDS; i++) {
        T_EXPECT_INT(skua_sleep(1), 0); /* the reader waits by now */
        double written_at = skua_loop_time();
        T_EXPECT_INT(write(ends[1], "x", 1), 1);
        T_EXPECT_INT(skua_sleep(1), 0);
        late += read_at != written_at;
    }
    T_EXPECT_INT(late, 0);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    skua_group_release(g);
    T_EXPECT_INT(skua_close(ends[0]), 0);
    close(ends[1]);
    return arg;
}

static void test_no_time_passes_before_an_event_is_served(void **state)
{
    t_run(event_main, NULL, .workers = 2);
    t_run(event_main, NULL, .workers = 4);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_no_time_passes_before_an_event_is_served),
};
T_MAIN(tests, NULL)
