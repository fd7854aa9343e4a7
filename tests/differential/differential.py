#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays random scenarios on CPython's asyncio and on skua; the lines of both have to be equal.

    differential.py --player PROGRAM [--count N] [--first SEED]

A scenario that differs is made as small as it can be and printed with both logs. Exit status: 0 all
equal, 1 a difference, 2 something broke.
"""
import argparse
import subprocess
import sys

import asyncio_player
import scenario

BATCH = 250


def play_on_skua(player, scenarios, limit):
    text = "".join(s.text() for s in scenarios)
    done = subprocess.run([player], input=text, capture_output=True, text=True, timeout=limit,
                          check=False)
    logs = {}
    for line in done.stdout.splitlines():
        if line.startswith("== "):
            lines = logs[int(line[3:])] = []
        else:
            lines.append(line)
    if done.returncode != 0:
        last = max(logs) if logs else None
        logs[last] = logs.get(last, []) + ["exit %d: %s" % (done.returncode, done.stderr.strip())]
    return logs


def play_one(player, s):
    try:
        return play_on_skua(player, [s], 10).get(s.seed, ["nothing"])
    except subprocess.TimeoutExpired:
        return ["hangs"]


def play_on_asyncio(s):
    try:
        return asyncio_player.play(s)
    except RuntimeError as e:
        return [str(e)]


def shrink(player, s):
    again = True
    while again:
        again = False
        for less in scenario.smaller(s):
            if play_on_asyncio(less) != play_one(player, less):
                s, again = less, True
                break
    return s


def report(player, s):
    s = shrink(player, s)
    left, right = play_on_asyncio(s), play_one(player, s)
    print("scenario %d differs; what is left of it:\n\n%s" % (s.seed, s.text()))
    print("%-38s %s" % ("asyncio", "skua"))
    for i in range(max(len(left), len(right))):
        a = left[i] if i < len(left) else ""
        b = right[i] if i < len(right) else ""
        print("%-38s %-38s%s" % (a, b, "" if a == b else " <"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--player", required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--reports", type=int, default=3)
    args = parser.parse_args()
    differing, lines = [], 0
    for first in range(args.first, args.first + args.count, BATCH):
        batch = [scenario.make(i) for i in range(first, min(first + BATCH,
                                                            args.first + args.count))]
        try:
            logs = play_on_skua(args.player, batch, 120)
        except subprocess.TimeoutExpired:
            logs = {s.seed: play_one(args.player, s) for s in batch}
        for s in batch:
            want = play_on_asyncio(s)
            lines += len(want)
            if logs.get(s.seed) != want:
                differing.append(s)
    print("%d scenarios, %d lines, Python %s: %d differ" % (
        args.count, lines, sys.version.split()[0], len(differing)))
    for s in differing[:args.reports]:
        report(args.player, s)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
