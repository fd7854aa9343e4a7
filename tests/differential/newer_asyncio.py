# SPDX-License-Identifier: MIT
"""asyncio as of Python 3.13 on any Python from 3.11 on, in certain orders, with a clock that jumps.
"""
import asyncio
import selectors
import sys


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


class Completed:
    """as_completed as of Python 3.13: it gives the tasks themselves; those that are done already in
    the order of the list (CPython: in that of a set)."""

    def __init__(self, ts, limit):
        self.came = asyncio.Queue()
        self.left = dict.fromkeys(ts)
        for t in ts:
            t.add_done_callback(self.note)
        self.timer = asyncio.get_running_loop().call_later(limit, self.expire)

    def note(self, t):
        if t not in self.left:
            return
        del self.left[t]
        self.came.put_nowait(t)
        if not self.left:
            self.timer.cancel()

    def expire(self):
        for t in self.left:
            t.remove_done_callback(self.note)
            self.came.put_nowait(None)
        self.left.clear()

    async def next(self):
        t = await self.came.get()
        if t is None:
            raise TimeoutError
        return t


def start_eagerly(coro):
    """create_task(eager_start=True) of Python 3.12: the first step runs here and now."""
    loop = asyncio.get_running_loop()
    task = Task(coro, loop=loop)
    step = loop._ready.pop()
    caller = asyncio.current_task()
    asyncio.tasks._leave_task(loop, caller)
    try:
        step._run()
    finally:
        asyncio.tasks._enter_task(loop, caller)
    return task


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


async def gather(tasks):
    if sys.version_info >= (3, 12) or not all(t.done() for t in tasks):
        return await asyncio.gather(*tasks, return_exceptions=True)
    # As of Python 3.12: where all are done it is over at once.
    return [asyncio.CancelledError() if t.cancelled() else t.exception() or t.result()
            for t in tasks]
