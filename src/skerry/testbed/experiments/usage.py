"""How much processor time trees of processes have used, from ``/proc``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def trees_cpu_s(roots: Iterable[int]) -> float:
    """Return the processor time of processes and all below them, ended children included, in seconds.

    Args:
        roots: Process ids; one that has ended counts nothing.
    """
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # Counted from the state after the name: the parent, then user, system, and the same of reaped children.
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))
    tree = set(roots) & ticks.keys()
    while grown := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= grown
    return sum(ticks[pid] for pid in tree) / os.sysconf("SC_CLK_TCK")
