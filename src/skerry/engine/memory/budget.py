"""How much memory the workers of all functions may hold together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from skerry.errors import ConfigError
from skerry.spec.quantity import parse_size

VARIABLE = "SKERRY_MEMORY"
DEFAULT_RATIO = 0.8  # of what there is; the rest is for the front, the zygotes and the system
LEAST_BYTES = 2**20


def memory_budget(environment: Mapping[str, str], *, root: Path = Path("/")) -> int:
    """Return the budget in bytes: ``SKERRY_MEMORY``, else 80 % of the machine's memory or of the control group's limit.

    Args:
        environment: The variables of the engine's process.
        root: Where ``proc`` and ``sys`` are; another value than the default is for tests.

    Raises:
        ConfigError: the variable is no size, or less than 1 MiB.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return int(DEFAULT_RATIO * min(_machine_bytes(root), *_group_limits(root)))
    budget_bytes = parse_size(text, key=VARIABLE)
    if budget_bytes < LEAST_BYTES:
        raise ConfigError(f"{VARIABLE} = {text!r}: must be at least 1MiB; leave it out for 80 % of the memory")
    return budget_bytes


def _machine_bytes(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _group_limits(root: Path) -> Iterator[int]:
    """Yield the limits of the control group of this process and of those above it, and a last one that is none."""
    yield 2**62
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mount = root / "sys/fs/cgroup"
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            top, name = mount, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = mount / "memory", "memory.limit_in_bytes"
        else:
            continue
        folder = top / path.strip("/")  # in a container the path may be the host's: then only the top exists
        for place in (folder, *(parent for parent in folder.parents if parent.is_relative_to(top))):
            try:
                text = (place / name).read_text().strip()
            except OSError:
                continue
            if text.isdecimal():
                yield int(text)
