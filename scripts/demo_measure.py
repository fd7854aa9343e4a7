#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the example HTTP server under wrk with one worker and with N, in turn, and compares.

Prints a table of what it measured and nothing else; --json FILE gets `speedup` and every row.
"""
import argparse
import json
import os
import re
import select
import signal
import statistics
import subprocess
import sys
import time

PATHS = [("plaintext", "/plaintext", "plaintext"), ("cpu", "/cpu", "CPU-bound request")]
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
START_SECONDS = 10
STOP_SECONDS = 15


class Server:
    """The example server on a port of its own choice, ended by SIGTERM."""

    def __init__(self, bindir, workers):
        self.process = subprocess.Popen(
            [os.path.join(bindir, "http"), "--port", "0", "--workers", str(workers)],
            stdout=subprocess.PIPE, stderr=sys.stderr)

    def __enter__(self):
        said, deadline = b"", time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not select.select([self.process.stdout], [], [], 0.2)[0]:
                continue
            piece = os.read(self.process.stdout.fileno(), 4096)
            said += piece
            match = re.search(rb"listening on ([\d.]+:\d+)", said)
            if match:
                return match.group(1).decode()
            if not piece:
                break
        self.__exit__()
        raise RuntimeError("the server did not say where it listens; it said: %r" % said)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("the server did not end within %d s of SIGTERM" % STOP_SECONDS)
        finally:
            self.process.stdout.close()


def cpu_stolen():
    """Ticks taken by the host and ticks in all, of every CPU since boot."""
    with open("/proc/stat", encoding="ascii") as f:
        ticks = [int(word) for word in f.readline().split()[1:9]]
    return ticks[7], sum(ticks)


def measure(options, path, workers):
    with Server(options.bindir, workers) as address:
        stolen, ticks = cpu_stolen()
        out = subprocess.run(
            ["wrk", "-t1", "-c64", "-d%ds" % options.seconds, "--latency",
             "http://%s%s" % (address, path)],
            check=True, capture_output=True, text=True, timeout=options.seconds + 30).stdout
        stolen, ticks = cpu_stolen()[0] - stolen, cpu_stolen()[1] - ticks
    print(out, file=sys.stderr)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", out)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", out)
    if not rate or not p99 or float(rate.group(1)) == 0:
        raise RuntimeError("wrk measured nothing:\n" + out)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    sockets = re.search(r"Socket errors: (.*), timeout (\d+)", out)
    errors = int(bad.group(1)) if bad else 0
    errors += sum(map(int, re.findall(r"\d+", sockets.group(1)))) if sockets else 0
    return {"path": path, "workers": workers, "seconds": options.seconds,
            "requests_per_second": float(rate.group(1)),
            "p99_ms": float(p99.group(1)) * UNITS[p99.group(2)], "errors": errors,
            "timeouts": int(sockets.group(2)) if sockets else 0,
            "stolen": round(stolen / max(ticks, 1), 4)}


def grouped(number):
    return "{:,.0f}/s".format(number)


def show(name, one, many):
    """One line of the table: medians of both, and what one is of the other."""
    pair = [statistics.median(r["requests_per_second"] for r in rows) for rows in (one, many)]
    ratio = pair[1] / pair[0]
    note = "\u2588" * round(ratio * 10) if ratio >= 1 else "slower with more workers"
    print("      %-20s %13s %13s %8.2fx  %s" % (name, *map(grouped, pair), ratio, note))
    tail = [statistics.median(r["p99_ms"] for r in rows) for rows in (one, many)]
    print("      %-20s %10.1f ms %10.1f ms" % ("  99 of 100 within", *tail))
    return round(ratio, 3)


def run(options):
    rows, speedup = [], {}
    workers = [1, options.workers] if options.workers > 1 else [1]
    heads = ["%d workers" % options.workers, "speed-up"] if len(workers) == 2 else ["", ""]
    print("      %-20s %13s %13s %9s" % ("", "1 worker", *heads), flush=True)
    for name, path, title in PATHS:
        mine = []
        for turn in range(options.pairs):
            for n in workers if turn % 2 == 0 else reversed(workers):
                mine.append(measure(options, path, n))
        rows += [dict(row, name=name) for row in mine]
        one = [r for r in mine if r["workers"] == 1]
        if len(workers) == 2:
            speedup[name] = show(title, one, [r for r in mine if r["workers"] != 1])
        else:
            rate = statistics.median(r["requests_per_second"] for r in one)
            print("      %-20s %13s" % (title, grouped(rate)))
        sys.stdout.flush()
    print("      medians of %d runs of %d s; wrk runs on the same CPUs: to compare, no records" % (
        options.pairs, options.seconds))
    if len(workers) == 1:
        print("      one CPU is usable here: there is nothing to compare")
    stolen = statistics.mean(r["stolen"] for r in rows)
    if stolen > 0.03:
        print("      the host took %.0f %% of the CPUs away meanwhile" % (100 * stolen))
    errors, late = (sum(r[what] for r in rows) for what in ("errors", "timeouts"))
    if errors or late:
        print("      %d requests failed, %d took more than 2 s" % (errors, late))
    with open(options.json, "w", encoding="utf-8") as f:
        json.dump({"cpus": options.workers, "speedup": speedup, "rows": rows}, f, indent=1)
        f.write("\n")
    return 1 if errors else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bindir", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json", required=True)
    try:
        return run(parser.parse_args())
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print("demo_measure: %s" % error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
