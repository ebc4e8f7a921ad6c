"""Measures a link before an experiment trusts it, idle and with a busy machine, and fails when it is not as it was set.

Delay means the time from the sender's clock reading to the kernel's stamp on arrival, one way; jitter is its standard
deviation. *Loaded* means: every processor busy with other work, and a stream of other packets both ways on the link.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from skerry.errors import PlatformError
from skerry.testbed.links.background import background
from skerry.testbed.links.base import DIRECTIONS, DirectionReport, End, Link
from skerry.testbed.links.conditions import Conditions, LinkConditions
from skerry.testbed.links.distribution import quantiles
from skerry.testbed.links.jitter import SPAN_DEVIATIONS
from skerry.testbed.links.verdict import (
    Finding,
    judge_delay,
    judge_loss,
    judge_missed,
    judge_rate,
    loss_inflation,
    loss_interval,
)

PROBE_BYTES = 92
RATE_PROBE_BYTES = 1400
# Probes take at most this share of a rate, and come no closer together than this.
PROBE_SHARE = 0.2
LEAST_INTERVAL_S = 0.0002
STREAM_MBPS = 20.0
STREAM_PACKETS_PER_S = 2000.0
OFFERED_RATIO = 1.2
TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """How thoroughly a link is measured.

    Args:
        packets: Probes each way, per state of the machine.
        draws: Independent random delays that the probes are to see; they are spread over as much time.
        loaded: Whether to measure a second time, with a busy machine.
        rate_s: How long more is sent than a rate lets through, per direction; 0 leaves the rate out.
    """

    packets: int = 20_000
    draws: int = 1000
    loaded: bool = True
    rate_s: float = 2.0


QUICK = SelfTest(packets=2000, draws=100, loaded=False, rate_s=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestReport:
    """What a self-test has found, as plain data.

    Args:
        means: How the link is emulated.
        facts: What the means says of itself.
        conditions: What was set, by direction.
        states: Figures by state of the machine (``idle``, ``loaded``): round trip, and per direction delay, loss with
            its 95 % interval, overtaken and duplicated packets, lateness.
        rate_mbps: What came through when more was sent, by direction; empty for a link without a rate.
        findings: Each quantity with its bounds, and whether it passed.
    """

    means: str
    facts: dict[str, Any]
    conditions: dict[str, Any]
    states: dict[str, Any]
    rate_mbps: dict[str, float]
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
    conditions = link.conditions
    states: dict[str, Any] = {}
    findings: list[dict[str, Any]] = []
    for state in ("idle", "loaded") if plan.loaded else ("idle",):
        figures, found = _measure_state(link, ends, plan, loaded=state == "loaded")
        states[state] = figures
        findings += [{"state": state, **finding.to_dict()} for finding in found]
    rates: dict[str, float] = {}
    for name, (sender, receiver) in zip(DIRECTIONS, (ends, ends[::-1]), strict=True):
        set_to = _of(conditions, name)
        if set_to.rate_mbps and plan.rate_s:
            rates[name] = _measure_rate(sender, receiver, set_to, plan.rate_s)
            findings.append({"state": "idle", **judge_rate(name, set_to, rates[name]).to_dict()})
    report = link.report()
    return SelfTestReport(
        means=report.means,
        facts=report.facts,
        conditions=report.conditions,
        states=states,
        rate_mbps=rates,
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
        f"({f['low']:.4g} to {f['high']:.4g} passes)"
        for f in failed
    )
    raise PlatformError(
        f"the link {name} ({report.means}) is not what it was set to: {said}. The machine does not keep up: end what "
        "else runs on it, or ask for less",
        report=report.to_dict(),
    )


def _measure_state(
    link: Link, ends: tuple[End, End], plan: SelfTest, *, loaded: bool
) -> tuple[dict[str, Any], list[Finding]]:
    conditions = link.conditions
    both = [_of(conditions, name) for name in DIRECTIONS]
    stream_mbps, stream_bytes = _stream(both)
    before = link.report()
    with background(ends, stream_mbps=stream_mbps, stream_bytes=stream_bytes) if loaded else nullcontext():
        said = _run_probe(
            {
                "measure": "delay",
                "first": _place(ends[0]),
                "second": _place(ends[1]),
                "packets": plan.packets,
                "interval_s": _interval_s(both, plan),
                "size_bytes": PROBE_BYTES,
                "pings": min(plan.packets, plan.draws),
                "longest_s": _longest_s(both),
            }
        )
    after = link.report()
    findings: list[Finding] = []
    figures: dict[str, Any] = {"round_trip": said["round_trip"], "took_s": said["took_s"]}
    for name in DIRECTIONS:
        what, probed = _of(conditions, name), said[name]
        if probed["delay"]["count"]:
            findings += judge_delay(name, what, probed["delay"], size_bytes=PROBE_BYTES, took_s=said["took_s"])
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
    if loaded:
        figures["stream_mbps"] = stream_mbps
    return figures, findings


def _measure_rate(sender: End, receiver: End, conditions: Conditions, seconds: float) -> float:
    rate = conditions.rate_mbps or 0.0
    # A slow link needs some dozens of packets to be measured at all.
    needed_s = max(seconds, 60 * RATE_PROBE_BYTES * 8 / (rate * 1e6))
    said = _run_probe(
        {
            "measure": "rate",
            "first": _place(sender),
            "second": _place(receiver),
            "offered_mbps": rate * OFFERED_RATIO / max(0.05, 1 - conditions.loss),
            "seconds": needed_s,
            "size_bytes": RATE_PROBE_BYTES,
            "longest_s": _longest_s([conditions]),
        }
    )
    return float(said["rate_mbps"])


def _run_probe(order: dict[str, Any]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "skerry.testbed.links.probe"],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PlatformError(f"the self-test of a link has not ended within {TIMEOUT_S:g} s") from error
    if done.returncode:
        raise PlatformError(f"the self-test of a link failed: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _interval_s(both: list[Conditions], plan: SelfTest) -> float:
    """Return the distance of probes: all of them, over the time in which enough independent delays happen."""
    took_s = 0.0
    interval_s = LEAST_INTERVAL_S
    for conditions in both:
        kept = conditions.jitter_correlation_ratio
        draws = plan.draws * (1 + kept) / (1 - kept)
        if not conditions.jitter_reorders:
            took_s = max(took_s, draws * SPAN_DEVIATIONS * conditions.jitter_ms / 1000)
        if conditions.rate_mbps:
            interval_s = max(interval_s, PROBE_BYTES * 8 / (conditions.rate_mbps * 1e6) / PROBE_SHARE)
    return max(interval_s, took_s / plan.packets)


def _stream(both: list[Conditions]) -> tuple[float, int]:
    """Return rate and packet length of the other packets on the link, which must not make a queue of note."""
    slowest = min((c.rate_mbps or math.inf for c in both), default=math.inf)
    if slowest == math.inf:
        size_bytes = RATE_PROBE_BYTES
    else:
        shortest_ms = min(max(c.delay_ms, 1.0) for c in both)
        size_bytes = int(min(RATE_PROBE_BYTES, max(PROBE_BYTES, 0.01 * shortest_ms * slowest * 1e3 / 8)))
    mbps = min(STREAM_MBPS, PROBE_SHARE * slowest, STREAM_PACKETS_PER_S * size_bytes * 8 / 1e6)
    return mbps, size_bytes


def _longest_s(both: list[Conditions]) -> float:
    longest_ms = max(c.delay_ms + c.jitter_ms * quantiles(c.jitter_distribution)[-1] for c in both)
    queue_s = max(c.queue_limit_bytes * 8 / (c.rate_mbps * 1e6) if c.rate_mbps else 0.0 for c in both)
    return longest_ms / 1000 + queue_s


def _of(conditions: LinkConditions, name: str) -> Conditions:
    return conditions.forward if name == "forward" else conditions.backward


def _counts(report: Any, name: str) -> DirectionReport:
    counts: DirectionReport = report.forward if name == "forward" else report.backward
    return counts


def _since(before: DirectionReport, after: DirectionReport) -> tuple[int, int]:
    return after.missed - before.missed, after.packets - before.packets


def _place(end: End) -> dict[str, Any]:
    return {"namespace": end.namespace, "address": end.address}
