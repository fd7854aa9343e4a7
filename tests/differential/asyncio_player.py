# SPDX-License-Identifier: MIT
"""Plays scenarios on CPython's asyncio with a clock that jumps, and writes what happens.

A scenario is text (see scenario.py); player.c plays the same on skua. Both write one line an event,
and the lines have to be the same.
"""
import asyncio
import selectors
import sys


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


class JumpingSelector(selectors.SelectSelector):
    """Where the loop would sleep, its time goes on instead."""

    loop = None

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("the scenario hangs")
            self.loop.now += timeout
        return ready


class Task(asyncio.tasks._PyTask):
    """As of Python 3.13: taking the last request back takes its delivery back as well."""

    def uncancel(self):
        left = super().uncancel()
        if left == 0:
            self._must_cancel = False
        return left


class Timeout(asyncio.Timeout):
    """As of Python 3.13: turns its cancel into TimeoutError also where earlier ones were felt, and,
    as proposed in python/cpython#134471, not where an earlier one is felt only now."""

    count = 0

    async def __aenter__(self):
        task = asyncio.current_task()
        self.count = task.cancelling() - task._must_cancel
        await super().__aenter__()
        self._cancelling = self.count
        return self

    async def __aexit__(self, kind, e, trace):
        await super().__aexit__(kind, e, trace)
        if (self.expired() and kind is asyncio.CancelledError and
                asyncio.current_task().cancelling() <= self.count):
            raise TimeoutError from e


def timeout(delay):
    return Timeout(asyncio.get_running_loop().time() + delay)


class InOrder(dict):
    """What a task group needs of a set, iterated in the order of adding: an abort cancels children
    in that order, not in that of their addresses."""

    def add(self, x):
        self[x] = True

    def discard(self, x):
        self.pop(x, None)


class TaskGroup(asyncio.TaskGroup):
    """As of Python 3.13: the request that stops the parent is always taken back in the end, and a
    cancel from outside that an error of the group hides is delivered once more."""

    def __init__(self):
        super().__init__()
        self._tasks = InOrder()

    async def __aexit__(self, *args):
        early = self._parent_cancel_requested
        try:
            return await super().__aexit__(*args)
        except BaseExceptionGroup:
            self.catch_up(early)
            parent = self._parent_task
            if sys.version_info < (3, 13) and parent.cancelling():
                parent.uncancel()
                parent.cancel()
            raise
        except BaseException:
            self.catch_up(early)
            raise

    def catch_up(self, early):
        if sys.version_info < (3, 13) and self._parent_cancel_requested and not early:
            self._parent_task.uncancel()


class Condition(asyncio.Condition):
    """As of Python 3.13: a notify that may have reached a wait which fails goes to another one."""

    async def wait(self):
        try:
            return await super().wait()
        except BaseException:
            if sys.version_info < (3, 13):
                self.notify(1)
            raise


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.now = 0.0
        selector = JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        self.set_task_factory(lambda loop, coro, **kw: Task(coro, loop=loop, **kw))
        self.set_exception_handler(lambda loop, context: None)

    def time(self):
        return self.now


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


async def gather(tasks):
    if sys.version_info >= (3, 12) or not all(t.done() for t in tasks):
        return await asyncio.gather(*tasks, return_exceptions=True)
    # As of Python 3.12: where all are done it is over at once.
    return [asyncio.CancelledError() if t.cancelled() else t.exception() or t.result()
            for t in tasks]


class Player:
    def __init__(self, scenario, out):
        self.s = scenario
        self.out = out
        self.tasks = {}
        self.locks = [asyncio.Lock() for _ in range(scenario.locks)]
        self.conds = [Condition() for _ in range(scenario.conds)]
        self.ready = [False] * scenario.conds
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
            await self.run(k, self.s.tasks[k], None)
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

    async def run(self, k, ops, group):
        for op in ops:
            name = op[0]
            try:
                result = await getattr(self, "op_" + name)(k, op, group)
            except Return:
                raise
            except BaseException as e:
                self.say(k, "%s! %s" % (name, code(e)))
                raise
            self.say(k, name if result is None else "%s %s" % (name, result))

    # ---- time ----
    async def op_sleep(self, k, op, group):
        await asyncio.sleep(op[1])

    async def op_yield(self, k, op, group):
        await asyncio.sleep(0)

    async def op_soon(self, k, op, group):
        asyncio.get_running_loop().call_soon(self.say, "cb", op[1])

    async def op_later(self, k, op, group):
        asyncio.get_running_loop().call_later(op[1], self.say, "cb", op[2])

    # ---- tasks ----
    async def op_spawn(self, k, op, group):
        if op[1] not in self.tasks:
            self.start(op[1])

    async def op_gspawn(self, k, op, group):
        if group is None or op[1] in self.tasks:
            return "none"
        try:
            self.start(op[1], group)
        except RuntimeError:
            return "refused"
        return None

    async def op_await(self, k, op, group):
        t = self.tasks.get(op[1])
        return "none" if t is None else await t

    async def op_shield(self, k, op, group):
        t = self.tasks.get(op[1])
        return "none" if t is None else await asyncio.shield(t)

    async def op_waitfor(self, k, op, group):
        t = self.tasks.get(op[1])
        if t is None:
            return "none"
        async with timeout(op[2]):
            return await t

    async def op_cancel(self, k, op, group):
        t = self.tasks.get(op[1])
        return "none" if t is None else int(t.cancel())

    async def op_done(self, k, op, group):
        t = self.tasks.get(op[1])
        return "none" if t is None else "%d%d" % (t.done(), t.cancelled())

    async def op_cancelling(self, k, op, group):
        return asyncio.current_task().cancelling()

    async def op_gather(self, k, op, group):
        ts = [self.tasks[i] for i in op[1] if i in self.tasks]
        if not ts:
            return "none"
        got = await gather(ts)
        return ",".join(code(g) if isinstance(g, BaseException) else str(g) for g in got)

    async def op_wait(self, k, op, group):
        when = (asyncio.ALL_COMPLETED, asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION)[op[1]]
        ts = {self.tasks[i]: i for i in op[3] if i in self.tasks}
        if not ts:
            return "none"
        done, _ = await asyncio.wait(ts, timeout=op[2], return_when=when)
        return ",".join(str(i) for i in sorted(ts[t] for t in done)) or "nobody"

    # ---- blocks ----
    async def op_try(self, k, op, group):
        try:
            await self.run(k, op[1], group)
        except Return:
            raise
        except BaseException as e:
            if isinstance(e, asyncio.CancelledError):
                while asyncio.current_task().uncancel() > 0:
                    pass
            return "caught " + code(e)
        return None

    async def op_timeout(self, k, op, group):
        async with timeout(op[1]):
            await self.run(k, op[2], group)

    async def op_group(self, k, op, group):
        left = None
        try:
            async with TaskGroup() as tg:
                try:
                    await self.run(k, op[1], tg)
                except Return as r:
                    left = r
        except BaseExceptionGroup as e:
            self.say(k, "errors " + ",".join(code(x) for x in e.exceptions))
            raise e.exceptions[0]
        if left:
            raise left

    async def hold(self, k, op, group, take, give):
        async with timeout(op[2]):
            await take()
        try:
            self.say(k, "in")
            await self.run(k, op[3], group)
        finally:
            give()

    async def op_lock(self, k, op, group):
        lock = self.locks[op[1]]
        await self.hold(k, op, group, lock.acquire, lock.release)

    async def op_sem(self, k, op, group):
        sem = self.sems[op[1]]
        await self.hold(k, op, group, sem.acquire, sem.release)

    # ---- events, conditions, barriers ----
    async def op_eset(self, k, op, group):
        self.events[op[1]].set()

    async def op_eclear(self, k, op, group):
        self.events[op[1]].clear()

    async def op_ewait(self, k, op, group):
        async with timeout(op[2]):
            await self.events[op[1]].wait()

    async def op_cwait(self, k, op, group):
        cond = self.conds[op[1]]
        async with timeout(op[2]):
            await cond.acquire()
        try:
            async with timeout(op[2]):
                await cond.wait()
        finally:
            self.say(k, "locked %d" % cond.locked())
            cond.release()

    async def op_cnotify(self, k, op, group):
        cond = self.conds[op[1]]
        async with timeout(op[3]):
            await cond.acquire()
        cond.notify(op[2])
        cond.release()

    async def op_bwait(self, k, op, group):
        async with timeout(op[2]):
            await self.barriers[op[1]].wait()  # the index is skua's own: each is given once

    async def op_breset(self, k, op, group):
        async with timeout(op[2]):
            await self.barriers[op[1]].reset()

    # ---- queues ----
    async def op_put(self, k, op, group):
        async with timeout(op[3]):
            await self.queues[op[1]].put(op[2])

    async def op_get(self, k, op, group):
        async with timeout(op[2]):
            return await self.queues[op[1]].get()

    async def op_putn(self, k, op, group):
        try:
            self.queues[op[1]].put_nowait(op[2])
        except asyncio.QueueFull:
            return "full"
        return None

    async def op_getn(self, k, op, group):
        try:
            return self.queues[op[1]].get_nowait()
        except asyncio.QueueEmpty:
            return "empty"

    async def op_tdone(self, k, op, group):
        try:
            self.queues[op[1]].task_done()
        except ValueError:
            return "too often"
        return None

    async def op_qjoin(self, k, op, group):
        async with timeout(op[2]):
            await self.queues[op[1]].join()

    # ---- futures ----
    async def op_fset(self, k, op, group):
        f = self.futures[op[1]]
        if f.done():
            return "late"
        f.set_result(op[2])
        return None

    async def op_ffail(self, k, op, group):
        f = self.futures[op[1]]
        if f.done():
            return "late"
        f.set_exception(Failure(op[2]))
        return None

    async def op_fcancel(self, k, op, group):
        return int(self.futures[op[1]].cancel())

    async def op_fawait(self, k, op, group):
        async with timeout(op[2]):
            return await asyncio.shield(self.futures[op[1]])

    async def op_fown(self, k, op, group):
        async with timeout(op[2]):
            return await self.futures[op[1]]

    # ---- ends ----
    async def op_raise(self, k, op, group):
        raise Failure(op[1])

    async def op_ret(self, k, op, group):
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
