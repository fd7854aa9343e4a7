/* SPDX-License-Identifier: MIT */
/* skua: asyncio for all your cores.
 *
 *     #include <skua.h>
 *
 * brings every chapter; each can be included alone as well. skua/base.h says how to read them. */
#ifndef SKUA_H
#define SKUA_H

#include <skua/base.h>   /* nouns, results, the rules of every call */
#include <skua/run.h>    /* starting and stopping */
#include <skua/task.h>   /* spawn, await, cancel, sleep */
#include <skua/future.h> /* futures and done-callbacks */
#include <skua/group.h>  /* gather, wait, timeouts, pinned groups */
#include <skua/sync.h>   /* locks, events, conditions, semaphores, barriers */
#include <skua/queue.h>  /* queues */
#include <skua/taskgroup.h> /* task groups and map */
#include <skua/loop.h>   /* the loop: callbacks, timers, other threads */
#include <skua/thread.h> /* blocking work */
#include <skua/fork.h>   /* fork-join, parallel loops */
#include <skua/context.h> /* variables of a task, handed down to what it starts */
#include <skua/names.h>  /* addresses and names */
#include <skua/net.h>    /* sockets and servers */
#include <skua/datagram.h> /* datagrams */
#include <skua/stream.h> /* buffered reading and writing of them, and of pipes */
#include <skua/file.h>   /* files, off the loop */
#include <skua/process.h> /* child processes */
#include <skua/signal.h> /* Unix signals */
#include <skua/obs.h>    /* counters */

#endif
