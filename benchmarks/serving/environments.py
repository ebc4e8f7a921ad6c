"""Virtual environments of the peers: made once, used again while what must be in them stays the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

STAMP = "installed.json"
SHARED = ("numpy", "onnxruntime", "orjson")
"""Libraries that the workloads themselves use: in every environment at the version that Skerry runs with."""


def default_folder() -> Path:
    """Return where the environments lie unless told: in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skerry-benchmarks"


def make_environment(folder: Path, requirements: Sequence[str]) -> Path:
    """Return the interpreter of an environment with these requirements, made in this folder if it is not there yet.

    Raises:
        subprocess.CalledProcessError: an installation failed; pip has said why.
    """
    wanted = [*requirements, *(f"{name}=={metadata.version(name)}" for name in SHARED)]
    python, stamp = folder / "bin" / "python", folder / STAMP
    if stamp.is_file() and json.loads(stamp.read_text()) == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    (folder.parent / ".gitignore").write_text("*\n")  # should the environments lie in a repository
    print(f"installing {', '.join(wanted)} in {folder}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *wanted], check=True)
    stamp.write_text(json.dumps(wanted) + "\n")
    return python


def versions(python: Path) -> dict[str, str]:
    """Return the exact version of every distribution in an environment."""
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))
