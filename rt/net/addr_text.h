/* SPDX-License-Identifier: MIT */
/* floor 8: net. Socket addresses to text: the other way round of net/addr.h. */
#ifndef RT_NET_ADDR_TEXT_H
#define RT_NET_ADDR_TEXT_H

#include <stddef.h>
#include <sys/socket.h>

/* The length of the text, -ENOSPC, or -EINVAL for a family without one. */
int rt_addr_text(const struct sockaddr_storage *sa, socklen_t len, char *buf, size_t n);

#endif
