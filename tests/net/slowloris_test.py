#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hundreds of connections trickle at the example HTTP server while honest clients are answered.

Asserts no speed: all honest clients are answered while every slow one is still connected and still
sending; and a server with a short header timeout ends slow ones although they keep sending. Exit
status 0, 1 when a case failed, 77 when it cannot run here.
"""
import argparse
import contextlib
import os
import resource
import selectors
import socket
import sys
import time

sys.dont_write_bytecode = True          # the source tree stays as it was checked out
from http_peer import PATIENCE, Server  # noqa: E402

SLOW, HONEST, AT_A_TIME = 500, 1000, 250
NOFILE = 20000
PACE = 0.01             # seconds between two bytes at least: a head that is too long is refused
REQUEST = b"GET /plaintext HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
HEAD = b"GET /plaintext HTTP/1.1\r\nHost: t\r\n"
MORE = b"x: y\r\n"        # of these there is no end


class Trickle:
    """A connection that sends the head of a request byte by byte, and never ends it."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock.setblocking(False)
        self.sent = 0
        self.due = 0

    def step(self):
        """One byte more; False when the server has ended the connection, with words or without."""
        more = (self.sent - len(HEAD)) % len(MORE)
        try:
            if time.monotonic() >= self.due:
                self.sock.send(HEAD[self.sent:self.sent + 1] or MORE[more:more + 1])
                self.sent += 1
                self.due = time.monotonic() + PACE
            self.sock.recv(1)
        except BlockingIOError:
            return True
        except ConnectionError:
            pass
        return False


class Honest:
    def __init__(self, port, selector):
        self.data = b""
        self.selector = selector
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock.sendall(REQUEST)
        self.sock.setblocking(False)
        selector.register(self.sock, selectors.EVENT_READ, self)

    def ready(self):
        """Takes what has come; True when the server has closed."""
        part = self.sock.recv(1 << 16)
        self.data += part
        if part:
            return False
        self.selector.unregister(self.sock)
        self.sock.close()
        assert self.data.startswith(b"HTTP/1.1 200 ") and self.data.endswith(b"Hello, World!"), \
            self.data
        return True


def serve_honest(port, slow):
    """All honest clients, some at a time; between them the slow ones send on."""
    deadline = time.monotonic() + 3 * PATIENCE
    begun = done = 0
    with selectors.DefaultSelector() as selector:
        while done < HONEST:
            assert time.monotonic() < deadline, f"{done} of {HONEST} honest clients were answered"
            while begun < HONEST and begun - done < AT_A_TIME:
                Honest(port, selector)
                begun += 1
            for key, _ in selector.select(0.1):
                done += key.data.ready()
            for trickle in slow[done % 10::10]:
                trickle.step()


@contextlib.contextmanager
def serving(binary, workers, header_timeout):
    """A server, and a list for its slow connections. Complaints of the server come first: they
    explain what else failed."""
    server, slow, failure = Server(binary, workers, ["--header-timeout", header_timeout]), [], None
    try:
        yield server, slow
    except (AssertionError, OSError) as error:
        failure = error
    for trickle in slow:
        trickle.sock.close()
    ended = server.stop()
    assert ended == (0, "", ""), f"the server ended with {ended}; {failure}"
    if failure:
        raise failure


def slow_ones_do_not_hinder(binary, workers):
    with serving(binary, workers, "600") as (server, slow):
        slow += [Trickle(server.port) for _ in range(SLOW)]
        serve_honest(server.port, slow)
        alive = sum(trickle.step() for trickle in slow)
        assert alive == SLOW, f"{alive} of {SLOW} slow connections were still there"


def slow_ones_are_ended(binary, workers):
    with serving(binary, workers, "0.3") as (server, slow):
        slow += [Trickle(server.port) for _ in range(50)]
        live = slow
        deadline = time.monotonic() + PATIENCE
        while live:
            assert time.monotonic() < deadline, f"{len(live)} slow connections were not ended"
            live = [trickle for trickle in live if trickle.step()]
            time.sleep(0.01)
        assert b" 200 " in server.ask(REQUEST)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bindir", required=True)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    binary = os.path.join(options.bindir, "http")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = NOFILE if hard == resource.RLIM_INFINITY else min(hard, NOFILE)
    if not os.path.exists(binary):
        print(f"no server to test: {binary}")
        return 77
    if wanted < SLOW + AT_A_TIME + 100:
        print(f"only {hard} descriptors are allowed here")
        return 77
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    bad = 0
    for case in (slow_ones_do_not_hinder, slow_ones_are_ended):
        start = time.monotonic()
        try:
            case(binary, options.workers)
            verdict = "ok"
        except (AssertionError, OSError) as error:
            bad, verdict = bad + 1, f"FAILED: {error}"
        print(f"{case.__name__:26} {time.monotonic() - start:6.2f} s  {verdict}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
