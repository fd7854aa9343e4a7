#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the example programs and compares what they print with expected/CASE.txt.

A line of an expected file is literal text in which these may stand:
  {time:2.0}  a decimal number of seconds: never less, and more only by the tolerance,
              a quarter of a second plus a tenth of the number, times --scale
  {int}       a decimal integer
  {re:...}    a regular expression (without a closing brace)
"""
import argparse
import concurrent.futures
import contextlib
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

EXPECTED = pathlib.Path(__file__).resolve().parent / "expected"
TOKEN = re.compile(r"\{(time|re):([^}]*)\}|\{(int)\}")
TIME_ROUNDING = 0.011


class Failure(Exception):
    """What is wrong, in words for the reader."""


# ---- comparing ----

def line_matches(pattern, line, scale):
    """Whether `line` is what `pattern` describes."""
    regex, times, at = "", [], 0
    for token in TOKEN.finditer(pattern):
        regex += re.escape(pattern[at:token.start()])
        at = token.end()
        if token[1] == "time":
            times.append(float(token[2]))
            regex += r"(\d+\.\d+)"
        else:
            regex += r"\d+" if token[3] else f"(?:{token[2]})"
    found = re.fullmatch(regex + re.escape(pattern[at:]), line)
    if not found:
        return False
    return all(want - TIME_ROUNDING <= float(got) <= want + scale * (0.25 + want / 10)
               for want, got in zip(times, found.groups()))


def compare(case, text, scale):
    """Raises Failure at the first line that differs from the expected file."""
    want = (EXPECTED / f"{case}.txt").read_text(encoding="utf-8").splitlines()
    got = text.splitlines()
    for number in range(max(len(want), len(got))):
        pattern = want[number] if number < len(want) else "(end of output)"
        line = got[number] if number < len(got) else "(end of output)"
        ended = number >= len(want) or number >= len(got)
        if ended or not line_matches(pattern, line, scale):
            raise Failure(f"line {number + 1}\n  expected: {pattern}\n  printed:  {line}")


# ---- running ----

class Program:
    """A running example: its output is collected, and it never outlives the `with` block."""

    def __init__(self, context, name, *args):
        self.name = name
        self.limit = context.limit
        self.process = subprocess.Popen(
            [str(context.bindir / name), *args], text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.head = ""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def address(self):
        """The (host, port) that a server prints first."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            line = pool.submit(self.process.stdout.readline)
            try:
                self.head = line.result(self.limit)
            except concurrent.futures.TimeoutError:
                self.process.kill()
        found = re.fullmatch(r"listening on ([\d.]+):(\d+)\n", self.head)
        if not found:
            self.process.kill()
            raise Failure(f"{self.name} printed no address: {self.head!r}\n"
                          + self.process.stderr.read())
        return found[1], int(found[2])

    def finish(self, status):
        """Waits for the end, checks the exit status (None: any), returns the output."""
        try:
            out, err = self.process.communicate(timeout=self.limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise Failure(f"{self.name} did not end within {self.limit:.0f} s; "
                          f"so far it printed\n{self.head}{out}{err}") from None
        code = self.process.returncode
        if code != status:
            raise Failure(f"{self.name} ended with status {code}, not {status}\n"
                          f"{self.head}{out}{err}")
        if err:
            raise Failure(f"{self.name} wrote to stderr\n{err}")
        return self.head + out


class Context:
    """Where the programs are and how slow the machine may be."""

    def __init__(self, bindir, scale):
        self.bindir = bindir
        self.scale = scale
        self.limit = 20.0 * max(scale, 1.0)


# ---- drivers: one per kind of example ----

def run_plain(context, case):
    with Program(context, case) as program:
        compare(case, program.finish(0), context.scale)


@contextlib.contextmanager
def http_server(context):
    with Program(context, "http", "--port", "0") as server:
        host, port = server.address()
        yield f"{host}:{port}"
        server.process.send_signal(signal.SIGTERM)
        try:
            server.process.wait(context.limit)
        except subprocess.TimeoutExpired:
            raise Failure("http did not end after SIGTERM") from None


def fetch(name, *paths):
    def run(context, case):
        with http_server(context) as address, Program(context, name, address, *paths) as program:
            compare(case, program.finish(0), context.scale)
    return run


def receive(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(65536)
        if not part:
            raise Failure(f"the server closed after {len(data)} of {size} bytes")
        data += part
    return data


def echo_client(address, limit, number):
    with socket.create_connection(address, limit) as sock:
        for turn in range(5):
            text = f"client {number} turn {turn} ".encode() * (1 << turn * 3)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                back = pool.submit(receive, sock, len(text))
                sock.sendall(text)
                if back.result() != text:
                    raise Failure(f"client {number} got other bytes than it sent")
        sock.shutdown(socket.SHUT_WR)
        if sock.recv(1):
            raise Failure(f"client {number} got more than it sent")


def run_echo(context, case):
    clients = 16
    with Program(context, "echo", "127.0.0.1:0") as program:
        address = program.address()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda n: echo_client(address, context.limit, n), range(clients)))
        program.process.send_signal(signal.SIGINT)
        compare(case, program.finish(1), context.scale)


def connection_refused(address, limit):
    """Whether the server stops listening within the limit."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            with socket.create_connection(address, limit) as sock:
                sock.settimeout(0.2)
                with contextlib.suppress(TimeoutError):
                    if not sock.recv(1):
                        return True
        except ConnectionError:
            return True
        time.sleep(0.02)
    return False


def shutdown(signo):
    def run(context, case):
        with Program(context, "shutdown", "127.0.0.1:0") as program:
            address = program.address()
            with contextlib.ExitStack() as stack:
                socks = [stack.enter_context(socket.create_connection(address, context.limit))
                         for _ in range(8)]
                for sock in socks:
                    sock.sendall(b"a question\n")
                time.sleep(0.3)     # the questions are read, the answers are not due yet
                program.process.send_signal(signo)
                for sock in socks:
                    if receive(sock, 9) != b"finished\n":
                        raise Failure("an open connection was not finished")
            compare(case, program.finish(0), context.scale)
            if not connection_refused(address, 1.0):
                raise Failure("the port still accepts connections")
    return run


CASES = {
    "hello": run_plain,
    "event_loop": run_plain,
    "context": run_plain,
    "runner": run_plain,
    "create_task": run_plain,
    "future": run_plain,
    "gather": run_plain,
    "wait_for": run_plain,
    "wait": run_plain,
    "taskgroup": run_plain,
    "map": run_plain,
    "to_thread": run_plain,
    "lanes": run_plain,
    "files": run_plain,
    "subprocess": run_plain,
    "names": run_plain,
    "udp": run_plain,
    "fetch_sync": fetch("fetch_sync"),
    "fetch_async": fetch("fetch_async"),
    "fetch_async_order": fetch("fetch_async", "/delay/1.5", "/delay/0.5", "/plaintext"),
    "echo": run_echo,
    "streams": run_plain,
    "unix_socket": run_plain,
    "shutdown_sigterm": shutdown(signal.SIGTERM),
    "shutdown_sigint": shutdown(signal.SIGINT),
    "pinned": run_plain,
    "lock": run_plain,
    "queue": run_plain,
    "fork_join": run_plain,
    "virtual_time": run_plain,
    "signals": run_plain,
    "reader": run_plain,
    "host": run_plain,
}


def run_case(context, case):
    start = time.monotonic()
    try:
        CASES[case](context, case)
        verdict = "ok"
    except (Failure, OSError) as error:
        verdict = f"FAILED: {error}"
    print(f"{case:18} {time.monotonic() - start:6.2f} s  {verdict}", flush=True)
    return verdict == "ok"


def main():
    parser = argparse.ArgumentParser(description="Runs the examples and compares their output.")
    parser.add_argument("--bindir", type=pathlib.Path, help="where the programs are")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("names", nargs="*", metavar="NAME", help="the cases to run (all)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="the same, as an option that may be repeated")
    parser.add_argument("--scale", type=float, default=1.0, metavar="F",
                        help="multiply the tolerance of times (slow machines, sanitizers)")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="cases at a time (4)")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CASES))
        return 0
    if options.bindir is None or not options.bindir.is_dir():
        parser.error("--bindir names no folder")
    names = options.names + options.only or list(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)} (see --list)")
    missing = [name for name in names if not (EXPECTED / f"{name}.txt").is_file()]
    if missing:
        parser.error(f"no expected output for {', '.join(missing)}")
    context = Context(options.bindir, options.scale)
    with concurrent.futures.ThreadPoolExecutor(max(options.jobs, 1)) as pool:
        good = list(pool.map(lambda case: run_case(context, case), names))
    print(f"{sum(good)} of {len(good)} examples as expected")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
