"""The network of a testbed: namespaces, links between them, and routes over several links."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from skerry.errors import PlatformError
from skerry.testbed.links import NetemLink, SelfTest, SelfTestReport, TunLink, measure_link, require_passed
from skerry.testbed.links.namespace import add_namespace, kernel_value, run_tool, set_kernel_value
from skerry.testbed.links.process_link import ProcessLink
from skerry.testbed.topology.addressing import Plan
from skerry.testbed.topology.cleanup import MARK_VARIABLE
from skerry.testbed.topology.routing import next_hops
from skerry.testbed.topology.topology import Topology

PREFERRED_CONTROL = "bbr"
# How often a link is measured before it counts as failed: somebody else's moment of load is not the machine's fault.
ATTEMPTS = 3
STARTERS = 4


def make_links(topology: Topology, plan: Plan, folder: Path, *, means: str, mark: str) -> dict[str, ProcessLink]:
    """Return the links of a topology by name; none is up.

    Args:
        topology: What is declared.
        plan: Names and addresses.
        folder: Below which each link has its own.
        means: ``netem`` or ``tun``.
        mark: The testbed's.
    """
    kind = {"netem": NetemLink, "tun": TunLink}[means]
    return {
        link.name: kind(
            ends,
            link.conditions,
            folder / link.name,
            # A seed of its own for each link: else all of them would lose the same packets.
            seed=topology.seed * 100_003 + index,
            schedules=link.schedules,
            variables={MARK_VARIABLE: mark},
        )
        for index, (link, ends) in enumerate(zip(topology.links, plan.ends, strict=True))
    }


def build_network(topology: Topology, plan: Plan, links: Mapping[str, ProcessLink]) -> str:
    """Make namespaces, bring links up and set routes; return the TCP congestion control that holds in all of them.

    Raises:
        PlatformError: the machine cannot, or has no such congestion control.
    """
    control = choose_control(topology.congestion_control)
    for name, namespace in plan.namespaces.items():
        add_namespace(namespace)
        for key, value in (
            ("ip_forward", "1"),
            # A path may have another way back.
            ("conf.all.rp_filter", "0"),
            ("conf.default.rp_filter", "0"),
            ("tcp_congestion_control", control),
            # A connection must not know what an earlier one has learnt: repeats would not be alike.
            ("tcp_no_metrics_save", "1"),
        ):
            set_kernel_value(namespace, f"net.ipv4.{key}", value)
        run_tool(["ip", "-n", namespace, "addr", "add", f"{plan.addresses[name]}/32", "dev", "lo"])
    with ThreadPoolExecutor(STARTERS) as starters:
        list(starters.map(lambda link: link.up(), links.values()))
    for name, lines in route_lines(topology, plan).items():
        run_tool(["ip", "-n", plan.namespaces[name], "-batch", "-"], stdin="\n".join(lines) + "\n")
    return control


def route_lines(topology: Topology, plan: Plan) -> dict[str, list[str]]:
    """Return for each node the lines that ``ip -batch`` sets its routes by; pure."""
    ways: dict[tuple[str, str], tuple[str, str]] = {}
    for link, (first, second) in zip(topology.links, plan.ends, strict=True):
        ways[link.a, link.b] = (second.address, first.interface)
        ways[link.b, link.a] = (first.address, second.interface)
    lines: dict[str, list[str]] = {}
    for name, hops in next_hops(topology).items():
        own = plan.addresses[name]
        lines[name] = [
            f"route add {plan.addresses[target]}/32 via {ways[name, hop][0]} dev {ways[name, hop][1]} src {own}"
            for target, hop in hops.items()
        ]
    return lines


def choose_control(wanted: str | None) -> str:
    """Return the TCP congestion control to set: the wanted one, or BBR where the kernel has it.

    Raises:
        PlatformError: the kernel does not have the wanted one.
    """
    known = kernel_value(None, "net.ipv4.tcp_available_congestion_control").split()
    if wanted is None:
        return (
            PREFERRED_CONTROL if PREFERRED_CONTROL in known else kernel_value(None, "net.ipv4.tcp_congestion_control")
        )
    if wanted not in known:
        # A module that is not loaded is not listed; the kernel loads it when it is asked for.
        with suppress(PlatformError):
            run_tool(["modprobe", f"tcp_{wanted}"])
        known = kernel_value(None, "net.ipv4.tcp_available_congestion_control").split()
    if wanted not in known:
        raise PlatformError(f"this kernel has no TCP congestion control {wanted!r}; it has {', '.join(known)}")
    return wanted


def measure_network(
    topology: Topology, plan: Plan, links: Mapping[str, ProcessLink], self_test: SelfTest
) -> dict[str, SelfTestReport]:
    """Measure every link, one after the other, and fail on the first that is not what it was set to.

    Links with a schedule are measured under their own conditions; the schedule begins anew afterwards.

    Raises:
        PlatformError: with the figures.
    """
    reports: dict[str, SelfTestReport] = {}
    for planned, ends in zip(topology.links, plan.ends, strict=True):
        link = links[planned.name]
        for attempt in range(1, ATTEMPTS + 1):
            reports[planned.name] = measure_link(link, ends, self_test)
            if reports[planned.name].passed:
                break
            if attempt == ATTEMPTS:
                require_passed(planned.name, reports[planned.name])
    return reports
