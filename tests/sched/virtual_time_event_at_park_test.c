/* SPDX-License-Identifier: MIT */
/* Goal: in virtual time a worker that finds an event as it is about to sleep takes it. It used to
 * go on without having looked, find nothing and try to sleep again, until the watch thread sent it
 * looking: with so many events that takes longer than any test may. */
#include <math.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t.h"

enum { ROUNDS = 1000 };

static int ends[2];

static void *read_all(void *arg)
{
    char c;
    for (int i = 0; i < ROUNDS; i++)
        T_EXPECT_INT(skua_read(ends[0], &c, 1, INFINITY), 1);
    return arg;
}

static void *event_main(void *arg)
{
    T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    T_EXPECT_INT(skua_fd_adopt(ends[0]), 0);
    skua_task *t = skua_spawn(read_all, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        T_EXPECT_INT(skua_sleep(1), 0); /* the reader waits by now */
        T_EXPECT_INT(write(ends[1], "x", 1), 1);
    }
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(skua_close(ends[0]), 0);
    close(ends[1]);
    return arg;
}

static void test_event_at_park_is_taken(void **state)
{
    (void)state;
    t_run(event_main, NULL, .workers = 1);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_event_at_park_is_taken),
};
T_MAIN(tests, NULL)
