"""Pure policies: how many workers a function should have."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.scaling.decision import Decision, Observation, Reason
    from skerry.scaling.reactive import ReactivePolicy
    from skerry.scaling.shares import Claim, Shares, fair_shares
else:
    from skerry.lazily import names_of

    __getattr__ = names_of(
        __name__,
        {
            "skerry.scaling.decision": (
                "Decision",
                "Observation",
                "Reason",
            ),
            "skerry.scaling.reactive": ("ReactivePolicy",),
            "skerry.scaling.shares": (
                "Claim",
                "Shares",
                "fair_shares",
            ),
        },
    )

__all__ = [
    "Claim",
    "Decision",
    "Observation",
    "ReactivePolicy",
    "Reason",
    "Shares",
    "fair_shares",
]
