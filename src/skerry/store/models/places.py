"""Where models are when nobody says so, and where a machine keeps those that it has fetched."""

from __future__ import annotations

import os
from pathlib import Path

MODELS_VARIABLE = "SKERRY_MODELS"
CACHE_VARIABLE = "SKERRY_MODEL_CACHE"


def models_url(home_models: Path) -> str:
    """Return the address of the store of models: ``$SKERRY_MODELS``, else the folder given, that of an engine."""
    return os.environ.get(MODELS_VARIABLE) or str(home_models.absolute())


def cache_folder() -> Path:
    """Return the folder of fetched models: ``$SKERRY_MODEL_CACHE``, else ``skerry/models`` in the user's cache."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skerry" / "models"
