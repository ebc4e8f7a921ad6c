"""Load: requests by a plan that nothing delays, and honest figures of what became of them."""

from skerry.testbed.load.plan import ArrivalPlan, ClientPlan, Plan, at_times, bursty, constant, poisson
from skerry.testbed.load.result import Errors, LoadResult, Moment, Times
from skerry.testbed.load.running import run_load
from skerry.testbed.load.target import Target
from skerry.testbed.load.trace import read_trace, replay

__all__ = [
    "ArrivalPlan",
    "ClientPlan",
    "Errors",
    "LoadResult",
    "Moment",
    "Plan",
    "Target",
    "Times",
    "at_times",
    "bursty",
    "constant",
    "poisson",
    "read_trace",
    "replay",
    "run_load",
]
