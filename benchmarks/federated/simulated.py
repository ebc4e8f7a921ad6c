"""Clients in the coordinator's own process: everything of a run is real, but for HTTP and the clients' processes.

The coordinator, its record, the clients' functions and what these keep at their sites are the product's own; each task
and each reply is encoded to the bytes that travel and decoded from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import skerry
from skerry.learn.federated import Federation, Plan
from skerry.learn.federated.coordinator.conversation import Done
from skerry.learn.federated.coordinator.stub import clients

MSGPACK = "application/msgpack"


class SimulatedFunction:
    """A function that is called through the bytes of its messages.

    Args:
        name: Of the function: ``start``, ``fit`` or ``evaluate``.
        handler: What the client does with a task that has arrived.

    Attributes:
        after: Called with the task, after the client has worked on it.
        bytes_down: Of the tasks so far.
        bytes_up: Of the replies so far.
    """

    def __init__(self, name: str, handler: Callable[[Any], Any]) -> None:
        self._signature = clients.functions[name].signature
        self._handler = handler
        self.after: Callable[[Any], None] | None = None
        self.bytes_down = 0
        self.bytes_up = 0

    def remote(self, task: Any) -> Any:
        """Return the reply to a task, as it has arrived."""
        sent = self._signature.encode_call((task,), {}, MSGPACK)
        (received,), _ = self._signature.decode_call(sent, MSGPACK)
        reply = self._handler(received)
        if self.after is not None:
            self.after(received)
        answered, _, _ = self._signature.encode_result(reply, MSGPACK)
        self.bytes_down += len(sent)
        self.bytes_up += len(answered)
        return self._signature.decode_result(answered, MSGPACK)

    def spawn(self, task: Any) -> Done[Any]:
        """Have the client answer, and wait for it."""
        return Done(self.remote(task))


class SimulatedFederation(Federation):
    """A run with simulated clients.

    Args:
        folder: Of the run.
        plan: What it does.
        functions: What all clients do, by the function's name.
    """

    def __init__(self, folder: Path, plan: Plan, functions: Mapping[str, SimulatedFunction]) -> None:
        super().__init__(folder, plan)
        self._functions = functions

    def _apps(self, plan: Plan) -> dict[str, Any]:
        return dict.fromkeys(plan.names, self._functions)


def functions_of(app: skerry.App) -> dict[str, SimulatedFunction]:
    """Return an app's functions, to be called in this process."""
    return {name: SimulatedFunction(name, function.handler) for name, function in app.functions.items()}
