"""What the path of a step says; see `skerry.events.chain.machine`."""

from __future__ import annotations

from collections.abc import Sequence

from skerry.spec.chain import CallStep, ChainPlan, ChoiceStep, EachStep, ParallelStep, Step


def item_of(plan: ChainPlan, path: str) -> int | None:
    """Return the place of the item that is left out when the step of a path fails for good.

    Args:
        plan: The run's plan.
        path: The step's.

    Returns:
        The place in the list of the innermost `each` around the step that leaves items out; none when the run fails.
    """
    steps: Sequence[Step] = plan.steps
    found = None
    parts = _parts(path)
    for number, inside in zip(parts[::2], parts[1::2], strict=False):
        step = steps[int(number)]
        if isinstance(step, EachStep) and step.poison == "dead":
            found = int(inside)
        steps = _inner(step, inside)
    return found


def function_of(plan: ChainPlan, path: str) -> str:
    """Return the name of the function that the step of a path calls, or that undoes it; empty where it calls none.

    Args:
        plan: The run's plan.
        path: The step's.
    """
    steps: Sequence[Step] = plan.steps
    parts = _parts(path)
    for number, inside in zip(parts[::2], parts[1::2], strict=False):
        if inside != "?":
            steps = _inner(steps[int(number)], inside)
    step = steps[int(parts[::2][-1])]
    if isinstance(step, CallStep):
        return (step.undo or "") if path.endswith("~") else step.function
    return step.function if isinstance(step, ChoiceStep) else ""


def _parts(path: str) -> list[str]:
    return path.removesuffix("~").split("/")


def _inner(step: Step, inside: str) -> Sequence[Step]:
    """Return the steps that are done inside of a step, for an item or in a branch."""
    if isinstance(step, EachStep):
        return step.steps
    if isinstance(step, ParallelStep):
        return step.branches[int(inside)]
    if isinstance(step, ChoiceStep) and inside != "?":
        return step.branches.get(inside, step.otherwise or ())
    return ()
