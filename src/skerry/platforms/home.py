"""Where an engine keeps its things, and where its socket is."""

from __future__ import annotations

import os
from pathlib import Path

from skerry.errors import EngineNotRunningError

HOME_VARIABLE = "SKERRY_HOME"
ENGINE_VARIABLE = "SKERRY_ENGINE"


def default_home() -> Path:
    """Return the folder of the engine that is meant when none is named: ``$SKERRY_HOME``, else ``~/.skerry``."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".skerry"


def socket_path(home: Path) -> Path:
    """Return the Unix socket on which the engine of a folder listens."""
    return home.absolute() / "engine.sock"


def not_running(where: object) -> EngineNotRunningError:
    """Return the error that says that no engine answers at ``where``, and what to do."""
    return EngineNotRunningError(
        f"no engine is running at {where}",
        hint="run `skerry deploy FILE` (it starts one), `skerry engine start`, or use `with app.run():`",
    )
