"""Pure policies: how many workers a function should have."""

from skerry.scaling.decision import Decision, Observation, Reason
from skerry.scaling.reactive import ReactivePolicy
from skerry.scaling.shares import Claim, Shares, fair_shares

__all__ = [
    "Claim",
    "Decision",
    "Observation",
    "ReactivePolicy",
    "Reason",
    "Shares",
    "fair_shares",
]
