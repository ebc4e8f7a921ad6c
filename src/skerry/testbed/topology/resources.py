"""Processors and memory of a node: by control groups where this machine lets us, else by what it does let us.

Groups are made below those that this process is in, so that limits of its own still hold for all that it starts.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from skerry.testbed.topology.topology import Node

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
# Shorter than the kernel's 100 ms, so that a site with a share of a processor answers evenly.
PERIOD_US = 20_000
LEAST_QUOTA_US = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """How the limits of a node are kept.

    Args:
        groups: Folders of control groups that its processes join.
        processors: Processors that its processes are bound to; empty for none.
        cores_by: How ``cores`` is kept, in words.
        memory_by: How ``memory`` is kept, in words.
    """

    groups: tuple[str, ...] = ()
    processors: tuple[int, ...] = ()
    cores_by: str = "no limit was asked for"
    memory_by: str = "no limit was asked for"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def group_folders(mark: str) -> list[Path]:
    """Return where the groups of a testbed are, whether they are there or not: one folder per controller."""
    return [base / mark for base in _bases().values()]


def make_resources(node: Node, mark: str, index: int) -> Resources:
    """Make the control groups of a node, or find what stands for them.

    Args:
        node: What is to be limited.
        mark: What the testbed's names begin with; groups are `mark`/`node`.
        index: Which of the testbed's nodes it is: those that are bound to processors take turns.
    """
    groups: list[str] = []
    processors: tuple[int, ...] = ()
    cores_by = memory_by = "no limit was asked for"
    bases = _bases()
    if node.cores is not None:
        refusal = _limit_cores(bases, mark, node, groups)
        cores_by = f"cgroup: {node.cores:g} of {len(_available())}"
        if refusal is not None:
            processors = _turn(math.ceil(node.cores), index)
            cores_by = f"bound to processor {', '.join(map(str, processors))} ({refusal})"
    if node.memory_bytes is not None:
        refusal = _limit_memory(bases, mark, node, groups)
        memory_by = f"cgroup: {node.memory_bytes} bytes" if refusal is None else f"not kept ({refusal})"
    return Resources(groups=tuple(groups), processors=processors, cores_by=cores_by, memory_by=memory_by)


def remove_groups(mark: str) -> list[str]:
    """Remove the control groups of a testbed, and return those that could not be."""
    left = []
    for base in group_folders(mark):
        folders = sorted((path for path in base.glob("*/")), reverse=True) if base.is_dir() else []
        for folder in (*folders, base):
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                left.append(str(folder))
    return left


def members(mark: str) -> set[int]:
    """Return the processes in a testbed's control groups."""
    found: set[int] = set()
    for base in group_folders(mark):
        for file in base.glob("*/cgroup.procs"):
            with suppress(OSError):
                found.update(int(word) for word in file.read_text().split())
    return found


def confine_words(namespace: str, resources: Resources, variables: Sequence[str]) -> list[str]:
    """Return the words before a command line that make it run in a namespace, under its limits.

    Args:
        namespace: Name of the network namespace.
        resources: Its limits.
        variables: ``NAME=VALUE`` of its environment.
    """
    # The shell joins the groups and becomes the command: what that starts is in them from its first moment on.
    join = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done; shift; exec "$@"'
    files = [f"{group}/cgroup.procs" for group in resources.groups]
    words = ["/bin/sh", "-c", join, "sh", *files, "--"]
    if variables:
        words += ["env", *variables]
    if resources.processors:
        words += ["taskset", "--cpu-list", ",".join(map(str, resources.processors))]
    return [*words, "nsenter", f"--net=/run/netns/{namespace}", "--"]


def _bases() -> dict[str, Path]:
    """Return the folder of the group that this process is in, by controller."""
    found: dict[str, Path] = {}
    try:
        lines = OWN.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            base = ROOT / controller / path.lstrip("/")
            if controller in ("cpu", "memory") and base.is_dir():
                found[controller] = base
    unified = ROOT / "cgroup.controllers"
    if unified.exists():
        # A group with processes of its own cannot hand controllers down, except for the topmost one.
        for controller in ("cpu", "memory"):
            if controller in unified.read_text().split():
                found.setdefault(controller, ROOT)
    return found


def _limit_cores(bases: dict[str, Path], mark: str, node: Node, groups: list[str]) -> str | None:
    quota_us = max(LEAST_QUOTA_US, round((node.cores or 0) * PERIOD_US))
    if bases.get("cpu") == ROOT:
        return _limit(bases, "cpu", mark, node, groups, {"cpu.max": f"{quota_us} {PERIOD_US}"})
    settings = {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(quota_us)}
    return _limit(bases, "cpu", mark, node, groups, settings)


def _limit_memory(bases: dict[str, Path], mark: str, node: Node, groups: list[str]) -> str | None:
    name = "memory.max" if bases.get("memory") == ROOT else "memory.limit_in_bytes"
    return _limit(bases, "memory", mark, node, groups, {name: str(node.memory_bytes)})


def _limit(
    bases: dict[str, Path], controller: str, mark: str, node: Node, groups: list[str], settings: dict[str, str]
) -> str | None:
    """Make a group and set it; return why that is not possible, or None."""
    base = bases.get(controller)
    if base is None:
        return f"this machine has no control group for {controller}"
    folder = base / mark / node.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if base == ROOT:
            for parent in (ROOT, ROOT / mark):
                (parent / "cgroup.subtree_control").write_text(f"+{controller}")
        for name, value in settings.items():
            (folder / name).write_text(value)
    except OSError as error:
        return f"{folder}: {error.strerror}"
    if str(folder) not in groups:
        groups.append(str(folder))
    return None


def _available() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def _turn(count: int, index: int) -> tuple[int, ...]:
    processors = _available()
    count = min(count, len(processors))
    return tuple(sorted(processors[(index * count + step) % len(processors)] for step in range(count)))
