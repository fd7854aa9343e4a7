/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Telling who ran over the end of a stack, before the process dies of it.
 *
 * Design: one handler for SIGSEGV and SIGBUS on a signal stack per thread. A fault in a guard is
 * reported, then the dispositions from before are back and the faulting instruction runs again, so
 * that the process ends, or its crash handler sees it, as if we had not been there. Every other
 * fault goes to whoever was there before.
 *
 * Who runs what: install and remove under the lock; the handler anywhere, also while they run: it
 * reads what they had written before they let the signal in.
 */
#include "fiber/stack.h"

#include "base/lock.h"
#include "base/sys.h"
#include "fiber/arena.h"
#include "fiber/ctx.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SIGNAL_COUNT      2
#define ALTSTACK_BYTES    ((size_t)64 << 10)
#define ALTSTACK_HEADROOM ((size_t)32 << 10) /* over what the CPU's register state takes */

typedef void report_fn(const struct rt_stack *s, void *addr);

/* At the low end of an alternate stack of ours: tells it from a foreign one. */
struct altstack {
    const void *tag;
    struct altstack *self;
    size_t bytes;
    unsigned depth;
};

static const int signals[SIGNAL_COUNT] = {SIGSEGV, SIGBUS};

static struct {
    struct rt_lock lock;
    bool is_installed;
    RT_ATOMIC(report_fn *) report;
    struct sigaction previous[SIGNAL_COUNT];
} overflow = {.lock = RT_LOCK_INIT(RT_RANK_LOG)};

static void restore_previous(int sig, const struct sigaction *previous)
{
    (void)rt_sys_sigaction(sig, previous, NULL); /* it was valid when the kernel gave it to us */
}

static void pass_on(int sig, siginfo_t *info, void *context, const struct sigaction *previous)
{
    if ((previous->sa_flags & SA_SIGINFO) != 0) {
        previous->sa_sigaction(sig, info, context);
        return;
    }
    if (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN) {
        previous->sa_handler(sig);
        return;
    }
    restore_previous(sig, previous);
    /* A fault happens again by itself; a signal that somebody sent has to be sent again. */
    if (info->si_code <= 0)
        (void)rt_sys_tgkill(rt_sys_gettid(), sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    const struct sigaction *previous = &overflow.previous[sig == SIGSEGV ? 0 : 1];
    report_fn *report = rt_load_acquire(&overflow.report); /* pairs: OVERFLOW_REPORT <- install */
    const struct rt_stack *s = NULL;
    int saved = rt_ctx_errno_load();

    if (info->si_code > 0)
        s = rt_arena_stack_of_guard(info->si_addr);
    if (s == NULL) {
        pass_on(sig, info, context, previous);
    } else {
        if (report != NULL)
            report(s, info->si_addr);
        restore_previous(sig, previous);
    }
    rt_ctx_errno_store(saved);
}

int rt_stack_overflow_handler_install(void (*report)(const struct rt_stack *s, void *addr))
{
    struct sigaction act;
    int rc = 0;

    memset(&act, 0, sizeof(act));
    act.sa_sigaction = on_fault;
    act.sa_flags = SA_SIGINFO | SA_ONSTACK;
    (void)sigemptyset(&act.sa_mask); /* cannot fail */
    rt_lock(&overflow.lock);
    rt_store_release(&overflow.report, report); /* pairs: OVERFLOW_REPORT -> on_fault */
    if (overflow.is_installed)
        goto unlock;
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        /* Known before the handler can run; nobody changes dispositions between the two calls. */
        rc = rt_sys_sigaction(signals[i], NULL, &overflow.previous[i]);
        if (rc == 0)
            rc = rt_sys_sigaction(signals[i], &act, NULL);
        if (rc < 0) {
            while (i-- > 0)
                restore_previous(signals[i], &overflow.previous[i]);
            goto unlock;
        }
    }
    overflow.is_installed = true;
unlock:
    rt_unlock(&overflow.lock);
    return rc;
}

void rt_stack_overflow_handler_remove(void)
{
    struct sigaction now;

    rt_lock(&overflow.lock);
    for (int i = 0; overflow.is_installed && i < SIGNAL_COUNT; i++) {
        if (rt_sys_sigaction(signals[i], NULL, &now) == 0 && now.sa_sigaction == on_fault)
            restore_previous(signals[i], &overflow.previous[i]);
    }
    overflow.is_installed = false;
    rt_unlock(&overflow.lock);
}

/* The alternate stack of the calling thread when it is one of ours. A foreign one is only read at
 * its low end. */
static RT_NO_SANITIZE struct altstack *altstack_current(stack_t *ret_ss)
{
    struct altstack *a;

    if (rt_sys_sigaltstack(NULL, ret_ss) < 0 || (ret_ss->ss_flags & SS_DISABLE) != 0)
        return NULL;
    a = ret_ss->ss_sp;
    if (ret_ss->ss_size < sizeof(*a) || a->tag != signals || a->self != a)
        return NULL;
    return a;
}

int rt_stack_altstack_enter(void)
{
    long frame = sysconf(_SC_SIGSTKSZ);
    size_t bytes = ALTSTACK_BYTES;
    struct altstack *a;
    stack_t ss;
    void *memory;

    memset(&ss, 0, sizeof(ss));
    a = altstack_current(&ss);
    if (a != NULL)
        a->depth++;
    if (a != NULL || (ss.ss_flags & SS_DISABLE) == 0)
        return 0;
    if (frame > 0 && (size_t)frame + ALTSTACK_HEADROOM > bytes)
        bytes = ((size_t)frame + ALTSTACK_HEADROOM + ALTSTACK_BYTES - 1) & ~(ALTSTACK_BYTES - 1);
    if (rt_sys_mmap_reserve(bytes, &memory) < 0)
        return -ENOMEM;
    a = memory;
    a->tag = signals;
    a->self = a;
    a->bytes = bytes;
    a->depth = 1;
    ss.ss_sp = memory;
    ss.ss_size = bytes;
    ss.ss_flags = 0;
    if (rt_sys_sigaltstack(&ss, NULL) < 0) {
        (void)rt_sys_munmap(memory, bytes); /* was just mapped */
        return -ENOMEM;
    }
    return 0;
}

void rt_stack_altstack_leave(void)
{
    struct altstack *a;
    stack_t ss;

    memset(&ss, 0, sizeof(ss));
    a = altstack_current(&ss);
    if (a == NULL || --a->depth > 0)
        return;
    ss.ss_sp = NULL;
    ss.ss_size = 0;
    ss.ss_flags = SS_DISABLE;
    if (rt_sys_sigaltstack(&ss, NULL) == 0)
        (void)rt_sys_munmap(a, a->bytes); /* nothing runs on it any more */
}
