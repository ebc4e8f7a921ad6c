"""Where the data sets are that experiments use when they are there: outside the package, which brings none."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]


def shared_folder() -> Path:
    """Return the folder with the shared data: ``$SKERRY_SHARED/data``, else ``shared/data`` beside the repository."""
    given = os.environ.get("SKERRY_SHARED")
    return (Path(given) if given else CHECKOUT.parent / "shared") / "data"
