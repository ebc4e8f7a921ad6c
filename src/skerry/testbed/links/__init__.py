"""Emulated links: delay, jitter, loss, rate, duplication and reordering between the places of a testbed."""

from skerry.testbed.links.base import DirectionName, DirectionReport, End, Link, LinkReport
from skerry.testbed.links.conditions import BurstLoss, Conditions, LinkConditions
from skerry.testbed.links.means import Means, choose_means, detect_means
from skerry.testbed.links.netem import NetemLink
from skerry.testbed.links.relay import RelayLink
from skerry.testbed.links.schedule import Schedule, Step, read_trace
from skerry.testbed.links.scheduler import Scheduler, Tally
from skerry.testbed.links.selftest import QUICK, SelfTest, SelfTestReport, measure_link, require_passed
from skerry.testbed.links.tun import TunLink

__all__ = [
    "QUICK",
    "BurstLoss",
    "Conditions",
    "DirectionName",
    "DirectionReport",
    "End",
    "Link",
    "LinkConditions",
    "LinkReport",
    "Means",
    "NetemLink",
    "RelayLink",
    "Schedule",
    "Scheduler",
    "SelfTest",
    "SelfTestReport",
    "Step",
    "Tally",
    "TunLink",
    "choose_means",
    "detect_means",
    "measure_link",
    "read_trace",
    "require_passed",
]
