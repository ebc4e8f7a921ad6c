"""What the path of a step says; see `skerry.events.chain.machine`."""

from __future__ import annotations

from collections.abc import Sequence

from skerry.spec.chain import ChainPlan, ChoiceStep, EachStep, ParallelStep, Step


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
    parts = path.removesuffix("~").split("/")
    for number, inside in zip(parts[::2], parts[1::2], strict=False):
        step = steps[int(number)]
        if isinstance(step, EachStep):
            steps = step.steps
            if step.poison == "dead":
                found = int(inside)
        elif isinstance(step, ParallelStep):
            steps = step.branches[int(inside)]
        elif isinstance(step, ChoiceStep) and inside != "?":
            steps = step.branches.get(inside, step.otherwise or ())
    return found
