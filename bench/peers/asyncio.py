#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""asyncio: one loop, coroutines. The rows and their output as skua-bench --peers wants them."""
import asyncio
import random
import signal
import sys
import time

ABSENT = 77


class Clock:
    """Wall and CPU time since it was made, and the line a figure is printed in."""

    def __init__(self):
        self.wall, self.cpu = time.monotonic(), time.process_time()

    def since(self):
        return time.monotonic() - self.wall

    def show(self, figure, ops, value=None):
        wall, cpu = self.since(), time.process_time() - self.cpu
        value = wall * 1e9 / ops if value is None else value
        print(f"{figure} {value:.6g} {cpu * 1e9 / ops:.6g} {cpu / wall:.4g}", flush=True)


def memory():
    """Resident pages and page tables, in bytes."""
    with open("/proc/self/status", encoding="ascii") as f:
        lines = [line.split() for line in f]
    return sum(int(w[1]) * 1024 for w in lines if w[0] in ("VmRSS:", "VmPTE:"))


async def nothing():
    pass


async def spawn_await(seconds):
    clock, ops = Clock(), 0
    while clock.since() < seconds:
        for _ in range(1000):
            await asyncio.create_task(nothing())
        ops += 1000
    clock.show("spawn_await", ops)


async def yielder(until):
    count = 0
    while time.monotonic() < until:
        for _ in range(1000):
            await asyncio.sleep(0)
        count += 1000
    return count


async def yield_(seconds):
    clock = Clock()
    counts = await asyncio.gather(*(yielder(clock.wall + seconds) for _ in range(2)))
    clock.show("yield", sum(counts))


async def player(mine, theirs, until):
    """Awaits a future whose result is the one to set next, with one to answer by."""
    loop, hops = asyncio.get_running_loop(), 0
    while True:
        if theirs is not None:
            mine = None if hops % 1000 == 0 and time.monotonic() >= until else loop.create_future()
            theirs.set_result(mine)
            hops += 1
        if mine is None:
            return hops
        theirs = await mine
        if theirs is None:
            return hops


async def wake(seconds):
    clock, ball = Clock(), asyncio.get_running_loop().create_future()
    until = clock.wall + seconds
    hops = await asyncio.gather(player(ball, None, until), player(None, ball, until))
    clock.show("wake", sum(hops))


async def sleep_100k(_seconds):
    count, delay, before = 100000, 2, memory()
    clock = Clock()
    tasks = [asyncio.create_task(asyncio.sleep(delay)) for _ in range(count)]
    await asyncio.sleep(0)
    during = memory()
    for task in tasks:
        await task
    clock.show("sleep_100k", count, clock.since() - delay)
    clock.show("sleep_100k_mem", count, (during - before) / count)


async def later_100k(_seconds):
    loop = asyncio.get_running_loop()
    count, delay, before = 100000, 2, memory()
    left, rung = count, loop.create_future()

    def ring():
        nonlocal left
        left -= 1
        if left == 0:
            rung.set_result(None)

    clock = Clock()
    for _ in range(count):
        loop.call_later(delay, ring)
    during = memory()
    await rung
    clock.show("later_100k", count, clock.since() - delay)
    clock.show("later_100k_mem", count, (during - before) / count)


async def timer_churn(seconds):
    loop, size = asyncio.get_running_loop(), 100000

    def arm():
        return loop.call_later(random.uniform(100, 200), print)

    pending = [arm() for _ in range(size)]
    clock, ops = Clock(), 0
    while clock.since() < seconds:
        for _ in range(1000):
            at = int(random.random() * size)
            pending[at].cancel()
            pending[at] = arm()
        ops += 1000
        await asyncio.sleep(0)
    clock.show("timer_churn", ops)


async def caller(until):
    calls = 0
    while time.monotonic() < until:
        for _ in range(100):
            await asyncio.to_thread(int)
        calls += 100
    return calls


async def to_thread(seconds):
    clock = Clock()
    clock.show("to_thread", await caller(clock.wall + seconds))


async def to_thread_busy(seconds):
    clock = Clock()
    counts = await asyncio.gather(*(caller(clock.wall + seconds) for _ in range(64)))
    clock.show("to_thread_busy", sum(counts))


async def answer(there, back):
    ball = True
    while ball:
        ball = await there.get()
        await back.put(ball)


async def queue(seconds):
    there, back = asyncio.Queue(1), asyncio.Queue(1)
    other = asyncio.create_task(answer(there, back))
    clock, trips, ball = Clock(), 0, True
    while ball:
        ball = trips % 100 != 0 or clock.since() < seconds
        await there.put(ball)
        await back.get()
        trips += 1
    await other
    clock.show("queue", trips)


async def want(lock, until):
    taken = 0
    while taken % 100 != 0 or time.monotonic() < until:
        async with lock:
            taken += 1
            await asyncio.sleep(0)
    return taken


async def lock_(seconds):
    lock, clock = asyncio.Lock(), Clock()
    counts = await asyncio.gather(*(want(lock, clock.wall + seconds) for _ in range(8)))
    clock.show("lock", sum(counts))


async def lock_alone(seconds):
    lock, clock, ops = asyncio.Lock(), Clock(), 0
    while clock.since() < seconds:
        for _ in range(100):
            await lock.acquire()
            lock.release()
        ops += 100
    clock.show("lock_alone", ops)


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def serve(server):
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stop
    server.close()


async def echo(_seconds):
    loop = asyncio.get_running_loop()
    await serve(await loop.create_server(Echo, "127.0.0.1", 0, backlog=1024))


async def echo_lines(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def streams(_seconds):
    await serve(await asyncio.start_server(echo_lines, "127.0.0.1", 0, backlog=1024))


ROWS = {"spawn_await": spawn_await, "yield": yield_, "wake": wake, "sleep_100k": sleep_100k,
        "later_100k": later_100k, "timer_churn": timer_churn, "to_thread": to_thread,
        "to_thread_busy": to_thread_busy, "echo": echo, "streams": streams, "queue": queue,
        "lock": lock_, "lock_alone": lock_alone}


def main(argv):
    if argv[1:] == ["--list"]:
        print("\n".join(ROWS))
        return 0
    if len(argv) != 4 or argv[1] not in ROWS:
        print(f"usage: {argv[0]} --list | ROW SECONDS WORKERS", file=sys.stderr)
        return 2
    if int(argv[3]) > 1:
        return ABSENT
    asyncio.run(ROWS[argv[1]](float(argv[2])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
