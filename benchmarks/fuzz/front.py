"""Fuzzing of the HTTP front: a bare runtime in a process of its own, and clients of all manners over real sockets.

Some connections send damaged requests, in odd pieces, pipelined, and leave when they like. Others send valid requests
all the while, each with a mark of its own, and must get their own marks back; so must the valid requests that a bad
client sends before its first bad one. A mark that comes over a connection that never sent it is the worst of findings.
"""

from __future__ import annotations

import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random

from benchmarks.fuzz.answers import NoAnswer, read_answers
from benchmarks.fuzz.findings import Findings
from benchmarks.fuzz.mutation import HTTP_WORDS, mutate, split

ADDRESS = re.compile(rb"skerry runtime: http://[^:]*:(\d+)")
MARK = re.compile(rb"mark-[0-9a-f]{16}-kram")
BARE = [
    (b"POST /function/nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", b'"nothing"'),
    (b"GET /health/liveness HTTP/1.1\r\nhost: x\r\n\r\n", b'"alive"'),
    (b"GET /health/readiness HTTP/1.1\r\nhost: x\r\n\r\n", b'"ready"'),
]
PATIENCE_S = 10.0
START_S = 30.0
PROBE_EVERY_S = 2.0
MOST_GROWTH_BYTES = 48 * 2**20
MOST_MORE_FILES = 40
WARM_SHARE = 0.25  # of the time, after which memory is measured first


class Runtime:
    """A bare runtime that serves `app`.

    Args:
        log: Where its output goes.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        app = Path(__file__).with_name("app.py")
        environment = {**os.environ, "PORT": "0"}
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "skerry.runtime", str(app), "--workers", "2"],
                stdout=subprocess.PIPE,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        assert self.process.stdout is not None
        found = ADDRESS.match(self.process.stdout.readline())
        if found is None:
            raise RuntimeError(f"the runtime did not start: {log.read_text(errors='replace')}")
        self.port = int(found[1])
        until = time.monotonic() + START_S
        while not self.is_ready():
            if time.monotonic() > until:
                raise RuntimeError(f"no worker was ready within {START_S:g} s: {log.read_text(errors='replace')}")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        """Ask whether all functions can be served."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as asking:
            asking.sendall(b"GET /health/readiness HTTP/1.1\r\nhost: x\r\n\r\n")
            return asking.recv(1 << 16).startswith(b"HTTP/1.1 200 ")

    def memory_bytes(self) -> int:
        """Return the front's resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def files(self) -> int:
        """Return the number of the front's descriptors."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def log(self) -> str:
        """Return what it has written."""
        return self._log.read_text(errors="replace")

    def stop(self) -> int:
        """End it in order; return the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Client:
    """One connection, and the marks that it has sent.

    Args:
        port: Of the front.
        random: Where chance comes from.
        everybodys: The marks that all clients have sent; it adds its own.
    """

    def __init__(self, port: int, random: Random, everybodys: set[bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.marks: list[bytes] = []
        self.wanted: list[bytes] = []  # by request, what its answer must contain
        self.reads: list[bytes] = []
        self.data = b""
        self.closed = False
        self._random = random
        self._everybodys = everybodys

    def valid(self) -> bytes:
        """Return a valid request, mostly with a new mark; note what its answer must contain."""
        random = self._random
        if random.random() < 0.2:  # without a body: what such requests have in common must not confuse them
            request, said = random.choice(BARE)
            self.wanted.append(said)
            return request
        mark = b"mark-%016x-kram" % random.getrandbits(64)
        self.marks.append(mark)
        self.wanted.append(mark)
        self._everybodys.add(mark)
        body = b'"%b"' % mark
        path = random.choice([b"/function/echo"] * 4 + [b"/function/batched", b"/function/count"])
        lines = [b"POST %b HTTP/1.1" % path, b"host: x"]
        if random.random() < 0.3:
            lines.append(random.choice([b"Accept: */*", b"priority: u=1", b"skerry-timeout-ms: 60000", b"X-A: b"]))
        if random.random() < 0.15:
            cut = random.randint(1, len(body) - 1)
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:cut], body[cut:]))
            return b"\r\n".join([*lines, b"transfer-encoding: chunked", b"", chunks]) + b"0\r\n\r\n"
        return b"\r\n".join([*lines, b"content-length: %d" % len(body), b"", body])

    def send(self, data: bytes) -> None:
        """Send; where the server has closed, what it sent before can still be read."""
        self.reads.append(data)
        with suppress(OSError):
            self.socket.sendall(data)

    def receive(self, wait_s: float) -> bool:
        """Take what has come; whether anything did."""
        if self.closed or not select.select([self.socket], [], [], wait_s)[0]:
            return False
        try:
            data = self.socket.recv(1 << 18)
        except OSError:
            data = b""
        self.data += data
        self.closed = not data
        return bool(data)

    def await_answers(self, count: int) -> bool:
        """Wait for that many answers; whether they came."""
        until = time.monotonic() + PATIENCE_S
        while len(read_answers(self.data, closed=self.closed)) < count:
            if not self.receive(max(0.0, until - time.monotonic())) and (self.closed or time.monotonic() >= until):
                return False
        return True

    def leave(self) -> None:
        """Close, in order or not."""
        if self._random.random() < 0.3:
            with suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class FrontFuzz:
    """One run.

    Args:
        runtime: What is fuzzed.
        random: Where chance comes from.
        findings: Where findings go.
    """

    def __init__(self, runtime: Runtime, random: Random, findings: Findings) -> None:
        self.rounds = self.bad = self.good = 0
        self._runtime, self._random, self._findings = runtime, random, findings
        self._marks: set[bytes] = set()
        self._steady = [self._client() for _ in range(3)]

    def run(self, seconds: float) -> dict[str, int]:
        """Fuzz for so long; return the figures."""
        begun = time.monotonic()
        warm_bytes = warm_files = 0
        probe_s = 0.0
        while (passed_s := time.monotonic() - begun) < seconds and self._runtime.process.poll() is None:
            self._round()
            if passed_s >= probe_s:
                self._probe()
                probe_s = passed_s + PROBE_EVERY_S
            if not warm_bytes and passed_s > WARM_SHARE * seconds:
                warm_bytes, warm_files = self._measure()
        if self._runtime.process.poll() is not None:
            self._findings.add("http", "the runtime died")
            return {"rounds": self.rounds}
        grown_bytes, more_files = (a - b for a, b in zip(self._measure(), (warm_bytes, warm_files), strict=True))
        if warm_bytes and grown_bytes > MOST_GROWTH_BYTES:
            self._findings.add("http", "memory grew")
        if warm_bytes and more_files > MOST_MORE_FILES:
            self._findings.add("http", "descriptors were left open")
        for client in self._steady:
            client.leave()
        return {
            "rounds": self.rounds,
            "bad connections": self.bad,
            "valid requests answered": self.good,
            "grown bytes": grown_bytes,
            "more descriptors": more_files,
        }

    def _client(self) -> Client:
        return Client(self._runtime.port, self._random, self._marks)

    def _round(self) -> None:
        """Have a few bad clients send at once, in turns, and steady ones in between."""
        random = self._random
        self.rounds += 1
        clients: list[tuple[Client, int, list[bytes]]] = []
        for _ in range(random.randint(1, 5)):
            client = self._client()
            first = [client.valid() for _ in range(random.choice([0, 0, 1, 1, 3]))]
            rest = [client.valid() for _ in range(random.choice([0, 1, 1, 2, 3]))]
            bad = mutate(random, b"".join(rest), HTTP_WORDS) if rest else random.randbytes(random.randint(1, 300))
            # What stands before the first bad byte is sound only if it ends where the bad begins.
            clients.append((client, len(first), split(random, b"".join(first) + bad)))
            self.bad += 1
        turns = [client for client, _, pieces in clients for _ in pieces]
        random.shuffle(turns)
        left = {id(client): list(pieces) for client, _, pieces in clients}
        for client in turns:
            client.send(left[id(client)].pop(0))
            if random.random() < 0.2:
                self._ask(random.choice(self._steady))
            if random.random() < 0.3:
                client.receive(0.001)
        for client, sound, _ in clients:
            self._judge(client, sound, leaves_early=random.random() < 0.3)

    def _judge(self, client: Client, sound: int, *, leaves_early: bool) -> None:
        try:
            if not leaves_early and not client.await_answers(sound):
                self._findings.add("http", "a valid request before a bad one got no answer", client.reads)
            while client.receive(0.002):
                pass
            answers = read_answers(client.data, closed=client.closed)
        except NoAnswer as error:
            self._findings.add("http", "what came is no answer", client.reads, detail=error)
            client.leave()
            return
        for number, answer in enumerate(answers):
            if number < sound and (answer.status != 200 or client.wanted[number] not in answer.body):
                self._findings.add("http", "a valid request was answered wrongly", client.reads, detail=answer.status)
        # Damage may have made another mark of one's own; but none that somebody has sent.
        if (set(MARK.findall(client.data)) - set(client.marks)) & self._marks:
            self._findings.add("http", "an answer of somebody else came", client.reads)
        self.good += sound
        client.leave()

    def _ask(self, client: Client) -> None:
        """Send a valid request, or several, over a connection that has only ever sent such."""
        count = self._random.choice([1, 1, 1, 4])
        client.marks.clear()
        client.wanted.clear()
        client.data = b""
        client.reads.clear()
        for piece in split(self._random, b"".join(client.valid() for _ in range(count)), most=2):
            client.send(piece)
        try:
            came = client.await_answers(count)
            answers = read_answers(client.data, closed=client.closed)
        except NoAnswer as error:
            self._findings.add("http", "what came to a good client is no answer", client.reads, detail=error)
            came, answers = False, []
        right = [
            answer.status == 200 and wanted in answer.body
            for answer, wanted in zip(answers, client.wanted, strict=False)
        ]
        self.good += count
        if not came or len(right) != count or not all(right):
            self._findings.add("http", "a valid request of a good client was answered wrongly", client.reads)
            client.leave()
            self._steady[self._steady.index(client)] = self._client()

    def _probe(self) -> None:
        """See that the front is alive to somebody new."""
        try:
            alive = self._runtime.is_ready()
        except OSError:
            alive = False
        if not alive:
            self._findings.add("http", "the front does not answer a probe")

    def _measure(self) -> tuple[int, int]:
        """Return memory and descriptors once what has left is noticed."""
        until = time.monotonic() + 2.0
        files = self._runtime.files()
        while time.monotonic() < until:
            time.sleep(0.1)
            files, before = min(files, self._runtime.files()), files
            if files == before:
                break
        return self._runtime.memory_bytes(), files


def fuzz_front(seconds: float, seed: int, findings: Findings, folder: Path) -> dict[str, int]:
    """Fuzz a runtime's front for so long; return the figures."""
    runtime = Runtime(folder / "runtime.log")
    try:
        figures = FrontFuzz(runtime, Random(seed), findings).run(seconds)
    finally:
        code = runtime.stop()
    log = runtime.log()
    if "Traceback" in log:
        findings.add("http", "the front wrote a traceback", detail=log[log.index("Traceback") :][:1500])
    if code:
        findings.add("http", f"the runtime ended with {code}")
    return figures
