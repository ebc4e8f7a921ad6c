"""Chains: functions of an app that run after one another, side by side, or instead of one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from skerry.app.function import BaseFunction
from skerry.errors import SpecError, UserError
from skerry.spec import Retry
from skerry.spec.chain import (
    STEP_RETRY,
    CallStep,
    ChainPlan,
    ChoiceStep,
    EachStep,
    Mode,
    ParallelStep,
    Step,
    WaitStep,
)

if TYPE_CHECKING:
    from skerry.app.chain import Chain
    from skerry.spec import Scale

Part = BaseFunction[Any, Any] | Step
Parts = Part | Sequence[Part]


def step(
    function: BaseFunction[Any, Any], /, *, undo: BaseFunction[Any, Any] | None = None, retry: Retry | None = None
) -> CallStep:
    """Return a step of a chain that calls a function; a function by itself is one with the default options.

    Args:
        function: A function of the app.
        undo: The function that undoes the step when a later one fails for good; it is given what the step has returned.
        retry: What becomes of the step when its function fails; by default four retries within some seconds.

    Example:
        ``skerry.step(reserve, undo=release)``
    """
    return CallStep(function=_name(function), undo=None if undo is None else _name(undo), retry=retry or STEP_RETRY)


def each(*parts: Part, in_flight: int = 64, poison: str = "dead") -> EachStep:
    """Return a step that takes a list, does steps for each item side by side, and returns their results in order.

    Args:
        parts: What is done for each item.
        in_flight: Most items that are under way at a time.
        poison: What becomes of an item that fails for good: ``dead`` makes it a dead letter of the run, and the others
            go on without it; ``fail`` fails the run.

    Example:
        ``skerry.each(read_page)``
    """
    return EachStep(steps=_steps(parts), in_flight=in_flight, poison=poison)  # type: ignore[arg-type]  # it is checked there


def choice(
    function: BaseFunction[Any, Any], /, branches: Mapping[str, Parts], *, otherwise: Parts | None = None
) -> ChoiceStep:
    """Return a step that asks a function for the name of a branch; the branch is given what the function was given.

    Args:
        function: Returns the name; True and False mean ``true`` and ``false``.
        branches: The steps of each branch by name; an empty list hands on what it is given.
        otherwise: The steps for every other answer; without them such an answer fails the run.

    Example:
        ``skerry.choice(language, {"de": translate, "en": []})``
    """
    return ChoiceStep(
        function=_name(function),
        branches={name: _steps(parts) for name, parts in branches.items()},
        otherwise=None if otherwise is None else _steps(otherwise),
    )


def parallel(*branches: Parts) -> ParallelStep:
    """Return a step that gives several branches the same value side by side, and returns the list of their results.

    Example:
        ``skerry.parallel(count_words, [find_names, sort_names])``
    """
    return ParallelStep(branches=tuple(_steps(parts) for parts in branches))


def wait(duration: str, /) -> WaitStep:
    """Return a step that hands on what it is given once a time has passed, be the engine restarted meanwhile or not.

    Args:
        duration: How long, with its unit; at most 31 days.

    Example:
        ``skerry.wait("10m")``
    """
    return WaitStep(duration=duration)


class HasChains:
    """The part of an app that has chains; an app is one of these."""

    name: str
    _functions: dict[str, BaseFunction[Any, Any]]
    _chains: dict[str, Chain]

    @property
    def chains(self) -> Mapping[str, Chain]:
        """The chains by name."""
        return MappingProxyType(self._chains)

    def chain(
        self,
        name: str,
        parts: Sequence[Part],
        /,
        *,
        mode: Mode = "separated",
        memory: str | None = None,
        timeout: str = "300s",
        scale: Scale | None = None,
    ) -> Chain:
        """Declare a chain: each step is given what the one before has returned, and a run of it survives any death.

        Write it at the top level of the app's file, below its functions. What a step returns must be what the next one
        takes. A step whose result is on record is never run again; one that was under way when something died is, with
        the same `skerry.context().step`.

        Args:
            name: Name of the chain, and of the function whose workers do fused runs.
            parts: Functions of the app, and what `skerry.step`, `skerry.each`, `skerry.choice`, `skerry.parallel` and
                `skerry.wait` return.
            mode: ``separated`` calls each function in its own workers; ``fused`` does the steps one after the other in
                one call of a worker. A run may choose otherwise.
            memory: Memory that a worker of fused runs may hold.
            timeout: Longest call of a fused run, which goes on with the next one where it was.
            scale: Bounds and behaviour of the workers of fused runs.

        Raises:
            SpecError: steps do not fit each other, or an option is out of range.
            NameTakenError: the app has a function of this name already.

        Example:
            ``report = app.chain("report", [fetch, skerry.each(read_page), join])``
        """
        from skerry.app.chain import Chain
        from skerry.app.chain_types import Types

        plan = ChainPlan(steps=_steps(parts), mode=mode)
        gives = Types(name, self._functions).check(plan.steps)
        options: dict[str, Any] = {
            "chain": plan,
            "memory": memory,
            "timeout": timeout,
            **({} if scale is None else {"scale": scale}),
        }
        if any(self._functions[called].options.get("local") for called in plan.functions):
            options["local"] = True  # what a local function is given and returns passes through the chain's workers
        function = self._declare(_handler(name, self._functions), name, options)
        self._chains[name] = Chain(function, plan, self._functions, gives)
        return self._chains[name]

    def _declare(self, handler: Callable[..., Any], name: str, options: Mapping[str, Any]) -> BaseFunction[Any, Any]:
        raise NotImplementedError


def _handler(name: str, functions: Mapping[str, BaseFunction[Any, Any]]) -> Callable[..., Any]:
    def fused(work: Any) -> Iterator[list[Any]]:
        """Do what is left of a run in this worker."""
        from skerry.app.fusing import run_fused

        if not (isinstance(work, dict) and work.keys() >= {"run", "plan", "value"}):
            raise UserError(
                f"{name!r} is a chain, which an engine runs: POST /chains/{name}/runs, or skerry chains run {name}"
            )
        yield from run_fused(functions, work)

    fused.__name__ = fused.__qualname__ = name
    return fused


def _name(function: Any) -> str:
    if not isinstance(function, BaseFunction):
        raise SpecError(f"{function!r:.80} is no function of an app: decorate it with @app.function", field="chain")
    return function.name


def _steps(parts: Parts) -> tuple[Step, ...]:
    given = (parts,) if isinstance(parts, BaseFunction | Step) else tuple(parts)
    return tuple(part if isinstance(part, Step) else CallStep(function=_name(part)) for part in given)
