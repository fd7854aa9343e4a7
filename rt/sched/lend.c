/* SPDX-License-Identifier: MIT */
/* floor 5: sched. When a worker naps, and who polls for it. */
#include "sched/lend.h"

#include "sched/pace.h"
#include "sched/queues.h"
#include "sched/runtime.h"

enum {
    NAP_NS = 1000000,        /* what a helper that does not come can cost an event */
    SHORT_NS = 100000,       /* a sleep that was hardly worth its wake-up */
    REST_NS = 3000,          /* less is no sleep: something was there at once */
    FEW = 8,                 /* tasks that a sleep ended with; for more it was worth it */
    PATIENCE_MIN = 8,        /* short sleeps before a nap */
    PATIENCE_MAX = 1024,     /* and after helpers that did not come, or not cope */
    PACE_MAX_NS = 50000,     /* of a helper's picks, so that it looks around often */
    OVERWORKED_NS = 2000000, /* without a sleep: a helper has too much to do */
    TRIAL_NS = 4000000,      /* that two are awake then, before it is judged */
    WORTH_IT = 8,            /* one part in so many has to be gained */
    CONTENT_NS = 100000000,  /* to go on alone where it was not */
};

void rt_lend_init(struct rt_worker *w)
{
    w->lend.patience = PATIENCE_MIN;
}

/* --- what a lender has learnt --- */

static void forget_shorts(struct rt_worker *w)
{
    rt_store_relaxed(&w->lend.shorts, 0); /* relaxed: a hint for others */
}

static void be_patient(struct rt_worker *w)
{
    forget_shorts(w);
    if (w->lend.patience < PATIENCE_MAX)
        w->lend.patience *= 2;
}

/* Two have more to do than one gets done. */
static void stay_up(struct rt_worker *w, uint64_t now)
{
    be_patient(w);
    be_patient(w);
    w->lend.stay_up = rt_ns_add(now, TRIAL_NS);
}

static void be_bold(struct rt_worker *w)
{
    if (w->lend.patience > PATIENCE_MIN)
        w->lend.patience -= (w->lend.patience + 15) / 16;
}

static bool is_free_task(uintptr_t item)
{
    return rt_item_tag(item) == RT_TAG_TASK &&
           !rt_container_of(rt_item_link(item), struct skua_task, run)->group;
}

void rt_lend_learn(struct rt_worker *w, uint64_t slept_ns, const struct rt_fifo *found)
{
    uint32_t shorts = rt_load_relaxed(&w->lend.shorts); /* relaxed, both: a hint for others */
    if (slept_ns < REST_NS || found->count > FEW)
        return;
    if (found->head && !is_free_task(found->head))
        shorts = 0;
    else if (slept_ns >= SHORT_NS)
        shorts /= 2;
    else if (found->head && shorts < PATIENCE_MAX)
        shorts++;
    rt_store_relaxed(&w->lend.shorts, shorts);
}

/* --- choosing a helper --- */

/* relaxed, all here: hints */
static bool may_help(struct rt_worker *x)
{
    return rt_load_relaxed(&x->tid) != 0 && rt_pace(x) < PACE_MAX_NS &&
           rt_loan_has_room(&x->poller.loan);
}

/* Best one that is awake. One that sleeps has to be rung, which pays if its sleeps are short too.
 */
static struct rt_worker *find_helper(struct rt_worker *w)
{
    struct rt_runtime *rt = w->rt;
    struct rt_worker  *asleep = NULL;
    for (unsigned i = 0; i < rt->n; i++) {
        struct rt_worker *x = rt->workers[i];
        if (x == w || !may_help(x))
            continue;
        if (!rt_idle_is_parked(&rt->idle, i))
            return x;
        /* relaxed: a hint */
        if (!asleep && rt_load_relaxed(&x->lend.shorts) >= PATIENCE_MIN)
            asleep = x;
    }
    return asleep;
}

static bool may_lend(struct rt_worker *w)
{
    struct rt_runtime *rt = w->rt;
    if (!rt->steal || rt->time.is_virtual || w->index >= rt->n)
        return false;
    /* relaxed, both: hints */
    return w->timers.seen >= w->lend.stay_up && rt_load_relaxed(&w->poller.loan.seats) == 0 &&
           rt_load_relaxed(&rt->rescue.held) == 0;
}

/* A helper wants this worker to be up. */
static void heed_recall(struct rt_worker *w)
{
    if (RT_LIKELY(!rt_load_relaxed(&w->lend.recalled))) /* relaxed, both: a hint */
        return;
    rt_store_relaxed(&w->lend.recalled, 0);
    stay_up(w, w->timers.seen);
}

/* Old rings are taken off the eventfd here, which must be before the caller parks: one that comes
 * after that is for the sleep that follows, and ends it whichever kind it is. */
struct rt_worker *rt_lend_choose(struct rt_worker *w)
{
    heed_recall(w);
    uint32_t shorts = rt_load_relaxed(&w->lend.shorts); /* relaxed, both: own write */
    if (RT_LIKELY(shorts < w->lend.patience) || !may_lend(w))
        return NULL;
    struct rt_worker *helper = find_helper(w);
    if (helper)
        rt_poller_hush(&w->poller);
    else
        rt_store_relaxed(&w->lend.shorts, shorts / 2); /* do not ask all of them each time */
    return helper;
}

/* --- napping --- */

/* Rung, or the time is over. What the helper finds for a pinned task comes back as mail. */
static void learn_from_nap(struct rt_worker *w, bool rung, bool is_served, bool found)
{
    if (rung ? !is_served || rt_inbox_has(&w->pinned_inbox) : found && !is_served)
        be_patient(w);
    else if (!rung && is_served)
        be_bold(w);
    else if (!rung)
        forget_shorts(w); /* nothing comes any more */
}

/* True: the helper looks after the loop, and may go on doing so. */
static bool nap_once(struct rt_worker *w, int64_t limit_ns, struct rt_fifo *out)
{
    uint32_t before = rt_load_relaxed(&w->lend.served); /* relaxed, both: a hint */
    rt_watch_note_park(w->rt);
    bool rung = rt_poll_nap(&w->poller, limit_ns);
    rt_watch_note_unpark(w->rt);
    bool is_served = rt_load_relaxed(&w->lend.served) != before;
    bool go_on = !rung && is_served;
    if (!go_on)
        SKUA_IGNORE(rt_poll(&w->poller, 0, out)); /* an error looks like a wake */
    learn_from_nap(w, rung, is_served, out->head != 0);
    return go_on;
}

static void nap(struct rt_worker *w, int64_t timeout_ns, struct rt_fifo *out)
{
    uint64_t now = rt_timers_read_clock(&w->timers);
    uint64_t until = timeout_ns < 0 ? RT_NEVER : rt_ns_add(now, (uint64_t)timeout_ns);
    bool     go_on = true;
    while (go_on && now < until) {
        go_on = nap_once(w, until - now < NAP_NS ? (int64_t)(until - now) : NAP_NS, out);
        now = rt_timers_read_clock(&w->timers);
    }
}

bool rt_lend_nap(struct rt_worker *w, struct rt_worker *helper, int64_t timeout_ns,
                 struct rt_fifo *out)
{
    if (timeout_ns == 0 || !rt_loan_begin(&w->poller.loan, &helper->poller.loan, w->index))
        return false;
    if (rt_idle_is_parked(&w->rt->idle, helper->index)) /* pairs: IDLE <- rt_idle_park */
        rt_ring(helper); /* it lies down again, in both epolls */
    nap(w, timeout_ns, out);
    rt_loan_end(&w->poller.loan, &helper->poller.loan, w->index);
    return true;
}

/* --- helping --- */

static struct rt_worker *lender_at(struct rt_worker *w, uint64_t seats, unsigned seat)
{
    unsigned number = rt_loan_seat(seats, seat);
    return number > 0 ? w->rt->workers[number - 1] : NULL;
}

static void recall(struct rt_worker *lender)
{
    rt_store_relaxed(&lender->lend.recalled, 1); /* relaxed: a hint */
    int index = rt_idle_pick_this(&lender->rt->idle, lender->index);
    if (index >= 0)
        rt_ring(lender->rt->workers[index]);
}

/* Tasks that it ran, about: before it sleeps it has looked for one twice. */
static int64_t work_of(struct rt_worker *w)
{
    return (int64_t)RT_STAT_GET(&w->steps) - 2 * (int64_t)RT_STAT_GET(&w->parks);
}

static uint64_t per_second(int64_t work, uint64_t ns)
{
    return work > 0 ? (uint64_t)work * RT_NS_PER_SEC / (ns + 1) : 0;
}

/* Both were up for a while: do two get more done than one? Not where the CPU that the second takes
 * is lacking elsewhere, at the one who sends the requests for instance, nor where both mostly wake
 * each other. */
static void end_trial(struct rt_lend *l, int64_t own_work, uint64_t now)
{
    int64_t work = own_work + work_of(l->partner) - l->work;
    if (per_second(work, now - l->asked) < l->alone + l->alone / WORTH_IT)
        l->content = rt_ns_add(now, CONTENT_NS);
    l->partner = NULL;
}

static void begin_trial(struct rt_worker *w, struct rt_worker *lender, uint64_t now)
{
    w->lend.partner = lender;
    w->lend.work += work_of(lender);
    stay_up(w, now);
    recall(lender);
}

/* A helper that did not sleep for a while has more to do than it gets done. */
static void look_whether_it_copes(struct rt_worker *w, struct rt_worker *lender)
{
    struct rt_lend *l = &w->lend;
    uint64_t        now = w->timers.seen;
    int64_t         work = work_of(w);
    if (now - l->asked < (l->partner ? TRIAL_NS : OVERWORKED_NS))
        return;
    bool was_on_trial = l->partner != NULL;
    if (was_on_trial)
        end_trial(l, work, now);
    else
        l->alone = per_second(work - l->work, now - l->asked);
    uint64_t slept = rt_sys_thread_blocked();
    bool     copes = slept != l->slept;
    l->asked = now;
    l->work = work;
    l->slept = slept;
    if (lender && !was_on_trial && !copes && now >= l->content)
        begin_trial(w, lender, now);
}

void rt_lend_serve(struct rt_worker *w, struct rt_fifo *out)
{
    uint64_t seats = rt_load_relaxed(&w->poller.loan.seats); /* relaxed: naps are short */
    for (unsigned seat = 0; seat < RT_LOAN_SEATS; seat++) {
        struct rt_worker *lender = lender_at(w, seats, seat);
        /* an error leaves everything as it was */
        if (lender && rt_poll_served(&lender->poller, &w->poller, out) > 0)
            (void)rt_add_relaxed(&lender->lend.served, 1); /* relaxed: a hint */
    }
}

void rt_lend_look(struct rt_worker *w, struct rt_fifo *out)
{
    struct rt_worker *one = NULL;
    uint64_t          seats = rt_load_relaxed(&w->poller.loan.seats); /* relaxed: as above */
    for (unsigned seat = 0; !one && seat < RT_LOAN_SEATS; seat++)
        one = lender_at(w, seats, seat);
    rt_lend_serve(w, out);
    look_whether_it_copes(w, one);
}

unsigned rt_lend_list(struct rt_worker *w, struct pollfd *fds)
{
    uint64_t seats = rt_loan_seats(&w->poller.loan);
    unsigned n = 0;
    for (unsigned seat = 0; seats && seat < RT_LOAN_SEATS; seat++) {
        struct rt_worker *lender = lender_at(w, seats, seat);
        if (lender)
            fds[n++] = (struct pollfd){ .fd = lender->poller.epoll_fd, .events = POLLIN };
    }
    return n;
}

void rt_lend_sleep(struct rt_worker *w, int64_t timeout_ns, struct rt_fifo *out)
{
    struct pollfd fds[1 + RT_LOAN_SEATS];
    unsigned      n = rt_lend_list(w, fds + 1);
    rt_watch_note_park(w->rt);
    if (RT_UNLIKELY(n > 0))
        rt_poll_await(&w->poller, fds, n, timeout_ns);
    else
        SKUA_IGNORE(rt_poll(&w->poller, timeout_ns, out)); /* an error looks like a wake */
    rt_watch_note_unpark(w->rt);
    if (RT_LIKELY(n == 0))
        return;
    SKUA_IGNORE(rt_poll(&w->poller, 0, out));
    rt_lend_serve(w, out);
}
