"""The libraries of an app in a folder, as pip installs them, without what depends on the machine that ran pip."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from skerry.errors import ConfigError, EnvironmentBuildError

OPTIONS = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--no-compile", "--no-warn-conflicts")
_TAIL_LINES = 30
_NEWS = ("Collecting", "Downloading", "Building", "Installing", "Successfully")


def install(
    requirements: Sequence[str], versions: str, workspace: Path, tell: Callable[[str], None], *, lock: str = ""
) -> Path:
    """Install libraries into a folder and return it.

    pip reads its configuration and its ``PIP_`` variables as always. A lock with hashes is installed exactly as it
    stands, and only what Skerry itself needs beyond it is chosen by pip.

    Args:
        requirements: As pip reads them, Skerry's own among them.
        versions: Exact versions, as constraints.
        workspace: An empty folder.
        tell: Called with the lines of pip that say how it is getting on.
        lock: A lock file with hashes, if there is one.

    Raises:
        EnvironmentBuildError: pip failed; the end of its output is in the message.
    """
    folder = workspace / "lib"
    constraints = workspace / "versions.txt"
    constraints.write_text(versions, encoding="utf-8")
    if lock:
        exact, second = workspace / "lock.txt", workspace / "more"
        exact.write_text(lock, encoding="utf-8")
        _pip(["--require-hashes", "--no-deps", "-r", str(exact), "--target", str(folder)], tell)
        chosen = {name_of(found) for found in importlib.metadata.distributions(path=[str(folder)])}
        _pip(["-c", str(constraints), "--target", str(second), *requirements], tell)
        for found in list(importlib.metadata.distributions(path=[str(second)])):
            if name_of(found) not in chosen:
                _move(found, second, folder)
    else:
        _pip(["-c", str(constraints), "--target", str(folder), *requirements], tell)
    _normalise(folder)
    return folder


def name_of(found: importlib.metadata.Distribution) -> str:
    """Return a distribution's name in the form that compares."""
    return re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()


def closure(folder: Path, roots: Iterable[str]) -> set[str]:
    """Return the names of what is installed in a folder for some requirements, and of what these need."""
    installed = {name_of(found): found for found in importlib.metadata.distributions(path=[str(folder)])}
    wanted: set[str] = set()
    pending = list(roots)
    while pending:
        requirement, _, marker = pending.pop().partition(";")
        match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
        name = "" if match is None else re.sub(r"[-_.]+", "-", match[1]).lower()
        if name in installed and name not in wanted and "extra" not in marker:
            wanted.add(name)
            pending += installed[name].requires or []
    return wanted


def files_of(found: importlib.metadata.Distribution) -> list[str]:
    """Return the files of a distribution, relative to the folder that it is in."""
    return [str(file) for file in found.files or () if not str(file).startswith("../")]


def _pip(arguments: Sequence[str], tell: Callable[[str], None]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    try:
        importlib.metadata.distribution("pip")
    except importlib.metadata.PackageNotFoundError as error:
        raise ConfigError(
            f"there is no pip beside {sys.executable}", hint=f"{sys.executable} -m ensurepip installs it"
        ) from error
    with subprocess.Popen(
        [sys.executable, "-I", "-m", "pip", "install", *OPTIONS, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    ) as process:
        try:
            for line in process.stdout or ():
                tail.append(line.rstrip())
                if line.startswith(_NEWS):
                    tell(line.rstrip())
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        output = "\n".join(tail)
        raise EnvironmentBuildError(
            f"the app's requirements cannot be installed (pip ended with {process.returncode}); "
            f"the end of its output:\n{output}",
            output=output,
        )


def _move(found: importlib.metadata.Distribution, source: Path, into: Path) -> None:
    for file in files_of(found):
        if (source / file).is_file():
            (into / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source / file, into / file)


def _normalise(folder: Path) -> None:
    """Remove what names the machine: scripts with the path of its Python, and where a wheel was found."""
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for information in folder.glob("*.dist-info"):
        for name in ("direct_url.json", "REQUESTED"):
            (information / name).unlink(missing_ok=True)
        record = information / "RECORD"
        if record.is_file():
            dropped = ("../", "bin/", f"{information.name}/direct_url.json", f"{information.name}/REQUESTED")
            lines = record.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if line and not line.startswith(dropped)]
            record.write_text("".join(f"{line}\n" for line in sorted(kept)), encoding="utf-8")
