/* SPDX-License-Identifier: MIT */
#ifndef SKUA_STRESS_CHURN_H
#define SKUA_STRESS_CHURN_H
/* What fd_churn and stream_churn share: a place to connect to, and tasks in any place. */
#include "stress.h"

enum { STRESS_ADDRESS = 32 };

/* A listener on a port of its own and its address. Its descriptor; negative: reported. */
int stress_listen(struct stress_run *run, char ret_address[STRESS_ADDRESS]);

/* A task that is free, or pinned in one of the groups, at random. */
skua_task *stress_start(struct stress_run *run, skua_fn fn, void *arg, struct stress_rng *rng);

#endif
