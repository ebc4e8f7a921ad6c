"""A chain of an app, and a run of it."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, cast

from skerry.app.function import BaseFunction
from skerry.app.options import UNSET
from skerry.errors import ConfigError, HandlerError, JobNotReadyError
from skerry.spec.chain import ChainPlan, Mode

if TYPE_CHECKING:
    from skerry.app.places import Place
    from skerry.platforms.engine.chains import ChainClient

LONGEST_LOOK_S = 20.0


class Chain:
    """A chain: calling it does its steps here, `start` and `remote` have an engine do them; see `skerry.App.chain`.

    Attributes:
        function: The function whose workers do fused runs.
        plan: What it does.
    """

    def __init__(
        self,
        function: BaseFunction[Any, Any],
        plan: ChainPlan,
        functions: Mapping[str, BaseFunction[Any, Any]],
        gives: Any,
    ) -> None:
        self.name = function.name
        self.function = function
        self.plan = plan
        self._functions = functions
        self._gives = gives

    def __repr__(self) -> str:
        return f"<Chain {self.name}>"

    def __call__(self, value: Any = UNSET, /) -> Any:
        """Do the steps here, one after the other, each once; nothing is recorded.

        Raises:
            HandlerError: a step has failed; what was to be undone is undone.
        """
        from skerry.app.fusing import Steps
        from skerry.events.chain.machine import Fault, Machine

        machine = Machine(self.plan, _body(value))
        with contextlib.closing(Steps(self._functions)) as steps:
            while machine.tasks:
                path, task = next(iter(machine.tasks.items()))
                if task.function:
                    done = steps.do(task)
                    end = done.body if done.status < 300 else Fault(path, done.status, done.message)
                else:
                    time.sleep(task.wait_s)
                    end = task.value
                machine.settle(path, end)
        if not isinstance(machine.end, bytes):
            fault = cast("Fault", machine.end)
            raise HandlerError(f"chain {self.name!r}: step {fault.path} has failed: {fault.message}", step=fault.path)
        return self._read(machine.end)

    def start(self, value: Any = UNSET, /, *, mode: Mode | None = None, id: str | None = None) -> ChainRun:
        """Begin a run on the engine, and return once it is durable.

        Args:
            value: What the first step is given.
            mode: ``separated`` or ``fused``; none means what the chain says.
            id: What the run is known by, such as the id of what it is for: with that of a run that is there, that run
                is returned, and nothing begins. None means a new one.

        Raises:
            ConfigError: the functions call no engine.
            EngineNotRunningError: there is no engine.

        Example:
            ``run = report.start("https://example.org"); print(run.result())``
        """
        from skerry.app.inheritance import inherited

        client = self._client()
        caller = inherited().traceparent
        record = client.begin_run(self.name, _body(value), mode=mode, id=id, traceparent=caller)
        return ChainRun(str(record["id"]), self, client)

    def remote(
        self,
        value: Any = UNSET,
        /,
        *,
        mode: Mode | None = None,
        id: str | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Begin a run on the engine, wait for its end, and return what the last step has returned.

        Raises:
            HandlerError: a step has failed for good.
            JobNotReadyError: the time is over, or the run was cancelled.
        """
        return self.start(value, mode=mode, id=id).result(timeout_s)

    def at(self, place: Place) -> Self:
        """Return the same chain with its runs bound to a place; see :meth:`skerry.Function.at`."""
        bound = copy.copy(self)
        bound.function = self.function.at(place)
        return bound

    def _client(self) -> ChainClient:
        platform = self.function._platform()
        if not hasattr(platform, "begin_run"):
            raise ConfigError(f"{type(platform).__name__} does no chains; an engine does")
        return cast("ChainClient", platform)

    def _read(self, body: bytes) -> Any:
        from skerry.payload import MSGPACK, decode
        from skerry.payload.schema import Schema

        if self._gives is Any:
            return decode(body, MSGPACK)
        return Schema(self._gives, label="result", where=f"chain {self.name!r}").read_msgpack(body)


class ChainRun:
    """A run of a chain; the engine keeps it until a day after its end."""

    def __init__(self, id: str, chain: Chain, client: ChainClient) -> None:
        self.id = id
        self._chain = chain
        self._client = client

    def __repr__(self) -> str:
        return f"<ChainRun {self.id}>"

    def record(self) -> dict[str, Any]:
        """Return all that is known of the run: its status, its steps, what it has cost, and its dead items.

        Raises:
            JobNotFoundError: the engine has forgotten it.
        """
        return self._client.run(self.id)

    def status(self) -> str:
        """Return ``running``, ``succeeded``, ``failed`` or ``cancelled``."""
        return str(self.record()["status"])

    def result(self, timeout_s: float | None = None) -> Any:
        """Wait for the run to end, and return what its last step has returned.

        Args:
            timeout_s: Longest wait in seconds; none waits until the run has ended.

        Raises:
            HandlerError: a step has failed for good.
            JobNotReadyError: the time is over, or the run was cancelled.
        """
        ends_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = LONGEST_LOOK_S if ends_s is None else max(0.0, ends_s - time.monotonic())
            try:
                return self._chain._read(self._client.run_result(self.id, wait_s=min(LONGEST_LOOK_S, left_s)))
            except JobNotReadyError as error:
                is_over = ends_s is not None and time.monotonic() >= ends_s
                if is_over or error.details.get("job_status") != "running":
                    raise

    def cancel(self) -> str:
        """End the run, and undo nothing; return its status: one that has ended already stays as it is."""
        return str(self._client.cancel_run(self.id)["status"])


def _body(value: Any) -> bytes:
    from skerry.payload import MSGPACK, encode

    return b"" if value is UNSET else encode(value, MSGPACK)
