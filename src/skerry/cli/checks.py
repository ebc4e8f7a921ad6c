"""The checks of ``skerry doctor``."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import skerry
from skerry.cli.options import connect
from skerry.cli.port import require_free_port
from skerry.errors import EngineNotRunningError, SkerryError

OLDEST_PYTHON = (3, 11)
CORE = ("click", "httptools", "msgpack", "orjson", "pydantic", "rich", "uvloop")
EXTRAS = {
    "kubernetes": ("kubernetes", "pyyaml"),
    "learn": ("numpy", "scipy", "scikit-learn"),
    "network": ("numpy",),
    "serve": ("numpy", "onnxruntime"),
    "export": ("onnx", "skl2onnx"),
    "report": ("matplotlib",),
}
PR_GET_CHILD_SUBREAPER = 37


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Args:
        name: What.
        state: ``ok``; ``warn``, something will not work; ``fail``, nothing will.
        finding: What was found.
        advice: What to do about it.
    """

    name: str
    state: Literal["ok", "warn", "fail"]
    finding: str
    advice: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the check as plain values."""
        return asdict(self)


def examine(home: Path, host: str, port: int) -> list[Check]:
    """Return the outcome of every check, in the order in which they matter."""
    engine = check_engine(home)
    return [
        check_python(),
        check_system(),
        check_pidfd(),
        check_subreaper(),
        check_core(),
        *(check_extra(name) for name in EXTRAS),
        check_home(home),
        engine,
        check_port(home, host, port),
    ]


def check_python() -> Check:
    """Look at the version of Python."""
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "fail", found, "use Python 3.11 or newer")
    return Check("python", "ok", f"{found}, skerry {skerry.__version__}")


def check_system() -> Check:
    """Look at the operating system."""
    found = f"{platform.system()} {platform.release()} on {platform.machine()}, {os.cpu_count()} processors"
    if sys.platform != "linux":
        return Check("system", "fail", found, "the engine needs Linux")
    return Check("system", "ok", found)


def check_pidfd() -> Check:
    """Look whether the kernel lets a process be watched without a race."""

    def try_it() -> None:
        os.close(os.pidfd_open(os.getpid()))

    return _try_kernel("pidfd", try_it, "the engine needs Linux 5.3 or newer, and a sandbox that lets it")


def check_subreaper() -> Check:
    """Look whether the engine can adopt what its workers leave behind."""

    def try_it() -> None:
        value = ctypes.c_int()
        if ctypes.CDLL(None, use_errno=True).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(value), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    return _try_kernel("subreaper", try_it, "the engine needs prctl(PR_SET_CHILD_SUBREAPER)")


def check_core() -> Check:
    """Look whether everything is installed that every command needs."""
    missing = [name for name in CORE if _version(name) is None]
    if missing:
        return Check("packages", "fail", f"missing: {', '.join(missing)}", "run: pip install --force-reinstall skerry")
    return Check("packages", "ok", ", ".join(f"{name} {_version(name)}" for name in CORE))


def check_extra(extra: str) -> Check:
    """Look whether the packages of an extra are installed."""
    missing = [name for name in EXTRAS[extra] if _version(name) is None]
    if missing:
        advice = f"run: pip install 'skerry[{extra}]'"
        return Check(f"extra {extra}", "warn", f"not installed: {', '.join(missing)}", advice)
    return Check(f"extra {extra}", "ok", ", ".join(f"{name} {_version(name)}" for name in EXTRAS[extra]))


def check_home(home: Path) -> Check:
    """Look whether the engine's folder can be written, or made."""
    existing = home.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Check("home", "fail", f"{existing} cannot be written", "choose another folder with SKERRY_HOME")
    return Check("home", "ok", str(home) if existing == home.absolute() else f"{home} (will be made)")


def check_engine(home: Path) -> Check:
    """Look whether an engine runs, and is as new as this program."""
    try:
        found = connect(home, patience_s=0).engine()
    except EngineNotRunningError:
        return Check("engine", "ok", "none is running (skerry deploy starts one)")
    except SkerryError as error:
        return Check("engine", "fail", error.message, "stop its process, then run: skerry engine start")
    finding = f"version {found['version']} at {found['address']}, process {found['pid']}"
    if found["version"] != skerry.__version__:
        advice = "run: skerry engine stop && skerry engine start"
        return Check("engine", "warn", f"{finding}; this is {skerry.__version__}", advice)
    return Check("engine", "ok", finding)


def check_port(home: Path, host: str, port: int) -> Check:
    """Look whether the port is free, or taken by the engine itself."""
    try:
        require_free_port(host, port)
    except SkerryError as error:
        try:
            own = str(connect(home, patience_s=0).engine()["address"]).endswith(f":{port}")
        except SkerryError:
            own = False
        if own:
            return Check("port", "ok", f"{port} of {host} is the engine's")
        return Check("port", "warn", error.message, str(error.details.get("hint", "")))
    return Check("port", "ok", f"{port} of {host} is free")


def _try_kernel(name: str, attempt: Callable[[], None], advice: str) -> Check:
    try:
        attempt()
    except (AttributeError, OSError) as error:
        return Check(name, "fail", f"not available: {error}", advice)
    return Check(name, "ok", "available")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
