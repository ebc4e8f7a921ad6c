"""Where the recordings and data sets are that are not kept with the code."""

import os
from pathlib import Path

import pytest


def shared_data(name):
    """Return a folder of recordings; the test is skipped where there is none."""
    folder = Path(os.environ.get("SKERRY_SHARED") or Path(__file__).parents[3] / "shared") / "data" / name
    if not folder.is_dir():
        pytest.skip(f"{name} is in neither $SKERRY_SHARED nor ../shared")
    return folder
