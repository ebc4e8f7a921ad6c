"""Where the calls of an app go."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from skerry.platforms import Platform


class Binding:
    """The platform that the functions of one app call; shared by them, so that binding the app binds them all.

    Args:
        platform: Where the calls go; none means the engine around this process, or the one on the default home.
        app: Name of the app, which calls say so that they reach no other app's function of the same name; none reaches
            that of any app.
    """

    def __init__(self, platform: Platform | None = None, *, app: str | None = None) -> None:
        self.platform = platform
        self.app = app
        self.home: Path | None = None  # the folder of the engine that `App.run` has started

    def current(self) -> Platform:
        """Return the platform that was bound, else the engine around this worker, else the one on the default home."""
        if self.platform is not None:
            return self.platform
        from pathlib import Path

        from skerry.platforms.home import ENGINE_VARIABLE, default_home, socket_path

        around = os.environ.get(ENGINE_VARIABLE)
        if around:
            return _engine_at(Path(around), expected=True)
        return _engine_at(socket_path(default_home()), expected=False)


@lru_cache(maxsize=16)
def _engine_at(path: Path, *, expected: bool) -> Platform:
    # Imported here because most programs that import an app never call it remotely.
    from skerry.platforms.engine.client import EnginePlatform

    return EnginePlatform(path, expected=expected)
