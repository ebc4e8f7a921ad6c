"""The front: the HTTP server before the workers. It finds the function, queues the call and sends its answer."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from skerry.errors import (
    FunctionNotFoundError,
    InternalError,
    MethodNotAllowedError,
    PrivacyError,
    SkerryError,
)
from skerry.runtime.connection import Connection
from skerry.runtime.delivery import STALLED_S, deliver
from skerry.runtime.exchange import Channel, Exchange
from skerry.runtime.inference_paths import inference_paths
from skerry.runtime.intake import TakeBody
from skerry.runtime.known_heads import KnownHeads, forget
from skerry.runtime.message import Request, Response, Route
from skerry.runtime.observer import CallTrace
from skerry.runtime.origins import refuse_foreign_origin
from skerry.runtime.pool import WorkerPool
from skerry.runtime.probe import answer_health, answer_network_probe, is_probe, network_probe
from skerry.runtime.reading import Headers, Reading, read_head
from skerry.runtime.room import Room

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from skerry.observe import Tracer
    from skerry.runtime.split import Split
    from skerry.runtime.tls_door import TlsDoor

logger = logging.getLogger(__name__)

ROUTE_BODY_BYTES = 10 * 2**20
HEALTH_BODY_BYTES = 1024
BACKLOG = 4096
LAST_TURNS = 3  # of the loop, in which it reads what the system holds for it


class Authorize(Protocol):
    """Raises `UnauthorizedError` when a request over TCP may not do what it asks for."""

    def __call__(self, path: bytes, headers: Headers, *, method: bytes, public: bool) -> bool:
        """Return whether a request has shown the token; those that are open to everybody may not have been asked.

        Args:
            path: Of the request.
            headers: Of the request.
            method: Of HTTP.
            public: Whether it came from other machines, over TLS.
        """


AsyncRequested = Callable[[WorkerPool, Request, Reading], Response | Coroutine[Any, Any, Response]]


class Front:
    """Serves functions and routes over HTTP/1.1.

    Args:
        authorize: Raises `UnauthorizedError` when a request over TCP may not do what it asks for.
        is_loopback: Whether its address without TLS can be reached by this machine only.
    """

    def __init__(self, *, authorize: Authorize | None = None, is_loopback: bool = True) -> None:
        self.is_loopback = is_loopback
        self.connections: set[Connection] = set()
        self.room = Room()
        self.heads: dict[bool, KnownHeads] = {True: {}, False: {}}
        self.tracer: Tracer | None = None
        self.respond_async: AsyncRequested | None = None
        self.is_ready: Callable[[], bool] = lambda: True
        self._authorize = authorize
        self._functions: dict[bytes, WorkerPool | Split] = {}
        self._protocols: dict[bytes, str] = {}  # of inference, by the path; the others have none
        self._apps: dict[str, str] = {}  # of functions whose app is known, by the function's name
        self._paths: dict[str, tuple[bytes, ...]] = {}  # by the function's name
        self._routes: dict[tuple[str, int], list[tuple[str, list[str], Route]]] = {}  # by first segment and length
        self._intakes: dict[bytes, tuple[bytes, TakeBody]] = {}  # by the first segment of the path
        self._body_limits: dict[bytes, int] = {}  # of routes, by the first segment of the path
        self._servers: list[asyncio.Server | TlsDoor] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # What is served

    def add_function(
        self,
        pool: WorkerPool | Split,
        *,
        alone: bool = False,
        versions: Mapping[int, WorkerPool] | None = None,
        app: str | None = None,
    ) -> None:
        """Serve a function; replaces what was there, all addresses at once.

        Args:
            pool: What takes its calls, at ``/function/NAME``.
            alone: Whether it is called at ``/`` as well.
            versions: For the function of a model: what takes the calls of each version that may be asked for by its
                number. It is then called at the addresses of inference protocols as well.
            app: The app that the function is part of: calls that are meant for another one's are refused.
        """
        name = pool.spec.name
        self.remove_function(name)
        if app is not None:
            self._apps[name] = app
        paths: dict[bytes, WorkerPool | Split] = {f"/function/{name}".encode(): pool}
        if alone:
            paths[b"/"] = pool
        for address in () if versions is None else inference_paths(name, versions):
            paths[address.path] = pool if versions is None or address.version is None else versions[address.version]
            self._protocols[address.path] = address.protocol
        self._functions.update(paths)
        self._paths[name] = tuple(paths)

    def remove_function(self, name: str) -> None:
        """Serve a function no more."""
        self._apps.pop(name, None)
        for path in self._paths.pop(name, ()):
            self._functions.pop(path, None)
            self._protocols.pop(path, None)
        self._forget_heads()

    def route(self, method: str, pattern: str, handler: Route, *, max_body_bytes: int = ROUTE_BODY_BYTES) -> None:
        """Serve ``pattern`` (its ``*`` segments match anything) with a plain or async handler of a `Request`.

        Args:
            method: Of HTTP.
            pattern: Such as ``/apps/*``; its first segment is itself.
            handler: Returns the response.
            max_body_bytes: Largest body of a request to any address that begins with the pattern's first segment.
        """
        segments = pattern.strip("/").split("/")
        self._routes.setdefault((segments[0], len(segments)), []).append((method, segments, handler))
        if max_body_bytes != ROUTE_BODY_BYTES:
            self._body_limits[segments[0].encode()] = max_body_bytes

    def route_body(self, method: str, first: str, take: TakeBody) -> None:
        """Serve ``/first/*`` with bodies of any size, which are taken as they come instead of being gathered."""
        self._intakes[first.encode()] = (method.encode(), take)

    # Sockets

    async def listen(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, door: socket.socket | None = None
    ) -> int:
        """Listen on a TCP address; returns the port, which the system chooses when ``port`` is 0.

        Args:
            host: Address of this machine.
            port: 0 for any.
            tls: What to show to clients; those of such an address are other machines.
            door: A socket that listens there already, if there is one.

        Raises:
            OSError: the address is in use or not this machine's.
        """
        server: asyncio.Server | TlsDoor
        if tls is not None:
            server = await self._listen_publicly(host, port, tls)
        else:
            is_open = self.is_loopback or self._authorize is None
            server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self, trusted=False, room=self.room, stranger=not is_open),
                **({"host": host, "port": port, "reuse_address": True} if door is None else {"sock": door}),
                backlog=BACKLOG,
            )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def listen_unix(self, path: Path) -> None:
        """Listen on a Unix socket that only its owner can open."""
        listener = _private_listener(path)
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: Connection(self, trusted=True), sock=listener, backlog=BACKLOG)
        self._servers.append(server)

    async def stop_listening(self) -> None:
        """Accept the connections that are at the door, and no further ones; read what they have sent already.

        Each connection is told with its next answer that it ends: a client that keeps it finds another server for its
        next request, and loses none at the end of this one.
        """
        doors = select.poll()
        for server in self._servers:
            for door in server.sockets:
                doors.register(door.fileno(), select.POLLIN)
        for _ in range(BACKLOG):
            if not doors.poll(0):
                break
            await asyncio.sleep(0)  # the loop accepts one connection in a turn
        for server in self._servers:
            server.close()
        self._servers.clear()
        for _ in range(LAST_TURNS):
            await asyncio.sleep(0)
        for connection in self.connections:
            connection.part()

    async def finish(self, *, limit_s: float, patience_s: float = STALLED_S) -> None:
        """Close the connections once their clients have the answers that are due.

        Args:
            limit_s: The longest wait.
            patience_s: The longest wait for the answer to a request that has none.
        """
        await deliver(list(self.connections), limit_s=limit_s, patience_s=patience_s)

    # The connection's side

    def accept(self, exchange: Exchange) -> int:
        """Find the function of a request by its head; return the most bytes its body may have.

        Raises:
            SkerryError: the request is refused.
        """
        path = exchange.target.partition(b"?")[0]
        if not exchange.connection.trusted:
            refuse_foreign_origin(exchange.headers)
            if self._authorize is not None:
                has_token = self._authorize(
                    path, exchange.headers, method=exchange.method, public=exchange.connection.public
                )
                if exchange.connection.stranger and not has_token:
                    exchange.keep_alive = False  # each time, or who asks for health again and again would stay
                    return HEALTH_BODY_BYTES
                exchange.connection.stranger = False
        pool = self._functions.get(path)
        if pool is not None and not is_probe(exchange.headers):
            if exchange.method != b"POST":
                raise MethodNotAllowedError(
                    f"call {path.decode('latin-1')} with POST, not {exchange.method.decode('latin-1')}", allow=["POST"]
                )
            if pool.spec.local and not self._is_same_machine(exchange.connection):
                raise PrivacyError(f"function {pool.spec.name!r} is labelled local: only this machine may call it")
            exchange.entry = pool
            return pool.spec.max_body_bytes
        first = path[1:].partition(b"/")[0]
        method, take = self._intakes.get(first, (b"", None))
        if take is not None and method == exchange.method:
            exchange.intake = take(_request_of(exchange))
            return exchange.intake.limit_bytes
        return self._body_limits.get(first, ROUTE_BODY_BYTES)

    def handle(self, exchange: Exchange) -> None:
        """Take a whole request."""
        pool = exchange.entry
        reading = exchange.reading
        if reading is not None and reading.is_plain and pool.dispatcher.refusal is None:
            exchange.pool = pool
            if self.tracer is not None:
                self._trace(exchange, reading)
            try:
                pool.take(exchange)
            except SkerryError as error:
                exchange.done = True
                exchange.reply(Response.of_error(error))
            return
        if pool is not None and pool.dispatcher.refusal is not None:
            # While the body arrived, another revision may have taken over.
            pool = self._functions.get(exchange.target.partition(b"?")[0])
        if pool is None:
            self._handle_route(exchange)
            return
        try:
            self._call(pool, exchange)
        except SkerryError as error:
            exchange.done = True
            exchange.reply(Response.of_error(error))
        except Exception:  # say so, or the connection would wait for an answer for ever
            exchange.reply(_internal_error(_request_of(exchange)))

    # Inside

    async def _listen_publicly(self, host: str, port: int, tls: ssl.SSLContext) -> TlsDoor:
        from skerry.runtime.tls_door import TlsDoor  # which most fronts do without

        return await TlsDoor.listen(
            host,
            port,
            backlog=BACKLOG,
            tls=tls,
            make=lambda: Connection(self, trusted=False, public=True, stranger=self._authorize is not None),
            room=self.room,
        )

    def _is_same_machine(self, connection: Channel) -> bool:
        return connection.trusted or (self.is_loopback and not connection.public)

    def _call(self, pool: WorkerPool | Split, exchange: Exchange) -> None:
        reading = exchange.reading
        if reading is None:
            protocol = self._protocols.get(exchange.target.partition(b"?")[0])
            reading = exchange.reading = read_head(exchange.headers, protocol)
        if reading.app is not None:
            self._check_app(pool.spec.name, reading)
        if reading.is_async and self.respond_async is not None:
            taker = pool if isinstance(pool, WorkerPool) else pool.choose()
            request = _request_of(exchange)
            self._answer(exchange, request, self.respond_async(taker, request, reading))
            return
        if not reading.is_plain:
            exchange.codec, exchange.meta = reading.codec, reading.meta
            exchange.timeout_s = reading.timeout_s
            exchange.urgency = reading.urgency
            exchange.group = reading.group
            exchange.weight = reading.weight
            exchange.is_timed = reading.is_timed
        exchange.pool = pool  # type: ignore[assignment]  # a split says itself which of its pools has taken it
        if self.tracer is not None:
            self._trace(exchange, reading)
        pool.take(exchange)

    def _check_app(self, function: str, reading: Reading) -> None:
        """Refuse a call that is meant for the function of this name of another app."""
        owner = self._apps.get(function)
        if owner is None or owner == reading.app:
            return
        reading.is_plain = False  # a head that comes again with this reading is checked again
        raise FunctionNotFoundError(
            f"{function!r} belongs to app {owner!r} here, not to {reading.app!r}",
            owner=owner,
            hint=f"call a place where {reading.app!r} is deployed, or give the two functions different names",
        )

    def _trace(self, exchange: Exchange, reading: Reading) -> None:
        """Begin a trace, if the request is sampled; the handler is told to go on with it."""
        if self.tracer is None:
            return
        header, state = reading.meta.get("traceparent"), reading.meta.get("tracestate")
        trace = self.tracer.start_request(
            None if header is None else header.encode("latin-1"), None if state is None else state.encode("latin-1")
        )
        if trace is not None:
            exchange.trace = CallTrace(trace)
            exchange.meta = {**exchange.meta, "traceparent": trace.traceparent}

    def _forget_heads(self) -> None:
        """What heads say was found out for the functions that were there."""
        for heads in self.heads.values():
            forget(heads)
        for connection in self.connections:
            connection.forget()

    def _handle_route(self, exchange: Exchange) -> None:
        if (answer := self._answer_probe(exchange)) is not None:
            exchange.reply(answer)
            return
        request = _request_of(exchange)
        request.same_machine = self._is_same_machine(exchange.connection)
        if exchange.intake is not None:
            intake, exchange.intake = exchange.intake, None
            self._await_outcome(exchange, request, intake.finish())
            return
        try:
            outcome = self._find_route(request)(request)
        except SkerryError as error:
            exchange.reply(Response.of_error(error))
            return
        except Exception:
            exchange.reply(_internal_error(request))
            return
        self._answer(exchange, request, outcome)

    def _answer(self, exchange: Exchange, request: Request, outcome: Any) -> None:
        """Reply with a response, or with what is awaited for one."""
        if isinstance(outcome, Response):
            exchange.reply(outcome)
        else:
            self._await_outcome(exchange, request, outcome)

    def _await_outcome(self, exchange: Exchange, request: Request, outcome: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._await_route(exchange, request, outcome))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        exchange.cancel = task.cancel

    def _answer_probe(self, exchange: Exchange) -> Response | None:
        """Return the answer to a probe that no route answers: of Knative's network, or of a function."""
        pool = self._functions.get(exchange.target.partition(b"?")[0])
        asked = network_probe(exchange.headers)
        if asked is None and (pool is None or not is_probe(exchange.headers)):
            return None
        is_ready = self.is_ready() and (pool is None or pool.dispatcher.refusal is None)
        return answer_health(is_ready=is_ready) if asked is None else answer_network_probe(asked, is_ready=is_ready)

    async def _await_route(self, exchange: Exchange, request: Request, outcome: Any) -> None:
        try:
            exchange.reply(await outcome)
        except SkerryError as error:
            exchange.reply(Response.of_error(error))
        except Exception:
            exchange.reply(_internal_error(request))

    def _find_route(self, request: Request) -> Route:
        segments = request.path.strip("/").split("/")
        methods = set()
        for method, pattern, handler in self._routes.get((segments[0], len(segments)), ()):
            if all(p in ("*", s) for p, s in zip(pattern, segments, strict=True)):
                if method == request.method or (method == "GET" and request.method == "HEAD"):
                    return handler
                methods.add(method)
        if methods:
            allow = sorted(methods | ({"HEAD"} if "GET" in methods else set()))
            raise MethodNotAllowedError(
                f"{request.path}: use {' or '.join(sorted(methods))}, not {request.method}", allow=allow
            )
        there = ", ".join(self._names_for(request)) or "none"
        if request.path.startswith("/function/"):
            raise FunctionNotFoundError(
                f"no function {request.path.removeprefix('/function/')!r} here; there are: {there}"
            )
        raise FunctionNotFoundError(
            f"nothing is served at {request.path}; functions answer at /function/NAME; there are: {there}"
        )

    def _names_for(self, request: Request) -> list[str]:
        """Return the functions that a caller may be told of: those labelled local are for this machine's."""
        return [
            name
            for name, paths in sorted(self._paths.items())
            if request.same_machine or not self._functions[paths[0]].spec.local
        ]


def add_health_routes(front: Front, *, is_ready: Callable[[], bool]) -> None:
    """Serve ``/health/liveness`` and ``/health/readiness``."""
    front.is_ready = is_ready
    most = HEALTH_BODY_BYTES
    front.route("GET", "/health/liveness", lambda _: Response.of_json({"status": "alive"}), max_body_bytes=most)
    front.route("GET", "/health/readiness", lambda _: answer_health(is_ready=is_ready()), max_body_bytes=most)


def _request_of(exchange: Exchange) -> Request:
    path, _, query = exchange.target.partition(b"?")
    return Request(
        exchange.method.decode("latin-1"),
        unquote(path.decode("latin-1")),
        query.decode("latin-1"),
        {name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.headers},
        bytes(exchange.body),
        exchange.connection.trusted,
        exchange.connection.public,
    )


def _private_listener(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    return listener


def _internal_error(request: Request) -> Response:
    logger.exception("%s %s failed", request.method, request.path)
    return Response.of_error(InternalError("a fault of Skerry's own; the server's log has the traceback"))
