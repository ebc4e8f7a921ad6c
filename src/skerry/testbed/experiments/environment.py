"""Where and with what an experiment ran: machine, kernel, versions, congestion control."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from skerry.version import __version__

LIBRARIES = ("numpy", "scipy", "scikit-learn", "msgpack", "orjson", "pydantic", "uvloop")
_CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")


def describe_environment(libraries: Iterable[str] = LIBRARIES) -> dict[str, Any]:
    """Return the facts about this machine that a result depends on.

    Args:
        libraries: Distributions whose versions matter; those that are not installed are left out.
    """
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "system": platform.system(),
        "python": platform.python_version(),
        "tcp_congestion_control": _read(_CONGESTION),
        "versions": {"skerry": __version__, **_versions(libraries)},
        "commit": _commit(),
    }


def describe_files(targets: Iterable[str]) -> dict[str, str]:
    """Return the digests of the files that declare an experiment and its app: SHA-256 by name.

    Args:
        targets: Each ``FILE[:name]`` or ``package.module[:name]``; what is not found is left out.
    """
    found = {}
    for target in targets:
        source = target.partition(":")[0]
        file = Path(source) if source.endswith(".py") else _file_of(source)
        if file is not None and file.is_file():
            found[file.name if source.endswith(".py") else source] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def _file_of(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin)


def _processor() -> str:
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _versions(libraries: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in libraries:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """Return the commit of the source tree that this is run from, with a + where files differ; none elsewhere."""
    tree = Path(__file__).resolve().parents[4]
    if not (tree / ".git").exists():
        return None
    commit = _git(tree, "rev-parse", "--short=12", "HEAD")
    if commit is None:
        return None
    return f"{commit}+" if _git(tree, "status", "--porcelain", "--untracked-files=no") else commit


def _git(tree: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(tree), *words],  # noqa: S607  # wherever the user's git is
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
