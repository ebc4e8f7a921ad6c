"""The link of a worker whose handler is async: calls, groups and streams as tasks of one event loop."""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

from skerry.runtime.context import TASK, Running
from skerry.runtime.coroutine import answer_call, answer_group, answer_stream
from skerry.runtime.frames import READ_BYTES, Frame, FrameReader, Kind
from skerry.runtime.grouping import Grouping
from skerry.runtime.handler import LoadedHandler
from skerry.runtime.interruption import PROGRESS_WORD
from skerry.runtime.memory import PERIOD_S, return_memory
from skerry.runtime.streaming import Stream


async def serve_tasks(link: socket.socket, page: mmap.mmap, handler: LoadedHandler) -> None:
    """Answer calls as tasks of this event loop, as many at a time as the function's `concurrency`."""
    loop = asyncio.get_running_loop()
    link.setblocking(False)
    transport, calls = await loop.connect_accepted_socket(lambda: TaskLink(page, handler), link)
    await calls.stopped.wait()
    while calls.tasks:
        await asyncio.wait(list(calls.tasks))
    if handler.unload is not None:
        outcome = handler.unload()
        if isinstance(outcome, Coroutine):
            await outcome
    calls.flush()
    # The process ends next, and the loop would not send on what the socket has had no room for.
    transport.set_write_buffer_limits(0)
    await calls.room.wait()
    transport.close()


class _Unit:
    """What one task answers: a call, or a group."""

    __slots__ = ("frames", "grouped", "received_ns", "stream", "task")

    def __init__(self, frames: list[Frame], *, grouped: bool, received_ns: int) -> None:
        self.frames = frames
        self.grouped = grouped
        self.received_ns = received_ns
        self.task: asyncio.Task[bytes] | None = None
        self.stream: Stream | None = None


class TaskLink(asyncio.Protocol):
    """The link of a worker with an async handler. Each call is answered once, cancelled ones too.

    Args:
        page: Memory shared with the front.
        handler: What to call.

    Attributes:
        stopped: Set when the front wants no more than what it has sent.
        tasks: What runs now.
        room: Set unless the transport keeps more than it was allowed to.
    """

    def __init__(self, page: mmap.mmap, handler: LoadedHandler) -> None:
        self.stopped = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()
        self.tasks: dict[asyncio.Task[bytes], _Unit] = {}
        self._queue: deque[_Unit] = deque()
        self._units: dict[int, _Unit] = {}  # by the number of each call that waits or runs
        self._group: list[Frame] = []
        self._wanted = 0
        self._words = memoryview(page).cast("I")
        self._handler = handler
        self._grouping = Grouping(handler)
        self._reader = FrameReader()
        self._transport: Any = None
        self._out: list[bytes] = []
        self._return: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what the front has sent."""
        received_ns = time.monotonic_ns()
        if len(data) >= READ_BYTES and self._return is None:  # large bodies leave holes: see `Inbox`
            self._return = self._loop.call_later(PERIOD_S, self._return_memory)
        for frame in self._reader.feed(data):
            if frame.kind == Kind.CALL:
                self._take(frame, received_ns)
            elif frame.kind == Kind.CANCEL:
                self._cancel(frame.number)
            elif frame.kind == Kind.CREDIT:
                self._take_credit(frame)
            elif frame.kind == Kind.BATCH and self._handler.signature.takes_items:
                self._group, self._wanted = [], frame.number
            elif frame.kind == Kind.STOP:
                self.stopped.set()
        self._begin()

    def _return_memory(self) -> None:
        self._return = None
        return_memory()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the process when the front has died."""
        if not self.stopped.is_set():
            os._exit(0)  # the front is gone; nobody waits for an answer

    def pause_writing(self) -> None:
        """Take note that the socket is full."""
        self.room.clear()

    def resume_writing(self) -> None:
        """Take note that what was kept has left."""
        self.room.set()

    def flush(self) -> None:
        """Write the answers that have gathered in this turn of the loop."""
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def _write(self, answer: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self.flush)
        self._out.append(answer)

    def _take(self, frame: Frame, received_ns: int) -> None:
        grouped = self._handler.signature.takes_items
        self._group.append(frame)
        if len(self._group) < self._wanted:
            return
        unit = _Unit(self._group, grouped=grouped, received_ns=received_ns)
        self._group, self._wanted = [], 0
        for member in unit.frames:
            self._units[member.number] = unit
        self._queue.append(unit)

    def _cancel(self, number: int) -> None:
        unit = self._units.get(number)
        if unit is None:
            return
        if unit.task is None:
            unit.frames = [frame for frame in unit.frames if frame.number != number]
            del self._units[number]
            self._write(self._handler.answer_cancelled(number))
        elif not unit.grouped:
            unit.task.cancel()

    def _take_credit(self, frame: Frame) -> None:
        unit = self._units.get(frame.number)
        if unit is not None and unit.stream is not None:
            unit.stream.credit(frame.time)

    def _begin(self) -> None:
        while self._queue and len(self.tasks) < self._handler.target.concurrency:
            unit = self._queue.popleft()
            self._drop_overdue(unit)
            if not unit.frames:
                continue
            self._words[PROGRESS_WORD] = unit.frames[-1].number
            unit.task = self._loop.create_task(self._answer(unit))
            self.tasks[unit.task] = unit
            unit.task.add_done_callback(self._ended)

    def _drop_overdue(self, unit: _Unit) -> None:
        waited_ms = (time.monotonic_ns() - unit.received_ns) / 1e6
        for frame in unit.frames:
            if 0 < frame.time <= waited_ms:
                del self._units[frame.number]
                self._write(self._handler.answer_overdue(frame.number))
        unit.frames = [frame for frame in unit.frames if not 0 < frame.time <= waited_ms]

    def _ended(self, task: asyncio.Task[bytes]) -> None:
        unit = self.tasks.pop(task)
        for frame in unit.frames:
            del self._units[frame.number]
        if task.cancelled():  # before its first step: it never got to answer
            self._write(b"".join(self._handler.answer_cancelled(frame.number) for frame in unit.frames))
        else:
            self._write(task.result())
        self._begin()

    async def _answer(self, unit: _Unit) -> bytes:
        TASK.set(Running(unit.frames, unit.received_ns / 1e9))
        handler, frame = self._handler, unit.frames[0]
        if unit.grouped:
            return await answer_group(handler, self._grouping, unit.frames)
        if handler.signature.streams:
            unit.stream = Stream(handler, frame)
            return await answer_stream(handler, frame, unit.stream, self._write)
        return await answer_call(handler, frame)
