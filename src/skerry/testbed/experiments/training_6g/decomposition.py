"""How much of a gain is network, how much is half the data, how much is the algorithm: from arms, and from phases.

Going from the reference in the cloud to the paper's way at the edge changes three things. Each arm in between changes
one of them, so the differences of their medians add up to the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NETWORK_PHASES = ("upload_s", "download_s")
DATA_PHASES = ("compute_s",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one change brings.

    Args:
        cause: What is changed, for people.
        slower: The arm before the change.
        faster: The arm after it.
        gain_s: By how much the median response time falls, in seconds; below 0 where it rises.
    """

    cause: str
    slower: str
    faster: str
    gain_s: float


STEPS = (
    ("our algorithm", "cloud-reference", "cloud"),
    ("half the data in each of two functions", "cloud", "cloud-split"),
    ("the network", "cloud-split", "edge-split"),
)
"""The changes on the way from the reference in the cloud to the paper's way at the edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseGain:
    """What the phases of two arms say about the gain between them, in seconds; the three add up to it.

    Args:
        network_s: Less upload and download.
        data_s: Less compute.
        rest_s: Everything else.
    """

    network_s: float
    data_s: float
    rest_s: float

    @property
    def whole_s(self) -> float:
        """The gain."""
        return self.network_s + self.data_s + self.rest_s


def decompose_by_arms(medians: Mapping[str, float]) -> list[Step]:
    """Return what each change brings, for those whose two arms are there.

    Args:
        medians: Median response time by arm, in seconds.
    """
    return [
        Step(cause=cause, slower=slower, faster=faster, gain_s=medians[slower] - medians[faster])
        for cause, slower, faster in STEPS
        if slower in medians and faster in medians
    ]


def decompose_by_phases(slower: Mapping[str, float], faster: Mapping[str, float]) -> PhaseGain:
    """Return how the gain between two arms divides over the phases.

    Args:
        slower: Mean seconds by phase of the slower arm; the phases add up to its mean response time.
        faster: The same of the faster arm, with the same phases.
    """
    gains = {phase: slower[phase] - faster[phase] for phase in slower}
    return PhaseGain(
        network_s=sum(gains[phase] for phase in NETWORK_PHASES),
        data_s=sum(gains[phase] for phase in DATA_PHASES),
        rest_s=sum(gain for phase, gain in gains.items() if phase not in NETWORK_PHASES + DATA_PHASES),
    )
