/* SPDX-License-Identifier: MIT */
/* floor 3: task. What a task has begun in memory of its own and has to end before that goes:
 * timeout scopes, task groups, iterations. Noted in debug mode only, for a report, and by the task
 * itself.
 */
#ifndef RT_TASK_OWED_H
#define RT_TASK_OWED_H

#include "task/task.h"

/* `what` in words, "a timeout scope that it never left". Returns what lay at that place and was
 * never ended, or NULL. Where memory is lacking nothing is noted. */
const char *rt_owed_add(struct skua_task *t, const void *place, const char *what);
void rt_owed_remove(struct skua_task *t, const void *place);
/* Takes the newest out, in words; NULL: there is none. */
const char *rt_owed_take(struct skua_task *t);

#endif
