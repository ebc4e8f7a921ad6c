"""Which steps of a run may go now: a state machine without I/O.

It is told how each step has ended, and says what is to be done next. Told the same ends in the same order, it says the
same: a run goes on after a death by telling a new machine what is on record.

A step is known by its path: ``2`` is the third step, ``2/17/0`` the first one done for item 17 of it, ``3/left/0`` the
first one of a branch, ``3/?`` the question which branch, and ``1~`` what undoes step 1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from skerry.events.chain.values import join_list, read_text, split_list
from skerry.spec import Retry
from skerry.spec.chain import STEP_RETRY, CallStep, ChainPlan, ChoiceStep, EachStep, ParallelStep, Step, WaitStep

UNFIT = 422  # as a function says of a value that does not fit
TOO_LARGE = 413
MOST_BYTES = 512 * 2**20  # of what a step or a run ends with: SQLite keeps no row of more than a billion


class Task(NamedTuple):
    """What is to be done.

    Args:
        path: The step's.
        function: Whom to call; empty where only time has to pass.
        value: What it is given; of a wait, what it hands on.
        retry: What becomes of it when its function fails.
        wait_s: How long to wait, seconds.
    """

    path: str
    function: str
    value: bytes
    retry: Retry = STEP_RETRY
    wait_s: float = 0.0


class Fault(NamedTuple):
    """Why a step has failed for good.

    Args:
        path: The step's.
        code: HTTP status of the last answer.
        message: What it said.
    """

    path: str
    code: int
    message: str


End = bytes | Fault
Then = Callable[[End], None]


@dataclass(slots=True)
class Scope:
    """What is undone together: the steps of the run, or of one item.

    Args:
        undos: What undoes the steps that are done, in the order of their end.
    """

    undos: list[Task] = field(default_factory=list)


class Machine:
    """One run of a plan.

    Args:
        plan: What is to be done.
        value: What the first step is given.

    Attributes:
        tasks: What is to be done now, by path, in the order in which it came up.
        end: The result, or why the run has failed; none while it goes on.
        dead: Items that were left out.
        stuck: What could not be undone.
    """

    def __init__(self, plan: ChainPlan, value: bytes) -> None:
        self.tasks: dict[str, Task] = {}
        self.end: End | None = None
        self.dead: list[Fault] = []
        self.stuck: list[Fault] = []
        self._plan = plan
        self._then: dict[str, Then] = {}
        self._root = Scope()
        self._sequence(plan.steps, "", value, self._root, self._finish)

    def settle(self, path: str, end: End) -> None:
        """Take note that a task has ended.

        Args:
            path: The task's; one of `tasks`.
            end: What its function has returned, or why it has failed for good.
        """
        del self.tasks[path]
        self._then.pop(path)(end)

    # Inside

    def _finish(self, end: End) -> None:
        if not isinstance(end, Fault) and len(end) > MOST_BYTES:
            last = str(len(self._plan.steps) - 1)
            end = Fault(last, TOO_LARGE, f"the result has {len(end)} bytes, and a run keeps {MOST_BYTES} at most")
        if isinstance(end, Fault):
            fault = end
            self._undo(self._root, lambda: self._close(fault))
        else:
            self._close(end)

    def _close(self, end: End) -> None:
        self.end = end

    def _add(self, task: Task, then: Then) -> None:
        self.tasks[task.path] = task
        self._then[task.path] = then

    def _sequence(self, steps: Sequence[Step], prefix: str, value: bytes, scope: Scope, then: Then) -> None:
        """Do steps one after the other."""

        def go(number: int, value: bytes) -> None:
            if number == len(steps):
                then(value)
            else:
                self._step(steps[number], f"{prefix}{number}", value, scope, lambda end: ended(number, end))

        def ended(number: int, end: End) -> None:
            if isinstance(end, Fault):
                then(end)
            else:
                go(number + 1, end)

        go(0, value)

    def _step(self, step: Step, path: str, value: bytes, scope: Scope, then: Then) -> None:
        if isinstance(step, CallStep):
            self._call(step, path, value, scope, then)
        elif isinstance(step, WaitStep):
            self._add(Task(path, "", value, wait_s=step.duration_s), then)
        elif isinstance(step, ChoiceStep):
            self._choose(step, path, value, scope, then)
        elif isinstance(step, ParallelStep):
            branches = [(str(number), steps, value) for number, steps in enumerate(step.branches)]
            self._fan(branches, path, scope, lambda ends: then(_all_of(ends)))
        else:
            self._each(step, path, value, scope, then)

    def _call(self, step: CallStep, path: str, value: bytes, scope: Scope, then: Then) -> None:
        def ended(end: End) -> None:
            if step.undo is not None and not isinstance(end, Fault):
                scope.undos.append(Task(f"{path}~", step.undo, end, step.retry))
            then(end)

        self._add(Task(path, step.function, value, step.retry), ended)

    def _choose(self, step: ChoiceStep, path: str, value: bytes, scope: Scope, then: Then) -> None:
        def chosen(end: End) -> None:
            if isinstance(end, Fault):
                then(end)
                return
            name = read_text(end)
            steps = step.branches.get(name) if name is not None else None
            if steps is None and step.otherwise is not None:
                name, steps = "otherwise", step.otherwise
            if steps is None:
                there = ", ".join(step.branches)
                then(Fault(path, UNFIT, f"function {step.function!r} chose {name!r:.80}; the branches are: {there}"))
            else:
                self._sequence(steps, f"{path}/{name}/", value, scope, then)

        self._add(Task(f"{path}/?", step.function, value, step.retry), chosen)

    def _fan(
        self,
        branches: Sequence[tuple[str, Sequence[Step], bytes]],
        path: str,
        scope: Scope,
        then: Callable[[list[End]], None],
    ) -> None:
        """Do several sequences side by side; go on when all have ended."""
        ends: dict[str, End] = {}

        def ended(name: str, end: End) -> None:
            ends[name] = end
            if len(ends) == len(branches):
                then([ends[name] for name, _, _ in branches])

        for name, steps, value in branches:
            self._sequence(steps, f"{path}/{name}/", value, scope, lambda end, name=name: ended(name, end))  # type: ignore[misc]  # the name is bound now

    def _each(self, step: EachStep, path: str, value: bytes, scope: Scope, then: Then) -> None:
        items = split_list(value)
        if items is None:
            then(Fault(path, UNFIT, "each: the step before has not returned a list"))
        elif items:
            _Items(self, step, path, items, scope, then).go()
        else:
            then(join_list(()))

    def _undo(self, scope: Scope, then: Callable[[], None]) -> None:
        """Undo what a scope has done, the last first; what cannot be undone does not keep the others."""

        def go() -> None:
            if scope.undos:
                task = scope.undos.pop()
                self._add(task, ended)
            else:
                then()

        def ended(end: End) -> None:
            if isinstance(end, Fault):
                self.stuck.append(end)
            go()

        go()


class _Items:
    """The items of one step, some of which are under way."""

    def __init__(
        self, machine: Machine, step: EachStep, path: str, items: Sequence[bytes], scope: Scope, then: Then
    ) -> None:
        self._do, self._undo, self._dead = machine._sequence, machine._undo, machine.dead
        self._step = step
        self._path = path
        self._waiting = deque(enumerate(items))
        self._count = len(items)
        self._scope = scope
        self._then = then
        self._ends: dict[int, End] = {}
        self._under_way = 0
        self._fault: Fault | None = None
        self._is_going = False

    def go(self) -> None:
        """Begin as many items as may be under way, and go on once all have ended."""
        if self._is_going:  # an item that ends at once comes by here within `_begin`
            return
        self._is_going = True
        while self._waiting and self._under_way < self._step.in_flight and self._fault is None:
            number, value = self._waiting.popleft()
            self._under_way += 1
            self._begin(number, value)
        self._is_going = False
        if self._under_way:
            return
        if self._fault is not None:
            self._then(self._fault)
        else:
            ends = [self._ends[number] for number in range(self._count)]
            self._then(join_list([end for end in ends if not isinstance(end, Fault)]))

    def _begin(self, number: int, value: bytes) -> None:
        own = Scope()

        def ended(end: End) -> None:
            if isinstance(end, Fault) and self._step.poison == "dead":
                self._undo(own, lambda: self._ended(number, end))
            else:
                self._scope.undos += own.undos
                self._ended(number, end)

        self._do(self._step.steps, f"{self._path}/{number}/", value, own, ended)

    def _ended(self, number: int, end: End) -> None:
        self._under_way -= 1
        self._ends[number] = end
        if isinstance(end, Fault):
            if self._step.poison == "dead":
                self._dead.append(end)
            elif self._fault is None:
                self._fault = end
        self.go()


def _all_of(ends: Sequence[End]) -> End:
    """Return the list of results, or the first fault."""
    values: list[bytes] = []
    for end in ends:
        if isinstance(end, Fault):
            return end
        values.append(end)
    return join_list(values)
