"""How log records of an app look in the log of its function, where the app itself says nothing about it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
NAME = "skerry"
INSTALLED = ("/site-packages/", "/dist-packages/")


def install_log_lines() -> None:
    """Print records from INFO on, with time, level and name; of installed libraries from WARNING on.

    This stands in for Python's own last resort, which prints the bare text of warnings where no handler is configured:
    any configuration of the app's takes its place. Nothing is done before somebody has imported `logging`, which takes
    milliseconds of a start.
    """
    if "logging" not in sys.modules:
        return
    import logging

    if logging.lastResort is not None and logging.lastResort.name == NAME:
        return
    handler = logging.StreamHandler()
    handler.name = NAME
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(_is_wanted)
    logging.lastResort = handler
    if not logging.root.handlers and logging.root.level == logging.WARNING:  # else somebody has configured it
        logging.root.setLevel(logging.INFO)


def _is_wanted(record: logging.LogRecord) -> bool:
    return record.levelno >= 30 or not any(part in record.pathname for part in INSTALLED)  # 30: logging.WARNING
