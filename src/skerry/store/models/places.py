"""Where models are when nobody says so, and where a machine keeps those that it has fetched."""

from __future__ import annotations

import os
from pathlib import Path

from skerry.errors import ConfigError

MODELS_VARIABLE = "SKERRY_MODELS"
CACHE_VARIABLE = "SKERRY_MODEL_CACHE"


def models_url(home_models: Path) -> str:
    """Return the address of the store of models: ``$SKERRY_MODELS``, else the folder given, that of an engine."""
    return os.environ.get(MODELS_VARIABLE) or str(home_models.absolute())


def publishing_url(home: Path) -> str:
    """Return the address of the store of models for one who publishes there.

    Where that is in the engine's folder, the folder is made here, closed to other users: the store would make it as any
    other folder, and no engine starts in one that others can read.

    Args:
        home: The engine's folder.

    Raises:
        ConfigError: the folder cannot be made.
    """
    inside = home.absolute() / "models"
    url = models_url(inside)
    if url == str(inside):
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the engine's folder {home} cannot be made: {error.strerror}") from error
    return url


def cache_folder() -> Path:
    """Return the folder of fetched models: ``$SKERRY_MODEL_CACHE``, else ``skerry/models`` in the user's cache."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skerry" / "models"
