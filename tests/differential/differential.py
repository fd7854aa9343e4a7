#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays random scenarios on CPython's asyncio and on skua; the lines of both have to be equal.

    differential.py --player PROGRAM [--count N] [--first SEED]
    differential.py --player PROGRAM --free [--workers N] [--count N] [--first SEED]

With --free the scenarios are played on skua alone, on several workers: by turns with free tasks and
with tasks spread over free ones and groups. No order holds there; the player looks at what must
hold in any order and writes each breach of it.

A scenario that fails is made as small as it can be and printed with what happened. Exit status: 0
none failed, 1 some did, 2 something broke.
"""
import argparse
import subprocess
import sys

import scenario

BATCH = 250
TRIES = 30  # of a scenario that fails only now and then, before it counts as one that does not
WAIT = 120  # seconds for a batch: the player ends what hangs before


def run_player(command, scenarios):
    """The lines of each scenario by its seed."""
    text = "".join(s.text() for s in scenarios)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=WAIT,
                          check=False)
    logs = {None: []}
    seed = None
    for line in done.stdout.splitlines():
        if line.startswith("== "):
            seed = int(line[3:])
            logs[seed] = []
        else:
            logs[seed].append(line)
    if done.returncode != 0:
        logs[seed].append("exit %d: %s" % (done.returncode, done.stderr.strip()))
    return logs


class Compared:
    """Pinned tasks, against asyncio."""

    def __init__(self, args):
        self.command = [args.player]
        self.lines = 0

    def failing(self, batch):
        logs = run_player(self.command, batch)
        failing = []
        for s in batch:
            want = self.expected(s)
            self.lines += len(want)
            if logs.get(s.seed) != want:
                failing.append(s)
        return failing

    def expected(self, s):
        import asyncio_player
        try:
            return asyncio_player.play(s)
        except RuntimeError as e:
            return [str(e)]

    def fails(self, s):
        return run_player(self.command, [s]).get(s.seed) != self.expected(s)

    def sum(self):
        return "%d lines, Python %s" % (self.lines, sys.version.split()[0])

    def show(self, s):
        left, right = self.expected(s), run_player(self.command, [s]).get(s.seed, [])
        print("%-38s %s" % ("asyncio", "skua"))
        for i in range(max(len(left), len(right))):
            a = left[i] if i < len(left) else ""
            b = right[i] if i < len(right) else ""
            print("%-38s %-38s%s" % (a, b, "" if a == b else " <"))


class Free:
    """Tasks on several workers, against what must hold in any order."""

    def __init__(self, args):
        self.command = [args.player, "--workers", str(args.workers)]
        self.turns = 0
        self.mode, self.said = {}, {}

    def failing(self, batch):
        mode = ("--free", "--spread")[self.turns % 2]
        self.turns += 1
        logs = run_player(self.command + [mode], batch)
        failing = [s for s in batch if logs.get(s.seed) != []]
        # Those behind one that ended the player were not played.
        started = [s for s in failing if s.seed in logs]
        self.mode.update((s.seed, mode) for s in failing)
        self.said.update((s.seed, logs[s.seed]) for s in started)
        return started + (self.failing(failing[len(started):]) if len(failing) > len(started)
                          else [])

    def log_of_failure(self, s):
        """Lines of a play that fails, or None: there was none in many."""
        command = self.command + [self.mode[s.seed], "--log"]
        for _ in range(TRIES):
            log = run_player(command, [s]).get(s.seed, ["nothing"])
            if any(line.startswith(("breach ", "exit ", "nothing")) for line in log):
                return log
        return None

    def fails(self, s):
        return self.log_of_failure(s) is not None

    def sum(self):
        return "free and spread on %s workers" % self.command[-1]

    def show(self, s):
        log = self.log_of_failure(s)
        if not log:
            print("It failed once, and not in %d more plays:" % TRIES)
            log = self.said[s.seed]
        print("\n".join(log))


def shrink(play, s):
    again = play.fails(s)
    while again:
        again = False
        for less in scenario.smaller(s):
            if play.fails(less):
                s, again = less, True
                break
    return s


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--player", required=True)
    parser.add_argument("--free", action="store_true")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--reports", type=int, default=3)
    args = parser.parse_args()
    play = Free(args) if args.free else Compared(args)
    failing = []
    for first in range(args.first, args.first + args.count, BATCH):
        last = min(first + BATCH, args.first + args.count)
        failing += play.failing([scenario.make(i, args.free) for i in range(first, last)])
    print("%d scenarios, %s: %d %s" % (args.count, play.sum(), len(failing),
                                       "fail" if args.free else "differ"))
    for s in failing[:args.reports]:
        s = shrink(play, s)
        print("scenario %d fails; what is left of it:\n\n%s" % (s.seed, s.text()))
        play.show(s)
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
