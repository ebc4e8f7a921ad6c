"""Ingress, activator and queue-proxy in one: from a host to a revision, which is waited for when it is at zero."""

import asyncio
import itertools
import threading

from support.knative_stand_in.relay import Head, LeftError, read_head, relay

HOLD_S = 60.0
STEP_S = 0.02


class Backend:
    """What the ingress knows of one revision, and what the autoscaler sees of it.

    Args:
        limit: Requests that one pod may have, 0 for any number.
        timeout_s: Longest wait for the head of an answer.
    """

    def __init__(self, *, limit=0, timeout_s=300.0):
        self.limit = limit
        self.timeout_s = timeout_s
        self.addresses = ()
        self.running = {}  # requests by address
        self.waiting = 0

    @property
    def concurrency(self):
        return self.waiting + sum(self.running.values())

    def take(self):
        """Return the address with the fewest requests and count one more there; None when there is no place."""
        free = [each for each in self.addresses if not self.limit or self.running.get(each, 0) < self.limit]
        if not free:
            return None
        address = min(free, key=lambda each: self.running.get(each, 0))
        self.running[address] = self.running.get(address, 0) + 1
        return address

    def give_back(self, address):
        self.running[address] -= 1
        if not self.running[address]:
            del self.running[address]


class Split:
    """Revisions by percent, in turn: of any hundred requests each gets exactly its share.

    Knative draws lots; tests that count would then need thousands of requests.
    """

    def __init__(self, targets):
        self.targets = [(revision, percent) for revision, percent in targets if percent]
        self._credit = [0.0] * len(self.targets)

    def next(self):
        total = sum(percent for _, percent in self.targets)
        for at, (_, percent) in enumerate(self.targets):
            self._credit[at] += percent
        best = max(range(len(self.targets)), key=lambda at: self._credit[at])
        self._credit[best] -= total
        return self.targets[best][0]


class Ingress:
    """An HTTP server in a thread of its own.

    Args:
        host: Address to listen on.
        wake: Called, in the server's thread, when a request has nowhere to go.
    """

    def __init__(self, host, wake):
        self.host = host
        self.port = None
        self.backends = {}
        self.hosts = {}
        self._wake = wake
        self._splits = {}
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._connections = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ingress", daemon=True)

    def start(self):
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._connected, self.host, 0), self._loop)
        self._server = starting.result(10)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self):
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self):
        self._server.close()
        ending = [each for each in self._connections if not each.done()]
        for each in ending:
            each.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def route(self, hosts):
        """Replace what leads where: lists of revision and percent by host."""
        kept = {host: split for host, split in self._splits.items() if host in hosts}
        for host, targets in hosts.items():
            fresh = Split(targets)
            if host not in kept or kept[host].targets != fresh.targets:
                kept[host] = fresh
        self._splits, self.hosts = kept, hosts

    async def _connected(self, reader, writer):
        task = asyncio.current_task()
        self._connections.add(task)
        try:
            rest = b""
            while (head := await read_head(reader, rest)) is not None:
                rest = await self._answer(head, reader, writer)
                if rest is None:
                    break
        except (LeftError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # whoever asked has left, or the test is over
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, head, reader, writer):
        """Answer one request; return what has been read beyond it, None when the connection has to end."""
        split = self._splits.get(head.host)
        if split is None or not split.targets:
            return await refuse(writer, 404, "Not Found", b"")
        backend = self.backends.get(split.next())
        if backend is None:
            return await refuse(writer, 503, "Service Unavailable", b"no such revision")
        head = self._forwarded(head, writer)
        until_s = self._loop.time() + max(HOLD_S, backend.timeout_s)
        while True:
            address = await self._wait_for_place(backend, reader, until_s)
            if address is None:
                return await refuse(writer, 504, "Gateway Timeout", b"activator request timeout")
            try:
                upstream = await asyncio.open_connection(*address)
            except OSError:  # the pod has just ended
                backend.give_back(address)
                await asyncio.sleep(STEP_S)
                continue
            try:
                return await relay(head, reader, writer, upstream, timeout_s=backend.timeout_s)
            finally:
                upstream[1].close()
                backend.give_back(address)

    async def _wait_for_place(self, backend, reader, until_s):
        backend.waiting += 1
        try:
            while (address := backend.take()) is None:
                self._wake()
                if self._loop.time() > until_s:
                    return None
                if reader.at_eof():
                    raise LeftError
                await asyncio.sleep(STEP_S)  # pods tell nobody here that they have come
            return address
        finally:
            backend.waiting -= 1

    def _forwarded(self, head, writer):
        peer = writer.get_extra_info("peername")[0]
        added = {
            "x-forwarded-for": peer,
            "x-forwarded-proto": "http",
            "forwarded": f"for={peer};host={head.host};proto=http",
            "x-request-id": f"stand-in-{next(self._numbers)}",
            "k-proxy-request": "activator",
        }
        return Head(first=head.first, headers=[*head.headers, *added.items()])


async def refuse(writer, status, reason, body):
    """Answer with an error of the ingress's own, and end the connection."""
    head = f"HTTP/1.1 {status} {reason}\r\ncontent-length: {len(body)}\r\nserver: envoy\r\nconnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
