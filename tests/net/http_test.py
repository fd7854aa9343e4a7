#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The example HTTP server from outside: curl, wrk and raw sockets against 1, 2 and 4 workers.

One line per case and a closing line; exit status 0, 1 when a case failed, 77 when there is no
server to test. Everything is on loopback and bounded in time.
"""
import argparse
import contextlib
import email.utils
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True          # the source tree stays as it was checked out
from http_peer import PATIENCE, Server  # noqa: E402

HOST = b"Host: t\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CASES = []


class Skip(Exception):
    pass


def case(*options, nofile=None):
    """Registers a case; `options` go to its server."""
    def register(fn):
        CASES.append((fn.__name__, fn, list(options), nofile))
        return fn
    return register


def get(path, extra=b""):
    return b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + extra + b"\r\n"


def same(got, wanted, what=""):
    assert got == wanted, f"{what} got {got!r}, wanted {wanted!r}"


def statuses(data):
    return [int(x) for x in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def undated(data):
    return re.sub(rb"Date: [^\r]*", b"Date: -", data)


def until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"in {PATIENCE} s not: {what}")


# ---- answers ----

@case()
def plaintext(srv):
    with srv.connect() as peer:
        peer.send(get("/plaintext"))
        a = peer.answer()
        same((a.status, a.reason, a.body), (200, "OK", b"Hello, World!"))
        same(a.headers["content-type"], "text/plain")
        date = email.utils.parsedate_to_datetime(a.headers["date"]).timestamp()
        assert abs(date - time.time()) < PATIENCE, a.headers["date"]
        assert "connection" not in a.headers


@case()
def index_and_errors(srv):
    with srv.connect() as peer:
        for path, status in (("/", 200), ("/plaintext?a=b", 200), ("http://t/plaintext", 200),
                             ("/nothing", 404), ("/plaintext/", 404), ("/" + "x" * 4000, 404),
                             ("/plaintext?" + "x" * 4000, 200), ("/delay/x", 400),
                             ("/delay/", 400), ("/delay/1.2.3", 400), ("/delay/99999", 400)):
            peer.send(get(path))
            same(peer.answer().status, status, path[:40])
        for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"):
            peer.send(method + b" /plaintext HTTP/1.1\r\n" + HOST + b"\r\n")
            a = peer.answer()
            same((a.status, a.headers["allow"]), (405, "GET, HEAD"), method)


@case()
def head_has_no_body(srv):
    for path in ("/plaintext", "/", "/stats", "/nothing", "/delay/0"):
        with srv.connect() as peer:
            peer.send(get(path).replace(b"GET", b"HEAD") + get("/plaintext"))
            a = peer.answer(head_only=True)
            assert int(a.headers["content-length"]) > 0
            same(peer.answer().body, b"Hello, World!", path)


@case()
def http_1_0_and_close(srv):
    data = srv.ask(b"GET /plaintext HTTP/1.0\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in data and data.endswith(b"Hello, World!"), data
    with srv.connect() as peer:
        for _ in range(3):
            peer.send(b"GET /plaintext HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            same(peer.answer().headers["connection"], "keep-alive")
    data = srv.ask(get("/plaintext", b"Connection: close\r\n") + get("/plaintext"))
    same(statuses(data), [200], "nothing is answered after the close")


@case()
def cpu_is_the_same_work(srv):
    x = 0x9e3779b97f4a7c15
    for _ in range(155000):
        x ^= x << 13 & 0xffffffffffffffff
        x ^= x >> 7
        x ^= x << 17 & 0xffffffffffffffff
    with srv.connect() as peer:
        peer.send(get("/cpu") * 8)
        for _ in range(8):
            same(peer.answer().body, b"%016x\n" % x)


@case()
def delay(srv):
    with srv.connect() as peer:
        peer.send(get("/delay/0"))
        text = peer.answer().body
        start = time.monotonic()
        peer.send(get("/plaintext") + get("/delay/1") + get("/plaintext"))
        peer.answer()
        early = time.monotonic() - start
        same(peer.answer().body, text)
        took = time.monotonic() - start
        assert took >= 1 and early < took - 0.1, (early, took)
        same(peer.answer().status, 200)


@case()
def stats(srv):
    with srv.connect() as peer:
        peer.send(get("/plaintext") + get("/stats"))
        peer.answer()
        a = peer.answer()
        same(a.headers["content-type"], "application/json")
        data = json.loads(a.body)
        same(len(data["workers"]), srv.workers)
        for w in data["workers"]:
            same(sorted(w), ["connections", "polls", "steals", "tasks"])
        assert data["cpu_seconds"] > 0 and sum(w["connections"] for w in data["workers"]) >= 1


# ---- connections ----

@case()
def keep_alive(srv):
    with srv.connect() as peer:
        for _ in range(300):
            peer.send(get("/plaintext"))
            same(peer.answer().body, b"Hello, World!")


@case()
def pipelined_answers_come_in_one_write(srv):
    with srv.connect() as peer:
        peer.send(get("/plaintext") * 20)
        peer.more()
        same(statuses(peer.buf), [200] * 20)


@case()
def pipelining_thousand(srv):
    with srv.connect() as peer:
        peer.send(get("/plaintext") * 1000)
        for _ in range(1000):
            same(peer.answer().status, 200)


MIXED = (get("/plaintext") + POST + b"Content-Length: 5\r\n\r\nGET /"
         + b"PUT / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
         + b"3\r\nabc\r\n0\r\nA: b\r\n\r\n" + get("/nothing") + get("/plaintext"))


@case()
def pipelining_split_at_every_byte(srv):
    with srv.connect() as peer:
        peer.send(MIXED)
        wanted = b"".join(b"%d" % peer.answer().status for _ in range(5))
        same(wanted, b"200405405404200")
        for i in range(1, len(MIXED)):
            peer.send(MIXED[:i])
            time.sleep(0.0005)
            peer.send(MIXED[i:])
            got = b"".join(b"%d" % peer.answer().status for _ in range(5))
            same(got, wanted, f"split at {i}")
        for i in range(len(MIXED)):
            peer.send(MIXED[i:i + 1])
        same(b"".join(b"%d" % peer.answer().status for _ in range(5)), wanted, "byte by byte")
        same(peer.buf, b"")


@case()
def half_close(srv):
    with srv.connect() as peer:
        peer.send(get("/delay/0.2") + get("/plaintext"))
        peer.sock.shutdown(socket.SHUT_WR)
        same(statuses(peer.rest()), [200, 200])
    with srv.connect() as peer:
        peer.send(get("/plaintext") + b"GET /pla")
        peer.sock.shutdown(socket.SHUT_WR)
        same(statuses(peer.rest()), [200, 400])


@case()
def resets(srv):
    for i in range(60):
        peer = srv.connect()
        peer.send((get("/delay/0.05"), get("/plaintext") * 50, b"GET /", b"")[i % 4])
        peer.reset()
    with srv.connect() as peer:
        peer.send(get("/plaintext"))
        same(peer.answer().status, 200)


@case()
def many_at_once(srv):
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(srv.connect()) for _ in range(200)]
        start = time.monotonic()
        for peer in peers:
            peer.send(get("/delay/0.5"))
        for peer in peers:
            same(peer.answer().status, 200)
        took = time.monotonic() - start
        assert 0.5 <= took < 10, took


# ---- bad input ----

@case()
def malformed(srv):
    for data, status in (
            (b"GARBAGE\r\n\r\n", 400), (b"GET\r\n\r\n", 400), (b"\x00\x01\x02\x03\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
            (b"get / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTX/1.1\r\n\r\n", 400), (b"GET / HTTP/1.1 x\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n" + HOST + b"A\x01: b\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x00c\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n" + HOST + b"no colon\r\n\r\n", 400),
            (POST + b"Content-Length : 5\r\n\r\nabcde", 400),
            (POST + b"Content-Length: x\r\n\r\n", 400),
            (POST + b"Content-Length: -1\r\n\r\n", 400),
            (POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
            (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na", 400),
            (POST
             + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            (POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
            (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
            (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
            (POST + b"Expect: tea\r\n\r\n", 417),
            (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505), (b"GET /\r\n\r\n", 505)):
        answer = srv.ask(data)
        same(statuses(answer), [status], data)
        assert b"\r\nConnection: close\r\n" in answer, data
        same(statuses(srv.ask(get("/plaintext") * 2 + data)), [200, 200, status], data)


@case()
def oversized(srv):
    long = b"x" * 20000
    for data, status in (
            (get("/" + "x" * 9000), 414), (get("/", b"A: " + long + b"\r\n"), 431),
            (get("/", b"".join(b"A%d: %d\r\n" % (i, i) for i in range(3000))), 431),
            (get("/", long + b": x\r\n"), 431), (b"GET " + b"/" * 9000, 414),
            (POST + b"Content-Length: 1048577\r\n\r\n", 413),
            (POST + b"Transfer-Encoding: chunked\r\n\r\n"
             + b"110000\r\n" + b"x" * 0x110000 + b"\r\n0\r\n\r\n", 413)):
        same(statuses(srv.ask(data)), [status], data[:60])
    same(statuses(srv.ask(get("/" + "x" * 7000, b"Connection: close\r\n"))), [404])


@case()
def bodies_are_drained(srv):
    body = b"x" * 1048576
    with srv.connect() as peer:
        for _ in range(2):
            peer.send(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body + get("/plaintext"))
            same((peer.answer().status, peer.answer().status), (405, 200))
        peer.send(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        same(peer.answer().status, 100)
        peer.send(b"abc")
        same(peer.answer().status, 405)
        peer.send(get("/plaintext", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"))
        same(peer.answer().body, b"Hello, World!")


# ---- limits ----

@case("--header-timeout", "0.5", "--idle-timeout", "1.0")
def timeouts(srv):
    def trickle(data):
        with srv.connect() as peer:
            start = time.monotonic()
            peer.send(data)
            peer.sock.settimeout(0.1)
            while time.monotonic() - start < PATIENCE:
                with contextlib.suppress(TimeoutError):
                    if not peer.more():
                        break
                with contextlib.suppress(OSError):
                    peer.send(b"x")
            return statuses(peer.buf), time.monotonic() - start

    got, took = trickle(b"GET / HTTP/1.1\r\n" + HOST + b"A: ")
    same(got, [408], "slow head")
    assert 0.4 < took < 5, took
    got, took = trickle(POST + b"Content-Length: 1000\r\n\r\n")
    same(got, [408], "slow body")
    assert 0.9 < took < 6, took
    for first in (b"", get("/plaintext")):
        with srv.connect() as peer:
            peer.send(first)
            start = time.monotonic()
            same(statuses(peer.rest()), [200] if first else [], "idle")
            assert 0.9 < time.monotonic() - start < 5
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(srv.connect()) for _ in range(100)]
        for peer in slow:
            peer.send(b"GET / HT")
        start = time.monotonic()
        honest = stack.enter_context(srv.connect())
        honest.send(get("/plaintext"))
        same(honest.answer().status, 200, "among slow peers")
        assert time.monotonic() - start < 5
        for peer in slow:
            same(statuses(peer.rest()), [408])


@case("--write-timeout", "0.5")
def peer_that_does_not_read(srv):
    with srv.connect(rcvbuf=4096) as peer:
        start = time.monotonic()
        try:
            while time.monotonic() - start < PATIENCE:
                peer.send(get("/") * 1000)
        except (ConnectionError, TimeoutError) as e:
            assert isinstance(e, ConnectionError), "the server kept waiting"
        assert time.monotonic() - start > 0.4
    with srv.connect() as peer:
        peer.send(get("/plaintext"))
        same(peer.answer().status, 200)


@case("--max-connections", "4")
def connection_limit(srv):
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(srv.connect()) for _ in range(4)]
        for peer in held:
            peer.send(get("/plaintext"))
            same(peer.answer().status, 200)
        for _ in range(10):
            same(statuses(srv.ask(get("/plaintext"))), [503])
        held[0].sock.close()
        until("a place is free again", lambda: statuses(
            srv.ask(get("/plaintext", b"Connection: close\r\n"))) == [200])
        held[1].send(get("/plaintext"))
        same(held[1].answer().status, 200, "an old connection")


@case(nofile=40)
def descriptors_run_out(srv):
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(srv.connect()) for _ in range(60)]
        for peer in peers:
            peer.send(get("/plaintext"))
            peer.sock.settimeout(0.5)
        waiting = []
        for peer in peers:
            peer.sock.settimeout(0.01 if waiting else 2)
            try:
                same(peer.answer().status, 200)
                peer.served = True
            except TimeoutError:
                waiting.append(peer)
        assert 60 > len(waiting) > 20, f"{len(waiting)} of 60 wait in the backlog"
        before = srv.cpu()
        time.sleep(0.5)
        assert srv.cpu() - before < 0.25, f"spins: {srv.cpu() - before} s of CPU in 0.5 s"
        for peer in peers:
            if peer not in waiting:
                peer.sock.close()
        for i, peer in enumerate(waiting):
            peer.sock.settimeout(PATIENCE)
            same(peer.answer().status, 200, f"waiting peer {i}")
            peer.sock.close()


# ---- programs ----

def curl(*args):
    if not shutil.which("curl"):
        raise Skip("no curl")
    done = subprocess.run(["curl", "-sS", "-q", "--noproxy", "*", "--max-time", str(int(PATIENCE)),
                           *args], capture_output=True, timeout=PATIENCE + 5, check=False)
    same(done.returncode, 0, done.stderr)
    return done.stdout


@case()
def curl_agrees(srv):
    plain = srv.url("/plaintext")
    same(curl(plain), b"Hello, World!")
    quiet = ("-o", "/dev/null")
    same(curl(*quiet, *quiet, "-w", "%{num_connects} ", plain, plain), b"1 0 ")
    assert curl("-I", plain).startswith(b"HTTP/1.1 200 OK\r\n")
    same(curl("--http1.0", plain), b"Hello, World!")
    same(curl("--http2", plain), b"Hello, World!")
    form = ("-o", "/dev/null", "-w", "%{http_code}")
    same(curl(*form, "-d", "x" * 100000, plain), b"405")
    same(curl(*form, "-H", "Expect: 100-continue", "-d", "x" * 100, plain), b"405")
    same(curl(*form, "-H", "Transfer-Encoding: chunked", "-d", "x" * 100, plain), b"405")
    start = time.monotonic()
    urls = [srv.url(f"/delay/0.4?{i}") for i in range(20)]
    assert curl("--parallel", "--parallel-max", "20", *urls).count(b"kept back") == 20
    took = time.monotonic() - start
    assert took < 5, f"20 delays of 0.4 s in parallel took {took:.1f} s"


@case()
def wrk_without_errors(srv):
    if not shutil.which("wrk"):
        raise Skip("no wrk")
    out = subprocess.run(["wrk", "-t1", "-c64", "-d1s", srv.url("/plaintext")], capture_output=True,
                         timeout=PATIENCE + 5, check=True).stdout.decode()
    assert "errors" not in out and "Non-2xx" not in out, out
    assert int(re.search(r"(\d+) requests in", out)[1]) > 250, out


# ---- start and stop ----

@case("--stats")
def sigterm_finishes_what_it_has(srv):
    with srv.connect() as idle, srv.connect() as busy:
        idle.send(get("/plaintext"))
        idle.answer()
        start = time.monotonic()
        busy.send(get("/delay/1.5") + get("/plaintext"))
        time.sleep(0.2)
        os.kill(srv.proc.pid, signal.SIGTERM)
        srv.stopped = True
        same(idle.rest(), b"", "an idle connection ends")
        assert time.monotonic() - start < 1.4, "an idle connection waited for a busy one"
        a = busy.answer()
        same((a.status, a.headers["connection"]), (200, "close"))
        same(busy.rest(), b"")
    code, out, err = srv.stop()
    same((code, err), (0, ""))
    lines = re.findall(r"^worker \d+: tasks \d+ steals \d+ polls \d+ connections \d+$", out, re.M)
    same(len(lines), srv.workers, out)
    try:
        srv.connect().sock.close()
        raise AssertionError("still accepts")
    except ConnectionRefusedError:
        pass


@case("--drain", "0.3")
def drain_has_an_end(srv):
    with srv.connect() as peer:
        peer.send(get("/plaintext") + get("/delay/60"))
        peer.answer()
        start = time.monotonic()
        code, _, err = srv.stop(signal.SIGINT)
        same((code, err), (0, ""))
        assert 0.2 < time.monotonic() - start < 5, time.monotonic() - start
        same(peer.rest(), b"")


@case()
def bad_options(srv):
    binary = srv.proc.args[0]
    for options, text in ((["--workers", "0"], "'0' is not a number"),
                          (["--port", "x"], "'x' is not a number"), (["--nonsense"], "nonsense"),
                          (["--listen", "nowhere"], "cannot listen on nowhere"),
                          (["--port", str(srv.port)], "cannot listen on 127.0.0.1")):
        done = subprocess.run([binary, "--port", "0", *options], capture_output=True,
                              timeout=PATIENCE, check=False)
        assert done.returncode > 0 and text in done.stderr.decode(), (options, done)


NO_SPARE = "skua: warning: no spare worker: Too many open files\n"


def run_case(binary, workers, fn, options, nofile):
    srv = Server(binary, workers, options, nofile)
    try:
        fn(srv)
        code, _, err = srv.stop()
        if nofile:                      # where the machine is so busy that the server wants one
            err = err.replace(NO_SPARE, "")
        same((code, err), (0, ""), "at the end the server")
    finally:
        if srv.proc.poll() is None:
            srv.proc.kill()
            srv.proc.communicate()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bindir", required=True)
    parser.add_argument("--workers", default="1,2,4", help="worker counts, with commas between")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    args = parser.parse_args()
    binary = os.path.join(args.bindir, "http")
    if not os.access(binary, os.X_OK):
        print(f"skipped: no {binary}")
        return 77
    passed = failed = skipped = 0
    for workers in map(int, args.workers.split(",")):
        for name, fn, options, nofile in CASES:
            if args.only not in name:
                continue
            start = time.monotonic()
            try:
                run_case(binary, workers, fn, options, nofile)
                passed += 1
                verdict = "ok"
            except Skip as e:
                skipped += 1
                verdict = f"skipped: {e}"
            except Exception as e:      # a case may fail in any way and the others still run
                failed += 1
                verdict = f"FAILED: {type(e).__name__}: {e}"
            print(f"{name} workers={workers} {time.monotonic() - start:.2f}s {verdict}", flush=True)
    print(f"http_test: {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
