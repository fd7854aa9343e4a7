/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Signal handlers of a runtime. */
#ifndef RT_AIO_SIGNALS_H
#define RT_AIO_SIGNALS_H

#include <stdbool.h>

struct rt_runtime;

/* Any thread: has some loop of the runtime a handler for the signal? */
bool rt_signal_is_handled(struct rt_runtime *rt, int signo);

#endif
