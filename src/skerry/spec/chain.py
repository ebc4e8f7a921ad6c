"""The plan of a chain: which functions run after one another, side by side, or instead of one another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

from skerry.errors import SpecError
from skerry.spec.option import build, check_range, check_types
from skerry.spec.quantity import parse_duration
from skerry.spec.retry import Retry

MOST_STEPS = 100
MOST_IN_FLIGHT = 512
BRANCH = re.compile(r"[A-Za-z0-9_-]{1,64}")
LONGEST_WAIT_S = 31 * 86_400.0
Mode = Literal["separated", "fused"]
# A step is tried again four times more within some seconds: somebody may wait for the end of the run.
STEP_RETRY = Retry(attempts=4, delay="200ms", max_delay="10s")


@dataclass(frozen=True, kw_only=True, slots=True)
class CallStep:
    """A step that calls a function with what the step before it has returned.

    Args:
        function: The function's name.
        undo: The function that undoes it when a later step fails for good; it is given what the step has returned.
        retry: What becomes of the step when its function fails.
    """

    function: str
    undo: str | None = None
    retry: Retry = STEP_RETRY

    def __post_init__(self) -> None:
        check_types(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class EachStep:
    """A step that takes a list, and does its inner steps for each item; it returns their results in the items' order.

    Args:
        steps: What is done for each item.
        in_flight: Most items that are under way at a time.
        poison: What an item does that fails for good: it is a dead letter and is left out, or it fails the run.
    """

    steps: tuple[Step, ...]
    in_flight: int = 64
    poison: Literal["dead", "fail"] = "dead"

    def __post_init__(self) -> None:
        check_range("in_flight", self.in_flight, low=1, high=MOST_IN_FLIGHT)
        if self.poison not in ("dead", "fail"):
            raise SpecError(f"poison = {self.poison!r}: write 'dead' or 'fail'", field="poison")
        _require(self.steps, "each")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceStep:
    """A step that asks a function for the name of a branch, and gives the branch what it has given the function.

    Args:
        function: The name of the function, which returns text.
        branches: The steps of each branch, by name; a branch without steps hands on what it is given.
        otherwise: The steps for every other answer; none fails the run.
        retry: What becomes of the step when its function fails.
    """

    function: str
    branches: Mapping[str, tuple[Step, ...]]
    otherwise: tuple[Step, ...] | None = None
    retry: Retry = STEP_RETRY

    def __post_init__(self) -> None:
        object.__setattr__(self, "branches", MappingProxyType(dict(self.branches)))
        for name in self.branches:
            if not isinstance(name, str) or not BRANCH.fullmatch(name):
                raise SpecError(f"choice: branch {name!r}: use letters, digits, - and _, at most 64", field="chain")


@dataclass(frozen=True, kw_only=True, slots=True)
class ParallelStep:
    """A step that gives several branches the same value, and returns the list of their results.

    Args:
        branches: The steps of each branch.
    """

    branches: tuple[tuple[Step, ...], ...]

    def __post_init__(self) -> None:
        for branch in self.branches:
            _require(branch, "parallel")
        if not self.branches:
            raise SpecError("parallel: it needs a branch", field="chain")


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitStep:
    """A step that hands on what it is given once a time has passed; no worker is held, and a restart keeps the end.

    Args:
        duration: How long, with its unit; at most 31 days.
    """

    duration: str
    duration_s: float = field(init=False)

    def __post_init__(self) -> None:
        seconds = parse_duration(self.duration, key="wait")
        check_range("wait (seconds)", seconds, low=0, high=LONGEST_WAIT_S)
        object.__setattr__(self, "duration_s", seconds)


Step = CallStep | EachStep | ChoiceStep | ParallelStep | WaitStep
KINDS: Mapping[str, type[Step]] = MappingProxyType(
    {"call": CallStep, "each": EachStep, "choice": ChoiceStep, "parallel": ParallelStep, "wait": WaitStep}
)
NAMES = {cls: kind for kind, cls in KINDS.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainPlan:
    """What a chain does.

    Args:
        steps: Its steps, each of which is given what the one before has returned.
        mode: ``separated`` calls each step's function in its own workers, ``fused`` runs the steps one after the other
            in one call of the chain's own worker; a run may choose otherwise.

    Raises:
        SpecError: it has no step, or too many.
    """

    steps: tuple[Step, ...]
    mode: Mode = "separated"

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise SpecError(f"mode = {self.mode!r}: write 'separated' or 'fused'", field="mode")
        _require(self.steps, "a chain")
        count = sum(1 for _ in walk(self.steps))
        if count > MOST_STEPS:
            raise SpecError(f"the chain has {count} steps; at most {MOST_STEPS} are allowed", field="chain")

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the functions that it calls, each once, in the order of the plan."""
        found: dict[str, None] = {}
        for step in walk(self.steps):
            if isinstance(step, CallStep | ChoiceStep):
                found[step.function] = None
            if isinstance(step, CallStep) and step.undo is not None:
                found[step.undo] = None
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, in the form that :func:`chain_of` reads."""
        return {"mode": self.mode, "steps": _plain(self.steps)}


def walk(steps: Sequence[Step]) -> list[Step]:
    """Return steps and those inside them, in the order of the plan."""
    found: list[Step] = []
    for step in steps:
        found.append(step)
        for inner in _inside(step):
            found += walk(inner)
    return found


def chain_of(values: Mapping[str, Any], *, where: str) -> ChainPlan:
    """Return the plan that plain values describe.

    Raises:
        SpecError: a key is unknown, or a value has a wrong type or is out of range.
    """
    given = dict(values)
    given["steps"] = _steps_of(given.get("steps", ()), where=f"{where}.steps")
    return build(ChainPlan, given, where=where)


def _inside(step: Step) -> tuple[tuple[Step, ...], ...]:
    if isinstance(step, EachStep):
        return (step.steps,)
    if isinstance(step, ChoiceStep):
        return (*step.branches.values(), *(() if step.otherwise is None else (step.otherwise,)))
    return step.branches if isinstance(step, ParallelStep) else ()


def _require(steps: Sequence[Step], name: str) -> None:
    if not steps:
        raise SpecError(f"{name}: it needs a step", field="chain")


def _plain(steps: Sequence[Step]) -> list[dict[str, Any]]:
    return [{"kind": NAMES[type(step)], **_fields(step)} for step in steps]


def _fields(step: Step) -> dict[str, Any]:
    if isinstance(step, CallStep):
        return {"function": step.function, "undo": step.undo, "retry": step.retry.to_dict()}
    if isinstance(step, EachStep):
        return {"steps": _plain(step.steps), "in_flight": step.in_flight, "poison": step.poison}
    if isinstance(step, ChoiceStep):
        branches = {name: _plain(branch) for name, branch in step.branches.items()}
        otherwise = None if step.otherwise is None else _plain(step.otherwise)
        return {
            "function": step.function,
            "branches": branches,
            "otherwise": otherwise,
            "retry": step.retry.to_dict(),
        }
    if isinstance(step, ParallelStep):
        return {"branches": [_plain(branch) for branch in step.branches]}
    return {"duration": step.duration}


def _steps_of(given: Any, *, where: str) -> tuple[Step, ...]:
    if not isinstance(given, list | tuple):
        raise SpecError(f"{where}: expected a list of steps, got {given!r:.80}", field="chain")
    return tuple(_step_of(one, where=f"{where}[{number}]") for number, one in enumerate(given))


def _step_of(given: Any, *, where: str) -> Step:
    if not isinstance(given, Mapping):
        raise SpecError(f"{where}: expected a step, got {given!r:.80}", field="chain")
    values = dict(given)
    kind = values.pop("kind", None)
    if kind not in KINDS:
        raise SpecError(f"{where}: kind = {kind!r}: must be one of {', '.join(KINDS)}", field="chain")
    if isinstance(values.get("retry"), Mapping):
        values["retry"] = build(Retry, values["retry"], where=f"{where}.retry")
    if values.get("steps") is not None:
        values["steps"] = _steps_of(values["steps"], where=f"{where}.steps")
    if values.get("otherwise") is not None:
        values["otherwise"] = _steps_of(values["otherwise"], where=f"{where}.otherwise")
    branches = values.get("branches")
    if isinstance(branches, Mapping):
        values["branches"] = {name: _steps_of(one, where=f"{where}.{name}") for name, one in branches.items()}
    elif branches is not None:
        values["branches"] = tuple(_steps_of(one, where=f"{where}[{n}]") for n, one in enumerate(branches))
    step: Step = build(KINDS[kind], values, where=where)
    return step
