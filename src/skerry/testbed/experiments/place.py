"""Where an experiment runs: its sites, and the machine of its client. The plain place has no network between them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from skerry.errors import ConfigError

if TYPE_CHECKING:
    from skerry.platforms.engine.client import EnginePlatform
    from skerry.platforms.engine.process import EngineProcess
    from skerry.platforms.kubernetes.calling.calling import CallingPlatform
    from skerry.spec import Site

# How the name of a place ends whose links relays stand for.
BY_RELAYS = ", by relays"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAddress:
    """What a client needs to call a site's functions.

    Args:
        name: The site's name.
        address: ``http://HOST:PORT``, ``https://HOST:PORT`` or the path of a Unix socket.
        token_file: File with the token, for ``https`` addresses.
        certificate: File with the site's certificate, for ``https`` addresses.
        project: Folder whose ``skerry.toml`` says where the site is, for sites that are clusters.
    """

    name: str
    address: str
    token_file: str | None = None
    certificate: str | None = None
    project: str | None = None

    def connect(self, *, patience_s: float = 60.0) -> EnginePlatform:
        """Return a new client of a site that is an engine, without any connection yet."""
        from skerry.platforms.engine.client import EnginePlatform
        from skerry.platforms.engine.site import SitePlatform

        if not self.address.startswith("https://"):
            return EnginePlatform(self.address, patience_s=patience_s, expected=True)
        return SitePlatform(self._site(), patience_s=patience_s)

    def caller(self) -> EnginePlatform | CallingPlatform:
        """Return what calls functions there, without any connection yet.

        That of a cluster is the same each time, so that it need not be asked again where its functions are.
        """
        if self.project is None:
            return self.connect()
        from skerry.app.clusters import cluster_site

        return cluster_site(self._named())

    def place(self) -> Site | EnginePlatform:
        """Return the site as ``map(..., sites=[...])`` takes it."""
        if self.project is not None:
            return self._named()
        if not self.address.startswith("https://"):
            return self.connect(patience_s=2.0)
        return self._site()

    def _named(self) -> Site:
        from skerry.app.places import find_site

        return find_site(self.name, folders=[Path(self.project or "")])

    def _site(self) -> Site:
        from skerry.spec import Site

        token, certificate = (None if file is None else Path(file) for file in (self.token_file, self.certificate))
        return Site(name=self.name, address=self.address, token_file=token, certificate=certificate)

    def to_json(self) -> dict[str, Any]:
        """Return the address as plain values; what it does not have is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}


class Place(ABC):
    """Where an experiment runs, for as long as a ``with`` block.

    Attributes:
        name: For reports: the topology's name, or ``one machine``.
    """

    name: str

    @property
    @abstractmethod
    def sites(self) -> Mapping[str, SiteAddress]:
        """The sites by name."""

    @abstractmethod
    def start_client(self, argv: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
        """Start a process where the client is, with pipes for its input and output.

        Args:
            argv: Words of the command.
            log: Where its messages go.
        """

    @abstractmethod
    def roots(self) -> list[int]:
        """Return the processes at the top of the sites' trees, to count processor time."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what reports say about the network: means, links, cores."""

    def wire_bytes(self) -> int | None:
        """Return the bytes that the links have carried so far, none where nobody counts."""
        return None

    def disturb(self, what: str, how: Mapping[str, Any]) -> Any:
        """Do something to the place itself, in the middle of a trial.

        Raises:
            ConfigError: it does not know how to.
        """
        raise ConfigError(f"{self.name}: does not know how to {what} anything ({dict(how)})")

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class OneMachine(Place):
    """Plain engines on this machine, one per site, reached over loopback: no links, no limits of cores.

    Args:
        names: Names of the sites.
        app: What is deployed to each, as ``package.module:app``.
        flags: Settings of the app's functions, ``FUNCTION.OPTION=VALUE``.
    """

    name = "one machine"

    def __init__(self, names: Sequence[str], app: str, *, flags: Sequence[str] = ()) -> None:
        self._names = tuple(names)
        self._app = app
        self._flags = tuple(flags)
        self._folder: Path | None = None
        self._engines: dict[str, EngineProcess] = {}

    @property
    def sites(self) -> Mapping[str, SiteAddress]:
        """The sites by name."""
        return {name: SiteAddress(name=name, address=engine.address) for name, engine in self._engines.items()}

    def start_client(self, argv: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
        """Start a process on this machine."""
        return start_process(argv, log=log)

    def roots(self) -> list[int]:
        """Return the engines."""
        return [engine.pid for engine in self._engines.values()]

    def describe(self) -> dict[str, Any]:
        """Return that there is no network."""
        return {"means": "none: loopback, without delay, loss or limit", "sites": {name: {} for name in self._names}}

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="skerry-experiment-"))
        try:
            for name in self._names:
                self._start(name, self._folder / name)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self, name: str, home: Path, *, port: int = 0) -> None:
        from skerry.platforms.engine.process import start_engine

        self._engines[name] = start_engine(home, port=port, leashed=True, temporary=True)
        self._engines[name].platform.deploy(self._app, flags=self._flags)

    def _stop(self) -> None:
        try:
            while self._engines:
                self._engines.popitem()[1].stop()
        finally:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)


def start_process(argv: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, with pipes for its input and output and a file for its messages."""
    with log.open("ab") as messages:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
