"""Emulated links: delay, jitter, loss, rate, duplication and reordering between the places of a testbed."""

from skerry.testbed.links.base import DirectionName, DirectionReport, End, Link, LinkReport
from skerry.testbed.links.conditions import BurstLoss, Conditions, LinkConditions
from skerry.testbed.links.schedule import Schedule, Step, read_trace
from skerry.testbed.links.scheduler import Scheduler, Tally
from skerry.testbed.links.tun import TunLink

__all__ = [
    "BurstLoss",
    "Conditions",
    "DirectionName",
    "DirectionReport",
    "End",
    "Link",
    "LinkConditions",
    "LinkReport",
    "Schedule",
    "Scheduler",
    "Step",
    "Tally",
    "TunLink",
    "read_trace",
]
