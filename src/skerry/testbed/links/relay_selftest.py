"""Measures a relay, as far as streams can show what a link does: delay, jitter and rate, and no loss."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from skerry.testbed.links.background import background
from skerry.testbed.links.base import DIRECTIONS
from skerry.testbed.links.conditions import Conditions
from skerry.testbed.links.probe_plan import QUICK, SelfTest, interval_s, longest_s, of_direction, run_probe
from skerry.testbed.links.relay import RelayLink
from skerry.testbed.links.selftest import SelfTestReport
from skerry.testbed.links.stream_probe import MESSAGE
from skerry.testbed.links.verdict import Finding, judge_delay, judge_loss, judge_rate

MODULE = "skerry.testbed.links.stream_probe"


def measure_relay(link: RelayLink, plan: SelfTest = QUICK) -> SelfTestReport:
    """Measure a relay that is up; its target must be a port of this machine that is free.

    Args:
        link: The relay.
        plan: How thoroughly; the messages of a stream stand for packets.

    Raises:
        PlatformError: nothing could be measured.
    """
    both = [of_direction(link.conditions, name) for name in DIRECTIONS]
    order: dict[str, Any] = {
        "address": list(link.address),
        "target": list(link.target),
        "longest_s": longest_s(both),
        "packets": plan.packets,
        "interval_s": interval_s(both, plan),
    }
    states: dict[str, Any] = {}
    findings: list[dict[str, Any]] = []
    for state in ("idle", "loaded") if plan.loaded else ("idle",):
        with background() if state == "loaded" else nullcontext():
            states[state] = run_probe({**order, "measure": "delay"}, MODULE)
            found = _judge(states[state], both)
            for name, what in zip(DIRECTIONS, both, strict=True):
                if what.rate_mbps and plan.rate_s and states[state][name]["delay"]["count"]:
                    said = run_probe({**order, "measure": "rate", "direction": name, "seconds": plan.rate_s}, MODULE)
                    states[state][name]["rate_mbps"] = said["rate_mbps"]
                    found.append(judge_rate(name, what, said["rate_mbps"]))
        findings += [{"state": state, **finding.to_dict()} for finding in found]
    report = link.report()
    return SelfTestReport(
        means=report.means,
        facts=report.facts,
        conditions=report.conditions,
        states=states,
        findings=findings,
    )


def _judge(said: dict[str, Any], both: list[Conditions]) -> list[Finding]:
    findings: list[Finding] = []
    for name, what in zip(DIRECTIONS, both, strict=True):
        delay = said[name]["delay"]
        if delay["count"]:
            findings += judge_delay(name, what, delay, size_bytes=MESSAGE.size, took_s=said["took_s"])
        else:  # a cut, or a relay that passes nothing although it should
            findings.append(judge_loss(name, what, sent=said["sent"], lost=said["sent"]))
    return findings
