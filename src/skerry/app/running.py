"""An app on an engine of its own, for as long as a block runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from skerry.errors import ConfigError
from skerry.platforms.home import ENGINE_VARIABLE
from skerry.spec import SET_VARIABLE

if TYPE_CHECKING:
    from skerry.app.binding import Binding
    from skerry.app.target import Target
    from skerry.platforms.engine.client import EnginePlatform
    from skerry.platforms.engine.process import EngineProcess


class Runnable(Protocol):
    """What is known of the app that runs."""

    @property
    def name(self) -> str:
        """Name of the app."""

    @property
    def functions(self) -> Mapping[str, object]:
        """Its functions by name."""

    def target(self) -> Target:
        """Return the app's source."""


class RunningApp:
    """An engine that serves one app during a ``with`` block; made by :meth:`skerry.App.run`.

    Args:
        app: The app.
        binding: Where its calls go; bound to the engine during the block.
        home: Folder of the engine; none for a temporary one, which is removed afterwards.
        port: TCP port; 0 picks a free one.
    """

    def __init__(self, app: Runnable, binding: Binding, *, home: Path | None, port: int) -> None:
        self._app = app
        self._binding = binding
        self._home = home
        self._port = port
        self._temporary: Path | None = None
        self._engine: EngineProcess | None = None
        self._outer = binding.platform
        self._outer_home = binding.home

    def __repr__(self) -> str:
        if self._engine is None:
            return f"<RunningApp {self._app.name}: not running>"
        return f"<RunningApp {self._app.name} at {self.address}: {', '.join(self._app.functions) or 'no functions'}>"

    @property
    def platform(self) -> EnginePlatform:
        """The engine's client."""
        return self._running().platform

    @property
    def address(self) -> str:
        """URL of the engine; functions answer at ``/function/NAME``."""
        return self._running().address

    @property
    def pid(self) -> int:
        """Process id of the engine."""
        return self._running().pid

    @property
    def home(self) -> Path:
        """Folder of the engine."""
        home = self._home or self._temporary
        if home is None:
            raise self._not_running()
        return home

    def __enter__(self) -> RunningApp:
        from skerry.platforms.engine.process import start_engine

        if os.environ.get(ENGINE_VARIABLE):
            raise ConfigError(
                f"app {self._app.name!r} is being served and calls app.run(), which would start itself without end",
                hint='put `with app.run():` under `if __name__ == "__main__":`',
            )
        target = self._app.target()
        if self._home is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="skerry-"))
        try:
            self._engine = start_engine(self.home, port=self._port, leashed=True, temporary=self._home is None)
            self._engine.platform.deploy(str(target), environment=os.environ.get(SET_VARIABLE, ""))
        except BaseException:
            self._stop()
            raise
        self._outer, self._binding.platform = self._binding.platform, self._engine.platform
        self._outer_home, self._binding.home = self._binding.home, self.home.absolute()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._binding.platform, self._binding.home = self._outer, self._outer_home
        self._stop()

    def _stop(self) -> None:
        try:
            if self._engine is not None:
                self._engine.stop()
        finally:
            self._engine = None
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)
                self._temporary = None

    def _running(self) -> EngineProcess:
        if self._engine is None:
            raise self._not_running()
        return self._engine

    def _not_running(self) -> ConfigError:
        return ConfigError(f"app {self._app.name!r} runs only inside the block: with app.run() as running: ...")
