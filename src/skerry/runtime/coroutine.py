"""The answers of async handlers: of a call, of a group, of a stream; each is one coroutine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from skerry.payload import Items
from skerry.runtime.frames import Frame
from skerry.runtime.grouping import Grouping, WrongResultsError
from skerry.runtime.handler import LoadedHandler, since
from skerry.runtime.streaming import Stream


async def answer_call(handler: LoadedHandler, frame: Frame) -> bytes:
    """Run a call and return the frame of its answer."""
    limit = asyncio.timeout(handler.target.timeout_s)
    begun_ns = 0
    try:
        args, kwargs = handler.decode(frame)
        begun_ns = time.monotonic_ns()
        async with limit:
            value = await handler.call(*args, **kwargs)
        return handler.encode(frame, value, since(begun_ns))
    except BaseException as error:
        if _is_cancelled(error):
            return handler.answer_cancelled(frame.number, since(begun_ns))
        return handler.answer_error(frame.number, error, late=limit.expired(), micros=since(begun_ns))


async def answer_group(handler: LoadedHandler, grouping: Grouping, group: list[Frame]) -> bytes:
    """Run a group and return the frames of its answers."""
    frames, values, answers = grouping.decode(group)
    if not frames:
        return b"".join(answers)
    limit = asyncio.timeout(handler.target.timeout_s)
    begun_ns = time.monotonic_ns()
    try:
        async with limit:
            results = await handler.call(Items(values))
        return b"".join(answers + grouping.encode(frames, results, since(begun_ns)))
    except BaseException as error:
        late, micros = limit.expired(), since(begun_ns)
        told = error.told if isinstance(error, WrongResultsError) else error
        if len(frames) == 1 or late or told is not error:
            return b"".join(answers + grouping.fail(frames, told, micros, late=late))
        grouping.tell_retry(error, len(frames))
    return b"".join(answers + [await answer_group(handler, grouping, [frame]) for frame in frames])


async def answer_stream(handler: LoadedHandler, frame: Frame, stream: Stream, send: Callable[[bytes], None]) -> bytes:
    """Send the pieces of a stream and return its last frames.

    Args:
        handler: An async generator.
        frame: The call.
        stream: The answer; its `room` is made here, and set by who takes the credits.
        send: Takes frames to send.
    """
    limit = asyncio.timeout(handler.target.timeout_s)
    room = stream.room = asyncio.Event()
    try:
        args, kwargs = handler.decode(frame)
        async with limit, aclosing(handler.call(*args, **kwargs)) as items:
            await _pass_on(items, stream, room, send)
        return stream.end()
    except BaseException as error:
        return stream.cancelled() if _is_cancelled(error) else stream.fail(error, late=limit.expired())


async def _pass_on(
    items: AsyncIterator[Any], stream: Stream, room: asyncio.Event, send: Callable[[bytes], None]
) -> None:
    begun_ns = time.monotonic_ns()
    async for item in items:
        stream.ran_ns += time.monotonic_ns() - begun_ns
        piece = stream.write(item)
        while not stream.fits(piece):
            room.clear()
            await room.wait()
        send(stream.send(piece))
        begun_ns = time.monotonic_ns()
    stream.ran_ns += time.monotonic_ns() - begun_ns


def _is_cancelled(error: BaseException) -> bool:
    # The task was asked to end, rather than its code having cancelled something itself.
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
