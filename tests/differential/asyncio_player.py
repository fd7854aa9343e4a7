# SPDX-License-Identifier: MIT
"""Plays scenarios on CPython's asyncio with a clock that jumps, and writes what happens.

A scenario is text (see scenario.py); player.c plays the same on skua. Both write one line an event,
and the lines have to be the same.
"""
import asyncio
import contextvars

from newer_asyncio import (Completed, Condition, JumpingLoop, TaskGroup, gather, start_eagerly,
                           timeout)

FUTURES_FROM = 100


class Failure(Exception):
    """What the op `raise n` raises."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


class Return(Exception):
    """How the op `ret n` leaves its blocks: nothing that a user could catch."""

    def __init__(self, value):
        super().__init__(value)
        self.value = value


def code(e):
    if isinstance(e, asyncio.CancelledError):
        return "C"
    if isinstance(e, TimeoutError):
        return "T"
    if isinstance(e, Failure):
        return "E%d" % e.number
    if isinstance(e, BaseExceptionGroup):
        return code(e.exceptions[0])
    if isinstance(e, asyncio.BrokenBarrierError):
        return "B"
    return "R"


def outcome_code(t):
    """Of a task or future that is done."""
    if t.cancelled():
        return "C"
    return code(t.exception()) if t.exception() else str(t.result())


VARS = [contextvars.ContextVar("first", default=0), contextvars.ContextVar("second", default=0)]


class Around:
    """The innermost blocks of their kinds around an op."""

    def __init__(self, group=None, limit=None):
        self.group, self.limit = group, limit

    def inside(self, group=None, limit=None):
        return Around(group or self.group, limit or self.limit)


class Player:
    def __init__(self, scenario, out):
        self.s = scenario
        self.out = out
        self.tasks = {}
        self.locks = [asyncio.Lock() for _ in range(scenario.locks)]
        self.conds = [Condition() for _ in range(scenario.conds)]
        self.ready = [0] * scenario.conds
        self.handles = {}
        self.watchers = {}
        self.events = [asyncio.Event() for _ in range(scenario.events)]
        self.sems = [asyncio.Semaphore(n) for n in scenario.sems]
        self.barriers = [asyncio.Barrier(n) for n in scenario.barriers]
        for b in self.barriers:
            b._cond = Condition()
        self.queues = [(asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue)[kind](size)
                       for kind, size in scenario.queues]
        self.futures = [asyncio.get_running_loop().create_future() for _ in range(scenario.futures)]

    def say(self, who, text):
        self.out.append("%s %s" % (who, text))

    def thing(self, i):
        return self.tasks.get(i) if i < FUTURES_FROM else self.futures[i - FUTURES_FROM]

    def pick(self, numbers):
        return {self.thing(i): i for i in numbers if self.thing(i) is not None}

    def start(self, k, group=None):
        make = group.create_task if group else asyncio.create_task
        body = self.body(k)
        try:
            self.tasks[k] = make(body)
        except RuntimeError:
            body.close()
            raise

    async def body(self, k):
        self.say(k, "begins")
        value = 0
        try:
            await self.run(k, self.s.tasks[k], Around())
        except Return as r:
            value = r.value
        except BaseException as e:
            self.say(k, "ends " + code(e))
            if isinstance(e, BaseExceptionGroup):
                raise e.exceptions[0]
            raise
        self.say(k, "ends %d" % value)
        return value

    async def settle(self):
        """All tasks end by themselves; the loop would cancel what is left in no certain order."""
        while True:
            left = [t for k, t in self.tasks.items() if k != 0 and not t.done()]
            if not left:
                return
            try:
                await asyncio.wait(left)
            except asyncio.CancelledError:
                pass

    async def run(self, k, ops, around):
        for op in ops:
            name = op[0]
            try:
                result = await getattr(self, "op_" + name)(k, op, around)
            except Return:
                raise
            except BaseException as e:
                self.say(k, "%s! %s" % (name, code(e)))
                raise
            self.say(k, name if result is None else "%s %s" % (name, result))

    # ---- time ----
    async def op_sleep(self, k, op, around):
        await asyncio.sleep(op[1])

    async def op_yield(self, k, op, around):
        await asyncio.sleep(0)

    # ---- variables ----
    async def op_vset(self, k, op, around):
        VARS[op[1]].set(op[2])

    async def op_vget(self, k, op, around):
        return VARS[op[1]].get()

    async def op_var(self, k, op, around):
        token = VARS[op[1]].set(op[2])
        try:
            await self.run(k, op[3], around)
        finally:
            VARS[op[1]].reset(token)

    # ---- callbacks ----
    def call_back(self, n):
        self.say("cb", "%d %d" % (n, VARS[0].get()))

    async def op_soon(self, k, op, around):
        self.handles[op[1]] = asyncio.get_running_loop().call_soon(self.call_back, op[1])

    async def op_later(self, k, op, around):
        self.handles[op[2]] = asyncio.get_running_loop().call_later(op[1], self.call_back, op[2])

    async def op_at(self, k, op, around):
        loop = asyncio.get_running_loop()
        self.handles[op[2]] = loop.call_at(loop.time() + op[1], self.call_back, op[2])

    async def op_hcancel(self, k, op, around):
        if op[1] not in self.handles:
            return "none"
        self.handles[op[1]].cancel()
        return None

    def cancel_back(self, k):
        if k in self.tasks:
            self.say("cb", "cancels %d %d" % (k, self.tasks[k].cancel()))

    async def op_lcancel(self, k, op, around):
        asyncio.get_running_loop().call_later(op[1], self.cancel_back, op[2])

    # ---- limits ----
    async def op_timeout(self, k, op, around):
        async with timeout(op[1]) as limit:
            await self.run(k, op[2], around.inside(limit=limit))

    async def op_resched(self, k, op, around):
        if around.limit is None:
            return "none"
        now = asyncio.get_running_loop().time()
        try:
            around.limit.reschedule(None if op[1] < 0 else now + (op[1] or -1))
        except RuntimeError:
            return "late"
        return None

    async def op_expired(self, k, op, around):
        return "none" if around.limit is None else int(around.limit.expired())

    # ---- tasks ----
    async def op_spawn(self, k, op, around):
        if op[1] not in self.tasks:
            self.start(op[1])

    async def op_espawn(self, k, op, around):
        if op[1] not in self.tasks:
            self.tasks[op[1]] = start_eagerly(self.body(op[1]))

    async def op_gspawn(self, k, op, around):
        if around.group is None or op[1] in self.tasks:
            return "none"
        try:
            self.start(op[1], around.group)
        except RuntimeError:
            return "refused"
        return None

    async def op_await(self, k, op, around):
        t = self.tasks.get(op[1])
        return "none" if t is None else await t

    async def op_shield(self, k, op, around):
        t = self.tasks.get(op[1])
        return "none" if t is None else await asyncio.shield(t)

    async def op_waitfor(self, k, op, around):
        t = self.tasks.get(op[1])
        if t is None:
            return "none"
        if op[2] <= 0:
            return await asyncio.wait_for(t, 0)
        async with timeout(op[2]):
            return await t

    async def op_cancel(self, k, op, around):
        t = self.tasks.get(op[1])
        return "none" if t is None else int(t.cancel())

    async def op_uncancel(self, k, op, around):
        t = self.tasks.get(op[1])
        return "none" if t is None else t.uncancel()

    async def op_done(self, k, op, around):
        t = self.tasks.get(op[1])
        return "none" if t is None else "%d%d" % (t.done(), t.cancelled())

    async def op_cancelling(self, k, op, around):
        return asyncio.current_task().cancelling()

    async def op_alltasks(self, k, op, around):
        return len(asyncio.all_tasks())

    # ---- done-callbacks ----
    def watcher(self, n):
        """Always the same one for a number."""
        def when_done(t):
            self.say("did", "%d %s" % (n, outcome_code(t)))
        return self.watchers.setdefault(n, when_done)

    async def op_dadd(self, k, op, around):
        t = self.thing(op[1])
        if t is None:
            return "none"
        t.add_done_callback(self.watcher(op[2]))
        return None

    async def op_ddel(self, k, op, around):
        t = self.thing(op[1])
        return "none" if t is None else t.remove_done_callback(self.watcher(op[2]))

    # ---- several ----
    async def op_gather(self, k, op, around):
        ts = self.pick(op[1])
        if not ts:
            return "none"
        got = await gather(list(ts))
        return ",".join(code(g) if isinstance(g, BaseException) else str(g) for g in got)

    async def op_lgather(self, k, op, around):
        if not self.pick(op[2]):
            return "none"
        async with timeout(op[1]):
            return await self.op_gather(k, ("gather", op[2]), around)

    async def op_wait(self, k, op, around):
        when = (asyncio.ALL_COMPLETED, asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION)[op[1]]
        ts = self.pick(op[3])
        if not ts:
            return "none"
        done, _ = await asyncio.wait(ts, timeout=op[2], return_when=when)
        return ",".join(str(i) for i in sorted(ts[t] for t in done)) or "nobody"

    async def op_ascomp(self, k, op, around):
        ts = self.pick(op[2])
        if not ts:
            return "none"
        completed = Completed(ts, op[1])
        return ",".join([str(ts[await completed.next()]) for _ in ts])

    # ---- blocks ----
    async def op_try(self, k, op, around):
        try:
            await self.run(k, op[1], around)
        except Return:
            raise
        except BaseException as e:
            if isinstance(e, asyncio.CancelledError):
                while asyncio.current_task().uncancel() > 0:
                    pass
            return "caught " + code(e)
        return None

    async def op_group(self, k, op, around):
        left = None
        try:
            async with TaskGroup() as tg:
                try:
                    await self.run(k, op[1], around.inside(group=tg))
                except Return as r:
                    left = r
        except BaseExceptionGroup as e:
            self.say(k, "errors " + ",".join(code(x) for x in e.exceptions))
            raise e.exceptions[0]
        if left:
            raise left

    async def hold(self, k, op, around, take, give):
        async with timeout(op[2]):
            await take()
        try:
            self.say(k, "in")
            await self.run(k, op[3], around)
        finally:
            give()

    async def op_lock(self, k, op, around):
        lock = self.locks[op[1]]
        await self.hold(k, op, around, lock.acquire, lock.release)

    async def op_sem(self, k, op, around):
        sem = self.sems[op[1]]
        await self.hold(k, op, around, sem.acquire, sem.release)

    async def op_srelease(self, k, op, around):
        self.sems[op[1]].release()

    # ---- events, conditions, barriers ----
    async def op_eset(self, k, op, around):
        self.events[op[1]].set()

    async def op_eclear(self, k, op, around):
        self.events[op[1]].clear()

    async def op_ewait(self, k, op, around):
        async with timeout(op[2]):
            await self.events[op[1]].wait()

    async def wait_cond(self, k, i, limit, wait):
        cond = self.conds[i]
        async with timeout(limit):
            await cond.acquire()
        try:
            async with timeout(limit):
                await wait(cond)
        finally:
            self.say(k, "locked %d" % cond.locked())
            cond.release()

    async def op_cwait(self, k, op, around):
        await self.wait_cond(k, op[1], op[2], lambda cond: cond.wait())

    async def op_cwaitf(self, k, op, around):
        await self.wait_cond(k, op[1], op[2],
                             lambda cond: cond.wait_for(lambda: self.ready[op[1]]))

    async def op_cnotify(self, k, op, around):
        cond = self.conds[op[1]]
        async with timeout(op[3]):
            await cond.acquire()
        cond.notify(op[2])
        cond.release()

    async def op_cready(self, k, op, around):
        cond = self.conds[op[1]]
        async with timeout(op[3]):
            await cond.acquire()
        self.ready[op[1]] = op[2]
        cond.notify_all()
        cond.release()

    async def op_bwait(self, k, op, around):
        async with timeout(op[2]):
            await self.barriers[op[1]].wait()  # the index is skua's own: each is given once

    async def op_breset(self, k, op, around):
        async with timeout(op[2]):
            await self.barriers[op[1]].reset()

    async def op_babort(self, k, op, around):
        async with timeout(op[2]):
            await self.barriers[op[1]].abort()

    # ---- queues ----
    async def op_put(self, k, op, around):
        async with timeout(op[3]):
            await self.queues[op[1]].put(op[2])

    async def op_get(self, k, op, around):
        async with timeout(op[2]):
            return await self.queues[op[1]].get()

    async def op_putn(self, k, op, around):
        try:
            self.queues[op[1]].put_nowait(op[2])
        except asyncio.QueueFull:
            return "full"
        return None

    async def op_getn(self, k, op, around):
        try:
            return self.queues[op[1]].get_nowait()
        except asyncio.QueueEmpty:
            return "empty"

    async def op_tdone(self, k, op, around):
        try:
            self.queues[op[1]].task_done()
        except ValueError:
            return "too often"
        return None

    async def op_qjoin(self, k, op, around):
        async with timeout(op[2]):
            await self.queues[op[1]].join()

    # ---- futures ----
    async def op_fset(self, k, op, around):
        f = self.futures[op[1]]
        if f.done():
            return "late"
        f.set_result(op[2])
        return None

    async def op_ffail(self, k, op, around):
        f = self.futures[op[1]]
        if f.done():
            return "late"
        f.set_exception(Failure(op[2]))
        return None

    async def op_fcancel(self, k, op, around):
        return int(self.futures[op[1]].cancel())

    async def op_fawait(self, k, op, around):
        async with timeout(op[2]):
            return await asyncio.shield(self.futures[op[1]])

    async def op_fown(self, k, op, around):
        async with timeout(op[2]):
            return await self.futures[op[1]]

    # ---- ends ----
    async def op_raise(self, k, op, around):
        raise Failure(op[1])

    async def op_ret(self, k, op, around):
        raise Return(op[1])


def play(scenario):
    out = []
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        async def main():
            player = Player(scenario, out)
            player.tasks[0] = asyncio.current_task()
            try:
                return await player.body(0)
            finally:
                await player.settle()
        try:
            runner.run(main())
        except BaseException as e:
            out.append("main " + code(e))
    return out
