"""The worker's share: the real loops over a link that is played."""

from __future__ import annotations

import cProfile
import mmap
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import msgpack
import orjson
from typing_extensions import TypedDict

from benchmarks.objective.models import Classifier
from skerry.payload import Items, Signature
from skerry.runtime.frames import Codec, Frame, FrameReader, Kind, encode_frame
from skerry.runtime.handler import LoadedHandler
from skerry.runtime.progress import PROGRESS_BYTES
from skerry.runtime.target import Target
from skerry.runtime.worker import make_loop

CALLS = 32
GROUP = 64
LOOP_PHASES = ("read, call, answer",)
GROUP_PHASES = ("read", "handler", "answer")
VALUE = {"message": "hello", "number": 42}


class Picture(TypedDict):
    """Sixty-four grey values in [0, 1]."""

    image: list[float]


class Label(TypedDict):
    """A digit."""

    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a worker does.

    Args:
        name: What the table calls it.
        handler: Its function.
        bodies: The calls that it reads at once.
        answers: What they are to be answered with.
        is_group: Whether they are one call of the handler.
        codec: Of the bodies.
        limit_ms: Deadline of each call; 0 for none.
    """

    name: str
    handler: Callable[..., Any]
    bodies: list[bytes]
    answers: list[Any]
    is_group: bool = False
    codec: int = 0
    limit_ms: int = 0

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of what `run` measures."""
        return GROUP_PHASES if self.is_group else LOOP_PHASES

    def frames(self, first: int) -> bytes:
        """Return the calls as frames, numbered from ``first``."""
        calls = [
            encode_frame(Kind.CALL, first + i, body, codec=self.codec, time=self.limit_ms)
            for i, body in enumerate(self.bodies)
        ]
        return (encode_frame(Kind.BATCH, len(calls)) if self.is_group else b"") + b"".join(calls)


def make_works(images: list[Picture], labels: list[int], classify: Classifier) -> list[Work]:
    """Return what is measured.

    Args:
        images: `GROUP` pictures.
        labels: Their digits.
        classify: The model.
    """

    def echo(value: Any) -> Any:
        return value

    def digits(pictures: Items[Picture]) -> list[Label]:
        return [{"label": label} for label in classify([picture["image"] for picture in pictures])]

    def constant(pictures: Items[Picture]) -> list[Label]:
        return [{"label": 7} for _ in pictures]

    plain, packed = orjson.dumps(VALUE), cast(bytes, msgpack.packb(VALUE))
    pictures = [orjson.dumps(image) for image in images]
    name = f"digits, group of {GROUP}"
    many = [VALUE] * CALLS
    labelled, sevens = [{"label": n} for n in labels], [{"label": 7}] * GROUP
    return [
        Work(name=f"echo, {CALLS} calls in one read", handler=echo, bodies=[plain] * CALLS, answers=many),
        Work(name="echo, one call in each read", handler=echo, bodies=[plain], answers=[VALUE]),
        Work(name="echo, MessagePack", handler=echo, bodies=[packed] * CALLS, answers=many, codec=Codec.MSGPACK),
        Work(name="echo, with deadline", handler=echo, bodies=[plain] * CALLS, answers=many, limit_ms=5000),
        Work(name=name, handler=digits, bodies=pictures, answers=labelled, is_group=True),
        Work(name=f"{name}, no model", handler=constant, bodies=pictures, answers=sevens, is_group=True),
    ]


_ALWAYS_READABLE = os.open(os.devnull, os.O_RDONLY)


class _Link:
    """A front that sends its next calls when the last ones are answered, and then goes away.

    Args:
        rounds: Frames to send, one piece at a time.
        size: How many calls are in each of them.
    """

    def __init__(self, rounds: list[bytes], size: int) -> None:
        self._rounds = iter(rounds)
        self._size = size
        self._open = 0
        self._reader = FrameReader()
        self._counted = 0
        self.received_s: list[float] = []
        self.answered_s: list[float] = []
        self.answers: list[bytes] = []

    def fileno(self) -> int:
        return _ALWAYS_READABLE

    def recv(self, _size: int, flags: int = 0) -> bytes:
        now_s = time.perf_counter()
        self._open -= len(self._reader.feed(b"".join(self.answers[self._counted :])))
        self._counted = len(self.answers)
        if self._open > 0 and flags & socket.MSG_DONTWAIT:
            raise BlockingIOError  # the worker looks for more in the middle of its calls, which took it long
        data = next(self._rounds, b"")
        self._open = self._size if data else 0
        if self.received_s:
            self.answered_s.append(now_s)
        self.received_s.append(time.perf_counter())
        return data

    def sendall(self, data: bytes) -> None:
        self.answers.append(data)


class WorkerBench:
    """A worker's loop.

    Args:
        work: What it does.
        profile: Is told of the loop's work.
    """

    def __init__(self, work: Work, profile: cProfile.Profile | None = None) -> None:
        self._work = work
        self._profile = profile
        self._called_s: list[tuple[float, float]] = []
        target = Target(root=None, file=None, module="played", function="played", environment={})
        call = self._timed(work.handler) if work.is_group else work.handler
        self._handler = LoadedHandler(call, Signature.of(work.handler), None, target)

    def run(self, rounds: int) -> list[tuple[float, ...]]:
        """Answer all calls ``rounds`` times; return the seconds that each phase took, by round.

        Raises:
            RuntimeError: an answer is missing or wrong.
        """
        size = len(self._work.bodies)
        link = _Link([self._work.frames(1 + i * size) for i in range(rounds)], size)
        self._called_s.clear()
        # The loop holds views of the page, so that it goes when the loop does.
        loop: Any = make_loop(cast(Any, link), mmap.mmap(-1, PROGRESS_BYTES), self._handler)
        if self._profile is None:
            loop.serve()
        else:
            self._profile.runcall(loop.serve)
        self._check(b"".join(link.answers), rounds)
        spans = list(zip(link.received_s, link.answered_s, strict=False))
        if not self._work.is_group:
            return [(end_s - begin_s,) for begin_s, end_s in spans]
        return [
            (called_s - begin_s, returned_s - called_s, end_s - returned_s)
            for (begin_s, end_s), (called_s, returned_s) in zip(spans, self._called_s, strict=True)
        ]

    def _timed(self, handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(items: Any) -> Any:
            began_s = time.perf_counter()
            results = handler(items)
            self._called_s.append((began_s, time.perf_counter()))
            return results

        return call

    def _check(self, data: bytes, rounds: int) -> None:
        frames = FrameReader().feed(data)
        size = len(self._work.bodies)
        if len(frames) != rounds * size or any(frame.kind != Kind.RESULT for frame in frames):
            raise RuntimeError(f"{self._work.name}: {len(frames)} answers to {rounds * size} calls, or errors")
        if [_decode(frame) for frame in frames[-size:]] != self._work.answers:
            raise RuntimeError(f"{self._work.name}: wrong answers")


def _decode(frame: Frame) -> Any:
    return msgpack.unpackb(frame.body) if frame.codec == Codec.MSGPACK else orjson.loads(frame.body)
