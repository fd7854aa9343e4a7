/* SPDX-License-Identifier: MIT */
/* floor 8: net. Names to addresses and back: what is answered at once, and what a thread is asked.
 *
 * A thread that is inside the C library's resolver cannot be told to stop, for minutes perhaps. So
 * everything it uses belongs to its job, its result too, and who waits for it may leave at any
 * time: the job goes, with a result that nobody took, when both are through with it. */
#ifndef RT_NET_LOOKUP_H
#define RT_NET_LOOKUP_H

#include <skua/names.h>
#include <stdbool.h>
#include <stdint.h>

struct addrinfo;

/* In a task. Answers in *ret_list (> 0), or -errno. deadline 0: does not wait, -ETIMEDOUT. */
int rt_getaddrinfo(const char *host, const char *service, uint64_t deadline,
                   const struct skua_getaddrinfo_opts *opts, struct skua_addrinfo **ret_list);

/* --- addrinfo.c: lists --- */

/* 0, or -errno for what no resolver need be asked. */
int rt_addrinfo_check(const char *host, const char *service,
                      const struct skua_getaddrinfo_opts *opts);
/* What needs no looking up: how many answers, 0: ask the C library, or -errno. */
int rt_addrinfo_numeric(const char *host, const char *service,
                        const struct skua_getaddrinfo_opts *opts, struct skua_addrinfo **ret_list);
int rt_addrinfo_count(const struct skua_addrinfo *list);
/* A list of the C library's as one of ours. 0, -ENODATA, -ENOMEM. */
int rt_addrinfo_copy(const struct addrinfo *from, struct skua_addrinfo **ret_list);
/* The addresses in the order in which to try them: families alternate, once the first one has had
 * `first` (0: one) of them; -1: as they are. */
void rt_addrinfo_order(const struct skua_addrinfo *list, size_t n, int first,
                       const skua_addr **ret_order);
/* "localhost", or a name below it. */
bool rt_host_is_localhost(const char *host);

#endif
