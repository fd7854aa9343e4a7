/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Reports of tasks that hold a worker.
 *
 * The watch asks the thread by a signal. Its handler runs on the thread that is held, so the
 * current task cannot end meanwhile and its name may be copied; it takes the addresses of its
 * callers and says so. Names of functions are looked up by the watch. SIGURG, because whoever does
 * not know it ignores it; the handler is there only while a report is made, and not at all where
 * the program has one of its own.
 */
#include "sched/stall.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "base/log.h"
#include "base/san.h"
#include "fiber/ctx.h"
#include "sched/report.h"
#include "sched/runtime.h"

enum {
    DEPTH_MAX = 48,
    SHOWN_MAX = 24,
    WAIT_MS = 20, /* for the handler: a thread may block signals, or wait for a disk */
};

/* Who has the place: nobody, the watch that asks, the handler, the watch that reads. */
enum { FREE, BUSY, ASKED, TAKEN, DONE };

static struct {
    RT_ATOMIC(uint32_t) state;
    RT_ATOMIC(int)      tid; /* the thread that is asked */
    char                name[64];
    char                where[128];
    bool                is_callback;
    uint32_t            id;    /* of the task whose step it is; 0: nobody runs */
    int                 depth;
    int                 first; /* of the frames, the one that was interrupted */
    void               *frame[DEPTH_MAX];
} culprit;

/* --- on the thread that is held, in a signal handler --- */

static void put_number(char *to, uint32_t n)
{
    char  digits[12];
    char *at = digits + sizeof digits;
    *--at = '\0';
    do
        *--at = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    memcpy(to, at, (size_t)(digits + sizeof digits - at));
}

static void copy_text(char *to, size_t room, const char *text)
{
    size_t n = strnlen(text, room - 1);
    memcpy(to, text, n);
    to[n] = '\0';
}

/* Until it is done, the task is kept by the runtime's reference, which this thread gives back. In
 * an exception handler, for instance, there is none but for its number. */
static void copy_name(struct rt_worker *w)
{
    struct skua_task *t = w ? w->cur : NULL;
    culprit.name[0] = culprit.where[0] = '\0';
    culprit.is_callback = w && !t && w->in_step_group;
    culprit.id = w ? rt_load_relaxed(&w->running_id) : 0; /* relaxed: own write */
    if (!t || rt_task_is_done(t))
        return;
    struct rt_cold *cold = rt_task_cold_if_any(t);
    /* pairs: COLD <- rt_task_set_name */
    const char     *name = cold ? rt_load_acquire(&cold->name) : NULL;
    if (name) {
        copy_text(culprit.name, sizeof culprit.name, name);
    } else {
        memcpy(culprit.name, "Task-", 5);
        put_number(culprit.name + 5, t->id);
    }
    copy_text(culprit.where, sizeof culprit.where, t->where ? t->where : "an unknown place");
}

static void *interrupted_at(const void *context)
{
    const ucontext_t *uc = context;
#if defined(__x86_64__)
    return (void *)(uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (void *)(uintptr_t)uc->uc_mcontext.pc;
#else
    (void)uc;
    return NULL;
#endif
}

static void on_ask(int sig, siginfo_t *info, void *context)
{
    uint32_t asked = ASKED;
    int      saved = rt_ctx_errno_load();
    (void)sig;
    (void)info;
    /* pairs: STALL <- ask */
    if (rt_load_acquire(&culprit.tid) == rt_sys_gettid() &&
        rt_cas_acq_rel(&culprit.state, &asked, TAKEN)) {
        copy_name(rt_self());
        culprit.depth = backtrace(culprit.frame, DEPTH_MAX);
        void *at = interrupted_at(context);
        culprit.first = 0;
        for (int i = 0; i < culprit.depth; i++)
            if (culprit.frame[i] == at)
                culprit.first = i;
        rt_store_release(&culprit.state, DONE); /* pairs: STALL -> ask */
        SKUA_IGNORE(rt_sys_futex_wake(&culprit.state, 1));
    }
    rt_ctx_errno_store(saved);
}

/* --- the watch --- */

void rt_stall_begin(void)
{
    void *one;
    (void)backtrace(&one, 1); /* loads the unwinder, which a handler may not */
}

static bool install(struct sigaction *ret_before)
{
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_sigaction = on_ask;
    act.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigfillset(&act.sa_mask);
    if (RT_TSAN || rt_sys_sigaction(SIGURG, NULL, ret_before) < 0)
        return false; /* ThreadSanitizer delivers no signals to threads that switch stacks */
    if ((ret_before->sa_flags & SA_SIGINFO) ||
        (ret_before->sa_handler != SIG_DFL && ret_before->sa_handler != SIG_IGN))
        return false;
    return rt_sys_sigaction(SIGURG, &act, NULL) == 0;
}

/* Waits until the handler is through. False: it never began, and will not. */
static bool wait_for_handler(void)
{
    uint64_t until = rt_ns_add(rt_clock_now(), WAIT_MS * RT_NS_PER_MS);
    for (;;) {
        uint32_t state = rt_load_acquire(&culprit.state); /* pairs: STALL <- on_ask */
        int64_t  left = rt_ns_until(until, rt_clock_now());
        if (state == DONE)
            return true;
        if (left == 0 && state == ASKED && rt_cas_acq_rel(&culprit.state, &state, BUSY))
            return false;
        if (left == 0) /* it has begun: it will not be long */
            left = (int64_t)RT_NS_PER_MS;
        SKUA_IGNORE(rt_sys_futex_wait(&culprit.state, state, left));
    }
}

/* True: `culprit` tells who it is; given back by storing FREE. */
static bool ask(int tid)
{
    uint32_t         nobody = FREE;
    struct sigaction before;
    if (tid == 0 || !rt_cas_acq_rel(&culprit.state, &nobody, BUSY))
        return false; /* another runtime's watch asks just now */
    bool answered = false;
    if (install(&before)) {
        rt_store_relaxed(&culprit.tid, tid);    /* relaxed: the next store publishes it */
        rt_store_release(&culprit.state, ASKED); /* pairs: STALL -> on_ask */
        answered = rt_sys_tgkill(tid, SIGURG) == 0;
        if (answered)
            answered = wait_for_handler();
        SKUA_IGNORE(rt_sys_sigaction(SIGURG, &before, NULL));
    }
    if (!answered)
        rt_store_release(&culprit.state, FREE); /* pairs: STALL -> ask */
    return answered;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Function and offset where the dynamic symbols know it; else what addr2line takes. */
static void show_frame(void *pc)
{
    Dl_info info;
    if (!dladdr(pc, &info) || !info.dli_fname)
        rt_log("    at %p", pc);
    else if (info.dli_sname)
        rt_log("    at %s+0x%zx (%s)", info.dli_sname,
               (size_t)((char *)pc - (char *)info.dli_saddr), base_name(info.dli_fname));
    else
        rt_log("    at %s+0x%zx", base_name(info.dli_fname),
               (size_t)((char *)pc - (char *)info.dli_fbase));
}

static void show_waiting_groups(struct rt_runtime *rt, struct rt_worker *w)
{
    char   names[160] = "";
    size_t used = 0;
    rt_lock(&rt->lock);
    for (struct skua_group *g = rt->groups; g; g = g->sibling) {
        const char *name = g->name ? g->name : g == rt->main_group ? "main" : "unnamed";
        if (g->worker != w || used >= sizeof names - 1)
            continue;
        int n = snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", name);
        used += n > 0 ? (size_t)n : 0;
    }
    rt_unlock(&rt->lock);
    if (used > 0)
        rt_log("    these groups of worker %u wait for it: %s", w->index, names);
}

/* "": nobody runs. */
static void name_culprit(char ret_name[RT_STALL_NAME], bool answered, uint32_t id)
{
    if (answered && culprit.name[0])
        (void)snprintf(ret_name, RT_STALL_NAME, "%s", culprit.name);
    else if (answered && culprit.is_callback)
        (void)snprintf(ret_name, RT_STALL_NAME, "a callback");
    else if (id != 0)
        (void)snprintf(ret_name, RT_STALL_NAME, "Task-%u", id);
    else
        ret_name[0] = '\0';
}

void rt_stall_report(struct rt_runtime *rt, struct rt_worker *w, uint64_t held_ns, bool is_last,
                     char ret_name[RT_STALL_NAME])
{
    /* relaxed, both: a report; a thread that is gone is not found */
    uint32_t id = rt_load_relaxed(&w->running_id);
    bool     answered = ask(rt_load_relaxed(&w->tid));
    double   ms = (double)held_ns / 1e6;
    if (!answered && !is_last)
        return;
    name_culprit(ret_name, answered, answered ? culprit.id : id);
    if (answered && culprit.name[0])
        rt_log("%s (spawned at %s) has held worker %u for %.0f ms without suspending",
               culprit.name, culprit.where, w->index, ms);
    else if (ret_name[0])
        rt_log("%s has held worker %u for %.0f ms%s", ret_name, w->index, ms,
               answered && culprit.is_callback ? "" : " without suspending");
    for (int i = 0; answered && ret_name[0] && i < SHOWN_MAX; i++)
        if (culprit.first + i < culprit.depth)
            show_frame(culprit.frame[culprit.first + i]);
    if (answered)
        rt_store_release(&culprit.state, FREE); /* pairs: STALL -> ask */
    if (ret_name[0])
        show_waiting_groups(rt, w);
    else /* once is once */
        (void)snprintf(ret_name, RT_STALL_NAME, "?");
}

void rt_stall_report_end(struct rt_worker *w, uint64_t held_ns, const char *name)
{
    if (name[0] != '?')
        rt_log("%s held worker %u for %.0f ms in all", name, w->index, (double)held_ns / 1e6);
}

int skua_set_slow_callback_duration(double seconds)
{
    struct rt_worker *w = rt_self();
    uint64_t          ns;
    if (!w)
        return rt_wrong_thread("skua_set_slow_callback_duration");
    if (!(seconds > 0) || rt_ns_from_seconds(seconds, &ns) < 0)
        return -EINVAL;
    rt_stall_begin();
    rt_store_relaxed(&w->rt->watch.stall_ns, ns); /* relaxed: a figure */
    return 0;
}

void rt_stall_report_all(struct rt_runtime *rt, unsigned held)
{
    rt_log("all %u workers and %u spare ones are held: everything waits until one is back", rt->n,
           held - rt->n);
}
