"""Where an engine keeps its things, and where its socket is."""

from __future__ import annotations

import json
import os
import shlex
import socket
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from skerry.errors import EngineNotRunningError

HOME_VARIABLE = "SKERRY_HOME"
ENGINE_VARIABLE = "SKERRY_ENGINE"
RUN_PREFIX = "skerry-run-"  # of the temporary folders of `skerry run`
_LOOK_S = 0.2


def default_home() -> Path:
    """Return the folder of the engine that is meant when none is named: ``$SKERRY_HOME``, else ``~/.skerry``."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".skerry"


def home_words(home: Path) -> str:
    """Return what a command line about a folder's engine ends with; nothing where it is meant when none is named."""
    return "" if home.absolute() == default_home().absolute() else f" --home {shlex.quote(str(home))}"


def socket_path(home: Path) -> Path:
    """Return the Unix socket on which the engine of a folder listens."""
    return home.absolute() / "engine.sock"


def engine_log(home: Path) -> Path:
    """Return the file to which an engine in the background writes what it has to say."""
    return home.absolute() / "engine.log"


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended does not, also if its parent has not waited for it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def not_running(where: object, *, home: Path | None = None) -> EngineNotRunningError:
    """Return the error that says that no engine answers at ``where``, and what to do.

    Args:
        where: What was asked.
        home: The engine's folder, where it was asked in that.
    """
    if home is not None and (pid := killed_engine(home)) is not None:
        log = engine_log(home)
        return EngineNotRunningError(
            f"no engine is running at {where}; the last one (process {pid}) ended without being stopped"
            + (f": see {log}" if log.exists() else ""),
            hint=f"`skerry engine start{home_words(home)}` serves its apps again, and runs its jobs that wait",
        )
    hint = "run `skerry deploy FILE` (it starts one), `skerry engine start`, or use `with app.run():`"
    if found := _homes_of_runs():
        hint += f"; or ask what `skerry run` serves: --home {' or --home '.join(found)} (or set {HOME_VARIABLE} to it)"
    return EngineNotRunningError(f"no engine is running at {where}", hint=hint)


def killed_engine(home: Path) -> int | None:
    """Return the process id of an engine that was killed: one that ends in order takes ``engine.json`` away."""
    try:
        pid = int(json.loads((home / "engine.json").read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if is_alive(pid) else pid  # it may be on its way out


def _homes_of_runs() -> list[str]:
    """Return the folders of this user's `skerry run` that answer."""
    homes = []
    for path in sorted(Path(tempfile.gettempdir()).glob(f"{RUN_PREFIX}*/engine.sock")):
        with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_LOOK_S)
            folder, end = path.parent.lstat(), path.lstat()  # what is linked there may be somebody else's
            is_ours = folder.st_uid == os.getuid() and stat.S_IMODE(folder.st_mode) == 0o700
            if is_ours and stat.S_ISDIR(folder.st_mode) and stat.S_ISSOCK(end.st_mode):
                probe.connect(str(path))
                homes.append(str(path.parent))
    return homes
