/* SPDX-License-Identifier: MIT */
/* floor 7: aio. The threads of a lane, and the signal that interrupts what they run. */
#include <signal.h>
#include <stdio.h>

#include "aio/pool.h"
#include "base/clock.h"
#include "base/mem.h"

struct lane_thread {
    struct rt_seat   seat;
    struct rt_thread thread; /* written before anybody else can see the record */
    int              tid;    /* its own, before it takes a call */
};

static struct lane_thread *thread_of(struct rt_seat *seat)
{
    return rt_container_of(seat, struct lane_thread, seat);
}

static struct rt_pool_lane *home_of(struct rt_lane *lane)
{
    return rt_container_of(lane, struct rt_pool_lane, lane);
}

/* --- interrupting --- */

/* Of the real-time signals, since no standard one is free in every program; near the end of them,
 * since programs take theirs from SIGRTMIN on; not the last three, which valgrind, language
 * runtimes and debuggers are known to use. */
int rt_interrupt_signal(void)
{
    return SIGRTMAX - 3;
}

static void on_interrupt(int signo)
{
    (void)signo; /* that the system call ends is all */
}

int rt_interrupt_install(void)
{
    static struct rt_lock  lock = RT_LOCK_INIT(RT_RANK_POOL);
    const struct sigaction ours = { .sa_handler = on_interrupt }; /* no SA_RESTART: EINTR */
    struct sigaction       old;
    rt_lock(&lock);
    int r = rt_sys_sigaction(rt_interrupt_signal(), NULL, &old);
    if (r == 0 && ((old.sa_flags & SA_SIGINFO) || old.sa_handler != on_interrupt)) {
        bool is_free = !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL;
        r = is_free ? rt_sys_sigaction(rt_interrupt_signal(), &ours, NULL) : -EBUSY;
    }
    rt_unlock(&lock);
    return r;
}

void rt_seat_interrupt(struct rt_seat *seat)
{
    /* EAGAIN: too many signals are pending in the system; there is a next time */
    SKUA_IGNORE(rt_sys_tgkill(thread_of(seat)->tid, rt_interrupt_signal()));
}

/* --- the life of a thread --- */

static void note_wait(struct rt_pool_lane *home, uint64_t since, uint64_t now)
{
    uint64_t waited = now > since ? now - since : 0;
    uint64_t most = rt_load_relaxed(&home->wait_max); /* relaxed: a figure */
    while (waited > most && !rt_cas_relaxed(&home->wait_max, &most, waited)) {
    }
}

/* False: nobody waits for this thread any more. */
static bool run_job(struct lane_thread *me, struct rt_job *job)
{
    struct rt_lane *lane = me->seat.lane;
    uint64_t        name;
    bool            hit;
    note_wait(home_of(lane), job->since, rt_clock_now());
    if (job->interrupt)
        rt_sys_signal_allow(rt_interrupt_signal());
    job->result = rt_job_call(job);
    bool mine = rt_lane_finish(lane, &me->seat, &job->item, &name, &hit);
    if (hit)
        SKUA_IGNORE(rt_sys_sched_yield()); /* what is pending comes now, not in the next call */
    if (mine)
        rt_job_settle(job, name);
    else
        rt_job_release(job); /* the runtime has gone on without it */
    return mine;
}

void rt_seat_join(struct rt_seat *seat)
{
    if (!seat)
        return;
    SKUA_IGNORE(rt_sys_thread_join(thread_of(seat)->thread)); /* it is ours and not joined yet */
    rt_free(thread_of(seat));
}

void rt_seat_detach(struct rt_seat *seat)
{
    rt_sys_thread_detach(thread_of(seat)->thread);
}

static void *thread_main(void *arg)
{
    struct lane_thread  *me = arg;
    struct rt_lane      *lane = me->seat.lane;
    struct rt_pool_lane *home = home_of(lane);
    struct rt_pool      *pool = home->pool;
    struct rt_lane_item *item;
    bool                 mine = true;
    me->tid = rt_sys_gettid();
    do {
        item = rt_lane_pull(lane, &me->seat, rt_ns_add(rt_clock_now(), home->idle_ns));
        if (item)
            mine = run_job(me, rt_container_of(item, struct rt_job, item));
    } while (item && mine);
    /* Once it has left its lane, whoever leaves next joins it: nothing of `me` is read then. */
    if (!item)
        rt_seat_join(me->seat.before);
    else
        rt_free(me);
    (void)rt_sub_relaxed(&pool->threads, 1); /* relaxed: a count that may come late */
    rt_pool_release(pool);
    return NULL;
}

int rt_lane_start_thread(struct rt_lane *lane)
{
    struct rt_pool_lane *home = home_of(lane);
    struct lane_thread  *me = rt_calloc(1, sizeof *me);
    char                 name[16];
    if (!me)
        return -ENOMEM;
    (void)snprintf(name, sizeof name, "skua-%s", home == home->pool->lane ? "pool" : home->name);
    rt_pool_keep(home->pool);
    rt_lane_enter(lane, &me->seat);
    int r = rt_sys_thread_create(&me->thread, thread_main, me, name);
    if (r == 0) {
        (void)rt_add_relaxed(&home->pool->threads, 1); /* relaxed: a count that may come late */
    } else {
        rt_lane_leave(lane, &me->seat);
        rt_pool_release(home->pool);
        rt_free(me);
    }
    return r;
}
