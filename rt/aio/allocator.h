/* SPDX-License-Identifier: MIT */
/* floor 7: aio. The allocator. */
#ifndef RT_AIO_ALLOCATOR_H
#define RT_AIO_ALLOCATOR_H

/* Threads that it runs in the background; none of them ever calls into the program. */
int rt_allocator_threads(void);

#endif
