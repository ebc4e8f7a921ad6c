"""What parts of a plan go together; looked at before anybody is asked for anything."""

from __future__ import annotations

from skerry.errors import SpecError
from skerry.learn.federated.plan import Plan

AVERAGING = ("fedavg", "fedavgm", "fedprox", "fedadam", "fedyogi", "fedadagrad")
"""Strategies that need nothing of a round but the mean of its updates."""
REMEMBERING = (*AVERAGING, "fednova")
"""Those for which an update is as good in a later round."""


def check_plan(plan: Plan) -> None:
    """Refuse a plan whose parts contradict each other.

    Raises:
        SpecError: they do; the message says which, and what to do.
    """
    if plan.strategy == "scaffold" and (plan.privacy or plan.central):
        _refuse(
            "strategy scaffold sends control variates, which differential privacy does not protect: "
            "take another strategy, or leave privacy out"
        )
    if plan.remember_rounds:
        _check_remembering(plan)


def _check_remembering(plan: Plan) -> None:
    if plan.strategy not in REMEMBERING:
        _refuse(
            f"remember_rounds does not go with strategy {plan.strategy}, which takes replies for those of one round: "
            f"take one of {', '.join(REMEMBERING)}"
        )
    if plan.privacy or plan.central:
        _refuse(
            "remember_rounds does not go with differential privacy: an update that counts in several rounds brings its "
            "noise, or what the noise was to hide, into each of them; leave one of the two out"
        )


def _refuse(message: str) -> None:
    raise SpecError(message)
