"""How steps are given to functions, and what they answer; who hosts chains does the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgpack

from skerry.events.chain.machine import End, Fault, Machine
from skerry.events.chain.values import read_plan

Cancel = Callable[[], None]


class StepOutcome(NamedTuple):
    """What a function has answered.

    Args:
        status: HTTP status; below 300 the step is done.
        body: What it has returned, as MessagePack.
        message: What an error says.
        wait_s: What it asks to wait at least, seconds.
        handler_us: How long the handler ran, microseconds.
    """

    status: int
    body: bytes = b""
    message: str = ""
    wait_s: float | None = None
    handler_us: int = 0


class StepCall(NamedTuple):
    """One step, or the rest of a fused run, as its function is given it.

    Args:
        function: Whom to call.
        body: What it is given, as MessagePack.
        key: What the step is known by: the same at each attempt; of a fused call that of the run.
        traceparent: Where it is in the trace of the run.
        attempts: Earlier attempts that count.
        on_outcome: Called once with what became of it, in another turn of the loop or this one.
    """

    function: str
    body: bytes
    key: str
    traceparent: str
    attempts: int
    on_outcome: Callable[[StepOutcome], None]


class Piece(NamedTuple):
    """What a fused run says of a step.

    Args:
        path: The step's.
        status: HTTP status.
        body: What its function has returned, as MessagePack.
        message: What an error says.
        began_at: Unix time, seconds.
        handler_us: How long the handler ran, microseconds.
    """

    path: str
    status: int
    body: bytes
    message: str
    began_at: float
    handler_us: int


class Give(Protocol):
    """Gives steps to functions."""

    def step(self, call: StepCall) -> Cancel:
        """Give a step to its function; returns what takes it back."""

    def fused(self, call: StepCall, on_piece: Callable[[Piece], None]) -> Cancel:
        """Give the rest of a run to the chain's own function, which says how each step has ended."""

    def traced(self, function: str, traceparent: str, *, status: int, began_s: float, ended_s: float) -> None:
        """Show a step of a fused run in its trace; the times are of the monotonic clock."""


class FusedWork(NamedTuple):
    """The rest of a run, as a fused call is given it.

    Args:
        run: The run's id.
        machine: What is to be done; it has been told what is on record.
        held: Steps that are not to be done now.
    """

    run: str
    machine: Machine
    held: set[str]


def write_work(run: str, plan: str, value: bytes, ends: Sequence[tuple[str, End]], held: Sequence[str]) -> bytes:
    """Return the body of a fused call.

    Args:
        run: The run's id.
        plan: Its plan, as JSON.
        value: What it began with.
        ends: How steps have ended, in order.
        held: Steps that are not to be done now.
    """
    told = [[path, *((0, end) if isinstance(end, bytes) else (end.code, end.message.encode()))] for path, end in ends]
    body: bytes = msgpack.packb({"run": run, "plan": plan, "value": value, "ends": told, "held": list(held)})
    return body


def read_work(work: dict[str, Any]) -> FusedWork:
    """Return what a decoded body of `write_work` says."""
    machine = Machine(read_plan(work["plan"]), work["value"])
    for path, code, body in work["ends"]:
        machine.settle(path, Fault(path, code, body.decode()) if code else body)
    return FusedWork(work["run"], machine, set(work["held"]))
