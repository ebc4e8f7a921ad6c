"""A server in a process of its own that answers late, wrongly or not at all, as the path says, and knows what it did.

``/delay`` answers after the next of the given delays, ``/stall`` at once but for one long pause, ``/status/N`` with a
problem, ``/half`` with one every second time, ``/close`` and then closes, ``/drop`` closes without an answer,
``/garbage`` is no HTTP, ``/silent`` never answers, ``/echo`` sends back the body. ``/seen`` tells the service times of
``/delay``, the number of requests and the body of the last one.
"""

import asyncio
import contextlib
import http.client
import json
import math
import random
import statistics
import subprocess
import sys
import time

import uvloop

STALL_AFTER_S, STALL_S = 0.3, 0.8


def exponential(count, *, floor_s, mean_s, seed):
    """Delays that have the percentiles of the distribution exactly, in random order."""
    return _shuffled([floor_s - mean_s * math.log(1 - (i + 0.5) / count) for i in range(count)], seed)


def lognormal(count, *, median_s, sigma, seed):
    normal = statistics.NormalDist(math.log(median_s), sigma)
    return _shuffled([math.exp(normal.inv_cdf((i + 0.5) / count)) for i in range(count)], seed)


def _shuffled(delays_s, seed):
    random.Random(seed).shuffle(delays_s)
    return delays_s


class Server:
    def __init__(self, port):
        self.port = port

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def seen(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/seen")
            return json.loads(connection.getresponse().read())


@contextlib.contextmanager
def delaying_server(delays_s=(0.0,)):
    process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        process.stdin.write(json.dumps(list(delays_s)).encode() + b"\n")
        process.stdin.flush()
        yield Server(int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


class Log:
    def __init__(self, delays_s):
        self.delays_s = delays_s
        self.service_s = []
        self.requests = 0
        self.body = b""
        self.first_s = None


class Answering(asyncio.Protocol):
    def __init__(self, log):
        self._log = log
        self._buffer = b""

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            self._answer(head.split()[1].decode(), rest[:length])

    def _answer(self, path, body):
        log, now_s = self._log, time.monotonic()
        if path == "/seen":
            seen = {"service_s": log.service_s, "requests": log.requests, "body": log.body.decode(errors="replace")}
            self._reply(200, json.dumps(seen).encode())
            return
        log.requests, log.body = log.requests + 1, body
        if log.first_s is None:
            log.first_s = now_s
        if path == "/delay":
            delay_s = log.delays_s[(log.requests - 1) % len(log.delays_s)]
            asyncio.get_running_loop().call_later(delay_s, self._reply_after, now_s)
        elif path == "/stall":
            into_s = now_s - log.first_s - STALL_AFTER_S
            held_s = STALL_S - into_s if 0 <= into_s < STALL_S else 0
            asyncio.get_running_loop().call_later(held_s, self._reply, 200, b"{}")
        elif path.startswith("/status/"):
            self._reply(int(path[8:]), json.dumps({"code": "queue_full", "detail": "no room"}).encode())
        elif path == "/half":
            self._reply(503 if log.requests % 2 else 200, b"{}")
        elif path == "/close":
            self._reply(200, b"{}", b"connection: close\r\n")
            self._transport.close()
        elif path == "/drop":
            self._transport.abort()
        elif path == "/garbage":
            self._transport.write(b"what?\r\n\r\n")
        elif path == "/echo":
            self._reply(200, body)

    def _reply_after(self, began_s):
        self._log.service_s.append(time.monotonic() - began_s)
        self._reply(200, b"{}")

    def _reply(self, status, body, more=b""):
        head = b"HTTP/1.1 %d Said\r\ncontent-length: %d\r\n%s\r\n" % (status, len(body), more)
        self._transport.write(head + body)


async def main():
    log = Log(json.loads(sys.stdin.readline()))
    server = await asyncio.get_running_loop().create_server(lambda: Answering(log), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
