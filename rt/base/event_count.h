/* SPDX-License-Identifier: MIT */
/* floor 0: base. Event count for plain threads that wait for something a task or another thread
 * does.
 *
 *     v = rt_event_count_value(ec);          the other side: change the payload (a release store),
 *     if (!payload_is_there())                               then rt_event_count_broadcast(ec)
 *         rt_event_count_wait(ec, v, deadline_ns);
 *
 * No wake is lost between the two lines. The payload is published by atomics of the caller; the
 * event count only says "look again".
 */
#ifndef RT_BASE_EVENT_COUNT_H
#define RT_BASE_EVENT_COUNT_H

#include <stdint.h>

struct rt_event_count {
    uint32_t counter; /* a ck_ec32: touched only through event_count.c */
};

void rt_event_count_init(struct rt_event_count *ec);
uint32_t rt_event_count_value(const struct rt_event_count *ec);
/* Until the value is no longer old: 0; or -ETIMEDOUT. RT_NEVER waits for ever. Blocks the calling
 * thread. */
int rt_event_count_wait(struct rt_event_count *ec, uint32_t old, uint64_t deadline_ns);
/* Any thread, any number of them. The memory must outlive the call. */
void rt_event_count_broadcast(struct rt_event_count *ec);

#endif
