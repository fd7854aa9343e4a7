/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Overflow reports: runs in a signal handler, on the alternate stack. */
#include "sched/overflow.h"

#include <string.h>

#include "base/sys.h"
#include "sched/worker.h"

static void put(const char *text)
{
    rt_sys_stderr(text, strlen(text));
}

static void put_number(uint32_t n)
{
    char  digits[12];
    char *at = digits + sizeof digits;
    *--at = '\0';
    do
        *--at = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    put(at);
}

static void report(const struct rt_stack *s, void *addr)
{
    (void)s;
    (void)addr;
    struct skua_task *t = rt_current();
    if (!t) {
        put("skua: stack overflow in a callback; what needs so much belongs into a task with a "
            "larger .stack_size\n");
        return;
    }
    struct rt_cold   *cold = rt_task_cold_if_any(t);
    /* pairs: COLD <- rt_task_set_name */
    const char       *name = cold ? rt_load_acquire(&cold->name) : NULL;
    put("skua: stack overflow in task '");
    if (name) {
        put(name);
    } else {
        put("Task-");
        put_number(t->id);
    }
    put("', spawned at ");
    put(t->where ? t->where : "an unknown place");
    put("; give it a larger .stack_size\n");
}

void rt_overflow_reports_begin(void)
{
    /* without it the process dies all the same */
    SKUA_IGNORE(rt_stack_overflow_handler_install(report));
}
