"""Measures every means of emulation that this machine has, and prints the table of docs/concepts/links.md.

Run: ``python -m benchmarks.links`` (about six minutes), or with ``--quick`` (under a minute). Needs root for anything
but the relay. Links have the conditions of paper 001, with a rate: 1.25 ms and 15 ms one way, idle and loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from benchmarks.links.uploads import upload_s
from benchmarks.measuring import facts, save
from skerry.testbed.links import (
    Conditions,
    End,
    LinkConditions,
    NetemLink,
    RelayLink,
    SelfTest,
    SelfTestReport,
    TunLink,
    detect_means,
    measure_link,
    measure_relay,
)
from skerry.testbed.links.background import background
from skerry.testbed.links.namespace import (
    add_namespace,
    configure_interface,
    delete_namespace,
    kernel_value,
    run_tool,
)
from skerry.testbed.links.probe_plan import delay_order, run_probe

EDGE = Conditions(delay_ms=1.25, jitter_ms=0.25, loss_ratio=0.0002, rate_mbps=100)
CLOUD = Conditions(delay_ms=15, jitter_ms=3, loss_ratio=0.0024, rate_mbps=20)
SETTINGS = {"edge": EDGE, "cloud": CLOUD}
QUICK = SelfTest(packets=20_000, draws=200, rate_s=0.5)
FULL = SelfTest(packets=20_000, draws=2500, rate_s=5)
UPLOAD_BYTES = 12_000_000
COLUMNS = (
    "Means",
    "Link",
    "State",
    "Direction",
    "Delay, ms",
    "Jitter, ms",
    "by quantiles, ms",
    "Machine slow, % of the time",
    "Delay while not slow, ms",
    "Jitter while not slow, ms",
    "Lost of 20,000",
    "95 % interval, %",
    "Rate, Mbit/s",
    "Late, p99, ms",
)


def main() -> int:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer independent delays: under a minute")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    works = {found.name: found.refusal for found in detect_means()}
    results: dict[str, Any] = {"facts": facts(["skerry"]), "refusals": works, "reports": {}, "uploads": {}}
    results["timer"] = [_timer()]
    print(f"| {' | '.join(COLUMNS)} |")
    print("|" + " --- |" * len(COLUMNS))
    for means, refusal in works.items():
        if refusal is not None:
            print(f"no links by {means} here: {refusal}", file=sys.stderr)
            continue
        for name, conditions in SETTINGS.items():
            report = _measure(means, conditions, plan)
            results["reports"][f"{means}/{name}"] = report.to_dict()
            for line in _lines(report.means, name, report.states):
                print(line, flush=True)
    if works["tun"] is None:
        results["plain"] = _measure_plain(plan)
        for line in _lines("none (veth)", "-", results["plain"]):
            print(line, flush=True)
        results["uploads"] = _uploads(1 if arguments.quick else 5)
    results["timer"].append(_timer())
    for timer in results["timer"]:
        print(
            f"a real-time process that only sleeps wakes {timer['mean_ms']:.3f} ± {timer['deviation_ms']:.3f} ms late, "
            f"p99 {timer['p99_ms']:.3f} ms, at most {timer['max_ms']:.2f} ms"
        )
    if not arguments.quick:
        save("links", results)
    return 0


def _timer() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "benchmarks.links.timer"], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _measure(means: str, conditions: Conditions, plan: SelfTest) -> SelfTestReport:
    both = LinkConditions.same(conditions)
    with tempfile.TemporaryDirectory() as folder:
        if means == "relay":
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            with RelayLink(("127.0.0.1", port), both, Path(folder)) as relay:
                return measure_relay(relay, plan)
        kind = {"netem": NetemLink, "tun": TunLink}[means]
        with _ends() as ends, kind(ends, both, Path(folder), seed=1) as link:
            return measure_link(link, ends, plan)


@contextmanager
def _ends() -> Iterator[tuple[End, End]]:
    names = [f"skb{os.getpid()}{side}" for side in "ab"]
    try:
        for name in names:
            add_namespace(name)
        yield (
            End(namespace=names[0], interface="to-b", address="10.79.0.1"),
            End(namespace=names[1], interface="to-a", address="10.79.0.2"),
        )
    finally:
        for name in names:
            delete_namespace(name)


@contextmanager
def _veth() -> Iterator[tuple[End, End]]:
    """Join two namespaces by a pair of plain interfaces: nothing is emulated, and no process has a part in it."""
    with _ends() as ends:
        first, second = ends
        run_tool(
            f"ip -n {first.namespace} link add {first.interface} type veth "
            f"peer name {second.interface} netns {second.namespace}".split()
        )
        for end, peer in (ends, ends[::-1]):
            configure_interface(end.namespace, end.interface, address=end.address, peer=peer.address)
        yield ends


def _measure_plain(plan: SelfTest) -> dict[str, Any]:
    """Measure what is no link, with the probes of the edge link: what measuring itself adds, and the machine."""
    states: dict[str, Any] = {}
    with _veth() as ends:
        order = delay_order(ends, [EDGE, EDGE], plan)
        for state in ("idle", "loaded"):
            with background() if state == "loaded" else nullcontext():
                states[state] = run_probe(order)
    return states


def _lines(means: str, name: str, states: dict[str, Any]) -> Iterator[str]:
    for state, figures in states.items():
        for direction in ("forward", "backward"):
            found = figures[direction]
            delay, lost, interval, late, rate, clear = found["delay"], "-", "-", "-", "-", ["-", "-", "-"]
            if figures.get("machine") and found["clear"]["count"]:
                slow = f"{figures['machine']['slow_ratio'] * 100:.1f}"
                clear = [slow, *(f"{found['clear'][key]:.3f}" for key in ("mean_ms", "deviation_ms"))]
            if "loss_interval" in found:
                lost = str(found["lost"])
                interval = " to ".join(f"{share * 100:.3f}" for share in found["loss_interval"])
                late = f"{found['lateness']['p99_ms']:.2f}" if found["lateness"] else "-"
            if "rate_mbps" in found:
                rate = f"{found['rate_mbps']:.2f}"
            figures_ms = [f"{delay[key]:.3f}" for key in ("mean_ms", "deviation_ms", "spread_ms")]
            cells = [means, name, state, direction, *figures_ms, *clear]
            yield "| " + " | ".join([*cells, lost, interval, rate, late]) + " |"


def _uploads(repeats: int) -> dict[str, Any]:
    """Measure 12 MB on the cloud link without a rate, and what passes at most, by congestion control."""
    known = kernel_value(None, "net.ipv4.tcp_available_congestion_control").split()
    found: dict[str, Any] = {}
    cases = {"cloud": CLOUD.changed(rate_mbps=None), "edge": EDGE.changed(rate_mbps=None), "plain": Conditions()}
    for name, conditions in cases.items():
        both = LinkConditions.same(conditions)
        with tempfile.TemporaryDirectory() as folder, _ends() as ends, TunLink(ends, both, Path(folder), seed=1):
            for control in sorted({"bbr", "cubic"} & set(known)):
                times_s = [upload_s(ends, UPLOAD_BYTES, control) for _ in range(repeats)]
                found[f"{name}/{control}"] = times_s
                median_s = statistics.median(times_s)
                mbps = UPLOAD_BYTES * 8 / median_s / 1e6
                print(f"12 MB, {name}, {control}: {median_s:.2f} s ({mbps:.0f} Mbit/s)", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
