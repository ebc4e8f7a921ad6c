"""Steps of a chain in this process: one after the other, each with the same bytes as in a worker of its own."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from skerry.errors import SkerryError, UserError
from skerry.events.chain.calls import read_work
from skerry.events.chain.machine import Task

if TYPE_CHECKING:
    from skerry.app.function import BaseFunction

    Functions = Mapping[str, BaseFunction[Any, Any]]

MSGPACK = "application/msgpack"


class Done(NamedTuple):
    """How a step has ended.

    Args:
        status: HTTP status, as a worker's answer would have it.
        body: What the function has returned, as MessagePack.
        message: What an error says.
        handler_us: How long the handler ran, microseconds.
    """

    status: int
    body: bytes = b""
    message: str = ""
    handler_us: int = 0


def run_fused(functions: Functions, work: dict[str, Any]) -> Iterator[list[Any]]:
    """Do what is left of a run, and yield how each step has ended; what fails is left to who asked.

    Args:
        functions: The app's functions by name.
        work: What `skerry.events.chain.calls.write_work` wrote, decoded.
    """
    run, machine, held = read_work(work)
    with contextlib.closing(Steps(functions)) as steps:
        while True:
            task = next((one for path, one in machine.tasks.items() if one.function and path not in held), None)
            if task is None:
                return
            began_at = time.time()
            done = steps.do(task, key=f"{run}/{task.path}")
            if done.status < 300:
                machine.settle(task.path, done.body)
            else:
                held.add(task.path)
            yield [task.path, done.status, done.body, done.message, began_at, done.handler_us]


class Steps:
    """Calls functions of an app here.

    Args:
        functions: The functions by name.
    """

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._runner: asyncio.Runner | None = None

    def do(self, task: Task, *, key: str | None = None) -> Done:
        """Do a step.

        Args:
            task: The step.
            key: What `skerry.context().step` is meanwhile.
        """
        from skerry.runtime.context import STEP

        token = STEP.set(key)
        began_ns = time.monotonic_ns()
        try:
            body = self._call(task)
        except UserError as error:
            return Done(error.http_status, message=error.message)
        except Exception as error:  # whatever it is, it is the function's
            return _failed(task.function, error)
        finally:
            STEP.reset(token)
        return Done(200, body, handler_us=(time.monotonic_ns() - began_ns) // 1000)

    def close(self) -> None:
        """End the event loop of async functions, if one was needed."""
        if self._runner is not None:
            self._runner.close()

    def _call(self, task: Task) -> bytes:
        function = self._functions[task.function]
        args, kwargs = function.signature.decode_call(task.value, MSGPACK)
        value = function._run_here(args, kwargs)
        if inspect.iscoroutine(value):
            if self._runner is None:
                self._runner = asyncio.Runner()
            value = self._runner.run(value)
        return function.signature.encode_msgpack(value)


def _failed(function: str, error: Exception) -> Done:
    if isinstance(error, SkerryError):
        return Done(error.http_status, message=error.message)
    error_id = uuid.uuid4().hex[:12]
    sys.stderr.write(f"error {error_id} in function {function!r}\n")
    traceback.print_exception(error, file=sys.stderr)
    return Done(500, message=f"function {function!r} failed; the log of the chain has the reason under {error_id}")
