"""What both kinds of emulated networks have in common as places of experiments: their sites, and words about links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skerry.errors import ConfigError
from skerry.testbed.topology import Topology


def require_sites(topology: Topology, names: Sequence[str]) -> None:
    """Fail when a topology lacks a site that an experiment uses.

    Raises:
        ConfigError: with the sites that there are.
    """
    there = [node.name for node in topology.sites]
    missing = [name for name in names if name not in there]
    if missing:
        raise ConfigError(
            f"topology {topology.name!r} has no site {missing[0]!r}, which the experiment uses; it has "
            f"{', '.join(there)}"
        )


def describe_link(link: Mapping[str, Any]) -> dict[str, Any]:
    """Return a link's conditions, and what the self-test measured where it can be compared."""
    found: dict[str, Any] = {}
    report = link.get("report")
    if report is not None:
        found.update({f"set, {name}": _say(values) for name, values in report["conditions"].items()})
    test = link.get("self_test")
    if test is not None:
        found["self-test"] = "passed" if test["passed"] else "failed"
        found["measured"] = [
            f"{finding['state']}, {finding['direction']}: {finding['quantity']} {finding['measured']:.4g} "
            f"(wanted {finding['wanted']:.4g})"
            for finding in test["findings"]
        ]
    return found


def _say(conditions: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in conditions.items() if value not in (None, 0, 0.0, False))
