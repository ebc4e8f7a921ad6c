"""A task's way to its client and back, over sites that come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from skerry.errors import (
    EngineNotRunningError,
    FunctionError,
    JobNotFoundError,
    JobNotReadyError,
    SiteUnreachableError,
    SkerryError,
    TransportError,
)
from skerry.learn.federated.coordinator.room import Room

FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 5.0
WAIT_S = 20.0  # between looks at whether anybody still waits, while a client works
BACK_S = 0.5  # the same at a place that was lost: whether it is back is seen by its first answer
SHORT = "2s"  # a task that takes longer is asked about by its address, which a lost connection does not take away
MAX_FAILURES = 3  # of the function itself, such as workers that die: then it is taken for the task's fault
_LOST = (SiteUnreachableError, EngineNotRunningError, TransportError, JobNotFoundError)

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Spawned(Protocol[R_co]):
    """A call that runs on its own: a `skerry.Job`."""

    def wait(self, timeout_s: float | None = None) -> str:
        """Wait for the call to end, and return its status."""

    def result(self, timeout_s: float | None = None) -> R_co:
        """Wait for the call to end and return its result."""

    @property
    def told_s(self) -> float:
        """How long it took at its place, in seconds, where it had ended when it was spawned; else 0."""

    def cancel(self) -> Any:
        """Stop the call."""


class Spawner(Protocol[R_co]):
    """A function that can be spawned: a `skerry.Function` bound to a place."""

    def spawn(self, task: Any, /) -> Spawned[R_co]:
        """Have the place run the function, and return at once."""


class Contact(Protocol):
    """Is told whether a place answers: `skerry.learn.federated.coordinator.contact.Contact`."""

    @property
    def is_lost(self) -> bool:
        """Whether it did not answer when it was tried last."""

    def failed(self, error: SkerryError) -> None:
        """Take in an error: its place does not answer, or has answered with it."""

    def heard(self) -> None:
        """Take in that it has answered."""


class Door(Protocol):
    """Lets few threads in: `skerry.learn.federated.coordinator.crew.Outcomes`."""

    def enter(self) -> None:
        """Wait for room, unless this thread has it."""

    def leave(self) -> None:
        """Give it back, if this thread has it."""


class Directly(Generic[R]):
    """A function that is called instead of spawned: what need not outlive its caller is told in one exchange.

    Args:
        function: A `skerry.Function` bound to a place.
    """

    def __init__(self, function: Callable[[Any], R]) -> None:
        self._function = function

    def spawn(self, task: Any, /) -> Done[R]:
        """Run the function, and wait for it."""
        return Done(self._function(task))


class Done(Generic[R]):
    """A call that has ended."""

    def __init__(self, value: R) -> None:
        self._value = value

    def wait(self, timeout_s: float | None = None) -> str:
        """Return at once: it has ended."""
        return "succeeded"

    def result(self, timeout_s: float | None = None) -> R:
        """Return what it returned."""
        return self._value

    @property
    def told_s(self) -> float:
        """Return 0: nobody has said how long it took."""
        return 0.0

    def cancel(self) -> None:
        """Do nothing: it has ended."""


A = TypeVar("A")


def spoken_to(function: Any, room: Room) -> Spawner[Any]:
    """Return how a client's function is told its task: as a job that outlives both sides, where its place keeps jobs.

    Where there is room for its model meanwhile, a short task is told and answered in one exchange.

    Elsewhere the coordinator holds one exchange for as long as the client works. When the pod that works is lost, the
    task is sent again; what the pod held is lost with it, and the client then asks for the whole model.
    """
    if not getattr(function, "keeps_jobs", True):
        return Directly(function.remote)
    spawner: Spawner[Any] = function if room.is_scarce else function.with_options(wait=SHORT)
    return spawner


class OpenCalls:
    """The calls whose replies are waited for, each under the number of its talk."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: dict[int, Spawned[Any] | None] = {}  # none while it is being handed over

    def put(self, number: int, job: Spawned[Any] | None) -> None:
        """Note where a talk's call stands; none while its place has not answered yet."""
        with self._changed:
            self._jobs[number] = job
            self._changed.notify_all()

    def drop(self, number: int) -> None:
        """Forget a talk's call."""
        with self._changed:
            self._jobs.pop(number, None)
            self._changed.notify_all()

    def cancel(self, *, limit_s: float) -> None:
        """Stop the calls, for nobody will take their replies: what trains on would be in the way of the next run.

        Args:
            limit_s: Longest time for it; a site that does not answer meanwhile is left alone.
        """
        until_s = time.monotonic() + limit_s
        with self._changed:
            self._changed.wait_for(lambda: None not in self._jobs.values(), timeout=limit_s)
            jobs = [job for job in self._jobs.values() if job is not None]
        threads = [threading.Thread(target=_cancel, args=(job,), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))


@dataclass(slots=True)
class Talk(Generic[A]):
    """One task and its reply.

    Args:
        function: At the client's place.
        short: Makes the task as the client is believed to need it.
        whole: Makes the task with the whole model.
        ended: Set when nobody waits any more.
        room: For models on their way to clients.
        door: Of those that read replies as large as models; none where there is room for all of them.
        calls: Where the call stands for as long as its reply is waited for.
        contact: Told whether the place answers; none where nobody wants to know.
        bytes_down: Counted up: bytes of models that were sent.
        send_s: How long the last sending took, in seconds.
    """

    function: Spawner[A]
    short: Callable[[], Any]
    whole: Callable[[], Any]
    ended: threading.Event
    room: Room
    door: Door | None = None
    calls: OpenCalls = field(default_factory=OpenCalls)
    contact: Contact | None = None
    bytes_down: int = 0
    send_s: float = 0.0

    def run(self) -> A:
        """Return the client's reply; the whole model is sent where the client asks for it.

        Raises:
            SkerryError: there is none: the time is over, nobody waits any more, or the function failed.
        """
        reply = self.ask(self.short)
        return reply if getattr(reply, "status", "done") == "done" else self.ask(self.whole)

    def ask(self, make: Callable[[], Any]) -> A:
        """Return the reply to a task, whatever it says; raises as `run`.

        Args:
            make: Makes the task; again where it has to be sent again, so that it is not held meanwhile.
        """
        job: Spawned[A] | None = None
        pause_s, failures = FIRST_PAUSE_S, 0
        while True:
            try:
                if job is None:
                    if not isinstance(self.function, Directly):  # what is told in one exchange cannot be stopped
                        self.calls.put(id(self), None)
                    job = self._send(make)
                self.calls.put(id(self), job)
                reply = self._wait(job)
                self._heard()
                return reply
            except SkerryError as error:
                self._leave()
                if self.contact is not None and not self.ended.is_set():
                    self.contact.failed(error)
                failures += isinstance(error, FunctionError)
                if self.ended.is_set() or not is_passing(error) or failures >= MAX_FAILURES:
                    raise
                if isinstance(error, FunctionError | JobNotFoundError):
                    job = None
            finally:
                self.calls.drop(id(self))
            if self.ended.wait(pause_s):
                raise JobNotReadyError("nobody waits for the reply any more")
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

    def _send(self, make: Callable[[], Any]) -> Spawned[A]:
        self._leave()  # a client that asks for the whole model brings nothing yet
        # What is told in one exchange is in memory until the client has worked; room for it would let few work at once.
        with nullcontext() if isinstance(self.function, Directly) else self.room.sending():
            task = make()
            began_s = time.monotonic()
            job = self.function.spawn(task)
            self._heard()
            self.send_s = max(0.0, time.monotonic() - began_s - job.told_s)
        model = getattr(task, "model", None)
        self.bytes_down += 0 if model is None else len(model.data)
        return job

    def _wait(self, job: Spawned[A]) -> A:
        while True:
            is_lost = self.contact is not None and self.contact.is_lost
            wait_s = BACK_S if is_lost else WAIT_S
            try:
                if self.door is not None:
                    # One exchange more, and no reply is in memory before there is room for it.
                    if job.wait(timeout_s=wait_s) in ("queued", "running"):
                        raise JobNotReadyError("the client still works")
                    self.door.enter()
                return job.result(timeout_s=wait_s)
            except JobNotReadyError as error:
                self._heard()
                if self.ended.is_set() or error.details.get("status") == "cancelled":
                    _cancel(job)
                    raise

    def _heard(self) -> None:
        if self.contact is not None:
            self.contact.heard()

    def _leave(self) -> None:
        if self.door is not None:
            self.door.leave()


def is_passing(error: SkerryError) -> bool:
    """Return whether what kept a task from being answered may pass: a lost site, a dead worker, a full queue."""
    return error.retryable or isinstance(error, _LOST)


def _cancel(job: Spawned[Any]) -> None:
    try:
        job.cancel()
    except SkerryError:
        return  # the site is gone, and what it ran with it
