"""The folder that one engine owns: where its files are, who holds it, and how clients find the engine.

**The lock is a POSIX record lock (``lockf``), not ``flock``.** A ``flock`` belongs to the open file, which every forked
child shares: a worker that outlives a killed engine would keep the folder locked. A record lock belongs to the process
alone, so the kernel drops it at the very moment the engine dies, whatever its children do. The price: *any* close of
the lock file inside the owning process drops the lock too. Hence nothing but `Home.lock` ever opens that file, and a
table of this process's own locks answers a second attempt before the file is touched.

**The socket's path is limited to 107 bytes by the kernel.** A folder that is too deep is refused when `Home` is made,
rather than served through a short path elsewhere: clients then find the socket by the folder's name alone, and the
folder's mode (0700) is what guards it.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from skerry.errors import ConfigError, EngineLockedError
from skerry.store.private import require_closed

HOME_VARIABLE = "SKERRY_HOME"
SOCKET_PATH_LIMIT_BYTES = 107  # sun_path holds 108 bytes, the last one is the terminating zero
TEMPORARY_PREFIX = ".taking-"

_held: dict[tuple[int, int], int] = {}  # (device, inode) of a lock file -> the process that locked it through here


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineInfo:
    """What a ready engine tells its clients.

    Args:
        pid: Process id of the engine.
        address: Address of the data plane, such as ``http://127.0.0.1:8080``.
        version: Version of Skerry that the engine runs.
    """

    pid: int
    address: str
    version: str


class Home:
    """The layout of an engine's folder. Making a `Home` touches no file.

    Args:
        path: The folder; ``~`` is expanded and relative paths start at the current folder.

    Raises:
        ConfigError: the path is too long for a Unix socket inside it.
    """

    __slots__ = ("path",)

    def __init__(self, path: str | Path) -> None:
        self.path = Path(os.path.abspath(Path(path).expanduser()))
        length_bytes = len(os.fsencode(self.socket))
        if length_bytes > SOCKET_PATH_LIMIT_BYTES:
            raise ConfigError(
                f"the engine's folder {self.path} is too deep: the path of its socket takes {length_bytes} bytes, "
                f"the kernel allows {SOCKET_PATH_LIMIT_BYTES}; choose a shorter one with {HOME_VARIABLE} or --home"
            )

    @classmethod
    def default(cls) -> Home:
        """Return the folder that ``SKERRY_HOME`` names, else ``~/.skerry``."""
        return cls(os.environ.get(HOME_VARIABLE) or "~/.skerry")

    @property
    def socket(self) -> Path:
        """The Unix socket of the control and data planes."""
        return self.path / "engine.sock"

    @property
    def lock_file(self) -> Path:
        """The file whose record lock says that an engine owns the folder; never open it, see the module."""
        return self.path / "engine.lock"

    @property
    def engine_file(self) -> Path:
        """`EngineInfo` as JSON, there only while an engine is ready."""
        return self.path / "engine.json"

    @property
    def token_file(self) -> Path:
        """The secret that opens the control plane over TCP."""
        return self.path / "token"

    @property
    def backlog(self) -> Path:
        """The SQLite file of accepted events."""
        return self.path / "events.sqlite3"

    @property
    def local_events(self) -> Path:
        """The file that says until when events were given to functions that are labelled ``local``."""
        return self.path / "events.local"

    @property
    def chains(self) -> Path:
        """The SQLite file of runs of chains, and of how their steps have ended."""
        return self.path / "chains.sqlite3"

    @property
    def seen_files(self) -> Path:
        """The SQLite file of files that have become events."""
        return self.path / "seen_files.sqlite3"

    @property
    def records(self) -> Path:
        """The SQLite file of apps, revisions, jobs and events."""
        return self.path / "records.sqlite3"

    @property
    def sources(self) -> Path:
        """Immutable copies of apps, one folder per digest."""
        return self.path / "sources"

    @property
    def bundles(self) -> Path:
        """What other machines have sent to be deployed, one folder per digest."""
        return self.path / "bundles"

    @property
    def environments(self) -> Path:
        """Python environments, one folder per digest."""
        return self.path / "environments"

    @property
    def logs(self) -> Path:
        """What functions print, one file per function."""
        return self.path / "logs"

    @property
    def models(self) -> Path:
        """The model store."""
        return self.path / "models"

    @property
    def inputs(self) -> Path:
        """Files and folders that calls refer to by content."""
        return self.path / "inputs"

    def create(self) -> None:
        """Make the folder and its subfolders, closed to other users.

        Raises:
            ConfigError: the folder cannot be made, belongs to somebody else, or holds files and is open to others.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_private()
            for folder in (self.sources, self.environments, self.logs, self.models):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the engine's folder {self.path} cannot be made: {error.strerror}") from error

    def _check_private(self) -> None:
        status = self.path.stat()
        if status.st_uid != os.geteuid():
            raise ConfigError(
                f"the engine's folder {self.path} belongs to user {status.st_uid}, this process runs as "
                f"{os.geteuid()}; choose another with {HOME_VARIABLE} or --home"
            )
        require_closed(self.path, "the engine's folder")

    def lock(self) -> EngineLock:
        """Own the folder until the lock is released or the process ends, and clear what a killed engine left behind.

        Raises:
            EngineLockedError: an engine owns the folder; its process id and address are in the message and details.
            ConfigError: the folder cannot be used, see `create`.
        """
        self.create()
        if self._locked_here():
            raise self._locked_error(os.getpid())
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            owner = os.pread(descriptor, 32, 0).strip()
            os.close(descriptor)
            raise self._locked_error(int(owner) if owner.isdigit() else None) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        status = os.fstat(descriptor)
        key = (status.st_dev, status.st_ino)
        _held[key] = os.getpid()
        self._clear_leftovers()
        return EngineLock(self, descriptor, key)

    def _locked_here(self) -> bool:
        try:
            status = self.lock_file.stat()
        except FileNotFoundError:
            return False
        return _held.get((status.st_dev, status.st_ino)) == os.getpid()

    def _locked_error(self, pid: int | None) -> EngineLockedError:
        info = self.read_engine()
        address = info.address if info is not None and info.pid == pid else None
        who = "an engine" if pid is None else f"the engine with process id {pid}"
        where = "which is still starting" if address is None else f"at {address}"
        return EngineLockedError(
            f"{who}, {where}, owns the folder {self.path}; stop it first, or choose another folder "
            f"with {HOME_VARIABLE} or --home",
            pid=pid,
            address=address,
        )

    def _clear_leftovers(self) -> None:
        for path in (self.engine_file, self.socket):
            path.unlink(missing_ok=True)
        for folder in (*self.sources.glob(f"{TEMPORARY_PREFIX}*"), *self.bundles.glob(f"{TEMPORARY_PREFIX}*")):
            shutil.rmtree(folder, ignore_errors=True)

    def forget_sources(self, *, but: Collection[str]) -> None:
        """Remove the copies of sources that nobody needs any more; by an engine that has started no worker yet.

        Args:
            but: Digests of those that are needed.
        """
        for folder in self.sources.iterdir():
            if folder.name not in but:
                shutil.rmtree(folder, ignore_errors=True)

    def publish_engine(self, info: EngineInfo) -> None:
        """Tell clients that the engine is ready; they see the old state or the new one, never a part."""
        _write_whole(self.engine_file, json.dumps(asdict(info)) + "\n")

    def read_engine(self) -> EngineInfo | None:
        """Return what the engine published, or None when no engine is ready.

        A killed engine leaves its file behind: only an answer on the socket proves that it lives.
        """
        try:
            values = json.loads(self.engine_file.read_text())
            return EngineInfo(pid=int(values["pid"]), address=str(values["address"]), version=str(values["version"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def token(self) -> str:
        """Return the secret of the control plane; the first call makes it (256 random bits, mode 0600)."""
        if not self.token_file.exists():
            self.create()
            handle, name = tempfile.mkstemp(prefix=".token-", dir=self.path)  # mode 0600 by definition
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_urlsafe(32))
            # A link appears whole or not at all, and never replaces the token of somebody who was faster.
            with suppress(FileExistsError):
                os.link(name, self.token_file)
            os.unlink(name)
        return self.token_file.read_text().strip()


class EngineLock:
    """Ownership of a `Home`; a context manager. Made by `Home.lock`."""

    __slots__ = ("_descriptor", "_home", "_key")

    def __init__(self, home: Home, descriptor: int, key: tuple[int, int]) -> None:
        self._home = home
        self._descriptor: int | None = descriptor
        self._key = key

    def release(self) -> None:
        """Give the folder back and take the engine's address away; further calls do nothing."""
        if self._descriptor is None or _held.get(self._key) != os.getpid():
            return  # a forked child holds a copy of this object, but never the lock
        self._home.engine_file.unlink(missing_ok=True)
        self._home.socket.unlink(missing_ok=True)
        del _held[self._key]
        os.close(self._descriptor)
        self._descriptor = None

    def __enter__(self) -> EngineLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _write_whole(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.replace(name, path)
