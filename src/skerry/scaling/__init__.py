"""Pure policies: how many workers a function should have."""

from skerry.scaling.reactive import Decision, Observation, ReactivePolicy, Reason

__all__ = [
    "Decision",
    "Observation",
    "ReactivePolicy",
    "Reason",
]
