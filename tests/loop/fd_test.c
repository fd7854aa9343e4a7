/* SPDX-License-Identifier: MIT */
/* Goal: the record of a descriptor loses no event, believes no late one, and ends every wait that
 * it is told of. Method: records driven step by step, in the orders that matter; task objects stand
 * in for waiting tasks. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/sys.h"
#include "loop/fd.h"
#include "loop/poll.h"
#include "task/task.h"

/* --- a task that waits --- */

struct waiter {
    struct skua_task *t;
    uint64_t name;
};

static struct waiter arm(void)
{
    uint32_t slot;
    struct waiter w = {.t = rt_slab_get(NULL, &slot)};
    assert_non_null(w.t);
    w.name = rt_wait_name(w.t, rt_ww_arm_pinned(&w.t->wait));
    return w;
}

/* As if it had not left its stack yet: who claims it does not queue it, so it is free for use at
 * once. */
static struct waiter arm_on_stack(void)
{
    struct waiter w = arm();
    assert_int_equal(rt_ww_claim(&w.t->wait, rt_ww_ticket(w.name), 0), RT_CLAIM_SUBMIT);
    w.name = rt_wait_name(w.t, rt_ww_arm(&w.t->wait));
    return w;
}

/* -1: nobody claimed it; it is free again either way. */
static int outcome(struct waiter w)
{
    uint64_t word = rt_load_acquire(&w.t->wait.bits);
    int r = rt_ww_phase(word) == RT_PHASE_RUNNING ? (int)rt_ww_value(word) : -1;
    (void)rt_ww_claim(&w.t->wait, rt_ww_ticket(w.name), 0);
    rt_slab_put(NULL, w.t);
    return r;
}

/* --- a socket pair, its first end owned and entered --- */

struct pair {
    struct rt_poller poller;
    struct rt_fd *rec;
    uint32_t generation;
    uint32_t seen;
    int fds[2];
    struct rt_fifo out;
};

static struct pair *new_pair(bool owned)
{
    struct pair *p = calloc(1, sizeof *p);
    assert_int_equal(rt_poller_init(&p->poller), 0);
    assert_int_equal(
        rt_sys_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->fds), 0);
    if (owned)
        assert_int_equal(rt_fd_adopt(p->fds[0]), 0);
    assert_int_equal(rt_fd_enter(p->fds[0], &p->rec, &p->generation), owned);
    return p;
}

/* Leaves and closes what is not closed yet. */
static void free_pair(struct pair *p)
{
    if (p->fds[0] >= 0) {
        assert_false(rt_fd_leave(p->rec));
        assert_int_equal(rt_fd_close(p->fds[0], &p->out), 0);
    }
    assert_int_equal(rt_sys_close(p->fds[1]), 0);
    rt_fd_forget(&p->poller);
    rt_poller_fini(&p->poller);
    free(p);
}

static void make_readable(struct pair *p)
{
    assert_int_equal(rt_sys_send(p->fds[1], "x", 1, 0), 1);
}

static int poll_once(struct pair *p)
{
    return rt_poll(&p->poller, 0, &p->out);
}

static void try_in_vain(struct pair *p)
{
    char byte;
    assert_true(rt_fd_try(p->rec, RT_DIR_IN, &p->seen));
    assert_int_equal(rt_sys_read(p->fds[0], &byte, 1), -EAGAIN);
}

static void drain(struct pair *p)
{
    try_in_vain(p);
    rt_fd_drained(p->rec, RT_DIR_IN, p->seen);
}

static void wait_to_read(struct pair *p, struct waiter w)
{
    assert_int_equal(rt_fd_wait(p->rec, RT_DIR_IN, w.name, &p->poller), 0);
}

/* --- owned --- */

static void test_fd_an_event_claims_the_waiter(void **state)
{
    struct pair *p = new_pair(true);
    (void)state;
    drain(p);
    assert_false(rt_fd_try(p->rec, RT_DIR_IN, &p->seen)); /* known: no call needed */
    struct waiter w = arm();
    wait_to_read(p, w);
    SKUA_IGNORE(poll_once(p)); /* it is writable, nobody asked */
    assert_int_equal(p->out.count, 0);
    make_readable(p);
    assert_int_equal(poll_once(p), 1);
    assert_int_equal(p->out.count, 1);
    assert_int_equal(outcome(w), 0);
    assert_true(rt_fd_try(p->rec, RT_DIR_IN, &p->seen));
    free_pair(p);
}

static void test_fd_an_event_between_try_and_mark(void **state)
{
    struct pair *p = new_pair(true);
    (void)state;
    try_in_vain(p);
    rt_fd_kick(p->rec, RT_DIR_IN, &p->out);
    rt_fd_drained(p->rec, RT_DIR_IN, p->seen);
    struct waiter w = arm();
    assert_int_equal(rt_fd_wait(p->rec, RT_DIR_IN, w.name, &p->poller), 1);
    assert_int_equal(outcome(w), -1);
    free_pair(p);
}

static void test_fd_an_event_between_mark_and_wait(void **state)
{
    struct pair *p = new_pair(true);
    (void)state;
    drain(p);
    rt_fd_kick(p->rec, RT_DIR_IN, &p->out);
    struct waiter w = arm();
    assert_int_equal(rt_fd_wait(p->rec, RT_DIR_IN, w.name, &p->poller), 1);
    assert_int_equal(outcome(w), -1);
    free_pair(p);
}

/* Two tasks on one direction: the other one clears the token of the event that this one has to see.
 */
static void test_fd_an_event_whose_token_another_task_took(void **state)
{
    struct pair *p = new_pair(true);
    uint32_t other;
    (void)state;
    try_in_vain(p);
    rt_fd_kick(p->rec, RT_DIR_IN, &p->out);
    assert_true(rt_fd_try(p->rec, RT_DIR_IN, &other));
    rt_fd_drained(p->rec, RT_DIR_IN, p->seen); /* of before the event */
    struct waiter w = arm();
    assert_int_equal(rt_fd_wait(p->rec, RT_DIR_IN, w.name, &p->poller), 1);
    assert_int_equal(outcome(w), -1);
    free_pair(p);
}

static void test_fd_the_first_registration_reports_what_is_there(void **state)
{
    struct pair *p = new_pair(true);
    (void)state;
    drain(p);
    make_readable(p); /* nobody is registered yet */
    struct waiter w = arm();
    wait_to_read(p, w);
    assert_int_equal(poll_once(p), 1);
    assert_int_equal(outcome(w), 0);
    free_pair(p);
}

static void test_fd_one_name_for_each_direction(void **state)
{
    struct pair *p = new_pair(true);
    struct waiter a = arm();
    struct waiter b = arm();
    (void)state;
    drain(p);
    wait_to_read(p, a);
    assert_int_equal(rt_fd_wait(p->rec, RT_DIR_IN, b.name, &p->poller), -EBUSY);
    rt_fd_unwait(p->rec, RT_DIR_IN, b.name); /* not its own */
    rt_fd_kick(p->rec, RT_DIR_IN, &p->out);
    assert_int_equal(outcome(a), 0);
    assert_int_equal(outcome(b), -1);
    free_pair(p);
}

static void test_fd_an_event_after_the_wait_was_given_up(void **state)
{
    struct pair *p = new_pair(true);
    struct waiter w = arm();
    (void)state;
    drain(p);
    wait_to_read(p, w);
    /* a timer was faster; the event still finds the name */
    assert_int_equal(rt_ww_claim(&w.t->wait, rt_ww_ticket(w.name), ETIMEDOUT), RT_CLAIM_SUBMIT);
    make_readable(p);
    assert_int_equal(poll_once(p), 1);
    assert_int_equal(p->out.count, 0);
    rt_fd_unwait(p->rec, RT_DIR_IN, w.name);
    assert_int_equal(outcome(w), ETIMEDOUT);
    assert_true(rt_fd_try(p->rec, RT_DIR_IN, &p->seen)); /* the event was kept */
    free_pair(p);
}

static void test_fd_a_hangup_reaches_both_directions(void **state)
{
    struct pair *p = new_pair(true);
    struct waiter in = arm();
    struct waiter out = arm();
    (void)state;
    drain(p);
    assert_true(rt_fd_try(p->rec, RT_DIR_OUT, &p->seen));
    rt_fd_drained(p->rec, RT_DIR_OUT, p->seen);
    wait_to_read(p, in);
    assert_int_equal(rt_fd_wait(p->rec, RT_DIR_OUT, out.name, &p->poller), 0);
    uint64_t data = (uint64_t)p->generation << 32 | (uint32_t)p->fds[0];
    rt_fd_fire(data, EPOLLHUP, &p->out);
    assert_int_equal(outcome(in), 0);
    assert_int_equal(outcome(out), 0);
    assert_int_equal(p->out.count, 2);
    free_pair(p);
}

static void test_fd_short_reads_mean_drained_on_plain_tcp_only(void **state)
{
    static const uint32_t odd[] = {EPOLLHUP, EPOLLERR, EPOLLRDHUP, EPOLLPRI};
    struct pair *p = new_pair(true);
    (void)state;
    assert_true(rt_fd_try(p->rec, RT_DIR_IN, &p->seen));
    rt_fd_short_read(p->rec, p->seen);
    assert_true(rt_fd_try(p->rec, RT_DIR_IN, &p->seen)); /* a unix socket */
    free_pair(p);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct rt_fd *rec;
        uint32_t generation;
        uint32_t seen;
        struct rt_fifo out = {0};
        int fd = rt_sys_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_int_equal(rt_fd_adopt(fd), 0);
        assert_int_equal(rt_fd_enter(fd, &rec, &generation), 1);
        assert_int_equal(rec->kind, RT_FD_TCP);
        assert_true(rt_fd_try(rec, RT_DIR_IN, &seen));
        rt_fd_short_read(rec, seen);
        assert_false(rt_fd_try(rec, RT_DIR_IN, &seen));
        rt_fd_fire((uint64_t)generation << 32 | (uint32_t)fd, odd[i], &out);
        assert_true(rt_fd_try(rec, RT_DIR_IN, &seen));
        rt_fd_short_read(rec, seen);
        assert_true(rt_fd_try(rec, RT_DIR_IN, &seen));
        assert_false(rt_fd_leave(rec));
        assert_int_equal(rt_fd_close(fd, &out), 0);
    }
}

/* --- generations and closing --- */

static void test_fd_a_late_event_is_dropped(void **state)
{
    struct pair *p = new_pair(true);
    uint64_t late = (uint64_t)p->generation << 32 | (uint32_t)p->fds[0];
    struct waiter w = arm();
    (void)state;
    assert_false(rt_fd_leave(p->rec));
    assert_int_equal(rt_fd_close(p->fds[0], &p->out), 0);
    assert_int_equal(rt_sys_close(p->fds[1]), 0);
    int old = p->fds[0];
    assert_int_equal(
        rt_sys_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->fds), 0);
    assert_int_equal(p->fds[0], old);
    assert_int_equal(rt_fd_adopt(p->fds[0]), 0);
    assert_int_equal(rt_fd_enter(p->fds[0], &p->rec, &p->generation), 1);
    drain(p);
    wait_to_read(p, w);
    rt_fd_fire(late, EPOLLIN | EPOLLHUP, &p->out);
    assert_int_equal(p->out.count, 0);
    rt_fd_unwait(p->rec, RT_DIR_IN, w.name);
    assert_int_equal(outcome(w), -1);
    free_pair(p);
}

static void test_fd_generations_wrap(void **state)
{
    struct pair *p = new_pair(true);
    (void)state;
    uint64_t last = (uint64_t)UINT32_MAX << RT_FD_GEN_BIT | RT_FD_OWNED | 1;
    rt_store_release(&p->rec->use, last);
    assert_false(rt_fd_leave(p->rec));
    assert_int_equal(rt_fd_close_generation(p->fds[0], 5, &p->out), -EBADF);
    assert_int_equal(rt_fd_close_generation(p->fds[0], UINT32_MAX, &p->out), 0);
    assert_int_equal(rt_load_acquire(&p->rec->use), 0);
    p->fds[0] = -1;
    free_pair(p);
}

static void test_fd_close_claims_and_refuses(void **state)
{
    struct pair *p = new_pair(true);
    struct waiter w = arm();
    (void)state;
    drain(p);
    wait_to_read(p, w);
    assert_false(rt_fd_leave(p->rec)); /* as who waits does */
    assert_int_equal(rt_fd_close(p->fds[0], &p->out), 0);
    assert_int_equal(p->out.count, 1);
    assert_int_equal(outcome(w), EBADF);
    assert_false(rt_fd_resume(p->rec, p->generation));
    assert_int_equal(rt_sys_fcntl_getfl(p->fds[0]), -EBADF);
    assert_int_equal(rt_fd_close(p->fds[0], &p->out), -EBADF);
    p->fds[0] = -1;
    free_pair(p);
}

static void test_fd_the_last_to_leave_closes(void **state)
{
    struct pair *p = new_pair(true);
    struct waiter w = arm();
    struct rt_fd *rec;
    uint32_t generation;
    (void)state;
    assert_int_equal(rt_fd_enter(p->fds[0], &rec, &generation), 1); /* two are inside */
    drain(p);
    assert_int_equal(rt_fd_close(p->fds[0], &p->out), 0);
    assert_true(rt_sys_fcntl_getfl(p->fds[0]) >= 0);
    assert_int_equal(rt_fd_enter(p->fds[0], &rec, &generation), -EBADF);
    assert_int_equal(rt_fd_close(p->fds[0], &p->out), -EBADF);
    assert_int_equal(rt_fd_wait(rec, RT_DIR_IN, w.name, &p->poller), -EBADF); /* too late to wait */
    assert_false(rt_fd_leave(rec));
    assert_true(rt_fd_leave(rec));
    assert_int_equal(rt_fd_finish_close(rec, &p->out), 0);
    assert_int_equal(rt_sys_fcntl_getfl(p->fds[0]), -EBADF);
    assert_int_equal(outcome(w), -1);
    p->fds[0] = -1;
    free_pair(p);
}

static void test_fd_a_fresh_number_forgets_its_past(void **state)
{
    struct pair *p = new_pair(true);
    struct waiter w = arm();
    uint32_t generation;
    (void)state;
    drain(p);
    wait_to_read(p, w);
    assert_false(rt_fd_leave(p->rec));
    assert_int_equal(rt_sys_close(p->fds[0]), 0); /* behind our back */
    assert_int_equal(rt_sys_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), p->fds[0]);
    assert_int_equal(rt_fd_adopt_fresh(p->fds[0], RT_FD_SOCKET, &generation, &p->out), 0);
    assert_int_equal(outcome(w), EBADF);
    assert_false(rt_fd_resume(p->rec, p->generation));
    assert_int_equal(rt_fd_enter(p->fds[0], &p->rec, &p->generation), 1);
    free_pair(p);
}

/* --- moving --- */

static void test_fd_moves_after_many_strange_wakes(void **state)
{
    struct pair *p = new_pair(true);
    struct rt_poller other;
    struct waiter w = arm();
    struct rt_fifo out = {0};
    (void)state;
    assert_int_equal(rt_poller_init(&other), 0);
    drain(p);
    wait_to_read(p, w);
    for (int i = 0; i < RT_FD_STRANGERS_MAX - 1; i++)
        rt_fd_settle(p->rec, &other);
    assert_ptr_equal(rt_load_acquire(&p->rec->poller), &p->poller);
    rt_fd_settle(p->rec, &p->poller); /* in a row, or it does not count */
    for (int i = 0; i < RT_FD_STRANGERS_MAX - 1; i++)
        rt_fd_settle(p->rec, &other);
    assert_ptr_equal(rt_load_acquire(&p->rec->poller), &p->poller);
    make_readable(p); /* an event on the way while it moves */
    rt_fd_settle(p->rec, &other);
    assert_ptr_equal(rt_load_acquire(&p->rec->poller), &other);
    assert_int_equal(poll_once(p), 0);
    assert_int_equal(rt_poll(&other, 0, &out), 1);
    assert_int_equal(outcome(w), 0);
    rt_fd_forget(&other);
    assert_null(rt_load_acquire(&p->rec->poller));
    rt_poller_fini(&other);
    free_pair(p);
}

static void test_fd_stays_where_it_is_when_it_cannot_move(void **state)
{
    struct pair *p = new_pair(true);
    struct rt_poller other;
    struct waiter w = arm();
    (void)state;
    assert_int_equal(rt_poller_init(&other), 0);
    drain(p);
    wait_to_read(p, w);
    rt_fault_arm(RT_SYS_EPOLL_CTL, 1, ENOSPC);
    for (int i = 0; i < RT_FD_STRANGERS_MAX; i++)
        rt_fd_settle(p->rec, &other);
    assert_int_equal(rt_fault_hits(RT_SYS_EPOLL_CTL), 1);
    rt_fault_reset();
    make_readable(p);
    assert_int_equal(poll_once(p), 1);
    assert_int_equal(outcome(w), 0);
    rt_poller_fini(&other);
    free_pair(p);
}

/* --- foreign --- */

static void test_fd_foreign_is_registered_only_while_waited_for(void **state)
{
    struct pair *p = new_pair(false);
    struct waiter in = arm();
    struct waiter busy = arm();
    (void)state;
    assert_int_equal(rt_fd_wait_foreign(p->rec, POLLIN, in.name, &p->poller), 0);
    assert_int_equal(rt_fd_wait_foreign(p->rec, POLLIN, busy.name, &p->poller), -EBUSY);
    assert_int_equal(rt_fd_adopt(p->fds[0]), -EBUSY);
    make_readable(p);
    assert_int_equal(poll_once(p), 1);
    assert_int_equal(poll_once(p), 0); /* one shot */
    assert_int_equal(outcome(in), 0);
    rt_fd_unwait_foreign(p->rec, in.name);
    assert_int_equal(rt_sys_epoll_del(p->poller.epoll_fd, p->fds[0]), -ENOENT);
    assert_null(rt_load_acquire(&p->rec->poller));
    assert_int_equal(outcome(busy), -1);
    free_pair(p);
}

static void test_fd_foreign_directions_do_not_disarm_each_other(void **state)
{
    struct pair *p = new_pair(false);
    struct waiter in = arm();
    struct waiter out = arm();
    (void)state;
    assert_int_equal(rt_fd_wait_foreign(p->rec, POLLIN, in.name, &p->poller), 0);
    assert_int_equal(rt_fd_wait_foreign(p->rec, POLLOUT, out.name, &p->poller), 0);
    assert_int_equal(poll_once(p), 1); /* writable at once, and that disarms both */
    assert_int_equal(outcome(out), 0);
    make_readable(p);
    assert_int_equal(poll_once(p), 1);
    assert_int_equal(outcome(in), 0);
    rt_fd_unwait_foreign(p->rec, in.name);
    rt_fd_unwait_foreign(p->rec, out.name);
    assert_int_equal(rt_sys_epoll_del(p->poller.epoll_fd, p->fds[0]), -ENOENT);
    free_pair(p);
}

static void test_fd_foreign_failure_leaves_nothing(void **state)
{
    struct pair *p = new_pair(false);
    struct waiter in = arm();
    (void)state;
    rt_fault_arm(RT_SYS_EPOLL_CTL, 1, ENOSPC);
    assert_int_equal(rt_fd_wait_foreign(p->rec, POLLIN | POLLOUT, in.name, &p->poller), -ENOSPC);
    rt_fault_reset();
    assert_null(rt_load_acquire(&p->rec->poller));
    assert_int_equal(rt_load_acquire(&p->rec->dir[RT_DIR_IN]), 0);
    assert_int_equal(rt_load_acquire(&p->rec->dir[RT_DIR_OUT]), 0);
    assert_int_equal(rt_fd_adopt(p->fds[0]), 0);
    assert_int_equal(outcome(in), -1);
    free_pair(p);
}

static void test_fd_foreign_stays_where_it_is_when_it_cannot_move(void **state)
{
    struct pair *p = new_pair(false);
    struct waiter in = arm();
    (void)state;
    assert_int_equal(rt_fd_wait_foreign(p->rec, POLLIN, in.name, &p->poller), 0);
    assert_int_equal(rt_fd_move_all(&p->poller, &(struct rt_poller){.epoll_fd = -1}), -EBADF);
    make_readable(p);
    assert_int_equal(poll_once(p), 1);
    assert_int_equal(outcome(in), 0);
    free_pair(p);
}

static void test_fd_numbers_that_are_none(void **state)
{
    struct rt_fd *rec;
    uint32_t generation;
    struct rt_fifo out = {0};
    (void)state;
    assert_int_equal(rt_fd_enter(-1, &rec, &generation), -EBADF);
    assert_int_equal(rt_fd_enter(INT32_MAX, &rec, &generation), -EBADF);
    assert_int_equal(rt_fd_close(-1, &out), -EBADF);
    assert_int_equal(rt_fd_close(INT32_MAX, &out), -EBADF);
    assert_int_equal(rt_fd_close_generation(INT32_MAX, 0, &out), -EBADF);
    rt_fd_fire((uint64_t)1 << 32 | INT32_MAX, EPOLLIN, &out);
    assert_int_equal(out.count, 0);
}

/* --- many at once --- */

/* A wait may cost a time slice where threads are more than CPUs: then fewer do. */
enum { ROUNDS = 20000, ENOUGH = 100, SECONDS = 3 };

struct race {
    RT_ATOMIC(struct rt_fd *) rec;
    RT_ATOMIC(bool) stop;
};

static void *fire_for_ever(void *arg)
{
    struct race *r = arg;
    struct rt_fifo out = {0};
    while (!rt_load_acquire(&r->stop)) {
        struct rt_fd *rec = rt_load_acquire(&r->rec);
        if (rec)
            rt_fd_fire((rt_load_acquire(&rec->use) >> 32) << 32 | (uint32_t)rec->fd,
                       EPOLLIN | EPOLLOUT, &out);
    }
    return NULL;
}

/* Waits against events that come from another thread: every wait ends, and the event before it is
 * never lost. */
static void test_fd_waits_against_events(void **state)
{
    struct pair *p = new_pair(true);
    struct race r = {.stop = false};
    pthread_t thread;
    unsigned waited = 0;
    (void)state;
    rt_store_release(&r.rec, p->rec);
    assert_int_equal(pthread_create(&thread, NULL, fire_for_ever, &r), 0);
    uint64_t until = rt_clock_now() + SECONDS * RT_NS_PER_SEC;
    for (int i = 0; i < ROUNDS && (i < ENOUGH || rt_clock_now() < until); i++) {
        if (rt_fd_try(p->rec, RT_DIR_IN, &p->seen))
            rt_fd_drained(p->rec, RT_DIR_IN, p->seen);
        struct waiter w = arm_on_stack();
        int how = rt_fd_wait(p->rec, RT_DIR_IN, w.name, &p->poller);
        assert_true(how == 0 || how == 1);
        if (how == 0) {
            waited++;
            while (rt_ww_phase(rt_load_acquire(&w.t->wait.bits)) != RT_PHASE_RUNNING)
                SKUA_IGNORE(rt_sys_sched_yield());
            rt_fd_unwait(p->rec, RT_DIR_IN, w.name);
        }
        assert_int_equal(outcome(w), how == 0 ? 0 : -1);
    }
    rt_store_release(&r.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(waited > 0);
    free_pair(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fd_an_event_claims_the_waiter),
        cmocka_unit_test(test_fd_an_event_between_try_and_mark),
        cmocka_unit_test(test_fd_an_event_between_mark_and_wait),
        cmocka_unit_test(test_fd_an_event_whose_token_another_task_took),
        cmocka_unit_test(test_fd_the_first_registration_reports_what_is_there),
        cmocka_unit_test(test_fd_one_name_for_each_direction),
        cmocka_unit_test(test_fd_an_event_after_the_wait_was_given_up),
        cmocka_unit_test(test_fd_a_hangup_reaches_both_directions),
        cmocka_unit_test(test_fd_short_reads_mean_drained_on_plain_tcp_only),
        cmocka_unit_test(test_fd_a_late_event_is_dropped),
        cmocka_unit_test(test_fd_generations_wrap),
        cmocka_unit_test(test_fd_close_claims_and_refuses),
        cmocka_unit_test(test_fd_the_last_to_leave_closes),
        cmocka_unit_test(test_fd_a_fresh_number_forgets_its_past),
        cmocka_unit_test(test_fd_moves_after_many_strange_wakes),
        cmocka_unit_test(test_fd_stays_where_it_is_when_it_cannot_move),
        cmocka_unit_test(test_fd_foreign_is_registered_only_while_waited_for),
        cmocka_unit_test(test_fd_foreign_directions_do_not_disarm_each_other),
        cmocka_unit_test(test_fd_foreign_failure_leaves_nothing),
        cmocka_unit_test(test_fd_foreign_stays_where_it_is_when_it_cannot_move),
        cmocka_unit_test(test_fd_numbers_that_are_none),
        cmocka_unit_test(test_fd_waits_against_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
