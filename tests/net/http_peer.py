# SPDX-License-Identifier: MIT
"""A server process under test, and a socket that knows where an HTTP answer ends."""
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import threading

PATIENCE = 20.0         # seconds any single answer may take, on a loaded machine and a slow build


class Server:
    def __init__(self, binary, workers, options, nofile=None):
        def limit():
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            if nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))
        self.workers = workers
        self.stopped = False            # told to end: a signal more would find it on its way out
        self.proc = subprocess.Popen(
            [binary, "--port", "0", "--workers", str(workers), "--quiet", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit)
        timer = threading.Timer(PATIENCE, self.proc.kill)
        timer.start()
        line = self.proc.stdout.readline().decode()
        timer.cancel()
        found = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)
        if not found:
            self.proc.kill()
            raise AssertionError(f"no address from the server: {line!r} "
                                 f"{self.proc.communicate()[1].decode()!r}")
        self.port = int(found[1])

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def connect(self, rcvbuf=None):
        s = socket.socket()
        s.settimeout(PATIENCE)
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.connect(("127.0.0.1", self.port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Peer(s)

    def ask(self, data):
        """Sends, then takes everything up to the server's end of file."""
        with self.connect() as peer:
            peer.send(data)
            return peer.rest()

    def stop(self, signo=signal.SIGTERM):
        """Ends the server by its own pid; returns exit status, output and complaints."""
        if not self.stopped and self.proc.poll() is None:
            self.proc.send_signal(signo)
        self.stopped = True
        try:
            out, err = self.proc.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            out, err = self.proc.communicate()
            raise AssertionError(f"the server ignored {signo!r}: {err.decode()!r}")
        return self.proc.returncode, out.decode(), err.decode()

    def cpu(self):
        with open(f"/proc/{self.proc.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Answer:
    def __init__(self, head, body):
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, self.reason = first.split(" ", 2)
        assert version == "HTTP/1.1", first
        self.status = int(status)
        self.headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        self.body = body


class Peer:
    """A socket with a buffer that knows where an answer ends."""
    def __init__(self, sock):
        self.sock = sock
        self.buf = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def more(self):
        data = self.sock.recv(1 << 16)
        self.buf += data
        return bool(data)

    def answer(self, head_only=False):
        while b"\r\n\r\n" not in self.buf:
            assert self.more(), f"end of file instead of an answer: {self.buf!r}"
        head, self.buf = self.buf.split(b"\r\n\r\n", 1)
        found = re.search(rb"(?im)^content-length: (\d+)", head)
        size = int(found[1]) if found and not head_only else 0
        while len(self.buf) < size:
            assert self.more(), "end of file inside a body"
        body, self.buf = self.buf[:size], self.buf[size:]
        return Answer(head, body)

    def rest(self):
        while self.more():
            pass
        data, self.buf = self.buf, b""
        return data

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
