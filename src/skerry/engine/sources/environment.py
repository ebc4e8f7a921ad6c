"""Python environments for apps that need libraries of their own.

An environment is a ``venv`` under ``environments/DIGEST``, made once and shared by all apps that ask for the same. It
is built in its final place, because the scripts of a venv name their folder, and counts only once the file
``.complete`` stands in it; what a killed builder left without that file is removed and built again.

A lock file keeps builders apart. Its descriptor is handed to pip, and ``flock`` lasts until the last holder is gone:
when the engine is killed, a pip that goes on installing keeps the next builder from deleting the folder below it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import skerry.errors
from skerry.engine.home import Home
from skerry.errors import ConfigError, EnvironmentBuildError

ENGINE_DIGEST = "engine"
BUILD_TIMEOUT_S = 1800.0
LOCK_PERIOD_S = 0.2
PIP_OPTIONS = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")
_COMPLETE = ".complete"
_TAIL_LINES = 30
_OWN_NAME = re.compile(r"\s*skerry\s*(?:\[(?P<extras>[^\]]*)\])?\s*(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_EXTRA_MARKER = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """A Python that can import Skerry and an app's requirements.

    Args:
        python: The interpreter to start.
        digest: What it was made of, or ``engine`` for the engine's own interpreter.
    """

    python: Path
    digest: str


class Builds:
    """The builds of one engine, so that it need not wait for them when it ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def stop(self) -> None:
        """End the builds that are under way with an `EnvironmentBuildError`, and every later one."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)

    def check(self) -> None:
        """Raise EnvironmentBuildError when builds are not wanted any more."""
        if self._stopped:
            raise EnvironmentBuildError("the engine stops; the environment was not finished")

    @contextmanager
    def running(self, process: subprocess.Popen[str]) -> Iterator[None]:
        """Let `stop` end a process as long as the body runs."""
        with self._lock:
            self._running.add(process)
            if self._stopped:
                _kill(process)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(process)


def ensure(
    requirements: Iterable[str],
    home: Home,
    *,
    lock: str = "",
    report: Callable[[str], None] | None = None,
    builds: Builds | None = None,
) -> Environment:
    """Return the environment for an app's requirements, building it when it does not exist yet.

    Takes seconds to minutes for a new one: not for an event loop's thread. pip reads its configuration and its ``PIP_``
    variables as always, so a host's index or proxy is honoured.

    Args:
        requirements: As pip reads them, such as ``numpy>=2``; ``skerry[EXTRA]`` means that extra's libraries.
        home: The engine's folder.
        lock: Exact versions, as pip's constraints, that hold for what is installed.
        report: Called with each line that says how the build is getting on.
        builds: What ends a build from outside.

    Raises:
        ConfigError: a requirement is empty, an option of pip, or another version of Skerry.
        EnvironmentBuildError: the environment cannot be made; the end of pip's output is in the message.
    """
    wanted = sorted({requirement.strip() for requirement in requirements})
    if not wanted:
        return Environment(python=Path(sys.executable), digest=ENGINE_DIGEST)
    installed = to_install(wanted)
    digest = _digest(installed, lock)
    folder = home.environments / digest
    tell = report if report is not None else _ignore
    if not _is_complete(folder):
        home.environments.mkdir(mode=0o700, parents=True, exist_ok=True)
        builder = _Builder(builds if builds is not None else Builds(), tell)
        with builder.lock(home.environments / f"{digest}.lock") as held:
            if not _is_complete(folder):  # nobody else built it while this one waited
                builder.build(folder, [*_constraints(home, digest, lock), *installed], held)
    _link_skerry(folder)
    return Environment(python=_python(folder), digest=digest)


def find_built(requirements: Iterable[str], home: Home, *, lock: str = "") -> Environment | None:
    """Return the environment for an app's requirements, and its lock, if it exists already, else none.

    Raises:
        ConfigError: a requirement is empty, an option of pip, or another version of Skerry.
    """
    wanted = sorted({requirement.strip() for requirement in requirements})
    digest = _digest(to_install(wanted), lock)
    folder = home.environments / digest
    return Environment(python=_python(folder), digest=digest) if _is_complete(folder) else None


def to_install(wanted: Iterable[str]) -> list[str]:
    """Return what pip is asked for: an app's requirements and the libraries that Skerry itself imports.

    Args:
        wanted: As pip reads them; ``skerry[EXTRA]`` means that extra's libraries.

    Raises:
        ConfigError: one is empty, an option of pip, or another version of Skerry.
    """
    others: list[str] = []
    extras: set[str] = set()
    for requirement in wanted:
        if not requirement or requirement.startswith("-"):
            raise ConfigError(
                f"requirement {requirement!r} is not a library; options of pip belong to its own settings"
            )
        own = _OWN_NAME.fullmatch(requirement)
        if own is None or re.match(r"[\w.-]", own["rest"]):
            others.append(requirement)  # another library, perhaps one whose name begins like ours
        elif own["rest"]:
            raise ConfigError(f"requirement {requirement!r}: an app runs with its engine's Skerry; drop the version")
        else:
            extras.update(extra.strip().lower() for extra in (own["extras"] or "").split(",") if extra.strip())
    return sorted({*others, *_own_requirements(extras)})


def _own_requirements(extras: set[str]) -> Iterator[str]:
    known = {extra.lower() for extra in importlib.metadata.metadata("skerry").get_all("Provides-Extra") or []}
    if extras - known:
        raise ConfigError(f"Skerry has no extra {min(extras - known)!r}; it has {', '.join(sorted(known))}")
    for line in importlib.metadata.requires("skerry") or []:
        requirement, _, marker = line.partition(";")
        of_extra = _EXTRA_MARKER.search(marker)
        if of_extra is None:
            yield line
        elif of_extra[1].lower() in extras:
            yield requirement.strip()


def _constraints(home: Home, digest: str, lock: str) -> list[str]:
    """Return what tells pip of a lock."""
    if not lock.strip():
        return []
    file = home.environments / f"{digest}.constraints"
    file.write_text(lock, encoding="utf-8")
    return ["--constraint", str(file)]


def _digest(installed: list[str], lock: str = "") -> str:
    parts = [
        installed,
        # Left out without one, so that environments from before there were locks are the same still.
        *([lock] if lock.strip() else []),
        importlib.metadata.version("skerry"),
        sys.implementation.cache_tag,
        platform.python_version(),
        platform.machine(),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_complete(folder: Path) -> bool:
    # The interpreter is a link to the system's, which an upgrade may have taken away.
    return (folder / _COMPLETE).exists() and _python(folder).exists()


class _Builder:
    """Makes one environment.

    Args:
        builds: Says when to give up.
        tell: Called with each line that says how it is getting on.
    """

    def __init__(self, builds: Builds, tell: Callable[[str], None]) -> None:
        self._builds = builds
        self._tell = tell

    @contextmanager
    def lock(self, path: Path) -> Iterator[int]:
        """Keep other builders of the same environment away; gives the descriptor that holds the lock."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _try_lock(descriptor):
                self._tell("another build of the same environment is running; waiting for it")
                while not _try_lock(descriptor):  # in short steps, since nothing ends a wait in the kernel
                    self._builds.check()
                    time.sleep(LOCK_PERIOD_S)
            yield descriptor
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child forked meanwhile shares the lock: closing won't free it
            os.close(descriptor)

    def build(self, folder: Path, installed: list[str], lock: int) -> None:
        """Make the environment."""
        try:
            if folder.exists():
                self._tell("removing an unfinished environment")
                shutil.rmtree(folder)
            self._tell("making a Python environment")
            # Isolated mode: neither PYTHONPATH nor the user's own libraries may leak into it.
            self._run([sys.executable, "-I", "-m", "venv", *_venv_options(), str(folder)], lock)
            self._tell(f"installing {', '.join(installed)}")
            self._run([*_pip(folder), "install", *PIP_OPTIONS, *installed], lock)
            _link_skerry(folder)
            (folder / _COMPLETE).touch()
        except OSError as error:
            raise EnvironmentBuildError(f"the environment {folder} cannot be made: {error}") from error
        self._tell("the environment is ready")

    def _run(self, command: list[str], lock: int) -> None:
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._builds.check()
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=_isolated(os.environ),
            pass_fds=(lock,),
            process_group=0,  # what pip starts to build a library is ended with it
        ) as process:
            timer = threading.Timer(BUILD_TIMEOUT_S, _kill, [process])
            timer.daemon = True
            timer.start()
            try:
                with self._builds.running(process):
                    for line in process.stdout or ():
                        tail.append(line.rstrip())
                        self._tell(line.rstrip())
            except BaseException:
                _kill(process)
                raise
            finally:
                timer.cancel()
        self._builds.check()
        if process.returncode != 0:
            output = "\n".join(tail)
            raise EnvironmentBuildError(
                f"the app's requirements cannot be installed ({' '.join(command[2:4])} ended with "
                f"{process.returncode}); the end of its output:\n{output}",
                output=output,
            )


def _venv_options() -> list[str]:
    # A pip in each environment would take half of the time of a build; the engine's own installs into all of them.
    return ["--without-pip"] if _has_pip() else []


def _pip(folder: Path) -> list[str]:
    python = str(_python(folder))
    return [sys.executable, "-I", "-m", "pip", "--python", python] if _has_pip() else [python, "-I", "-m", "pip"]


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None  # tools other than venv make environments without one


def _isolated(environment: Mapping[str, str]) -> dict[str, str]:
    # With --python, pip runs itself once more, and does not hand its isolated mode on.
    kept = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONNOUSERSITE": "1"}


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _link_skerry(folder: Path) -> None:
    """Make this very Skerry importable in an environment, also when it is a checkout that no index knows.

    A link of the one package rather than a ``.pth`` file with its parent folder: that folder may be the engine's whole
    ``site-packages``, with versions of libraries that the app did not ask for.
    """
    package = Path(skerry.errors.__file__).resolve().parent
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    link = folder / "lib" / version / "site-packages" / "skerry"
    if link.is_symlink() and os.readlink(link) == str(package):
        return
    temporary = link.with_name(f".skerry-{os.getpid()}-{threading.get_ident()}")
    temporary.symlink_to(package)
    os.replace(temporary, link)


def _ignore(line: str) -> None:
    """Report nothing."""
