"""The worker: a process that runs one function's handler in a loop of decode, call, encode."""

from __future__ import annotations

import asyncio
import inspect
import mmap
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any

import orjson
import uvloop

from skerry.errors import ConfigError
from skerry.payload import Signature
from skerry.runtime.confinement import limit_files, limit_memory, limit_threads
from skerry.runtime.frames import Frame, FrameReader, Kind, encode_frame
from skerry.runtime.handler import LoadedHandler, find_function, start_error
from skerry.runtime.inspection import describe, installed_modules
from skerry.runtime.link import ANSWERS_AT, HELD, HELD_AT, PROGRESS, PROGRESS_BYTES
from skerry.runtime.target import Target, load_app
from skerry.spec import FunctionSpec, Scale

READ_BYTES = 1 << 18
HOLD_ANSWERS_S = 0.001  # answers that are ready within this time leave with one write


def work(link: socket.socket, progress_fd: int, target: Target, *, asked_at_s: float) -> None:
    """Be a worker until the front says stop or goes away; never returns.

    Args:
        link: The worker's end of the socket to the front.
        progress_fd: Memory shared with the front; the number of the call that begins is written there.
        target: What to run.
        asked_at_s: Monotonic clock reading when the front asked for the worker, seconds.
    """
    clock = _Phases(asked_at_s)
    link.sendall(encode_frame(Kind.HELLO, 0, meta={"pid": os.getpid()}))
    name = target.function or target.module
    try:
        _prepare(target)
        if target.function is None:
            _leave(link, encode_frame(Kind.RESULT, 0, orjson.dumps(describe(load_app(target)))), code=0)
        clock.mark("confine")
        function = find_function(target)
        clock.mark("import")
        handler, runner = _load(function, target)
        clock.mark("load")
    except BaseException as error:
        problem, log = start_error(name, error)
        sys.stderr.write(f"{problem.message}\n{log}\n")
        told = error if target.function is None and isinstance(error, ConfigError) else problem
        _leave(link, encode_frame(Kind.START_FAILED, 0, orjson.dumps(told.to_problem(), default=str)), code=1)
    modules = orjson.dumps(installed_modules()) if target.report_modules else b""
    link.sendall(encode_frame(Kind.READY, 0, modules, meta={"phases_ms": clock.phases_ms}))
    progress = mmap.mmap(progress_fd, PROGRESS_BYTES)
    os.close(progress_fd)
    if runner is not None:
        with runner:
            runner.run(_serve_async(link, progress, handler))
    else:
        _serve(link, progress, handler)
    _leave(link, b"", code=0)


def rehearse() -> None:
    """Go through the motions of a start and a call, so that their code and their memory pages are at hand.

    A forked process shares its pages with its parent until it writes to them, and then copies them one by one: most of
    a cold start was such copying. A spare does it while nobody waits.
    """
    parameters = {"value": "x"}
    source = compile("def sample(value: list[float], name: str = 'x') -> dict[str, int]: ...", "rehearsal", "exec")
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102  # a constant of this function
    signature = Signature.of(names["sample"])
    arguments = signature.decode_json(b'{"value": [1, 2.5], "name": "x"}')
    answer = encode_frame(Kind.RESULT, 1, signature.encode_json({"x": len(arguments)}), meta=parameters)
    FrameReader().feed(answer)
    FunctionSpec(name="sample", scale=Scale())
    random.seed()
    if "numpy.random" in sys.modules:  # the zygote's state must not be everybody's
        sys.modules["numpy.random"].seed()


class _Phases:
    """Splits the start of a worker into named parts."""

    def __init__(self, asked_at_s: float) -> None:
        self.phases_ms: dict[str, float] = {}
        self._last_s = asked_at_s
        self.mark("fork")

    def mark(self, phase: str) -> None:
        now = time.monotonic()
        self.phases_ms[phase] = round((now - self._last_s) * 1000, 3)
        self._last_s = now


def _prepare(target: Target) -> None:
    _disregard(signal.SIGTERM)  # the front ends a worker through the link, or with SIGKILL
    _disregard(signal.SIGINT)
    os.environ.update(target.environment)
    os.chdir(target.root or "/")  # so that an app finds the files of its project by relative paths
    limit_threads(target.cpu)
    limit_files(target.files)
    if target.memory_bytes is not None:
        limit_memory(target.memory_bytes, function=target.function or "?")


def _disregard(number: signal.Signals) -> None:
    # A handler that does nothing, and not SIG_IGN, which programs and forks that the handler starts would inherit.
    signal.signal(number, lambda *_: None)
    signal.siginterrupt(number, False)
    os.register_at_fork(after_in_child=lambda: signal.signal(number, signal.SIG_DFL))


def _load(function: Any, target: Target) -> tuple[LoadedHandler, asyncio.Runner | None]:
    signature = function.signature
    call, unload, load = function.handler, None, None
    if inspect.isclass(call):
        call = call()
        load, unload = getattr(call, "load", None), getattr(call, "unload", None)
    handler = LoadedHandler(call, signature, unload, target)
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop) if handler.is_async else None
    if load is not None:
        _run(load, runner)
    return handler, runner


def _run(function: Any, runner: asyncio.Runner | None) -> None:
    outcome = function()
    if isinstance(outcome, Coroutine):
        if runner is not None:
            runner.run(outcome)
        else:
            asyncio.run(outcome)


def _serve(link: socket.socket, progress: mmap.mmap, handler: LoadedHandler) -> None:
    """Answer calls one after the other; answers that are ready within a moment of each other leave together."""
    reader, outbox = FrameReader(), _Outbox(link, progress)
    run, begin, monotonic = handler.run, PROGRESS.pack_into, time.monotonic
    while True:
        data = link.recv(READ_BYTES)
        if not data:
            return
        held_since_s = 0.0
        frames = reader.feed(data)
        for frame in frames:
            if frame.kind == Kind.STOP:
                if outbox.held:
                    outbox.send()
                if handler.unload is not None:
                    _run(handler.unload, None)
                return
            if frame.kind != Kind.CALL:
                continue
            if outbox.held and monotonic() - held_since_s > HOLD_ANSWERS_S:
                outbox.send()
            begin(progress, 0, frame.number)
            answer = run(frame)
            if frame is frames[-1]:
                outbox.send(answer)
                continue
            if not outbox.held:
                held_since_s = monotonic()
            outbox.hold(answer)
        if outbox.held:
            outbox.send()


class _Outbox:
    """Answers on their way to the front, held where it finds them should the next call not let them go."""

    def __init__(self, link: socket.socket, page: mmap.mmap) -> None:
        self.held = 0
        self._link = link
        self._page = memoryview(page)
        self._room = len(page) - ANSWERS_AT

    def hold(self, answer: bytes) -> None:
        held = self.held + len(answer)
        if held > self._room:
            self.send(answer)
            return
        self._page[ANSWERS_AT + self.held : ANSWERS_AT + held] = answer
        self.held = held
        HELD.pack_into(self._page, HELD_AT, held)  # last: from now on the front may read it

    def send(self, answer: bytes = b"") -> None:
        """Send what is held, and ``answer`` after it."""
        if not self.held:
            self._link.sendall(answer)
            return
        self._link.sendall(bytes(self._page[ANSWERS_AT : ANSWERS_AT + self.held]) + answer)
        self.held = 0
        HELD.pack_into(self._page, HELD_AT, 0)


async def _serve_async(link: socket.socket, progress: mmap.mmap, handler: LoadedHandler) -> None:
    """Answer calls as tasks of one event loop, as many at a time as the function's `concurrency`."""
    loop = asyncio.get_running_loop()
    link.setblocking(False)
    transport, calls = await loop.connect_accepted_socket(lambda: _AsyncCalls(progress, handler), link)
    await calls.stopped.wait()
    while calls.tasks:
        await asyncio.wait(list(calls.tasks.values()))
    if handler.unload is not None:
        outcome = handler.unload()
        if isinstance(outcome, Coroutine):
            await outcome
    transport.close()


class _AsyncCalls(asyncio.Protocol):
    """The link of a worker with an async handler. Each call is answered once, cancelled ones too."""

    def __init__(self, progress: mmap.mmap, handler: LoadedHandler) -> None:
        self.stopped = asyncio.Event()
        self.tasks: dict[int, asyncio.Task[bytes]] = {}
        self._waiting: dict[int, Frame] = {}
        self._progress = progress
        self._handler = handler
        self._reader = FrameReader()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            if frame.kind == Kind.CALL:
                self._waiting[frame.number] = frame
            elif frame.kind == Kind.CANCEL:
                self._cancel(frame.number)
            elif frame.kind == Kind.STOP:
                self.stopped.set()
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.stopped.is_set():
            os._exit(0)  # the front is gone; nobody waits for an answer

    def _begin(self) -> None:
        while self._waiting and len(self.tasks) < self._handler.target.concurrency:
            number = next(iter(self._waiting))
            frame = self._waiting.pop(number)
            PROGRESS.pack_into(self._progress, 0, number)
            task = asyncio.get_running_loop().create_task(self._handler.run_async(frame))
            self.tasks[number] = task
            task.add_done_callback(partial(self._ended, number))

    def _cancel(self, number: int) -> None:
        if self._waiting.pop(number, None) is not None:
            self._transport.write(self._handler.answer_cancelled(number))
        elif number in self.tasks:
            self.tasks[number].cancel()

    def _ended(self, number: int, task: asyncio.Task[bytes]) -> None:
        del self.tasks[number]
        # A task that was cancelled before its first step never got to answer.
        self._transport.write(self._handler.answer_cancelled(number) if task.cancelled() else task.result())
        self._begin()


def _leave(link: socket.socket, last_words: bytes, *, code: int) -> None:
    """End the process without the exit handlers that it inherited from the zygote."""
    if last_words:
        link.sendall(last_words)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
