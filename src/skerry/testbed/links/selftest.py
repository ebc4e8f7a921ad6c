"""Measures a link before an experiment trusts it, idle and with a busy machine, and fails when it is not as it was set.

Delay means the time from the sender's clock reading to the kernel's stamp on arrival, one way; jitter is its standard
deviation. *Loaded* means: every processor busy with other work, and a stream of other packets both ways on the link.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from skerry.errors import PlatformError
from skerry.testbed.links.background import background
from skerry.testbed.links.base import DIRECTIONS, DirectionReport, End, Link
from skerry.testbed.links.conditions import Conditions
from skerry.testbed.links.probe_plan import (
    OFFERED_RATIO,
    PROBE_BYTES,
    QUICK,
    RATE_PROBE_BYTES,
    SelfTest,
    delay_order,
    longest_s,
    of_direction,
    place_of,
    run_probe,
    stream_of,
)
from skerry.testbed.links.verdict import (
    Finding,
    judge_delay,
    judge_loss,
    judge_missed,
    judge_rate,
    loss_inflation,
    loss_interval,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestReport:
    """What a self-test has found, as plain data.

    Args:
        means: How the link is emulated.
        facts: What the means says of itself.
        conditions: What was set, by direction.
        states: Figures by state of the machine (``idle``, ``loaded``): round trip, and per direction delay, loss with
            its 95 % interval, overtaken and duplicated packets, lateness, and for a link with a rate ``rate_mbps``:
            what came through when more was sent. ``machine`` says how much of the time a processor was slow (None where
            it cannot be told), and ``clear`` in a direction is the delay of the packets that met none of it.
        findings: Each quantity with its bounds, and whether it passed.
    """

    means: str
    facts: dict[str, Any]
    conditions: dict[str, Any]
    states: dict[str, Any]
    findings: list[dict[str, Any]]

    @property
    def passed(self) -> bool:
        """Whether every quantity is within its bounds."""
        return all(finding["passed"] for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {**asdict(self), "passed": self.passed}


def measure_link(link: Link, ends: tuple[End, End], plan: SelfTest = QUICK) -> SelfTestReport:
    """Measure a link between namespaces that is up, and compare it with its conditions.

    Args:
        link: The link.
        ends: Its ends.
        plan: How thoroughly.

    Returns:
        All figures, whether they passed or not; :func:`require_passed` fails on those that did not.

    Raises:
        PlatformError: nothing could be measured.
    """
    states: dict[str, Any] = {}
    findings: list[dict[str, Any]] = []
    for state in ("idle", "loaded") if plan.loaded else ("idle",):
        figures, found = _measure_state(link, ends, plan, loaded=state == "loaded")
        states[state] = figures
        findings += [{"state": state, **finding.to_dict()} for finding in found]
    report = link.report()
    return SelfTestReport(
        means=report.means,
        facts=report.facts,
        conditions=report.conditions,
        states=states,
        findings=findings,
    )


def require_passed(name: str, report: SelfTestReport) -> None:
    """Fail when a link is not as it was set.

    Raises:
        PlatformError: with the figures in its message, and the whole report in its ``report``.
    """
    failed = [finding for finding in report.findings if not finding["passed"]]
    if not failed:
        return
    said = "; ".join(
        f"{f['state']}, {f['direction']}: {f['quantity']} {f['measured']:.4g} instead of {f['wanted']:.4g} "
        f"({f['low']:.4g} to {f['high']:.4g} passes{_clear_words(f)})"
        for f in failed
    )
    raise PlatformError(
        f"the link {name} ({report.means}) is not what it was set to: {said}. The machine does not keep up"
        f"{_slow_words(report)}: end what else runs on it, or ask for less",
        report=report.to_dict(),
    )


def _clear_words(finding: dict[str, Any]) -> str:
    return "" if finding.get("clear") is None else f"; {finding['clear']:.4g} while the machine was not slow"


def _slow_words(report: SelfTestReport) -> str:
    watched = {name: state["machine"] for name, state in report.states.items() if state.get("machine")}
    if not watched:
        return ""
    shares = ", ".join(f"{machine['slow_ratio']:.1%} of the time {name}" for name, machine in watched.items())
    return f" (it was slow itself for {shares})"


def _measure_state(
    link: Link, ends: tuple[End, End], plan: SelfTest, *, loaded: bool
) -> tuple[dict[str, Any], list[Finding]]:
    conditions = link.conditions
    both = [of_direction(conditions, name) for name in DIRECTIONS]
    stream_mbps, stream_bytes = stream_of(both)
    before = link.report()
    streams = (ends, ends[::-1])
    with background(streams, stream_mbps=stream_mbps, stream_bytes=stream_bytes) if loaded else nullcontext():
        said = run_probe(delay_order(ends, both, plan))
    after = link.report()
    findings: list[Finding] = []
    figures: dict[str, Any] = {"round_trip": said["round_trip"], "took_s": said["took_s"], "machine": said["machine"]}
    for name in DIRECTIONS:
        what, probed = of_direction(conditions, name), said[name]
        if probed["delay"]["count"]:
            findings += judge_delay(
                name,
                what,
                probed["delay"],
                size_bytes=PROBE_BYTES,
                took_s=said["took_s"],
                clear=probed.get("clear"),
            )
        findings.append(judge_loss(name, what, sent=probed["sent"], lost=probed["lost"]))
        missed, packets = _since(_counts(before, name), _counts(after, name))
        findings.append(judge_missed(name, packets=packets, missed=missed))
        interval = loss_interval(probed["lost"], probed["sent"] / loss_inflation(what.loss_burst), of=probed["sent"])
        figures[name] = {
            **probed,
            "loss_ratio": probed["lost"] / probed["sent"],
            "loss_interval": list(interval),
            "loss_within_interval": interval[0] <= what.loss <= interval[1],
            "missed": missed,
            "lateness": _counts(after, name).lateness,
        }
    for name, what, sides in zip(DIRECTIONS, both, streams, strict=True):
        if what.rate_mbps and plan.rate_s:
            # The stream goes the other way: it would take its share of what is measured here.
            busy = background([sides[::-1]], stream_mbps=stream_mbps, stream_bytes=stream_bytes)
            with busy if loaded else nullcontext():
                figures[name]["rate_mbps"] = _measure_rate(*sides, what, plan.rate_s)
            findings.append(judge_rate(name, what, figures[name]["rate_mbps"]))
    if loaded:
        figures["stream_mbps"] = stream_mbps
    return figures, findings


def _measure_rate(sender: End, receiver: End, conditions: Conditions, seconds: float) -> float:
    rate = conditions.rate_mbps or 0.0
    # A slow link needs some dozens of packets to be measured at all.
    needed_s = max(seconds, 60 * RATE_PROBE_BYTES * 8 / (rate * 1e6))
    said = run_probe(
        {
            "measure": "rate",
            "first": place_of(sender),
            "second": place_of(receiver),
            "offered_mbps": rate * OFFERED_RATIO / max(0.05, 1 - conditions.loss),
            "seconds": needed_s,
            "size_bytes": RATE_PROBE_BYTES,
            "longest_s": longest_s([conditions]),
        }
    )
    return float(said["rate_mbps"])


def _counts(report: Any, name: str) -> DirectionReport:
    counts: DirectionReport = report.forward if name == "forward" else report.backward
    return counts


def _since(before: DirectionReport, after: DirectionReport) -> tuple[int, int]:
    return after.missed - before.missed, after.packets - before.packets
